/// Sums of the log by quarter hour, which stay when the log's rows go.
public protocol UsageStore: Sendable {
    /// - Returns: a row for each bucket and key with at least one request.
    func usage(_ query: UsageQuery) async throws -> [UsageRow]
    /// No fewer rows than the log has for a filter between two times (Unix seconds).
    func mostLogs(_ query: LogQuery) async throws -> Int64
    /// The same of the ledger.
    func mostEntries(_ query: EntryQuery) async throws -> Int64
    /// The days of UTC (their beginnings, in Unix seconds) for which there are rows of the log or sums, in their order.
    func usageDays() async throws -> [Int64]
    /// Makes the sums of a day anew from the rows of the log, in one transaction.
    /// - Returns: the rows of the log in it; nil = nothing was done, because rows of the day may have been let go.
    func rebuildUsage(day: Int64) async throws -> Int64?
    /// Makes anew what leads from times to rows of the ledger, in one transaction.
    func rebuildEntryRanges() async throws
}
