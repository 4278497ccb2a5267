/// Users, with their credentials (``SessionStore``). Hashes are made by the Server and stored as given.
///
/// A method that takes an ``AuditEntry`` writes it in the transaction of the change: if it cannot be written, nothing has changed.
public protocol UserStore: SessionStore {
    /// - Throws: ``StoreError/duplicate(_:)`` for a taken username (compared without case).
    func createUser(_ user: NewUser, audit: AuditEntry) async throws -> User
    func user(id: Int64) async throws -> User?
    /// By name, without case, with the encoded password hash.
    func userForLogin(username: String) async throws -> (user: User, passwordHash: String)?
    func users(_ query: UserQuery) async throws -> Page<User>
    /// How many users each group has.
    func countUsers() async throws -> [String: Int64]
    /// All users, for the account book and the key directory at start-up.
    func allUsers() async throws -> [User]
    /// - Throws: ``StoreError/notFound``, ``StoreError/duplicate(_:)``, ``StoreError/conflict(_:)`` for another password than expected.
    func changeUser(id: Int64, _ change: UserChange, audit: AuditEntry) async throws -> User
    /// Deletes a user who has no ledger rows; one who has is disabled and renamed instead, because books are kept.
    func deleteUser(id: Int64, audit: AuditEntry) async throws
}
