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
    /// Another group than the present one is chosen by hand from now on: it follows no level any more.
    public var group: String?
    /// Lets the group follow the account's levels again.
    public var groupFollowsLevels = false
    public var limits: String?
    /// The change is made only if these limits are stored; nil = in any case.
    public var limitsBefore: String?
    /// Ends the user's sessions and management tokens in the same transaction; API keys stay.
    public var endsManagementTokens = false
    /// SHA-256 of the one that goes on, as a rule the one that the call came with.
    public var keptManagementToken: [UInt8]?
    static let otherPassword = "the password has been changed meanwhile"
    public init() {}
}
