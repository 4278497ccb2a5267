import GRDB
import RouterCore

extension SQLiteStore {
    private static let condition = """
        (?1 IS NULL OR user_id = ?1) AND (?2 IS NULL OR token_id = ?2) AND (?3 IS NULL OR channel_id = ?3)
        AND (?4 IS NULL OR model_name = ?4) AND (?5 IS NULL OR request_id = ?5)
        AND (?6 IS NULL OR created_at >= ?6) AND (?7 IS NULL OR created_at <= ?7)
        """

    private static func arguments(_ query: LogQuery) -> [(any DatabaseValueConvertible)?] {
        [query.userID, query.tokenID, query.channelID, query.model, query.requestID?.description, query.from, query.to]
    }

    public func logs(_ query: LogQuery) async throws -> Page<LogRow> {
        try await read { db in
            let rows = try Row.fetchAll(
                db, sql: "SELECT * FROM logs WHERE \(Self.condition) ORDER BY id DESC LIMIT ?8 OFFSET ?9",
                arguments: StatementArguments(Self.arguments(query) + [query.page.size, query.page.offset]))
            let total = try Int64.fetchOne(
                db, sql: "SELECT count(*) FROM logs WHERE \(Self.condition)",
                arguments: StatementArguments(Self.arguments(query)))
            return Page(
                items: try rows.map { LogRow(id: $0["id"], record: try RecordColumns.record($0)) }, total: total ?? 0)
        }
    }

    public func logStatistics(_ query: LogQuery) async throws -> LogStatistics {
        try await read { db in
            let row = try Row.fetchOne(
                db,
                sql: """
                    SELECT count(*) AS requests, coalesce(sum(prompt_tokens), 0) AS prompt,
                        coalesce(sum(completion_tokens), 0) AS completion, coalesce(sum(cost_nanos), 0) AS cost,
                        coalesce(sum(upstream_cost_nanos), 0) AS upstream
                    FROM logs WHERE \(Self.condition)
                    """,
                arguments: StatementArguments(Self.arguments(query)))
            guard let row else { throw StoreError.database("no statistics row") }
            return LogStatistics(
                requests: row["requests"], promptTokens: row["prompt"], completionTokens: row["completion"],
                cost: NanoUSD(nanos: row["cost"]), upstreamCost: NanoUSD(nanos: row["upstream"]))
        }
    }

    public func setting(_ key: String) async throws -> String? {
        try await read { db in try String.fetchOne(db, sql: "SELECT value FROM settings WHERE key = ?", arguments: [key]) }
    }

    public func setSetting(_ key: String, _ value: String) async throws {
        try await write { db in
            try db.execute(
                sql: "INSERT INTO settings (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
                arguments: [key, value])
        }
    }

    public func audit(actorID: Int64?, action: String, detail: String, clientIP: String, at: Int64) async throws {
        try await write { db in
            try db.execute(
                sql: "INSERT INTO audit_log (actor_id, action, detail, client_ip, created_at) VALUES (?, ?, ?, ?, ?)",
                arguments: [actorID, action, detail, clientIP, at])
        }
    }
}
