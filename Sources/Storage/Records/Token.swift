public import RouterCore

public enum TokenStatus: Int, Sendable, Hashable, CaseIterable {
    case enabled = 1
    case disabled = 2
}

/// A row of `tokens`: an `sk-…` key of a user, known by its SHA-256 only.
public struct Token: Sendable, Hashable, Paid {
    public var id: Int64
    /// The user whose calls they are; an organisation's own id for a key of the organisation itself.
    public var userID: Int64
    /// The organisation that pays; nil = the user.
    public var accountID: Int64?
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
    /// How requests with it are converted; nil = as the channel or the gateway says.
    public var conversion: ConversionMode?
    public var createdAt: Int64
    public var accessedAt: Int64?
    /// It manages its user's keys, and makes no model calls.
    public var isManagement: Bool
    /// The secret that it had before its last rotation, where that goes on for a time.
    public var former: FormerSecret?

    public init(
        id: Int64 = 0, userID: Int64, keyHash: [UInt8], keyPrefix: String, name: String,
        status: TokenStatus = .enabled, expiresAt: Int64? = nil, models: [String] = [], limits: String = "{}",
        conversion: ConversionMode? = nil, createdAt: Int64, accessedAt: Int64? = nil, isManagement: Bool = false, accountID: Int64? = nil
    ) {
        self.id = id
        self.userID = userID
        self.accountID = accountID
        self.keyHash = keyHash
        self.keyPrefix = keyPrefix
        self.name = name
        self.status = status
        self.expiresAt = expiresAt
        self.models = models
        self.limits = limits
        self.conversion = conversion
        self.createdAt = createdAt
        self.accessedAt = accessedAt
        self.isManagement = isManagement
    }
}

/// A key's secret that has been replaced.
public struct FormerSecret: Sendable, Hashable {
    /// 32 bytes.
    public var keyHash: [UInt8]
    /// Unix seconds; refused from then on.
    public var until: Int64

    public init(keyHash: [UInt8], until: Int64) {
        self.keyHash = keyHash
        self.until = until
    }
}
