import Foundation
import GRDB
import RouterCore

extension SQLiteStore {
    public func setBootstrapToken(userID: Int64, hash: [UInt8]?, audit: AuditEntry) async throws -> BootstrapOutcome {
        try await write { db in
            let row = try Row.fetchOne(db, sql: "SELECT access_token_hash FROM users WHERE id = ?", arguments: [userID])
            guard let row else { throw StoreError.notFound }
            let seen: [UInt8]? = (row["access_token_hash"] as Data?).map { Array($0) }
            try db.execute(
                sql: "DELETE FROM access_tokens WHERE expires_at IS NULL AND hash IS NOT ?", arguments: [hash?.data])
            let hasEnded = db.changesCount > 0
            var outcome = BootstrapOutcome.unchanged
            if let hash, hash != seen {
                try db.execute(
                    sql:
                        "INSERT OR IGNORE INTO access_tokens (hash, user_id, expires_at, created_at) VALUES (?, ?, NULL, ?)",
                    arguments: [hash.data, userID, audit.at])
                outcome = .replaced
            } else if let hash {
                let lives =
                    try Bool.fetchOne(
                        db, sql: "SELECT EXISTS (SELECT 1 FROM access_tokens WHERE hash = ?)", arguments: [hash.data])
                    ?? false
                outcome = lives ? (hasEnded ? .replaced : .unchanged) : .ended
            } else if seen != nil || hasEnded {
                outcome = .removed
            }
            guard outcome == .replaced || outcome == .removed || hasEnded else { return outcome }
            try db.execute(sql: "UPDATE users SET access_token_hash = ? WHERE id = ?", arguments: [hash?.data, userID])
            try Self.insertAudit(
                audit.adding(.init("user_id", .integer(userID)), .init("outcome", .string("\(outcome)"))), db)
            return outcome
        }
    }

    public func setBootstrapKey(userID: Int64, _ token: Token?, audit: AuditEntry) async throws -> BootstrapOutcome {
        try await write { db in
            let seen = try String.fetchOne(
                db, sql: "SELECT value FROM settings WHERE key = ?", arguments: [BootstrapKey.setting])
            let hash = token.map { BootstrapKey.text($0.keyHash) }
            if let token, hash == seen {
                let lives =
                    try Bool.fetchOne(
                        db, sql: "SELECT EXISTS (SELECT 1 FROM tokens WHERE key_hash = ?)",
                        arguments: [token.keyHash.data]) ?? false
                return lives ? .unchanged : .ended
            }
            // A program before this rule has noted nothing; its keys have their name.
            if let seen {
                try db.execute(
                    sql: "DELETE FROM tokens WHERE user_id = ? AND lower(hex(key_hash)) = ?", arguments: [userID, seen])
            } else if let token {
                try db.execute(
                    sql: "DELETE FROM tokens WHERE user_id = ? AND name = ? AND key_hash <> ?",
                    arguments: [userID, BootstrapKey.name, token.keyHash.data])
            }
            if let token {
                let isTaken =
                    try Bool.fetchOne(
                        db, sql: "SELECT EXISTS (SELECT 1 FROM tokens WHERE key_hash = ?)",
                        arguments: [token.keyHash.data]) ?? false
                if !isTaken { try Self.insertToken(token, db) }
            } else if seen?.isEmpty ?? true {
                return .unchanged
            }
            let outcome = token == nil ? BootstrapOutcome.removed : .replaced
            try Self.set(BootstrapKey.setting, hash ?? "", db)
            try Self.insertAudit(
                audit.adding(.init("user_id", .integer(userID)), .init("outcome", .string("\(outcome)"))), db)
            return outcome
        }
    }
}
