public import RouterCore

extension SQLStore {
    public func logs(_ query: LogQuery) async throws -> Page<LogRow> { try await database.read { try $0.logs(query) } }

    public func log(answerID: String, userID: Int64) async throws -> LogRow? {
        try await database.read { try $0.log(answerID: answerID, userID: userID) }
    }

    public func logStatistics(_ query: LogQuery) async throws -> LogStatistics {
        try await database.read { try $0.logStatistics(query) }
    }

    public func margins(in range: Range<Int64>) async throws -> [MarginRow] { try await database.read { try $0.margins(in: range) } }

    public func upstreamCosts(provider: String, in range: Range<Int64>) async throws -> [DailyCost] {
        try await database.read { try $0.upstreamCosts(provider: provider, in: range) }
    }
}

extension Conditions {
    fileprivate init(_ query: LogQuery) {
        self.init()
        add("user_id =", query.userID)
        add("token_id =", query.tokenID)
        add("channel_id =", query.channelID)
        add("model_name =", query.model)
        add("provider =", query.provider)
        add("outcome =", query.outcome?.rawValue)
        add("request_id =", query.requestID?.description)
        add("created_at >=", query.from)
        add("created_at <=", query.to)
    }
}

extension SQLSession {
    func logs(_ query: LogQuery) throws -> Page<LogRow> {
        try page(Columns.log, of: "logs", where: Conditions(query), query.page) { row in
            LogRow(id: try row.int("id"), record: try RecordColumns.record(row))
        }
    }

    func log(answerID: String, userID: Int64) throws -> LogRow? {
        // One column after the other: each has an index, which a condition with OR would leave unused.
        for column in ["generation_id", "answer_id"] {
            let row = try first(
                "SELECT \(Columns.log) FROM logs WHERE \(column) = ?1 AND user_id = ?2 ORDER BY id DESC LIMIT 1", [answerID, userID])
            if let row { return LogRow(id: try row.int("id"), record: try RecordColumns.record(row)) }
        }
        return nil
    }

    func logStatistics(_ query: LogQuery) throws -> LogStatistics {
        let conditions = Conditions(query)
        let row = try first(
            """
            SELECT count(*) AS requests, \(Self.sum("prompt_tokens")) AS prompt, \(Self.sum("completion_tokens")) AS completion,
                \(Self.sum("cost_nanos")) AS cost, \(Self.sum("upstream_cost_nanos")) AS upstream
            FROM logs WHERE \(conditions.sql)
            """, conditions.parameters)
        guard let row else { throw StoreError.database("no statistics row") }
        return LogStatistics(
            requests: try row.int("requests"), promptTokens: try row.int("prompt"), completionTokens: try row.int("completion"),
            cost: NanoUSD(nanos: try row.int("cost")), upstreamCost: NanoUSD(nanos: try row.int("upstream")))
    }

    /// As a whole number of 64 bits: PostgreSQL's sums are of another type. - Throws: when run, where it does not fit.
    private static func sum(_ column: String) -> String { "CAST(coalesce(sum(\(column)), 0) AS BIGINT)" }

    /// The cost of a row. Those of an earlier version have what the vendor reported, or none.
    private static var cost: String { "coalesce(vendor_cost_nanos, upstream_cost_nanos)" }

    func margins(in range: Range<Int64>) throws -> [MarginRow] {
        try rows(
            """
            SELECT model_name, channel_id, count(charge_nanos) AS requests, \(Self.sum("charge_nanos")) AS charged,
                \(Self.sum("upstream_cost_nanos")) AS upstream, \(Self.sum(Self.cost)) AS cost,
                count(*) FILTER (WHERE charge_nanos IS NOT NULL AND \(Self.cost) IS NULL) AS unknown,
                \(Self.sum("CASE WHEN \(Self.cost) IS NULL THEN charge_nanos END")) AS unknown_charge
            FROM logs WHERE created_at >= ?1 AND created_at < ?2
            GROUP BY model_name, channel_id HAVING count(charge_nanos) > 0 OR count(\(Self.cost)) > 0
            ORDER BY charged DESC, model_name, channel_id
            """, [range.lowerBound, range.upperBound]
        ).map { try Decoding.margin($0) }
    }

    func upstreamCosts(provider: String, in range: Range<Int64>) throws -> [DailyCost] {
        try rows(
            """
            SELECT \(dialect.day("created_at")) AS day, count(*) AS requests, \(Self.sum("upstream_cost_nanos")) AS cost
            FROM logs WHERE provider = ?1 AND created_at >= ?2 AND created_at < ?3 AND charge_nanos IS NOT NULL GROUP BY day ORDER BY day
            """, [provider, range.lowerBound, range.upperBound]
        ).map { try Decoding.dailyCost($0) }
    }
}
