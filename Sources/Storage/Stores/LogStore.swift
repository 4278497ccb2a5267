public import RouterCore

public protocol LogStore: Sendable {
    /// Charges and upstream costs by model and channel, for requests of a time range (Unix seconds).
    func margins(in range: Range<Int64>) async throws -> [MarginRow]
    /// Sum of what a provider said that requests cost, by day (UTC), for comparison with its bill.
    func upstreamCosts(provider: String, in range: Range<Int64>) async throws -> [DailyCost]
    /// The last request of a user whose answer had this id, or whose vendor called it so.
    func log(answerID: String, userID: Int64) async throws -> LogRow?
    func logs(_ query: LogQuery) async throws -> Page<LogRow>
    func logStatistics(_ query: LogQuery) async throws -> LogStatistics
}
