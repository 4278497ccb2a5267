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

/// The user of a management token or session, and the times between which it is one (Unix seconds).
public struct TokenOwner: Sendable, Hashable {
    public var user: User
    public var begunAt: Int64
    /// nil = it has no end.
    public var expiresAt: Int64?
}

/// How much of a user is kept beside the books.
enum UserBounds {
    /// Sessions; the least recently used end first.
    static let sessions = 1_000
    /// Addresses that the user has logged in from; the least recently used are forgotten first.
    static let loginAddresses = 100
}
