public import RouterCore

/// A credit or correction that does not come from a request.
public struct LedgerPosting: Sendable {
    public var userID: Int64
    public var amount: NanoUSD
    public var kind: TransactionKind
    public var referenceID: String
    public var description: String
    public var createdAt: Int64
    /// The origin of the money, where it has one (``EntrySource``).
    public var source: String?
    /// Levels that the account may reach by this recharge, in the same transaction; empty = none.
    public var levels: [AccountLevel]

    public init(
        userID: Int64, amount: NanoUSD, kind: TransactionKind, referenceID: String, description: String,
        createdAt: Int64, source: String? = nil, levels: [AccountLevel] = []
    ) {
        self.userID = userID
        self.amount = amount
        self.kind = kind
        self.referenceID = referenceID
        self.description = description
        self.createdAt = createdAt
        self.source = source
        self.levels = levels
    }
}
