import RouterCore
import Synchronization

/// Journaled settlements on their way to the ledger, in memory. The journal has them too, so nothing is lost when the queue is full.
final class PostingQueue: Sendable {
    private struct State {
        var records: [RequestRecord] = []
        /// Whether some records are in the journal only: those of an earlier life at first, and those that came while the queue was full.
        var mustReadJournal = true
    }
    private let state = Mutex(State())

    /// Maximum number of records in memory while the ledger is unreachable.
    private static let limit = 10_000

    func add(_ record: RequestRecord) {
        state.withLock { state in
            if state.records.count < Self.limit { state.records.append(record) } else { state.mustReadJournal = true }
        }
    }

    /// The next group; nil = read the journal. A group stays until ``remove(_:)``, so that a failed posting is retried.
    func first(_ count: Int) -> [RequestRecord]? {
        state.withLock { state in
            if state.mustReadJournal { return nil }
            return Array(state.records.prefix(count))
        }
    }

    /// The ledger has stored these.
    func remove(_ ids: [RequestID]) {
        let gone = Set(ids)
        state.withLock { state in
            // Usually these are the head of the queue; after the journal was read they may be anywhere.
            if state.records.prefix(ids.count).allSatisfy({ gone.contains($0.requestID) }) {
                state.records.removeFirst(min(ids.count, state.records.count))
            } else {
                state.records.removeAll { gone.contains($0.requestID) }
            }
        }
    }

    /// The journal has been read to its end. Records that were added in the meantime are in the queue, or, if it was full, in a part of the
    /// journal that is read again.
    func journalIsEmpty() { state.withLock { $0.mustReadJournal = $0.records.count >= Self.limit } }
}
