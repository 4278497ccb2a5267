/// The data of a new user. It has no balance: money comes only through the ledger.
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
