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
                    row.state.rawValue, row.kind?.rawValue, row.openUntil, row.failures, row.openings, now,
                ])
            }
        }
    }

    public func loadHealth() async throws -> [ChannelHealthRow] {
        try await read { db in
            let rows = try Row.fetchAll(db, sql: "SELECT * FROM channel_health ORDER BY channel_id, account, credential, model")
            return rows.map { row in
                let channel: Int64 = row["channel_id"]
                let account: String = row["account"]
                let credential: Int = row["credential"]
                let model: String = row["model"]
                return ChannelHealthRow(
                    scope: HealthScope(
                        channelID: channel == 0 ? nil : channel, account: account.isEmpty ? nil : account,
                        keyIndex: credential == -2 ? nil : credential, model: model.isEmpty ? nil : model),
                    state: ChannelHealthRow.State(rawValue: row["state"]) ?? .closed,
                    kind: (row["kind"] as String?).flatMap { FailureKind(rawValue: $0) }, openUntil: row["open_until"],
                    failures: row["failures"], openings: row["openings"])
            }
        }
    }
}
