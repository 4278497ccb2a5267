public import RouterCore

public protocol LogStore: Sendable {
    /// Charges and upstream costs by model and channel, for requests of a time range (Unix seconds).
    func margins(in range: Range<Int64>) async throws -> [MarginRow]
    /// Sum of what a provider said that requests cost, by day (UTC), for comparison with its bill.
    func upstreamCosts(provider: String, in range: Range<Int64>) async throws -> [DailyCost]
    /// The last request of a user whose answer had this id, or whose vendor called it so.
    func log(answerID: String, userID: Int64) async throws -> LogRow?
    func logs(_ query: LogQuery) async throws -> Page<LogRow>
    /// The newest rows before an id that meet the query, whose page says how many; it is no page by number. In order of ids.
    func logs(_ query: LogQuery, before: Int64) async throws -> CursorPage<LogRow>
    /// Names of users and keys, and the owners of the keys.
    func names(tokens: Set<Int64>, users: Set<Int64>) async throws -> RecordNames
    /// Deletes some of the rows whose requests began before a time (Unix seconds), and notes the time: see ``logsLetGo()``. Rows whose
    /// charges wait for a correction stay.
    /// - Returns: how many were deleted.
    func letGoLogs(before limit: Int64, most: Int) async throws -> Int
    /// The time (Unix seconds) before which rows may have been deleted; nil = none were.
    func logsLetGo() async throws -> Int64?
    func logStatistics(_ query: LogQuery) async throws -> LogStatistics
}
