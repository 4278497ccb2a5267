import GRDB
import RouterCore

extension SQLiteStore {
    public func saveHealth(_ rows: [ChannelHealthRow], now: Int64) async throws {
        try await write { db in
            try db.execute(sql: "DELETE FROM channel_health")
            let insert = try db.cachedStatement(
                sql: """
                    INSERT INTO channel_health
                        (channel_id, account, credential, model, state, kind, open_until, failures, openings, updated_at)
                    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
                    """)
            for row in rows {
                try insert.execute(arguments: [
                    row.scope.channelID ?? 0, row.scope.account ?? "", row.scope.keyIndex ?? -2, row.scope.model ?? "",
                    row.state.rawValue, row.storedKind, row.openUntil, row.failures, row.openings, now,
                ])
            }
        }
    }

    public func loadHealth() async throws -> [ChannelHealthRow] {
        try await read { db in
            try Row.fetchAll(db, sql: "SELECT * FROM channel_health ORDER BY channel_id, account, credential, model")
                .map { try Decoding.health($0) }
        }
    }
}
