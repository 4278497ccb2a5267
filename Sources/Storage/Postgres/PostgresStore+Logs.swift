import RouterCore

extension PostgresStore {
    /// The WHERE clause of a query; only what is asked for is named.
    private static func condition(_ query: LogQuery) -> (sql: String, arguments: [any PGParameter]) {
        var terms = ["TRUE"]
        var arguments: [any PGParameter] = []
        func add<Value: PGParameter>(_ term: String, _ value: Value?) {
            guard let value else { return }
            arguments.append(value)
            terms.append("\(term) $\(arguments.count)")
        }
        add("user_id =", query.userID)
        add("token_id =", query.tokenID)
        add("channel_id =", query.channelID)
        add("model_name =", query.model)
        add("request_id =", query.requestID?.description)
        add("created_at >=", query.from)
        add("created_at <=", query.to)
        return (terms.joined(separator: " AND "), arguments)
    }

    public func logs(_ query: LogQuery) async throws -> Page<LogRow> {
        try await read { session in
            let condition = Self.condition(query)
            let count = condition.arguments.count
            let rows = try session.rows(
                "SELECT * FROM logs WHERE \(condition.sql) ORDER BY id DESC LIMIT $\(count + 1) OFFSET $\(count + 2)",
                condition.arguments + [query.page.size, query.page.offset])
            let total = try session.rows("SELECT count(*) AS total FROM logs WHERE \(condition.sql)", condition.arguments).first?.int(
                "total")
            return Page(
                items: try rows.map { LogRow(id: try $0.int("id"), record: try RecordColumns.record($0)) }, total: total ?? 0)
        }
    }

    public func logStatistics(_ query: LogQuery) async throws -> LogStatistics {
        try await read { session in
            let condition = Self.condition(query)
            let rows = try session.rows(
                """
                SELECT count(*) AS requests, coalesce(sum(prompt_tokens), 0)::bigint AS prompt,
                    coalesce(sum(completion_tokens), 0)::bigint AS completion, coalesce(sum(cost_nanos), 0)::bigint AS cost,
                    coalesce(sum(upstream_cost_nanos), 0)::bigint AS upstream
                FROM logs WHERE \(condition.sql)
                """, condition.arguments)
            guard let row = rows.first else { throw StoreError.database("no statistics row") }
            return LogStatistics(
                requests: try row.int("requests"), promptTokens: try row.int("prompt"), completionTokens: try row.int("completion"),
                cost: NanoUSD(nanos: try row.int("cost")), upstreamCost: NanoUSD(nanos: try row.int("upstream")))
        }
    }

    // MARK: Channel health

    public func saveHealth(_ rows: [ChannelHealthRow], now: Int64) async throws {
        try await write { session in
            try session.execute("DELETE FROM channel_health")
            for row in rows {
                try session.execute(
                    """
                    INSERT INTO channel_health
                        (channel_id, account, credential, model, state, kind, open_until, failures, openings, updated_at)
                    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
                    """,
                    [
                        row.scope.channelID ?? 0, row.scope.account ?? "", row.scope.keyIndex ?? -2, row.scope.model ?? "",
                        row.state.rawValue, row.storedKind, row.openUntil, row.failures, row.openings, now,
                    ])
            }
        }
    }

    public func loadHealth() async throws -> [ChannelHealthRow] {
        try await read { session in
            try session.rows("SELECT * FROM channel_health ORDER BY channel_id, account, credential, model")
                .map { try Decoding.health($0) }
        }
    }

    // MARK: Settings and audit

    public func setting(_ key: String) async throws -> String? {
        try await read { try $0.rows("SELECT value FROM settings WHERE key = $1", [key]).first?.text("value") }
    }

    public func setSetting(_ key: String, _ value: String, audit: AuditEntry?) async throws {
        try await write { session in
            try Self.set(key, value, &session)
            if let audit { try Self.insertAudit(audit, &session) }
        }
    }

    static func set(_ key: String, _ value: String, _ session: inout PGPool.Session) throws {
        try session.execute(
            "INSERT INTO settings (key, value) VALUES ($1, $2) ON CONFLICT (key) DO UPDATE SET value = excluded.value", [key, value])
    }

    public func claimSetting(_ key: String, _ value: String) async throws -> String {
        try await write { session in
            try session.execute("INSERT INTO settings (key, value) VALUES ($1, $2) ON CONFLICT (key) DO NOTHING", [key, value])
            return try session.rows("SELECT value FROM settings WHERE key = $1", [key]).first?.text("value") ?? value
        }
    }

    public func audit(_ entry: AuditEntry) async throws { try await write { try Self.insertAudit(entry, &$0) } }

    /// Inside the transaction of the change that the entry tells of.
    static func insertAudit(_ entry: AuditEntry, _ session: inout PGPool.Session) throws {
        try session.execute(
            "INSERT INTO audit_log (actor_id, action, detail, client_ip, created_at) VALUES ($1, $2, $3, $4, $5)",
            [entry.actorID, entry.action, entry.detailText, entry.clientIP, entry.at])
    }

    public func auditRows(_ page: PageRequest) async throws -> Page<AuditRow> {
        try await read { session in
            let rows = try session.rows("SELECT * FROM audit_log ORDER BY id DESC LIMIT $1 OFFSET $2", [page.size, page.offset])
            let total = try session.rows("SELECT count(*) AS total FROM audit_log").first?.int("total")
            return Page(items: try rows.map { try Decoding.audit($0) }, total: total ?? 0)
        }
    }
}
