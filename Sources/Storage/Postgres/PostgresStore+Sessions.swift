import RouterCore

extension PostgresStore {
    public func addAccessToken(_ token: AccessToken, verified passwordHash: String?, audit: AuditEntry) async throws -> Bool {
        try await write { session in
            // Work on a password takes a while: the user may have been changed since. The lock makes a change that is under way be waited
            // for, and one that comes later wait and find this row.
            let isThere = try session.rows(
                """
                SELECT $2::text IS NULL OR (password_hash = $2::text AND status = 1) AS fits FROM users WHERE id = $1 FOR SHARE
                """, [token.userID, passwordHash]
            ).first?.flag("fits")
            guard isThere == true else { return false }
            try session.execute(
                """
                INSERT INTO access_tokens (hash, user_id, expires_at, created_at, used_at, client_ip, user_agent)
                VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING
                """,
                [token.hash, token.userID, token.expiresAt, token.createdAt, token.usedAt, token.clientIP, token.userAgent])
            try session.execute("DELETE FROM access_tokens WHERE expires_at < $1", [token.createdAt])
            try session.execute(
                """
                DELETE FROM access_tokens WHERE hash IN (
                    SELECT hash FROM access_tokens WHERE user_id = $1 AND expires_at IS NOT NULL
                    ORDER BY used_at DESC, created_at DESC OFFSET $2)
                """, [token.userID, UserBounds.sessions])
            try Self.insertAudit(audit, &session)
            return true
        }
    }

    public func removeAccessToken(hash: [UInt8]) async throws {
        try await write { try $0.execute("DELETE FROM access_tokens WHERE hash = $1", [hash]) }
    }

    public func removeSessions(userID: Int64, except hash: [UInt8]?) async throws {
        try await write {
            try $0.execute(
                "DELETE FROM access_tokens WHERE user_id = $1 AND expires_at IS NOT NULL AND hash <> $2", [userID, hash ?? []])
        }
    }

    public func userForAccessToken(hash: [UInt8], now: Int64, idleSince: Int64) async throws -> User? {
        try await read { session in
            try session.rows(
                """
                SELECT \(Self.userColumns) FROM users WHERE id = (
                    SELECT user_id FROM access_tokens
                    WHERE hash = $1 AND (expires_at IS NULL OR (expires_at > $2 AND used_at > $3)))
                """, [hash, now, idleSince]
            ).first.map { try Decoding.user($0) }
        }
    }

    public func touchAccessToken(hash: [UInt8], now: Int64) async throws {
        try await write { try $0.execute("UPDATE access_tokens SET used_at = $1 WHERE hash = $2 AND used_at < $1", [now, hash]) }
    }

    public func accessTokens(userID: Int64, now: Int64, idleSince: Int64) async throws -> [AccessToken] {
        try await read { session in
            try session.rows(
                """
                SELECT hash, user_id, created_at, used_at, expires_at, client_ip, user_agent FROM access_tokens
                WHERE user_id = $1 AND (expires_at IS NULL OR (expires_at > $2 AND used_at > $3))
                ORDER BY used_at DESC, created_at DESC
                """, [userID, now, idleSince]
            ).map { try Decoding.accessToken($0) }
        }
    }

    public func knowsLogin(userID: Int64, address: String, since: Int64) async throws -> Bool {
        try await read { session in
            try session.rows(
                "SELECT EXISTS (SELECT 1 FROM login_addresses WHERE user_id = $1 AND address = $2 AND used_at >= $3) AS found",
                [userID, address, since]
            ).first?.flag("found") ?? false
        }
    }

    public func noteLogin(userID: Int64, address: String, now: Int64) async throws {
        try await write { session in
            try session.execute(
                """
                INSERT INTO login_addresses (user_id, address, used_at) VALUES ($1, $2, $3)
                ON CONFLICT (user_id, address) DO UPDATE SET used_at = excluded.used_at
                """, [userID, address, now])
            try session.execute(
                """
                DELETE FROM login_addresses WHERE user_id = $1 AND address IN (
                    SELECT address FROM login_addresses WHERE user_id = $1 ORDER BY used_at DESC, address OFFSET $2)
                """, [userID, UserBounds.loginAddresses])
        }
    }
}
