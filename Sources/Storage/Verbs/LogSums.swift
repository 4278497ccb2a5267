import RouterCore

/// A stretch of time as sums of the log know it: whole quarter hours, and what is before and behind them, which only the rows tell.
struct SummedTime {
    /// Ends are multiples of a quarter hour; empty = the rows tell all.
    let whole: Range<Int64>
    /// Unix seconds, without those that are empty.
    let edges: [Range<Int64>]

    /// - Parameter range: Unix seconds; what is before 1970 or behind the year 9999 has no rows.
    init(_ range: Range<Int64>, end: Int64) {
        let from = max(0, range.lowerBound)
        let to = max(from, min(range.upperBound, end))
        let lower = UsageTable.start(from + UsageTable.quarter - 1)
        let upper = UsageTable.start(to)
        if lower < upper {
            whole = lower..<upper
            edges = [from..<lower, upper..<to].filter { !$0.isEmpty }
        } else {
            whole = from..<from
            edges = [from..<to].filter { !$0.isEmpty }
        }
    }
}

extension SQLSession {
    private func summed(_ range: Range<Int64>) -> SummedTime { SummedTime(range, end: Self.endOfTime + 1) }

    // MARK: Statistics

    /// From the sums of the log, and from rows where they cannot tell: for an outcome, one request, or a key that is gone.
    func logStatistics(_ query: LogQuery) throws -> LogStatistics {
        let (from, to) = (query.from ?? 0, query.to ?? .max)
        guard from <= to else { return .none }
        guard let filter = try usageFilter(query) else { return try statistics(Conditions(query)) }
        let time = summed(from..<(to == .max ? .max : to + 1))
        var all = LogStatistics.none
        if !time.whole.isEmpty, let row = try usage(UsageQuery([time.whole], filter: filter, isWhole: false)).first {
            all = LogStatistics(
                requests: row.sums.requests, promptTokens: row.sums.promptTokens, completionTokens: row.sums.completionTokens,
                cost: row.sums.charge, upstreamCost: row.sums.upstreamCost)
        }
        for edge in time.edges {
            var part = query
            (part.from, part.to) = (edge.lowerBound, edge.upperBound - 1)
            guard let conditions = try conditions(part) else { continue }
            try all.add(try statistics(conditions))
        }
        return all
    }

    /// nil = the sums of the log cannot tell.
    private func usageFilter(_ query: LogQuery) throws -> UsageFilter? {
        guard query.outcome == nil, query.requestID == nil else { return nil }
        var filter = UsageFilter(
            userID: query.userID, tokenID: query.tokenID, channelID: query.channelID, provider: query.provider, model: query.model)
        if let token = query.tokenID, filter.userID == nil {
            // The sums are in the order of users.
            guard let owner = try first("SELECT user_id FROM tokens WHERE id = ?1", [token])?.int("user_id") else { return nil }
            filter.userID = owner
        }
        return filter
    }

    /// For rows of a short time, found by their ids. nil = there are none.
    private func conditions(_ query: LogQuery) throws -> Conditions? {
        guard let ids = try ids(.log, from: query.from, to: query.to) else { return nil }
        var conditions = Conditions(query, prefix: dialect == .sqlite ? "+" : "")
        conditions.add("id >=", ids.lowerBound)
        conditions.add("id <=", ids.upperBound)
        return conditions
    }

    private func statistics(_ conditions: Conditions) throws -> LogStatistics {
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

    // MARK: Margins

    /// The cost of a row. Those of an earlier version have what the vendor reported, or none.
    private static var cost: String { "coalesce(vendor_cost_nanos, upstream_cost_nanos)" }

    func margins(in range: Range<Int64>) throws -> [MarginRow] {
        let time = summed(range)
        var found: [MarginRow] = []
        if !time.whole.isEmpty {
            let pieces = UsagePiece.cut(time.whole, bucket: 0, spans: UsageTable.byChannel.spans[...])
            found += try rows(
                """
                \(UsagePiece.table(dialect)) SELECT u.model_name, nullif(u.channel_id, 0) AS channel_id,
                    \(Self.sum("p.f * (u.requests - u.void)")) AS requests, \(Self.sum("p.f * u.charge_nanos")) AS charged,
                    \(Self.sum("p.f * u.upstream_cost_nanos")) AS upstream, \(Self.sum("p.f * u.vendor_cost_nanos")) AS cost,
                    \(Self.sum("p.f * u.uncosted")) AS unknown, \(Self.sum("p.f * u.uncosted_charge_nanos")) AS unknown_charge
                FROM \(UsagePiece.rows(of: "usage_by_channel", where: "u.span = p.s AND u.start >= p.a AND u.start < p.z", dialect))
                GROUP BY u.model_name, u.channel_id
                """, [UsagePiece.json(pieces)]
            ).map { try Decoding.margin($0) }
        }
        for edge in time.edges {
            var part = LogQuery()
            (part.from, part.to) = (edge.lowerBound, edge.upperBound - 1)
            guard let conditions = try conditions(part) else { continue }
            found += try rows(
                """
                SELECT model_name, channel_id, count(charge_nanos) AS requests, \(Self.sum("charge_nanos")) AS charged,
                    \(Self.sum("upstream_cost_nanos")) AS upstream, \(Self.sum(Self.cost)) AS cost,
                    count(*) FILTER (WHERE charge_nanos IS NOT NULL AND \(Self.cost) IS NULL) AS unknown,
                    \(Self.sum("CASE WHEN \(Self.cost) IS NULL THEN charge_nanos END")) AS unknown_charge
                FROM logs WHERE \(conditions.sql) GROUP BY model_name, channel_id
                """, conditions.parameters
            ).map { try Decoding.margin($0) }
        }
        return try MarginRow.united(found)
    }
}

extension LogStatistics {
    static var none: LogStatistics { LogStatistics(requests: 0, promptTokens: 0, completionTokens: 0, cost: .zero, upstreamCost: .zero) }

    /// - Throws: `MoneyError` where amounts leave their range.
    fileprivate mutating func add(_ other: LogStatistics) throws {
        requests += other.requests
        promptTokens = UsageSums.saturating(promptTokens, other.promptTokens)
        completionTokens = UsageSums.saturating(completionTokens, other.completionTokens)
        cost = try cost.adding(other.cost)
        upstreamCost = try upstreamCost.adding(other.upstreamCost)
    }
}

extension MarginRow {
    /// One row for each model and channel, those with the highest charges first; none where nothing was charged and nothing cost.
    /// - Throws: `MoneyError` where amounts leave their range.
    fileprivate static func united(_ parts: [MarginRow]) throws -> [MarginRow] {
        struct Key: Hashable {
            var model: String
            var channelID: Int64?
        }
        var rows: [Key: MarginRow] = [:]
        for part in parts {
            let key = Key(model: part.model, channelID: part.channelID)
            guard var row = rows[key] else {
                rows[key] = part
                continue
            }
            row.requests += part.requests
            row.charged = try row.charged.adding(part.charged)
            row.upstreamCost = try row.upstreamCost.adding(part.upstreamCost)
            row.cost = try row.cost.adding(part.cost)
            row.unknownCost += part.unknownCost
            row.unknownCharge = try row.unknownCharge.adding(part.unknownCharge)
            rows[key] = row
        }
        return rows.values.filter { $0.requests > 0 || $0.cost != .zero }.sorted {
            ($1.charged.nanos, $0.model, $0.channelID ?? 0) < ($0.charged.nanos, $1.model, $1.channelID ?? 0)
        }
    }
}
