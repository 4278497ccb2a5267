import RouterCore

extension SQLStore {
    public func setBootstrapToken(userID: Int64, hash: [UInt8]?, audit: AuditEntry) async throws -> BootstrapOutcome {
        try await database.write { try $0.setBootstrapToken(userID: userID, hash: hash, audit: audit) }
    }

    public func setBootstrapKey(userID: Int64, _ token: Token?, audit: AuditEntry) async throws -> BootstrapOutcome {
        try await database.write { try $0.setBootstrapKey(userID: userID, token, audit: audit) }
    }
}

extension SQLSession {
    func setBootstrapToken(userID: Int64, hash: [UInt8]?, audit: AuditEntry) throws -> BootstrapOutcome {
        // Gateways that start together take turns.
        let row = try first("SELECT access_token_hash FROM users WHERE id = ?1 \(dialect.forUpdate)", [userID])
        guard let row else { throw StoreError.notFound }
        let seen = try row.bytesOrNil("access_token_hash")
        let ended = try execute("DELETE FROM access_tokens WHERE expires_at IS NULL AND hash \(dialect.isDistinctFrom) ?1", [hash])
        let hasEnded = ended > 0
        var outcome = BootstrapOutcome.unchanged
        if let hash, hash != seen {
            try execute(
                "INSERT INTO access_tokens (hash, user_id, expires_at, created_at) VALUES (?1, ?2, NULL, ?3) ON CONFLICT DO NOTHING",
                [hash, userID, audit.at])
            outcome = .replaced
        } else if let hash {
            let lives = try finds("SELECT 1 AS found FROM access_tokens WHERE hash = ?1", [hash])
            outcome = lives ? (hasEnded ? .replaced : .unchanged) : .ended
        } else if seen != nil || hasEnded {
            outcome = .removed
        }
        guard outcome == .replaced || outcome == .removed || hasEnded else { return outcome }
        try execute("UPDATE users SET access_token_hash = ?1 WHERE id = ?2", [hash, userID])
        try insertAudit(audit.adding(.init("user_id", .integer(userID)), .init("outcome", .string("\(outcome)"))))
        return outcome
    }

    func setBootstrapKey(userID: Int64, _ token: Token?, audit: AuditEntry) throws -> BootstrapOutcome {
        try lockUser(userID)
        let seen = try setting(BootstrapKey.setting)
        let hash = token.map { Hex.text($0.keyHash) }
        if let token, hash == seen { return try isKnown(token) ? .unchanged : .ended }
        // A program before this rule has noted nothing; its keys have their name.
        if let seen {
            try execute("DELETE FROM tokens WHERE user_id = ?1 AND key_hash = ?2", [userID, Hex.bytes(seen) ?? []])
        } else if let token {
            try execute(
                "DELETE FROM tokens WHERE user_id = ?1 AND name = ?2 AND key_hash <> ?3", [userID, BootstrapKey.name, token.keyHash])
        }
        if let token {
            if try !isKnown(token) { _ = try insertToken(token) }
        } else if seen?.isEmpty ?? true {
            return .unchanged
        }
        let outcome = token == nil ? BootstrapOutcome.removed : .replaced
        try set(BootstrapKey.setting, hash ?? "")
        try insertAudit(audit.adding(.init("user_id", .integer(userID)), .init("outcome", .string("\(outcome)"))))
        return outcome
    }

    private func isKnown(_ token: Token) throws -> Bool {
        try finds("SELECT 1 AS found FROM tokens WHERE key_hash = ?1", [token.keyHash])
    }
}
