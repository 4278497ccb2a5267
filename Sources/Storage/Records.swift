public import RouterCore

/// Rights of a user, as numbers that the seed's clients know.
public enum Role: Int, Sendable, Hashable, Comparable, CaseIterable {
    case user = 1
    case admin = 10
    case root = 100
    public static func < (left: Role, right: Role) -> Bool { left.rawValue < right.rawValue }
}

public enum UserStatus: Int, Sendable, Hashable, CaseIterable {
    case enabled = 1
    case disabled = 2
}

/// A row of `users` without its secrets.
public struct User: Sendable, Hashable {
    public var id: Int64
    public var username: String
    public var displayName: String
    public var email: String
    public var role: Role
    public var status: UserStatus
    public var group: String
    /// JSON object text of the user's own budgets, validated by the Server; `{}` = none.
    public var limits: String
    /// The sum of the user's ledger rows.
    public var balance: NanoUSD
    /// Unix seconds.
    public var createdAt: Int64

    public init(
        id: Int64, username: String, displayName: String, email: String, role: Role, status: UserStatus,
        group: String, limits: String = "{}", balance: NanoUSD, createdAt: Int64
    ) {
        self.id = id
        self.username = username
        self.displayName = displayName
        self.email = email
        self.role = role
        self.status = status
        self.group = group
        self.limits = limits
        self.balance = balance
        self.createdAt = createdAt
    }
}

/// What it takes to make a user. There is no balance: money comes only through the ledger.
public struct NewUser: Sendable {
    public var username: String
    /// Encoded scrypt hash, made by the Server.
    public var passwordHash: String
    public var displayName: String
    public var email: String
    public var role: Role
    public var group: String
    public var createdAt: Int64

    public init(
        username: String, passwordHash: String, displayName: String = "", email: String = "", role: Role = .user,
        group: String = "default", createdAt: Int64
    ) {
        self.username = username
        self.passwordHash = passwordHash
        self.displayName = displayName
        self.email = email
        self.role = role
        self.group = group
        self.createdAt = createdAt
    }
}

/// Fields to change; nil = leave. Only named columns are written, never a whole row.
public struct UserChange: Sendable {
    public var username: String?
    public var passwordHash: String?
    /// The change is made only if this hash is stored; nil = in any case.
    public var expectedPasswordHash: String?
    public var displayName: String?
    public var email: String?
    public var role: Role?
    public var status: UserStatus?
    public var group: String?
    public var limits: String?
    /// Ends the user's sessions and management tokens in the same transaction; API keys stay.
    public var endsManagementTokens = false
    /// SHA-256 of the one that goes on, as a rule the one that the call came with.
    public var keptManagementToken: [UInt8]?
    static let otherPassword = "the password has been changed meanwhile"
    public init() {}
}

/// A row of `access_tokens`: a session, or a management token that has no end.
public struct AccessToken: Sendable, Hashable {
    /// SHA-256, 32 bytes.
    public var hash: [UInt8]
    public var userID: Int64
    /// Unix seconds, like the others.
    public var createdAt: Int64
    /// Last use, to the minute.
    public var usedAt: Int64
    /// nil = it has no end, and no limit of idleness either.
    public var expiresAt: Int64?
    /// Where it was begun.
    public var clientIP: String
    public var userAgent: String

    public init(
        hash: [UInt8], userID: Int64, createdAt: Int64, usedAt: Int64, expiresAt: Int64?, clientIP: String = "", userAgent: String = ""
    ) {
        self.hash = hash
        self.userID = userID
        self.createdAt = createdAt
        self.usedAt = usedAt
        self.expiresAt = expiresAt
        self.clientIP = clientIP
        self.userAgent = userAgent
    }
}

/// How much of a user is kept beside the books.
enum UserBounds {
    /// Sessions; the least recently used end first.
    static let sessions = 1_000
    /// Addresses that the user has logged in from; the least recently used are forgotten first.
    static let loginAddresses = 100
}

public enum TokenStatus: Int, Sendable, Hashable, CaseIterable {
    case enabled = 1
    case disabled = 2
}

/// A row of `tokens`: an `sk-…` key of a user, known by its SHA-256 only.
public struct Token: Sendable, Hashable {
    public var id: Int64
    public var userID: Int64
    /// 32 bytes.
    public var keyHash: [UInt8]
    /// The first characters of the key, for display.
    public var keyPrefix: String
    public var name: String
    public var status: TokenStatus
    /// Unix seconds; nil = never.
    public var expiresAt: Int64?
    /// Allowed models; empty = all.
    public var models: [String]
    /// JSON object text of further limits, as given by the client and validated by the Server; `{}` = none.
    public var limits: String
    public var createdAt: Int64
    public var accessedAt: Int64?

    public init(
        id: Int64 = 0, userID: Int64, keyHash: [UInt8], keyPrefix: String, name: String,
        status: TokenStatus = .enabled, expiresAt: Int64? = nil, models: [String] = [], limits: String = "{}",
        createdAt: Int64, accessedAt: Int64? = nil
    ) {
        self.id = id
        self.userID = userID
        self.keyHash = keyHash
        self.keyPrefix = keyPrefix
        self.name = name
        self.status = status
        self.expiresAt = expiresAt
        self.models = models
        self.limits = limits
        self.createdAt = createdAt
        self.accessedAt = accessedAt
    }
}

