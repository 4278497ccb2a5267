package import RouterCore

/// Vendors' own records of what requests used, and the price of that usage.
package protocol GenerationRecords: Sendable {
    /// - Parameters:
    ///   - generationID: the vendor's id of the generation.
    ///   - channelID: the channel that made the call.
    func usage(of generationID: String, channelID: Int64) async throws(NoGenerationRecord) -> Usage
    /// The price that a request is charged at.
    /// - Parameters:
    ///   - price: the prices of the version that the record names; nil = the version belongs to no row of the table.
    ///   - group: the user's group, whose factor applies to records that have none of their own.
    /// - Returns: nil where the request can no longer be priced.
    func quote(_ record: RequestRecord, price: ModelPrice?, group: String) -> PriceQuote?
    /// The vendor's bill for the usage of a request; nil = unknown.
    func cost(_ record: RequestRecord, _ usage: Usage) -> VendorCost?
}

/// The reason why a vendor's record is not available.
package struct NoGenerationRecord: Error, Sendable {
    /// Text for the row's note.
    package var reason: String
    /// Whether asking again would be useless.
    package var isFinal: Bool

    package init(reason: String, isFinal: Bool = false) {
        self.reason = reason
        self.isFinal = isFinal
    }
}
