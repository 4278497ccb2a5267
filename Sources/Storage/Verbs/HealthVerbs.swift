import RouterCore

extension SQLStore {
    public func saveHealth(_ rows: [ChannelHealthRow], now: Int64) async throws {
        try await database.write { try $0.saveHealth(rows, now: now) }
    }

    public func loadHealth() async throws -> [ChannelHealthRow] { try await database.read { try $0.loadHealth() } }
}

extension SQLSession {
    func saveHealth(_ rows: [ChannelHealthRow], now: Int64) throws {
        try execute("DELETE FROM channel_health")
        for row in rows {
            try execute(
                """
                INSERT INTO channel_health (channel_id, account, credential, model, state, kind, open_until, failures, openings, updated_at)
                VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)
                """,
                [
                    row.scope.channelID ?? 0, row.scope.account ?? "", row.scope.keyIndex ?? -2, row.scope.model ?? "",
                    row.state.rawValue, row.storedKind, row.openUntil, row.failures, row.openings, now,
                ])
        }
    }

    func loadHealth() throws -> [ChannelHealthRow] {
        try rows("SELECT * FROM channel_health ORDER BY channel_id, account, credential, model").map { try Decoding.health($0) }
    }
}
