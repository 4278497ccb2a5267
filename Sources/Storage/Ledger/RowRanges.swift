/// Between which ids the rows of each quarter hour are: rows are asked for by time and read by id.
struct RowRanges {
    enum Kind: String { case entry, log }

    private struct Quarter: Hashable {
        var kind: Kind
        var start: Int64
    }
    private var ranges: [Quarter: ClosedRange<Int64>] = [:]

    mutating func add(_ kind: Kind, id: Int64, createdAt: Int64) {
        let quarter = Quarter(kind: kind, start: UsageTable.start(createdAt))
        let old = ranges[quarter] ?? id...id
        ranges[quarter] = min(old.lowerBound, id)...max(old.upperBound, id)
    }

    /// Entries before logs, the newest first: a transaction that has moved money now and posts what began earlier comes in that order, too.
    var ordered: [(kind: Kind, start: Int64, ids: ClosedRange<Int64>)] {
        ranges.map { ($0.key.kind, $0.key.start, $0.value) }.sorted { ($0.0.rawValue, -$0.1) < ($1.0.rawValue, -$1.1) }
    }
}

extension SQLSession {
    /// In the transaction that has inserted the rows.
    func note(_ ranges: RowRanges) throws {
        for range in ranges.ordered {
            try execute(
                """
                INSERT INTO row_ranges (kind, start, first_id, last_id) VALUES (?1, ?2, ?3, ?4) ON CONFLICT (kind, start) DO UPDATE SET
                    first_id = CASE WHEN excluded.first_id < row_ranges.first_id THEN excluded.first_id ELSE row_ranges.first_id END,
                    last_id = CASE WHEN excluded.last_id > row_ranges.last_id THEN excluded.last_id ELSE row_ranges.last_id END
                """, [range.kind.rawValue, range.start, range.ids.lowerBound, range.ids.upperBound])
        }
    }

    /// The ids between which all rows are that were made in a time range; nil = there are none.
    func ids(_ kind: RowRanges.Kind, from: Int64?, to: Int64?) throws -> ClosedRange<Int64>? {
        let row = try first(
            "SELECT min(first_id) AS first, max(last_id) AS last FROM row_ranges WHERE kind = ?1 AND start >= ?2 AND start <= ?3",
            [kind.rawValue, from.map { UsageTable.start($0) } ?? .min, to ?? .max])
        guard let first = try row?.intOrNil("first"), let last = try row?.intOrNil("last") else { return nil }
        return first...last
    }
}
