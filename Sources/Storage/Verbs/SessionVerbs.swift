import RouterCore

extension SQLStore {
    public func addAccessToken(_ token: AccessToken, verified passwordHash: String?, audit: AuditEntry) async throws -> Bool {
        try await database.write { try $0.addAccessToken(token, verified: passwordHash, audit: audit) }
    }

    public func removeAccessToken(hash: [UInt8]) async throws { try await database.write { try $0.removeAccessToken(hash: hash) } }

    public func endManagementTokens(userID: Int64, except kept: [UInt8]?, audit: AuditEntry) async throws {
        try await database.write { session in
            try session.endTokens(userID: userID, except: kept)
            try session.insertAudit(audit.adding(.init("user_id", .integer(userID))))
        }
    }

    public func removeSessions(userID: Int64, except hash: [UInt8]?) async throws {
        try await database.write { try $0.removeSessions(userID: userID, except: hash) }
    }

    public func userForAccessToken(hash: [UInt8], now: Int64, idleSince: Int64) async throws -> TokenOwner? {
        try await database.read { try $0.userForAccessToken(hash: hash, now: now, idleSince: idleSince) }
    }

    public func touchAccessToken(hash: [UInt8], now: Int64) async throws {
        try await database.write { try $0.touchAccessToken(hash: hash, now: now) }
    }

    public func accessTokens(userID: Int64, now: Int64, idleSince: Int64) async throws -> [AccessToken] {
        try await database.read { try $0.accessTokens(userID: userID, now: now, idleSince: idleSince) }
    }

    public func knowsLogin(userID: Int64, address: String, since: Int64) async throws -> Bool {
        try await database.read { try $0.knowsLogin(userID: userID, address: address, since: since) }
    }

    public func noteLogin(userID: Int64, address: String, now: Int64) async throws {
        try await database.write { try $0.noteLogin(userID: userID, address: address, now: now) }
    }
}

extension SQLSession {
    func addAccessToken(_ token: AccessToken, verified passwordHash: String?, audit: AuditEntry) throws -> Bool {
        // Work on a password takes a while: the user may have been changed since. The lock makes a change that is under way be waited for,
        // and one that comes later wait and find this row.
        let row = try first("SELECT password_hash, status FROM users WHERE id = ?1 \(dialect.forShare)", [token.userID])
        guard let row else { return false }
        if let passwordHash {
            guard try row.text("password_hash") == passwordHash, try row.int("status") == 1 else { return false }
        }
        try execute(
            """
            INSERT INTO access_tokens (hash, user_id, expires_at, created_at, used_at, client_ip, user_agent)
            VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT DO NOTHING
            """,
            [token.hash, token.userID, token.expiresAt, token.createdAt, token.usedAt, token.clientIP, token.userAgent])
        try execute("DELETE FROM access_tokens WHERE expires_at < ?1", [token.createdAt])
        try execute(
            """
            DELETE FROM access_tokens WHERE hash IN (
                SELECT hash FROM access_tokens WHERE user_id = ?1 AND expires_at IS NOT NULL
                ORDER BY used_at DESC, created_at DESC LIMIT \(Self.all) OFFSET ?2)
            """, [token.userID, UserBounds.sessions])
        try insertAudit(audit)
        return true
    }

    /// SQLite wants a LIMIT before an OFFSET.
    private static var all: Int64 { .max }

    func removeAccessToken(hash: [UInt8]) throws {
        try execute("DELETE FROM access_tokens WHERE hash = ?1", [hash])
        try announce(.endedTokens, "hash \(Hex.text(hash))")
    }

    /// Ends sessions and management tokens. - Parameter kept: nil = all of them.
    func endTokens(userID: Int64, except kept: [UInt8]?) throws {
        try execute("DELETE FROM access_tokens WHERE user_id = ?1 AND hash \(dialect.isDistinctFrom) ?2", [userID, kept])
        try announce(.endedTokens, "user \(userID)")
    }

    func removeSessions(userID: Int64, except hash: [UInt8]?) throws {
        try execute("DELETE FROM access_tokens WHERE user_id = ?1 AND expires_at IS NOT NULL AND hash <> ?2", [userID, hash ?? []])
        try announce(.endedTokens, "user \(userID)")
    }

    func userForAccessToken(hash: [UInt8], now: Int64, idleSince: Int64) throws -> TokenOwner? {
        try first(
            """
            SELECT \(Columns.user), a.begun_at, a.ends_at FROM users JOIN (
                SELECT user_id, created_at AS begun_at, expires_at AS ends_at FROM access_tokens
                WHERE hash = ?1 AND (expires_at IS NULL OR (expires_at > ?2 AND used_at > ?3))) a ON a.user_id = users.id
            """, [hash, now, idleSince]
        ).map { TokenOwner(user: try Decoding.user($0), begunAt: try $0.int("begun_at"), expiresAt: try $0.intOrNil("ends_at")) }
    }

    func touchAccessToken(hash: [UInt8], now: Int64) throws {
        try execute("UPDATE access_tokens SET used_at = ?1 WHERE hash = ?2 AND used_at < ?1", [now, hash])
    }

    func accessTokens(userID: Int64, now: Int64, idleSince: Int64) throws -> [AccessToken] {
        try rows(
            """
            SELECT \(Columns.accessToken) FROM access_tokens
            WHERE user_id = ?1 AND (expires_at IS NULL OR (expires_at > ?2 AND used_at > ?3)) ORDER BY used_at DESC, created_at DESC
            """, [userID, now, idleSince]
        ).map { try Decoding.accessToken($0) }
    }

    func knowsLogin(userID: Int64, address: String, since: Int64) throws -> Bool {
        try finds(
            "SELECT 1 AS found FROM login_addresses WHERE user_id = ?1 AND address = ?2 AND used_at >= ?3", [userID, address, since])
    }

    func noteLogin(userID: Int64, address: String, now: Int64) throws {
        try execute(
            """
            INSERT INTO login_addresses (user_id, address, used_at) VALUES (?1, ?2, ?3)
            ON CONFLICT (user_id, address) DO UPDATE SET used_at = excluded.used_at
            """, [userID, address, now])
        try execute(
            """
            DELETE FROM login_addresses WHERE user_id = ?1 AND address IN (
                SELECT address FROM login_addresses WHERE user_id = ?1 ORDER BY used_at DESC, address LIMIT \(Self.all) OFFSET ?2)
            """, [userID, UserBounds.loginAddresses])
    }
}
