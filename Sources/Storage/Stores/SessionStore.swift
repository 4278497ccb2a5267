/// Sessions, management tokens, and where users have logged in from. Tokens are stored as hashes only.
///
/// A method that takes an ``AuditEntry`` writes it in the transaction of the change.
public protocol SessionStore: Sendable {
    /// Adds a session or a management token; one that is there stays as it is. Of a user's sessions beyond a thousand the least recently
    /// used end.
    /// - Parameter passwordHash: the stored hash that the caller has verified a password against; nil = it has not.
    /// - Returns: false, with nothing added, where the user is gone, or has another password by now, or has been disabled since.
    func addAccessToken(_ token: AccessToken, verified passwordHash: String?, audit: AuditEntry) async throws -> Bool
    func removeAccessToken(hash: [UInt8]) async throws
    /// Ends the user's sessions and management tokens, the bootstrap token included; API keys stay.
    /// - Parameter kept: the hash of the one that goes on; nil = none does.
    func endManagementTokens(userID: Int64, except kept: [UInt8]?, audit: AuditEntry) async throws
    /// Makes the one management token without an end what the environment says: those of earlier starts end. One that has been ended since
    /// it was set here is not set again.
    /// - Parameter hash: nil = the environment names none.
    /// - Throws: ``StoreError/notFound`` for an unknown user.
    func setBootstrapToken(userID: Int64, hash: [UInt8]?, audit: AuditEntry) async throws -> BootstrapOutcome
    /// Ends a user's sessions, not the tokens that have no end. - Parameter hash: of the one that stays.
    func removeSessions(userID: Int64, except hash: [UInt8]?) async throws
    /// The owner of a token that has no end, or of a session that has not expired at `now` and was used after `idleSince` (Unix seconds).
    func userForAccessToken(hash: [UInt8], now: Int64, idleSince: Int64) async throws -> TokenOwner?
    /// Notes a use. - Parameter now: Unix seconds.
    func touchAccessToken(hash: [UInt8], now: Int64) async throws
    /// A user's tokens that ``userForAccessToken(hash:now:idleSince:)`` would take, the most recently used first.
    func accessTokens(userID: Int64, now: Int64, idleSince: Int64) async throws -> [AccessToken]
    /// Whether the user has logged in from an address since a time (Unix seconds).
    func knowsLogin(userID: Int64, address: String, since: Int64) async throws -> Bool
    /// Notes that the user has logged in from an address. The last hundred are kept.
    func noteLogin(userID: Int64, address: String, now: Int64) async throws
}
