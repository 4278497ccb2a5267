import GatewayState
public import RouterCore
public import Storage

/// Sets a new password without the old one: for `apirouter user reset-password`, which anyone who can open the database may run.
public enum PasswordReset {
    public struct Problem: Error, Sendable {
        public var message: String
    }

    /// The result of a reset.
    public struct Outcome: Sendable {
        public var username: String
        /// Whether the user is disabled, and so cannot log in with the new password either.
        public var isDisabled: Bool
    }

    /// 24 letters and digits: 142 random bits.
    public static func newPassword() -> Secret { Secret(TokenSecrets.random(24)) }

    /// Sets the password, ends the user's sessions and management tokens and adds a row to `audit_log`, in one transaction. API keys remain
    /// valid.
    /// - Parameter now: Unix seconds.
    /// - Throws: ``Problem`` when there is no such user or the password is too short or too long, ``StoreError``.
    public static func run(_ store: any UserStore, username: String, password: Secret, now: Int64) async throws -> Outcome {
        guard PasswordHasher.lengths.contains(password.reveal().utf8.count) else {
            throw Problem(
                message:
                    "the password must have \(PasswordHasher.lengths.lowerBound) to \(PasswordHasher.lengths.upperBound) bytes"
            )
        }
        guard let user = try await store.userForLogin(username: username)?.user else {
            throw Problem(message: "there is no user '\(username)'")
        }
        var change = UserChange()
        change.passwordHash = try await PasswordHasher.hash(password.reveal())
        change.endsManagementTokens = true
        let changed = try await store.changeUser(
            id: user.id, change, audit: AuditEntry(actorID: nil, action: "user.reset_password", at: now))
        return Outcome(username: changed.username, isDisabled: changed.status == .disabled)
    }
}
