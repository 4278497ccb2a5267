public import RouterCore

/// A credit or correction that does not come from a request.
public struct LedgerPosting: Sendable, Paid {
    /// The user who caused it; an organisation's own id where no user did.
    public var userID: Int64
    /// The organisation whose balance moves; nil = the user's own.
    public var accountID: Int64?
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
        createdAt: Int64, accountID: Int64? = nil, source: String? = nil, levels: [AccountLevel] = []
    ) {
        self.userID = userID
        self.accountID = accountID
        self.amount = amount
        self.kind = kind
        self.referenceID = referenceID
        self.description = description
        self.createdAt = createdAt
        self.source = source
        self.levels = levels
    }
}

/// The user and the account of a charge.
public struct ChargedAccount: Sendable, Hashable, Paid {
    public var userID: Int64
    /// The organisation that has paid; nil = the user.
    public var accountID: Int64?

    public init(userID: Int64, accountID: Int64? = nil) {
        self.userID = userID
        self.accountID = accountID
    }
}
