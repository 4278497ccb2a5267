public import RouterCore

/// The origins of recharges and adjustments that have one (`balance_transactions.source`).
public enum EntrySource {
    /// A recharge that has brought a gift.
    public static let gift = "gift"
    /// An adjustment that has taken the rest of a gift back.
    public static let giftExpired = "gift_expired"
    /// A recharge by a redemption code that was paid for.
    public static let code = "code"
    /// An adjustment that takes back what was paid by other means than this gateway's.
    public static let chargeback = "chargeback"
}

/// A gift: a part of an account's balance that pays before its cash, and may have an end (`credits`).
public struct Credit: Sendable, Hashable {
    public enum State: String, Sendable, Hashable, CaseIterable {
        /// It has something left.
        case open
        case spent
        /// Its time was over before it was spent.
        case expired
    }

    public enum Source: String, Sendable, Hashable, CaseIterable { case grant, code }

    public var id: Int64
    public var accountID: Int64
    public var amount: NanoUSD
    public var left: NanoUSD
    /// The part that was taken back at the end.
    public var expired: NanoUSD
    public var source: Source
    /// The reference of the `recharge` row that has brought it.
    public var reference: String
    /// Unix seconds; nil = never.
    public var expiresAt: Int64?
    public var state: State
    public var createdAt: Int64
    /// When it was spent or taken back.
    public var endedAt: Int64?

    /// The part that requests have used.
    public var spent: NanoUSD { NanoUSD(nanos: amount.nanos - left.nanos - expired.nanos) }

    /// The reference of the `adjustment` row that ends it.
    static func expiredReference(_ id: Int64) -> String { "gift:\(id):expired" }
}

/// A gift to be made.
public struct CreditGrant: Sendable {
    public var accountID: Int64
    /// More than zero.
    public var amount: NanoUSD
    /// The caller's name for this operation: the same name makes no second gift.
    public var reference: String
    /// Unix seconds; nil = never.
    public var expiresAt: Int64?
    public var description: String
    public var createdAt: Int64

    public init(accountID: Int64, amount: NanoUSD, reference: String, expiresAt: Int64?, description: String = "", createdAt: Int64) {
        self.accountID = accountID
        self.amount = amount
        self.reference = reference
        self.expiresAt = expiresAt
        self.description = description
        self.createdAt = createdAt
    }
}

/// A gift with the row that has brought it.
public struct GrantedCredit: Sendable, Hashable {
    public var credit: Credit
    public var entry: LedgerEntry
    /// False when an earlier call with the same reference had made it.
    public var isNew: Bool
}

/// The gifts that a list shows.
public struct CreditQuery: Sendable, Hashable {
    /// nil = those of all accounts.
    public var accountID: Int64?
    public var state: Credit.State?

    public init(accountID: Int64? = nil, state: Credit.State? = nil) {
        self.accountID = accountID
        self.state = state
    }
}
