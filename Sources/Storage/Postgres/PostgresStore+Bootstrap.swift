import RouterCore

extension PostgresStore {
    public func setBootstrapToken(userID: Int64, hash: [UInt8]?, audit: AuditEntry) async throws -> BootstrapOutcome {
        try await write { session in
            // Gateways that start together take turns.
            let row = try session.rows("SELECT access_token_hash FROM users WHERE id = $1 FOR UPDATE", [userID]).first
            guard let row else { throw StoreError.notFound }
            let seen = try row.textOrNil("access_token_hash") == nil ? nil : try row.bytes("access_token_hash")
            let ended = try session.execute(
                "DELETE FROM access_tokens WHERE expires_at IS NULL AND hash IS DISTINCT FROM $1::bytea", [hash])
            let hasEnded = ended.changes > 0
            var outcome = BootstrapOutcome.unchanged
            if let hash, hash != seen {
                try session.execute(
                    "INSERT INTO access_tokens (hash, user_id, expires_at, created_at) VALUES ($1, $2, NULL, $3) ON CONFLICT DO NOTHING",
                    [hash, userID, audit.at])
                outcome = .replaced
            } else if let hash {
                let lives = try !session.rows("SELECT 1 AS found FROM access_tokens WHERE hash = $1", [hash]).isEmpty
                outcome = lives ? (hasEnded ? .replaced : .unchanged) : .ended
            } else if seen != nil || hasEnded {
                outcome = .removed
            }
            guard outcome == .replaced || outcome == .removed || hasEnded else { return outcome }
            try session.execute("UPDATE users SET access_token_hash = $1::bytea WHERE id = $2", [hash, userID])
            try Self.insertAudit(
                audit.adding(.init("user_id", .integer(userID)), .init("outcome", .string("\(outcome)"))), &session)
            return outcome
        }
    }

    public func setBootstrapKey(userID: Int64, _ token: Token?, audit: AuditEntry) async throws -> BootstrapOutcome {
        try await write { session in
            try session.execute("SELECT 1 FROM users WHERE id = $1 FOR UPDATE", [userID])
            let seen = try session.rows("SELECT value FROM settings WHERE key = $1", [BootstrapKey.setting]).first?
                .text("value")
            let hash = token.map { BootstrapKey.text($0.keyHash) }
            if let token, hash == seen {
                let lives = try !session.rows("SELECT 1 AS found FROM tokens WHERE key_hash = $1", [token.keyHash])
                    .isEmpty
                return lives ? .unchanged : .ended
            }
            // A program before this rule has noted nothing; its keys have their name.
            if let seen {
                try session.execute(
                    "DELETE FROM tokens WHERE user_id = $1 AND encode(key_hash, 'hex') = $2", [userID, seen])
            } else if let token {
                try session.execute(
                    "DELETE FROM tokens WHERE user_id = $1 AND name = $2 AND key_hash <> $3",
                    [userID, BootstrapKey.name, token.keyHash])
            }
            if let token {
                let isTaken = try !session.rows("SELECT 1 AS found FROM tokens WHERE key_hash = $1", [token.keyHash])
                    .isEmpty
                if !isTaken { _ = try Self.insertToken(token, &session) }
            } else if seen?.isEmpty ?? true {
                return .unchanged
            }
            let outcome = token == nil ? BootstrapOutcome.removed : .replaced
            try Self.set(BootstrapKey.setting, hash ?? "", &session)
            try Self.insertAudit(
                audit.adding(.init("user_id", .integer(userID)), .init("outcome", .string("\(outcome)"))), &session)
            return outcome
        }
    }
}
