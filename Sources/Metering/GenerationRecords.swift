package import RouterCore

/// Vendors' own records of what requests used, and what that costs.
package protocol GenerationRecords: Sendable {
    /// - Parameters:
    ///   - generationID: what the vendor called it.
    ///   - channelID: of the channel that made the call.
    func usage(of generationID: String, channelID: Int64) async throws(NoGenerationRecord) -> Usage
    /// How a request is charged.
    /// - Parameters:
    ///   - price: what the version stood for that the record names; nil = it stood for no row of the table.
    ///   - group: the user's, whose factor holds for records that have none of their own.
    /// - Returns: nil where it cannot be priced any more.
    func quote(_ record: RequestRecord, price: ModelPrice?, group: String) -> PriceQuote?
}

/// Why a vendor's record cannot be had.
package struct NoGenerationRecord: Error, Sendable {
    /// For the row's note.
    package var reason: String
    /// Asking again would not help.
    package var isFinal: Bool

    package init(reason: String, isFinal: Bool = false) {
        self.reason = reason
        self.isFinal = isFinal
    }
}
