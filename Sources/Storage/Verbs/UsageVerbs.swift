import RouterCore

extension SQLStore {
    public func usage(_ query: UsageQuery) async throws -> [UsageRow] { try await database.read { try $0.usage(query) } }

    public func mostLogs(_ query: LogQuery) async throws -> Int64 { try await database.read { try $0.mostLogs(query) } }

    public func mostEntries(_ query: EntryQuery) async throws -> Int64 { try await database.read { try $0.mostEntries(query) } }
}

extension SQLSession {
    func usage(_ query: UsageQuery) throws -> [UsageRow] {
        let statement = UsageStatement(query, dialect)
        return try rows(statement.sql, statement.parameters).map { row in
            UsageRow(
                bucket: Int(try row.int("b")), key: try row.textOrNil("k") ?? "", owner: try row.intOrNil("owner") ?? 0,
                isRest: try row.textOrNil("k") == nil, sums: try statement.sums(row))
        }
    }

    func mostLogs(_ query: LogQuery) throws -> Int64 {
        if query.requestID != nil { return 1 }
        // Rows that were let go are in the sums, and not in the log.
        let from = max(query.from ?? 0, try logsLetGo() ?? 0)
        let filter = UsageFilter(
            userID: query.userID, tokenID: query.tokenID, channelID: query.channelID, provider: query.provider, model: query.model,
            accountID: query.accountID)
        let sums = try sums(filter, from: from, to: query.to)
        return query.outcome == .failed || query.outcome == .truncated ? sums.errors : sums.requests
    }

    func mostEntries(_ query: EntryQuery) throws -> Int64 {
        var most: Int64 = 0
        if query.kind == nil || query.kind == .usage {
            let sums = try sums(UsageFilter(userID: query.userID, accountID: query.accountID), from: query.from, to: query.to)
            most += sums.requests - sums.void
        }
        guard query.kind != .usage else { return most }
        var conditions = Conditions()
        conditions.add("user_id =", query.userID)
        conditions.add("account_id =", query.accountID)
        conditions.add("type =", query.kind?.rawValue)
        conditions.add("created_at >=", query.from)
        conditions.add("created_at <=", query.to)
        let row = try first(
            "SELECT count(*) AS n FROM balance_transactions WHERE type <> 'usage' AND \(conditions.sql)", conditions.parameters)
        return try most + (row?.int("n") ?? 0)
    }

    /// Over the quarter hours of a time, both ends of which are in it.
    private func sums(_ filter: UsageFilter, from: Int64?, to: Int64?) throws -> UsageSums {
        let start = UsageTable.start(max(0, from ?? 0))
        let end = UsageTable.start(min(to ?? .max, Self.endOfTime)) + UsageTable.quarter
        guard start < end else { return UsageSums() }
        return try usage(UsageQuery([start..<end], filter: filter, isWhole: false)).first?.sums ?? UsageSums()
    }

    /// The end of the year 9999, in Unix seconds.
    static var endOfTime: Int64 { 253_402_300_799 }
}

/// The SQL of a question, and its parameters. The number of texts is bounded: by the tables, the dimensions, the filters, and the number of
/// keys, which is small.
struct UsageStatement {
    private let query: UsageQuery
    private let dialect: SQLDialect
    /// In the order of their marks.
    private(set) var parameters: [any SQLParameter] = []
    private(set) var sql = ""
    /// The expression by which rows are told apart.
    private var key = "''"
    private var isOfSomeUsers = false

    init(_ query: UsageQuery, _ dialect: SQLDialect) {
        self.query = query
        self.dialect = dialect
        if let column { key = "CAST(u.\(column) AS TEXT)" }
        let table = Self.table(query)
        let spans = table == .byUser ? table.spans + [UsageTable.quarter] : table.spans
        let pieces = query.buckets.enumerated().flatMap { UsagePiece.cut($0.element, bucket: $0.offset, spans: spans[...]) }
        parameters.append(UsagePiece.json(pieces))
        let conditions = conditions()
        var sources = [select(table, conditions)]
        // Users have no quarter hours of their own.
        if table == .byUser, pieces.contains(where: { $0.span == UsageTable.quarter }) { sources.append(select(.byKey, conditions)) }
        let whole =
            sources.count == 1
            ? sources[0]
            : """
            SELECT b, k, min(owner) AS owner, \(columns.map { "sum(\($0.name)) AS \($0.name)" }.joined(separator: ", "))
            FROM (\(sources.joined(separator: " UNION ALL "))) AS parts GROUP BY b, k
            """
        let outer = columns.map { "CAST(\($0.name) AS BIGINT) AS \($0.name)" }.joined(separator: ", ")
        sql = "\(UsagePiece.table(dialect)) SELECT b, k, owner, \(outer) FROM (\(whole)) AS sums WHERE requests > 0\(order())"
    }

    /// The smallest table that can tell.
    private static func table(_ query: UsageQuery) -> UsageTable {
        let filter = query.filter
        if filter.accountID != nil { return .byAccount }
        let asksForUsers = filter.userID != nil || filter.tokenID != nil
        let asksForChannels = filter.channelID != nil || filter.provider != nil || filter.model != nil
        let isByUser = query.dimension == .user || query.dimension == .token
        if !asksForUsers, !isByUser { return .byChannel }
        return asksForChannels || (query.dimension != nil && !isByUser) ? .byKey : .byUser
    }

    private var column: String? {
        switch query.dimension {
        case .model: "model_name"
        case .channel: "channel_id"
        case .token: "token_id"
        case .user: "user_id"
        case .provider: "provider"
        case nil: nil
        }
    }

