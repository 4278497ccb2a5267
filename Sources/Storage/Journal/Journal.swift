public import RouterCore

/// The local crash-safe record of what requests hold and how they ended. Kept apart from the ledger so that a
/// request never waits for the ledger's database.
///
/// A call returns when its record survives what the journal was opened for: `kill -9`, or loss of power.
public protocol Journal: Sendable {
    /// Before the first upstream byte is asked for.
    func hold(_ record: HoldRecord) async throws
    /// Before the last byte reaches the client. Replaces the hold of the same request. A second settlement of a
    /// request is ignored.
    func settle(_ record: RequestRecord) async throws
    /// How far a request has come, so that a crash does not forget it. Nobody waits for it, and nobody hears of a failure: a
    /// later word says the same and more.
    func progress(_ record: ProgressRecord)
    /// Settled requests in the order of their settlement, not yet cleared, at most `limit`.
    func settled(limit: Int) async throws -> [RequestRecord]
    /// Forgets requests that the ledger has now.
    func clear(_ ids: [RequestID]) async throws
    /// Notes a credit that the ledger has, for whoever has to restore the ledger from a backup: ``LedgerReplay`` lists those that it lacks.
    func note(_ credit: LedgerEntry) async throws
    /// Holds without an end, found at start-up: requests that were running when the process died, with how far they had come.
    func orphans() async throws -> [(hold: HoldRecord, progress: ProgressRecord?)]
    /// Who keeps this journal: the same id over restarts, a higher epoch at every start.
    var identity: (gatewayID: String, epoch: Int64) { get }
    /// The life that writes this journal, and those that have.
    var lives: JournalLives { get }
    /// Begins another life in the same process, because the present one may not lease any more.
    /// - Parameter asNewGateway: with an id of its own, because the old one is another's.
    func beginLife(asNewGateway: Bool) async throws
    /// Bytes that the journal takes up on the disk.
    var size: Int64 { get }
    func close() async throws
}
