/// API keys of clients.
public protocol TokenStore: Sendable {
    /// Stores and returns with its id. - Throws: ``StoreError/duplicate(_:)``.
    func createToken(_ token: Token, audit: AuditEntry) async throws -> Token
    func token(id: Int64) async throws -> Token?
    /// By the SHA-256 of the key.
    func token(keyHash: [UInt8]) async throws -> Token?
    func tokens(_ query: TokenQuery) async throws -> Page<Token>
    func allTokens() async throws -> [Token]
    func changeToken(id: Int64, _ change: TokenChange, audit: AuditEntry) async throws -> Token
    func deleteToken(id: Int64, audit: AuditEntry) async throws
    /// The same rule as ``SessionStore/setBootstrapToken(userID:hash:audit:)`` for the API key from the environment.
    /// - Parameter token: nil = the environment names none.
    func setBootstrapKey(userID: Int64, _ token: Token?, audit: AuditEntry) async throws -> BootstrapOutcome
    /// Last use, written in groups by the Server; Unix seconds.
    func touchTokens(_ accessed: [Int64: Int64]) async throws
}
