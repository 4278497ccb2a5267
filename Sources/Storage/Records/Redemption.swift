public import RouterCore

/// Redemption codes that were made together and are alike (`redemption_batches`).
public struct RedemptionBatch: Sendable, Hashable {
    public enum Kind: String, Sendable, Hashable, CaseIterable {
        /// Its codes bring gifts, which pay before cash and may have an end.
        case gift
        /// Its codes bring cash, as if it had been paid in.
        case cash
    }

    public var id: Int64
    public var name: String
    public var amount: NanoUSD
    /// How many codes there are, and how many of them have been redeemed.
    public var codes: Int64
    public var redeemed: Int64
    public var kind: Kind
    /// Seconds that a gift lasts from its redemption on; nil = for ever.
    public var giftSeconds: Int64?
    /// Unix seconds at which the codes end; nil = never.
    public var expiresAt: Int64?
    /// How many of the codes an account may redeem; nil = all of them.
    public var perAccount: Int64?
    /// Groups whose accounts may redeem them; empty = all.
    public var groups: [String]
    /// nil = the command line.
    public var createdBy: Int64?
    public var createdAt: Int64
    /// nil = they can be redeemed.
    public var disabledAt: Int64?

    /// A batch to be made; the ledger gives it its id.
    public init(
        name: String, amount: NanoUSD, codes: Int64, kind: Kind, giftSeconds: Int64? = nil, expiresAt: Int64? = nil, perAccount: Int64? = 1,
        groups: [String] = [], createdBy: Int64?, createdAt: Int64
    ) {
        id = 0
        self.name = name
        self.amount = amount
        self.codes = codes
        redeemed = 0
        self.kind = kind
        self.giftSeconds = giftSeconds
        self.expiresAt = expiresAt
        self.perAccount = perAccount
        self.groups = groups
        self.createdBy = createdBy
        self.createdAt = createdAt
    }
}

/// A code as it is stored: nobody can redeem it with what is known of it here.
public struct RedemptionCode: Sendable, Hashable {
    public var id: Int64
    public var batchID: Int64
    /// The first characters of the code, for people who have it before them.
    public var prefix: String
    /// The account whose balance it went to; nil = it has not been redeemed.
    public var accountID: Int64?
    public var redeemedBy: Int64?
    public var redeemedAt: Int64?

    /// The reference of the `recharge` row that it brings.
    static func reference(_ id: Int64) -> String { "code:\(id)" }
}

/// A new code as it is stored.
public struct RedemptionSecret: Sendable, Hashable {
    /// SHA-256
    public var hash: [UInt8]
    public var prefix: String

    public init(hash: [UInt8], prefix: String) {
        self.hash = hash
        self.prefix = prefix
    }
}

/// The codes that a list shows.
public struct RedemptionQuery: Sendable, Hashable {
    public var batchID: Int64?
    public var isRedeemed: Bool?

    public init(batchID: Int64? = nil, isRedeemed: Bool? = nil) {
        self.batchID = batchID
        self.isRedeemed = isRedeemed
    }
}

/// A try to redeem a code.
public struct Redemption: Sendable {
    /// SHA-256 of the code.
    public var hash: [UInt8]
    /// The account whose balance it goes to.
    public var accountID: Int64
    /// The user who has the code.
    public var userID: Int64
    /// Levels that the account may reach by it.
    public var levels: [AccountLevel]
    /// Unix seconds.
    public var now: Int64

    public init(hash: [UInt8], accountID: Int64, userID: Int64, levels: [AccountLevel] = [], now: Int64) {
        self.hash = hash
        self.accountID = accountID
        self.userID = userID
        self.levels = levels
        self.now = now
    }
}

/// Why a code is not redeemed.
public enum RedemptionRefusal: Error, Sendable, Hashable, CaseIterable {
    /// There is no such code.
    case unknown
    /// Another account has redeemed it.
    case used
    case expired
    /// Its batch was disabled.
    case disabled
    /// The account's group is not among the batch's, the account has redeemed as many of the batch as it may, or an administrator would
    /// redeem a code that no higher role has made.
    case notForAccount
}

/// A code that was redeemed.
public struct Redeemed: Sendable, Hashable {
    public var batch: RedemptionBatch
    public var entry: LedgerEntry
    /// The gift; nil = it was cash.
    public var credit: Credit?
    /// False when the same account had redeemed it before.
    public var isNew: Bool
}
