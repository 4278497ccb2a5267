public import RouterCore

/// The local crash-safe record of the holds of requests and of how the requests ended. It is separate from the ledger so that a request
/// never waits for the ledger's database.
///
/// A call returns when its record survives the failure that the journal was opened for: `kill -9`, or loss of power.
public protocol Journal: Sendable {
    /// Called before the first upstream byte is requested.
    func hold(_ record: HoldRecord) async throws
    /// Called before the last byte reaches the client. Replaces the hold of the same request. A second settlement of a request is ignored.
    func settle(_ record: RequestRecord) async throws
    /// Records the progress of a request for the case of a crash. The call does not wait and reports no failure: a later record supersedes
    /// this one.
    func progress(_ record: ProgressRecord)
    /// Settled requests that have not been cleared, in the order of their settlement, at most `limit`.
    func settled(limit: Int) async throws -> [RequestRecord]
    /// Forgets requests that are in the ledger now.
    func clear(_ ids: [RequestID]) async throws
    /// Records a credit that is in the ledger, for restoring the ledger from a backup: ``LedgerReplay`` lists the credits that the backup
    /// lacks.
    func note(_ credit: LedgerEntry) async throws
    /// Holds without an end, found at start-up: requests that were running when the process died, with their last progress.
    func orphans() async throws -> [(hold: HoldRecord, progress: ProgressRecord?)]
    /// The owner of this journal: the id stays the same across restarts, the epoch rises at every start.
    var identity: (gatewayID: String, epoch: Int64) { get }
    /// The life that writes this journal, and the earlier ones.
    var lives: JournalLives { get }
    /// Begins another life in the same process, because the present one has lost its right to lease.
    /// - Parameter asNewGateway: the new life gets a new gateway id, because the old one has been taken over.
    func beginLife(asNewGateway: Bool) async throws
    /// Bytes that the journal takes up on the disk.
    var size: Int64 { get }
    func close() async throws
}
