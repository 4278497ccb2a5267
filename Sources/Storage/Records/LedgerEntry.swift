public import RouterCore

public enum TransactionKind: String, Sendable, Hashable, CaseIterable {
    case recharge, usage, refund, adjustment
}

/// A row of `balance_transactions`.
public struct LedgerEntry: Sendable, Hashable, Paid {
    public var id: Int64
    /// The user who caused it.
    public var userID: Int64
    /// The organisation whose balance it moved; nil = the user's own.
    public var accountID: Int64?
    /// Positive = credit, negative = charge.
    public var amount: NanoUSD
    public var balanceAfter: NanoUSD
    public var kind: TransactionKind
    public var referenceID: String
    public var description: String
    public var createdAt: Int64
    /// The origin of a recharge or adjustment that has one (``EntrySource``).
    public var source: String?
    /// The part of a charge that gifts have paid, positive; nil = none.
    public var gift: NanoUSD?

    public init(
        id: Int64, userID: Int64, amount: NanoUSD, balanceAfter: NanoUSD, kind: TransactionKind,
        referenceID: String, description: String, createdAt: Int64, accountID: Int64? = nil, source: String? = nil,
        gift: NanoUSD? = nil
    ) {
        self.id = id
        self.userID = userID
        self.accountID = accountID
        self.amount = amount
        self.balanceAfter = balanceAfter
        self.kind = kind
        self.referenceID = referenceID
        self.description = description
        self.createdAt = createdAt
        self.source = source
        self.gift = gift
    }
}