    // MARK: Columns

    private struct Column {
        var name: String
        var expression: String
    }

    private static let few = [
        "requests", "errors", "void", "charge_nanos", "upstream_cost_nanos", "prompt_tokens", "completion_tokens", "uncosted",
        "vendor_cost_nanos", "uncosted_charge_nanos",
    ]

    private var columns: [Column] {
        let names = query.isWhole ? UsageSums.figureColumns : Self.few
        let figures = names.map { Column(name: $0, expression: "sum(p.f * u.\($0))") }
        guard query.isWhole else { return figures }
        return figures
            + UsageSums.classColumns.flatMap { name in
                [
                    Column(name: name + "_even", expression: "coalesce(sum(p.f * (u.\(name) & 4294967295)), 0)"),
                    Column(name: name + "_odd", expression: "coalesce(sum(p.f * (u.\(name) >> 32)), 0)"),
                ]
            }
    }

    func sums(_ row: SQLRow) throws -> UsageSums {
        var sums = UsageSums()
        if query.isWhole {
            sums.figures = try UsageSums.figureColumns.map { try row.int($0) }
            let counts = try UsageSums.classColumns.flatMap { [try row.int($0 + "_even"), try row.int($0 + "_odd")] }
            sums.firstToken = LatencyHistogram(counts: Array(counts.prefix(LatencyHistogram.classes)))
            sums.latency = LatencyHistogram(counts: Array(counts.suffix(LatencyHistogram.classes)))
        } else {
            sums.requests = try row.int("requests")
            sums.errors = try row.int("errors")
            sums.void = try row.int("void")
            sums.charge = NanoUSD(nanos: try row.int("charge_nanos"))
            sums.upstreamCost = NanoUSD(nanos: try row.int("upstream_cost_nanos"))
            sums.promptTokens = try row.int("prompt_tokens")
            sums.completionTokens = try row.int("completion_tokens")
            sums.cost = NanoUSD(nanos: try row.int("vendor_cost_nanos"))
            sums.uncosted = try row.int("uncosted")
            sums.uncostedCharge = NanoUSD(nanos: try row.int("uncosted_charge_nanos"))
        }
        return sums
    }

    // MARK: Parts

    private mutating func mark(_ value: some SQLParameter) -> String {
        parameters.append(value)
        return "?\(parameters.count)"
    }

    /// On rows of the table `u`.
    private mutating func conditions() -> String {
        var terms: [String] = []
        let filter = query.filter
        isOfSomeUsers = filter.userID != nil || (query.dimension == .user && query.keys != nil && !query.sumsRest)
        if let id = filter.accountID { terms.append("u.account_id = \(mark(id))") }
        if let id = filter.userID { terms.append("u.user_id = \(mark(id))") }
        if let id = filter.tokenID { terms.append("u.token_id = \(mark(id))") }
        if let id = filter.channelID { terms.append("u.channel_id = \(mark(id))") }
        if let name = filter.provider { terms.append("u.provider = \(mark(name))") }
        if let name = filter.model { terms.append("u.model_name = \(mark(name))") }
        if let keys = query.keys, let column {
            let isText = query.dimension == .model || query.dimension == .provider
            let marks = keys.map { isText ? mark($0.key) : mark(Int64($0.key) ?? -1) }
            let isAny = keys.isEmpty ? "FALSE" : "u.\(column) IN (\(marks.joined(separator: ", ")))"
            if query.sumsRest {
                // NULL for the others.
                key = "CASE WHEN \(isAny) THEN CAST(u.\(column) AS TEXT) END"
            } else {
                terms.append(isAny)
            }
            if query.dimension == .token, filter.userID == nil, !query.sumsRest, !keys.isEmpty, !keys.contains(where: { $0.key == "0" }) {
                isOfSomeUsers = true
                // The table is in the order of users, and each key has one; without a key, there are calls of many.
                let owners = Set(keys.map(\.owner)).sorted().map { mark($0) }
                terms.append("u.user_id IN (\(owners.joined(separator: ", ")))")
            }
        }
        return terms.map { " AND " + $0 }.joined()
    }

    private func select(_ table: UsageTable, _ conditions: String) -> String {
        let owner = table != .byChannel && query.dimension == .token ? "min(u.user_id)" : "0"
        let span = table == .byKey ? "p.s = \(UsageTable.quarter)" : "u.span = p.s"
        let group = query.sumsRest ? "1, 2" : "p.b" + (column.map { ", u.\($0)" } ?? "")
        // SQLite would rather walk along the primary key, past everybody.
        let hint = table == .byUser && isOfSomeUsers && dialect == .sqlite ? " INDEXED BY usage_by_user_first" : ""
        let source = UsagePiece.rows(
            of: table.name, hint: hint, where: "\(span) AND u.start >= p.a AND u.start < p.z\(conditions)", dialect)
        return """
            SELECT p.b AS b, \(key) AS k, \(owner) AS owner, \(columns.map { "\($0.expression) AS \($0.name)" }.joined(separator: ", "))
            FROM \(source) GROUP BY \(group)
            """
    }

    private mutating func order() -> String {
        guard let top = query.top else { return "" }
        let measure =
            switch top.order {
            case .cost: "charge_nanos"
            case .requests: "requests"
            case .tokens: "prompt_tokens + completion_tokens"
            case .errors: "errors"
            }
        return " ORDER BY \(measure) DESC, requests DESC, k LIMIT \(mark(top.limit))"
    }
}
