import GRDB
import RouterCore

extension SQLiteStore {
    public func addAccessToken(_ token: AccessToken, verified passwordHash: String?, audit: AuditEntry) async throws -> Bool {
        try await write { db in
            // Work on a password takes a while: the user may have been changed since.
            let isThere =
                try Bool.fetchOne(
                    db, sql: "SELECT ?2 IS NULL OR (password_hash = ?2 AND status = 1) FROM users WHERE id = ?1",
                    arguments: [token.userID, passwordHash]) ?? false
            guard isThere else { return false }
            try db.execute(
                sql: """
                    INSERT OR IGNORE INTO access_tokens (hash, user_id, expires_at, created_at, used_at, client_ip, user_agent)
                    VALUES (?, ?, ?, ?, ?, ?, ?)
                    """,
                arguments: [
                    token.hash.data, token.userID, token.expiresAt, token.createdAt, token.usedAt, token.clientIP, token.userAgent,
                ])
            try db.execute(sql: "DELETE FROM access_tokens WHERE expires_at < ?", arguments: [token.createdAt])
            try db.execute(
                sql: """
                    DELETE FROM access_tokens WHERE hash IN (
                        SELECT hash FROM access_tokens WHERE user_id = ? AND expires_at IS NOT NULL
                        ORDER BY used_at DESC, created_at DESC LIMIT -1 OFFSET ?)
                    """, arguments: [token.userID, UserBounds.sessions])
            try Self.insertAudit(audit, db)
            return true
        }
    }

    public func removeAccessToken(hash: [UInt8]) async throws {
        try await write { db in
            try db.execute(sql: "DELETE FROM access_tokens WHERE hash = ?", arguments: [hash.data])
        }
    }

    public func removeSessions(userID: Int64, except hash: [UInt8]?) async throws {
        try await write { db in
            try db.execute(
                sql: "DELETE FROM access_tokens WHERE user_id = ? AND expires_at IS NOT NULL AND hash <> ?",
                arguments: [userID, (hash ?? []).data])
        }
    }

    private static let isAlive = "(expires_at IS NULL OR (expires_at > ? AND used_at > ?))"

    public func userForAccessToken(hash: [UInt8], now: Int64, idleSince: Int64) async throws -> User? {
        try await read { db in
            try Row.fetchOne(
                db,
                sql: """
                    SELECT \(Self.userColumns) FROM users WHERE id = (
                        SELECT user_id FROM access_tokens WHERE hash = ? AND \(Self.isAlive))
                    """,
                arguments: [hash.data, now, idleSince]
            ).map { try Decoding.user($0) }
        }
    }

    public func touchAccessToken(hash: [UInt8], now: Int64) async throws {
        try await write { db in
            try db.execute(sql: "UPDATE access_tokens SET used_at = ? WHERE hash = ? AND used_at < ?", arguments: [now, hash.data, now])
        }
    }

    public func accessTokens(userID: Int64, now: Int64, idleSince: Int64) async throws -> [AccessToken] {
        try await read { db in
            try Row.fetchAll(
                db, sql: "SELECT * FROM access_tokens WHERE user_id = ? AND \(Self.isAlive) ORDER BY used_at DESC, created_at DESC",
                arguments: [userID, now, idleSince]
            ).map { try Decoding.accessToken($0) }
        }
    }

    public func knowsLogin(userID: Int64, address: String, since: Int64) async throws -> Bool {
        try await read { db in
            try Bool.fetchOne(
                db, sql: "SELECT EXISTS (SELECT 1 FROM login_addresses WHERE user_id = ? AND address = ? AND used_at >= ?)",
                arguments: [userID, address, since]) ?? false
        }
    }

    public func noteLogin(userID: Int64, address: String, now: Int64) async throws {
        try await write { db in
            try db.execute(
                sql: """
                    INSERT INTO login_addresses (user_id, address, used_at) VALUES (?, ?, ?)
                    ON CONFLICT (user_id, address) DO UPDATE SET used_at = excluded.used_at
                    """, arguments: [userID, address, now])
            try db.execute(
                sql: """
                    DELETE FROM login_addresses WHERE user_id = ? AND address IN (
                        SELECT address FROM login_addresses WHERE user_id = ? ORDER BY used_at DESC, address LIMIT -1 OFFSET ?)
                    """, arguments: [userID, userID, UserBounds.loginAddresses])
        }
    }
}
