/// Sums of the log by quarter hour, which stay when the log's rows go.
public protocol UsageStore: Sendable {
    /// - Returns: a row for each bucket and key with at least one request.
    func usage(_ query: UsageQuery) async throws -> [UsageRow]
    /// No fewer rows than the log has for a filter between two times (Unix seconds).
    func mostLogs(_ query: LogQuery) async throws -> Int64
    /// The same of the ledger.
    func mostEntries(_ query: EntryQuery) async throws -> Int64
}
