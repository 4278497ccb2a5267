import RouterCore

/// A part of a stretch of time that rows of one span make up.
struct UsagePiece: Hashable {
    var bucket: Int
    var span: Int64
    var range: Range<Int64>
    /// 1, or -1 for what a longer span before or behind has too much.
    var sign: Int64 = 1

    /// Cuts a time into whole days, hours and quarter hours of UTC, as few rows as there can be: a day that begins an hour before one of
    /// UTC is that day with the hour before it and without its own last hour.
    /// - Parameters:
    ///   - range: whose ends are multiples of the last span.
    ///   - spans: from the longest to the shortest.
    static func cut(_ range: Range<Int64>, bucket: Int, spans: ArraySlice<Int64>, sign: Int64 = 1) -> [UsagePiece] {
        guard let span = spans.first, !range.isEmpty else { return [] }
        let shorter = spans.dropFirst()
        guard let next = shorter.first else {
            let lower = UsageTable.start(range.lowerBound + span - 1, span: span)
            let upper = UsageTable.start(range.upperBound, span: span)
            return lower < upper ? [UsagePiece(bucket: bucket, span: span, range: lower..<upper, sign: sign)] : []
        }
        var best: Range<Int64>?
        var least = (range.upperBound - range.lowerBound) / next
        let starts = [UsageTable.start(range.lowerBound, span: span), UsageTable.start(range.lowerBound + span - 1, span: span)]
        let ends = [UsageTable.start(range.upperBound, span: span), UsageTable.start(range.upperBound + span - 1, span: span)]
        for start in starts {
            for end in ends where start < end {
                let rows = (end - start) / span + abs(start - range.lowerBound) / next + abs(end - range.upperBound) / next
                if rows < least { (best, least) = (start..<end, rows) }
            }
        }
        guard let best else { return cut(range, bucket: bucket, spans: shorter, sign: sign) }
        return edge(range.lowerBound, best.lowerBound, bucket, shorter, sign)
            + [UsagePiece(bucket: bucket, span: span, range: best, sign: sign)]
            + edge(best.upperBound, range.upperBound, bucket, shorter, sign)
    }

    /// From one time to another, which may be earlier: what is between is taken away then.
    private static func edge(_ from: Int64, _ to: Int64, _ bucket: Int, _ spans: ArraySlice<Int64>, _ sign: Int64) -> [UsagePiece] {
        from <= to ? cut(from..<to, bucket: bucket, spans: spans, sign: sign) : cut(to..<from, bucket: bucket, spans: spans, sign: -sign)
    }

    /// As one parameter.
    static func json(_ pieces: [UsagePiece]) -> String {
        let rows = pieces.map { "[\($0.bucket),\($0.span),\($0.range.lowerBound),\($0.range.upperBound),\($0.sign)]" }
        return "[" + rows.joined(separator: ",") + "]"
    }

    /// A table `pieces` with the columns `b`, `s`, `a`, `z` and `f` (the sign), from the first parameter.
    static func table(_ dialect: SQLDialect) -> String {
        let columns = zip(["b", "s", "a", "z", "f"], 0...).map { name, place in
            dialect == .sqlite ? "value ->> \(place) AS \(name)" : "CAST(value ->> \(place) AS BIGINT) AS \(name)"
        }.joined(separator: ", ")
        let source = dialect == .sqlite ? "json_each(?1)" : "jsonb_array_elements(CAST(?1 AS JSONB)) AS list (value)"
        return "WITH pieces AS MATERIALIZED (SELECT \(columns) FROM \(source))"
    }

    /// Behind FROM: the rows `u` of a table that belong to the pieces `p`, found piece by piece along an index.
    /// - Parameters:
    ///   - hint: the index, for SQLite.
    ///   - condition: which rows of `u` belong to `p`.
    static func rows(of table: String, hint: String = "", where condition: String, _ dialect: SQLDialect) -> String {
        switch dialect {
        case .sqlite: "pieces p CROSS JOIN \(table) AS u\(hint) WHERE \(condition)"
        // PostgreSQL knows nothing of the pieces and would compare each of them with all rows; OFFSET keeps it from that.
        case .postgres: "pieces p CROSS JOIN LATERAL (SELECT * FROM \(table) AS u WHERE \(condition) OFFSET 0) AS u"
        }
    }
}
