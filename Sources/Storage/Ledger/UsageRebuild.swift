import RouterCore

/// Makes the sums of the log anew from its rows, a day at a time, by the code that the poster uses. Days in which rows of the log may have
/// been let go keep their sums: nothing else knows them.
///
/// Each day is one transaction. Where several gateways share a database, their postings wait while one of the days is made.
public enum UsageRebuild {
    public struct Report: Sendable, Hashable {
        /// The days that were made anew.
        public var days = 0
        /// The rows of the log in them.
        public var rows: Int64 = 0
        /// The days that kept their sums.
        public var kept = 0
        public init() {}
    }

    /// - Parameter progress: called after each day with its beginning (Unix seconds) and the report up to then.
    /// - Throws: ``StoreError``. What was made anew before stays so; running again goes through all of it once more.
    public static func run(_ store: any UsageStore, progress: (_ day: Int64, _ report: Report) -> Void) async throws -> Report {
        var report = Report()
        for day in try await store.usageDays() {
            if let rows = try await store.rebuildUsage(day: day) {
                report.days += 1
                report.rows += rows
            } else {
                report.kept += 1
            }
            progress(day, report)
        }
        try await store.rebuildEntryRanges()
        return report
    }
}

extension SQLStore {
    public func usageDays() async throws -> [Int64] { try await database.read { try $0.usageDays() } }

    public func rebuildUsage(day: Int64) async throws -> Int64? { try await database.write { try $0.rebuildUsage(day: day) } }

    public func rebuildEntryRanges() async throws { try await database.write { try $0.rebuildEntryRanges() } }
}

extension SQLSession {
    private static var day: Int64 { 86_400 }

    func usageDays() throws -> [Int64] {
        try rows(
            """
            SELECT created_at - created_at % 86400 AS day FROM logs UNION SELECT start - start % 86400 FROM usage_by_key
            UNION SELECT start - start % 86400 FROM usage_by_channel UNION SELECT start - start % 86400 FROM usage_by_user
            UNION SELECT start - start % 86400 FROM row_ranges WHERE kind = 'log' ORDER BY day
            """
        ).map { try $0.int("day") }
    }

    /// True where the log has all rows of a day that it ever had.
    fileprivate func hasWholeLog(of day: Int64) throws -> Bool { try (logsLetGo() ?? .min) <= day }

    fileprivate func clearUsage(day: Int64) throws {
        let end = day + Self.day
        for table in UsageTable.allCases {
            if table == .byKey {
                try execute("DELETE FROM \(table.name) WHERE start >= ?1 AND start < ?2", [day, end])
                continue
            }
            for span in table.spans {
                try execute("DELETE FROM \(table.name) WHERE span = ?3 AND start >= ?1 AND start < ?2", [day, end, span])
            }
        }
        try execute("DELETE FROM row_ranges WHERE kind = 'log' AND start >= ?1 AND start < ?2", [day, end])
    }

    /// Makes others wait who write sums, in the order in which they do it, so that nobody waits for each other.
    fileprivate func lockUsage() throws {
        guard dialect == .postgres else { return }
        try execute("LOCK TABLE row_ranges, \(UsageTable.allCases.map(\.name).joined(separator: ", ")) IN SHARE ROW EXCLUSIVE MODE")
    }

    /// Entries stay for ever, so all of their ranges can be made anew.
    func rebuildEntryRanges() throws {
        try lockUsage()
        try execute("DELETE FROM row_ranges WHERE kind = 'entry'")
        let ends = try first("SELECT coalesce(min(id), 0) AS first, coalesce(max(id), -1) AS last FROM balance_transactions")
        guard var id = try ends?.int("first"), let last = try ends?.int("last") else { return }
        // In parts, because a statement has a time limit.
        while id <= last {
            let end = id + Self.entries
            try execute(
                """
                INSERT INTO row_ranges (kind, start, first_id, last_id)
                SELECT 'entry', created_at - created_at % 900, min(id), max(id) FROM balance_transactions WHERE id >= ?1 AND id < ?2
                GROUP BY created_at - created_at % 900 ON CONFLICT (kind, start) DO UPDATE SET last_id = excluded.last_id
                """, [id, end])
            id = end
        }
    }

    private static var entries: Int64 { 200_000 }
}

extension LedgerSession {
    /// Rows that are read, and added to the sums, at once.
    private static var portion: Int { 2_000 }

    /// - Returns: the rows of the log in it; nil = nothing was done, because rows of the day have been let go.
    func rebuildUsage(day: Int64) throws -> Int64? {
        try lockUsage()
        guard try hasWholeLog(of: day) else { return nil }
        try clearUsage(day: day)
        var (seconds, id, count) = (day, Int64.min, Int64(0))
        while true {
            let found = try rows(
                """
                SELECT \(Columns.log) FROM logs WHERE created_at >= ?1 AND created_at < ?2 AND (created_at > ?1 OR id > ?3)
                ORDER BY created_at, id LIMIT ?4
                """, [seconds, day + 86_400, id, Self.portion])
            var ranges = RowRanges()
            var records: [RequestRecord] = []
            for row in found {
                let record = try RecordColumns.record(row)
                (seconds, id) = (record.createdAt, try row.int("id"))
                ranges.add(.log, id: id, createdAt: record.createdAt)
                records.append(record)
            }
            try note(ranges)
            try addSums(records)
            count += Int64(found.count)
            if found.count < Self.portion { break }
        }
        // Rows may have been let go meanwhile, which is noted in the transaction that does it.
        guard try hasWholeLog(of: day) else { throw StoreError.conflict("rows of the log were let go meanwhile; run this again") }
        return count
    }
}
