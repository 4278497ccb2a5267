import RouterCore

/// A part of a stretch of time that rows of one span make up.
struct UsagePiece: Hashable {
    var bucket: Int
    var span: Int64
    var range: Range<Int64>

    /// Cuts a time into whole days, hours and quarter hours of UTC, as few rows as there can be.
    /// - Parameters:
    ///   - range: whose ends are multiples of the last span.
    ///   - spans: from the longest to the shortest.
    static func cut(_ range: Range<Int64>, bucket: Int, spans: ArraySlice<Int64>) -> [UsagePiece] {
        guard let span = spans.first, !range.isEmpty else { return [] }
        let lower = UsageTable.start(range.lowerBound + span - 1, span: span)
        let upper = UsageTable.start(range.upperBound, span: span)
        guard lower < upper else { return cut(range, bucket: bucket, spans: spans.dropFirst()) }
        return cut(range.lowerBound..<lower, bucket: bucket, spans: spans.dropFirst())
            + [UsagePiece(bucket: bucket, span: span, range: lower..<upper)]
            + cut(upper..<range.upperBound, bucket: bucket, spans: spans.dropFirst())
    }

    /// As one parameter.
    static func json(_ pieces: [UsagePiece]) -> String {
        let rows = pieces.map { "[\($0.bucket),\($0.span),\($0.range.lowerBound),\($0.range.upperBound)]" }
        return "[" + rows.joined(separator: ",") + "]"
    }

    /// A table `pieces` with the columns `b`, `s`, `a` and `z`, from the first parameter.
    static func table(_ dialect: SQLDialect) -> String {
        let columns = zip(["b", "s", "a", "z"], 0...).map { name, place in
            dialect == .sqlite ? "value ->> \(place) AS \(name)" : "CAST(value ->> \(place) AS BIGINT) AS \(name)"
        }.joined(separator: ", ")
        let source = dialect == .sqlite ? "json_each(?1)" : "jsonb_array_elements(CAST(?1 AS JSONB)) AS list (value)"
        return "WITH pieces AS MATERIALIZED (SELECT \(columns) FROM \(source))"
    }
}
