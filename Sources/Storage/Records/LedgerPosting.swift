public import RouterCore

/// A credit or correction that does not come from a request.
public struct LedgerPosting: Sendable {
    public var userID: Int64
    public var amount: NanoUSD
    public var kind: TransactionKind
    public var referenceID: String
    public var description: String
    public var createdAt: Int64

    public init(
        userID: Int64, amount: NanoUSD, kind: TransactionKind, referenceID: String, description: String,
        createdAt: Int64
    ) {
        self.userID = userID
        self.amount = amount
        self.kind = kind
        self.referenceID = referenceID
        self.description = description
        self.createdAt = createdAt
    }
}
