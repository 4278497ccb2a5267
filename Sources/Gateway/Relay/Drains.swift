import NIOCore
import RouterCore
import Synchronization

/// Upstream calls that are read to their end although their clients have left, to obtain the vendor's figures; limited in number and in
/// time.
///
/// At the limit, the oldest drain of the user with the most drains is cut for the new one, so a user who starts too many displaces only
/// their own. The oldest drain has used most of its time, its remaining information is the least, and an estimate of its charge is the
/// closest to the true figure. No call waits for room.
package final class Drains: Sendable {
    private struct Entry {
        var userID: Int64
        var cut: @Sendable () -> Void
        var timer: Scheduled<Void>
    }

    private struct State {
        /// By increasing number.
        var running: [UInt64: Entry] = [:]
        var next: UInt64 = 0
        var statistics = Statistics()
    }
    private let state = Mutex(State())

    /// Counts since the start, except `running`.
    package struct Statistics: Sendable, Hashable {
        package var running: Int64 = 0
        /// Drains that ended by themselves.
        package var ended: Int64 = 0
        package var outOfTime: Int64 = 0
        /// Drains cut in favour of others, or because there was no room at all.
        package var outOfRoom: Int64 = 0
    }

    package var statistics: Statistics {
        state.withLock { state in
            var statistics = state.statistics
            statistics.running = Int64(state.running.count)
            return statistics
        }
    }

    /// - Parameter cut: ends the upstream call; called at most once, from any thread.
    /// - Returns: the id for ``end(_:)``; nil when there is no room at all, and the call has been cut.
    func begin(
        for userID: Int64, limit: Int, timeout: TimeAmount, on eventLoop: any EventLoop, cut: @escaping @Sendable () -> Void
    ) -> UInt64? {
        let (id, crowded) = state.withLock { state -> (UInt64?, Entry?) in
            guard limit > 0 else {
                state.statistics.outOfRoom += 1
                return (nil, nil)
            }
            var crowded: Entry?
            if state.running.count >= limit { crowded = Self.makeRoom(&state, for: userID) }
            let id = state.next
            state.next += 1
            let timer = eventLoop.scheduleTask(in: timeout) { [weak self] in
                guard let self else { return }
                self.timeIsOver(id)
            }
            state.running[id] = Entry(userID: userID, cut: cut, timer: timer)
            return (id, crowded)
        }
        crowded?.timer.cancel()
        crowded?.cut()
        if id == nil { cut() }
        return id
    }

    /// The call has ended, for whatever reason.
    func end(_ id: UInt64) {
        let entry = state.withLock { state -> Entry? in
            guard let entry = state.running.removeValue(forKey: id) else { return nil }
            state.statistics.ended += 1
            return entry
        }
        entry?.timer.cancel()
    }

    private func timeIsOver(_ id: UInt64) {
        let entry = state.withLock { state -> Entry? in
            guard let entry = state.running.removeValue(forKey: id) else { return nil }
            state.statistics.outOfTime += 1
            return entry
        }
        entry?.cut()
    }

    /// Examines all drains: their number is limited, and this happens only at the limit.
    private static func makeRoom(_ state: inout State, for userID: Int64) -> Entry? {
        var counts: [Int64: Int] = [userID: 1]
        for entry in state.running.values { counts[entry.userID, default: 0] += 1 }
        guard let most = counts.max(by: { ($0.value, $0.key) < ($1.value, $1.key) })?.key,
            let oldest = state.running.filter({ $0.value.userID == most }).keys.min() ?? state.running.keys.min()
        else { return nil }
        state.statistics.outOfRoom += 1
        return state.running.removeValue(forKey: oldest)
    }
}
