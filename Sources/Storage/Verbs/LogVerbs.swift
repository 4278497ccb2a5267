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
    /// - Parameter prefix: of the columns; `+` keeps SQLite from their indexes.
    init(_ query: LogQuery, prefix: String = "") {
        self.init()
        add("\(prefix)user_id =", query.userID)
        add("\(prefix)account_id =", query.accountID)
        add("\(prefix)token_id =", query.tokenID)
        add("\(prefix)channel_id =", query.channelID)
        add("\(prefix)model_name =", query.model)
        add("\(prefix)provider =", query.provider)
        add("\(prefix)outcome =", query.outcome?.rawValue)
        add("\(prefix)request_id =", query.requestID?.description)
        add("\(prefix)created_at >=", query.from)
        add("\(prefix)created_at <=", query.to)
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

    /// As a whole number of 64 bits: PostgreSQL's sums are of another type. - Throws: when run, where it does not fit.
    static func sum(_ column: String) -> String { "CAST(coalesce(sum(\(column)), 0) AS BIGINT)" }

    func upstreamCosts(provider: String, in range: Range<Int64>) throws -> [DailyCost] {
        try rows(
            """
            SELECT \(dialect.day("created_at")) AS day, count(*) AS requests, \(Self.sum("upstream_cost_nanos")) AS cost
            FROM logs WHERE provider = ?1 AND created_at >= ?2 AND created_at < ?3 AND charge_nanos IS NOT NULL GROUP BY day ORDER BY day
            """, [provider, range.lowerBound, range.upperBound]
        ).map { try Decoding.dailyCost($0) }
    }
}
