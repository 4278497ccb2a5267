import Storage

/// Sessions as most tests want them: begun and used at the same moment, idle for ever.
extension Store {
    func addAccessToken(_ token: AccessToken, audit: AuditEntry) async throws {
        _ = try await addAccessToken(token, verified: nil, audit: audit)
    }

    func addAccessToken(userID: Int64, hash: [UInt8], expiresAt: Int64?, createdAt: Int64, audit: AuditEntry) async throws {
        try await addAccessToken(
            AccessToken(hash: hash, userID: userID, createdAt: createdAt, usedAt: createdAt, expiresAt: expiresAt), audit: audit)
    }

    func userForAccessToken(hash: [UInt8], now: Int64) async throws -> User? {
        try await userForAccessToken(hash: hash, now: now, idleSince: -1)?.user
    }
}
