import RouterCore
import Synchronization

/// Journaled settlements on their way to the ledger, in memory: the journal has them too, so nothing is lost when they do not fit.
final class PostingQueue: Sendable {
    private struct State {
        var records: [RequestRecord] = []
        /// Some are in the journal only: those of an earlier life at first, and what came while the queue was full.
        var mustReadJournal = true
    }
    private let state = Mutex(State())

    /// While the ledger is away only this many wait in memory.
    private static let limit = 10_000

    func add(_ record: RequestRecord) {
        state.withLock { state in
            if state.records.count < Self.limit { state.records.append(record) } else { state.mustReadJournal = true }
        }
    }

    /// The next group; nil = read the journal. A group stays until ``remove(_:)``, so that a failed posting is tried again.
    func first(_ count: Int) -> [RequestRecord]? {
        state.withLock { state in
            if state.mustReadJournal { return nil }
            return Array(state.records.prefix(count))
        }
    }

    /// The ledger has these now.
    func remove(_ ids: [RequestID]) {
        let gone = Set(ids)
        state.withLock { state in
            // Mostly the head of the queue; after a look into the journal anything.
            if state.records.prefix(ids.count).allSatisfy({ gone.contains($0.requestID) }) {
                state.records.removeFirst(min(ids.count, state.records.count))
            } else {
                state.records.removeAll { gone.contains($0.requestID) }
            }
        }
    }

    /// The journal has been read to its end. What was added meanwhile is in the queue, or in a part of the journal that is read again when
    /// it did not fit.
    func journalIsEmpty() { state.withLock { $0.mustReadJournal = $0.records.count >= Self.limit } }
}
