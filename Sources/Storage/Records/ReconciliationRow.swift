public import RouterCore

/// A row of `reconciliations`: a request that was charged by our own count.
public struct ReconciliationRow: Sendable, Hashable, Paid {
    public enum State: String, Sendable, Hashable, CaseIterable {
        /// The vendor will be asked.
        case pending
        /// The vendor cannot be asked or did not know it: the estimate stands.
        case unresolved
        case resolved
    }
    public var requestID: RequestID
    public var userID: Int64
    /// The organisation that was charged; nil = the user.
    public var accountID: Int64?
    public var channelID: Int64?
    public var provider: String
    public var model: String
    public var generationID: String?
    public var charge: NanoUSD
    public var state: State
    public var tries: Int
    /// Unix seconds.
    public var nextAt: Int64
    public var note: String
    public var createdAt: Int64

    public init(
        requestID: RequestID, userID: Int64, channelID: Int64?, provider: String, model: String, generationID: String?, charge: NanoUSD,
        state: State, tries: Int, nextAt: Int64, note: String, createdAt: Int64, accountID: Int64? = nil
    ) {
        self.requestID = requestID
        self.userID = userID
        self.accountID = accountID
        self.channelID = channelID
        self.provider = provider
        self.model = model
        self.generationID = generationID
        self.charge = charge
        self.state = state
        self.tries = tries
        self.nextAt = nextAt
        self.note = note
        self.createdAt = createdAt
    }

    /// The row for an estimated charge: it is looked up after two seconds if the vendor gave an id, else never.
    static func of(_ record: RequestRecord) -> ReconciliationRow? {
        guard record.usageSource == .estimated, let charge = record.charge else { return nil }
        return ReconciliationRow(
            requestID: record.requestID, userID: record.userID, channelID: record.channelID, provider: record.provider,
            model: record.model, generationID: record.generationID, charge: charge,
            state: record.generationID == nil ? .unresolved : .pending, tries: 0, nextAt: record.createdAt + 2,
            note: record.generationID == nil ? "the vendor gave no id to ask for" : "", createdAt: record.createdAt,
            accountID: record.accountID)
    }
}
