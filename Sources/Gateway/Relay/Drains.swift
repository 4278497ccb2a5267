import NIOCore
import RouterCore
import Synchronization

/// Upstream calls that are read on although their clients have left, so that the vendor's figures are known: bounded in
/// number and in time.
///
/// When there are as many as there may be, the oldest of the user who has the most is cut for the new one: whoever crowds out answers
/// crowds out his own. The oldest has had the most of its time, what it has still to tell is the least, and what it is charged by estimate
/// is the closest to what it would have been. Nobody waits for room.
package final class Drains: Sendable {
    private struct Entry {
        var userID: Int64
        var cut: @Sendable () -> Void
        var timer: Scheduled<Void>
    }

    private struct State {
        /// By their numbers, which rise.
        var running: [UInt64: Entry] = [:]
        var next: UInt64 = 0
        var statistics = Statistics()
    }
    private let state = Mutex(State())

    /// Since the start, but for `running`.
    package struct Statistics: Sendable, Hashable {
        package var running: Int64 = 0
        /// Ended by themselves.
        package var ended: Int64 = 0
        package var outOfTime: Int64 = 0
        /// Cut for others, or for want of any room.
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
    /// - Returns: what to give to ``end(_:)``; nil when there is no room at all, and the call has been cut.
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

    /// The call has ended, whatever ended it.
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

    /// Looks through all of them: their number is bounded, and this happens only when it is reached.
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