/// Fields to change; nil = leave.
public struct TokenChange: Sendable {
    public var name: String?
    public var status: TokenStatus?
    /// `.some(nil)` removes the expiry.
    public var expiresAt: Int64??
    public var models: [String]?
    public var limits: String?
    /// The limits that the new ones were made from; the change is refused (``StoreError/conflict(_:)``) when others are
    /// stored by now. nil = whatever is there is replaced.
    public var limitsBefore: String?
    public init() {}
}

public enum TransactionKind: String, Sendable, Hashable, CaseIterable {
    case recharge, usage, refund, adjustment
}

/// A row of `balance_transactions`.
public struct LedgerEntry: Sendable, Hashable {
    public var id: Int64
    public var userID: Int64
    /// Positive = credit, negative = charge.
    public var amount: NanoUSD
    public var balanceAfter: NanoUSD
    public var kind: TransactionKind
    public var referenceID: String
    public var description: String
    public var createdAt: Int64

    public init(
        id: Int64, userID: Int64, amount: NanoUSD, balanceAfter: NanoUSD, kind: TransactionKind,
        referenceID: String, description: String, createdAt: Int64
    ) {
        self.id = id
        self.userID = userID
        self.amount = amount
        self.balanceAfter = balanceAfter
        self.kind = kind
        self.referenceID = referenceID
        self.description = description
        self.createdAt = createdAt
    }
}

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

/// A row of `model_pricing`.
public struct PricingRow: Sendable, Hashable {
    public var id: Int64
    public var modelName: String
    public var displayName: String
    public var provider: String
    public var description: String
    public var contextLength: Int64?
    public var maxOutputTokens: Int64?
    public var price: ModelPrice
    public var isActive: Bool
    /// True once an admin has edited the row: seeding from provider files leaves it alone then.
    public var isEdited: Bool
    /// Raised by every change; each transaction names the version that it used.
    public var version: Int64
    public var createdAt: Int64
    public var updatedAt: Int64

    public init(
        id: Int64 = 0, modelName: String, displayName: String = "", provider: String = "", description: String = "",
        contextLength: Int64? = nil, maxOutputTokens: Int64? = nil, price: ModelPrice, isActive: Bool = true,
        isEdited: Bool = false, version: Int64 = 0, createdAt: Int64 = 0, updatedAt: Int64 = 0
    ) {
        self.id = id
        self.modelName = modelName
        self.displayName = displayName
        self.provider = provider
        self.description = description
        self.contextLength = contextLength
        self.maxOutputTokens = maxOutputTokens
        self.price = price
        self.isActive = isActive
        self.isEdited = isEdited
        self.version = version
        self.createdAt = createdAt
        self.updatedAt = updatedAt
    }
}

/// A page of rows, newest first. `page` counts from 1.
public struct PageRequest: Sendable, Hashable {
    public var page: Int
    public var size: Int
    public init(page: Int = 1, size: Int = 20) {
        self.page = page
        self.size = size
    }
}

public struct Page<Row: Sendable>: Sendable {
    public var items: [Row]
    public var total: Int64
    public init(items: [Row], total: Int64) {
        self.items = items
        self.total = total
    }
}

/// A row of `logs`.
public struct LogRow: Sendable, Hashable {
    public var id: Int64
    public var record: RequestRecord
    public init(id: Int64, record: RequestRecord) {
        self.id = id
        self.record = record
    }
}

public struct LogQuery: Sendable, Hashable {
    public var userID: Int64?
    public var tokenID: Int64?
    public var channelID: Int64?
    public var model: String?
    public var requestID: RequestID?
    /// Unix seconds, inclusive.
    public var from: Int64?
    public var to: Int64?
    public var page: PageRequest
    public init(userID: Int64? = nil, page: PageRequest = PageRequest()) {
        self.userID = userID
        self.page = page
    }
}

public struct LogStatistics: Sendable, Hashable {
    public var requests: Int64
    public var promptTokens: Int64
    public var completionTokens: Int64
    public var cost: NanoUSD
    public var upstreamCost: NanoUSD
    public init(
        requests: Int64, promptTokens: Int64, completionTokens: Int64, cost: NanoUSD, upstreamCost: NanoUSD
    ) {
        self.requests = requests
        self.promptTokens = promptTokens
        self.completionTokens = completionTokens
        self.cost = cost
        self.upstreamCost = upstreamCost
    }
}

/// What `apirouter ledger verify` found.
public struct LedgerReport: Sendable, Hashable {
    public var users: Int64
    public var entries: Int64
    /// One line per difference, with ids and both amounts; empty = the books balance.
    public var differences: [String]
    public init(users: Int64, entries: Int64, differences: [String]) {
        self.users = users
        self.entries = entries
        self.differences = differences
    }
}

extension PricingRow {
    /// If two changes were made from one version, the second would undo the first.
    func checkVersion(over old: PricingRow?) throws(StoreError) {
        guard version == 0 || version == old?.version else {
            throw .conflict("the price of '\(modelName)' has been changed meanwhile; look at it again")
        }
    }
}
