import GRDB
import RouterCore

extension SQLiteStore {
    /// The WHERE clause of a query. Only what is asked for is named: `? IS NULL OR …` would keep SQLite from its indexes.
    private static func condition(_ query: LogQuery) -> (sql: String, arguments: [any DatabaseValueConvertible]) {
        let terms: [(String, (any DatabaseValueConvertible)?)] = [
            ("user_id = ?", query.userID), ("token_id = ?", query.tokenID), ("channel_id = ?", query.channelID),
            ("model_name = ?", query.model), ("request_id = ?", query.requestID?.description),
            ("created_at >= ?", query.from), ("created_at <= ?", query.to),
        ]
        var named = ["TRUE"]
        var arguments: [any DatabaseValueConvertible] = []
        for (term, value) in terms {
            guard let value else { continue }
            named.append(term)
            arguments.append(value)
        }
        return (named.joined(separator: " AND "), arguments)
    }

    public func logs(_ query: LogQuery) async throws -> Page<LogRow> {
        try await read { db in
            let condition = Self.condition(query)
            let rows = try Row.fetchAll(
                db, sql: "SELECT * FROM logs WHERE \(condition.sql) ORDER BY id DESC LIMIT ? OFFSET ?",
                arguments: StatementArguments(condition.arguments + [query.page.size, query.page.offset]))
            let total = try Int64.fetchOne(
                db, sql: "SELECT count(*) FROM logs WHERE \(condition.sql)",
                arguments: StatementArguments(condition.arguments))
            return Page(
                items: try rows.map { LogRow(id: $0["id"], record: try RecordColumns.record($0)) }, total: total ?? 0)
        }
    }

    public func logStatistics(_ query: LogQuery) async throws -> LogStatistics {
        try await read { db in
            let condition = Self.condition(query)
            let row = try Row.fetchOne(
                db,
                sql: """
                    SELECT count(*) AS requests, coalesce(sum(prompt_tokens), 0) AS prompt,
                        coalesce(sum(completion_tokens), 0) AS completion, coalesce(sum(cost_nanos), 0) AS cost,
                        coalesce(sum(upstream_cost_nanos), 0) AS upstream
                    FROM logs WHERE \(condition.sql)
                    """,
                arguments: StatementArguments(condition.arguments))
            guard let row else { throw StoreError.database("no statistics row") }
            return LogStatistics(
                requests: row["requests"], promptTokens: row["prompt"], completionTokens: row["completion"],
                cost: NanoUSD(nanos: row["cost"]), upstreamCost: NanoUSD(nanos: row["upstream"]))
        }
    }

    public func setting(_ key: String) async throws -> String? {
        try await read { db in try String.fetchOne(db, sql: "SELECT value FROM settings WHERE key = ?", arguments: [key]) }
    }

    public func setSetting(_ key: String, _ value: String, audit: AuditEntry?) async throws {
        try await write { db in
            try Self.set(key, value, db)
            if let audit { try Self.insertAudit(audit, db) }
        }
    }

    static func set(_ key: String, _ value: String, _ db: Database) throws {
        try db.execute(
            sql: "INSERT INTO settings (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
            arguments: [key, value])
    }

    public func claimSetting(_ key: String, _ value: String) async throws -> String {
        try await write { db in
            try db.execute(sql: "INSERT OR IGNORE INTO settings (key, value) VALUES (?, ?)", arguments: [key, value])
            return try String.fetchOne(db, sql: "SELECT value FROM settings WHERE key = ?", arguments: [key]) ?? value
        }
    }

    public func audit(_ entry: AuditEntry) async throws { try await write { try Self.insertAudit(entry, $0) } }

    /// Inside the transaction of the change that the entry tells of.
    static func insertAudit(_ entry: AuditEntry, _ db: Database) throws {
        try db.execute(
            sql: "INSERT INTO audit_log (actor_id, action, detail, client_ip, created_at) VALUES (?, ?, ?, ?, ?)",
            arguments: [entry.actorID, entry.action, entry.detailText, entry.clientIP, entry.at])
    }

    public func auditRows(_ page: PageRequest) async throws -> Page<AuditRow> {
        try await read { db in
            let rows = try Row.fetchAll(
                db, sql: "SELECT * FROM audit_log ORDER BY id DESC LIMIT ? OFFSET ?", arguments: [page.size, page.offset])
            let total = try Int64.fetchOne(db, sql: "SELECT count(*) FROM audit_log")
            return Page(items: try rows.map { try Decoding.audit($0) }, total: total ?? 0)
        }
    }
}
