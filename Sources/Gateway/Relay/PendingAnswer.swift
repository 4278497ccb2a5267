import NIOCore
import RouterCore
import Synchronization

/// The attempts of a streamed request until first content, in a task separate from the one that answers the client, so that the client's
/// connection can be kept alive with comments in the meantime.
///
/// The owner awaits ``result(within:)`` until it has the result. If the owner is released before that, the attempts are stopped, and the
/// shared settlement records what was in progress.
final class PendingAnswer: Sendable {
    /// Shared with the task, which must not keep the owner alive.
    private final class Slot: Sendable {
        struct State {
            var result: Attempt.Result?
            var waiter: CheckedContinuation<Attempt.Result?, Never>?
        }
        let state = Mutex(State())

        func deliver(_ result: Attempt.Result) {
            let waiter = state.withLock { state in
                state.result = result
                defer { state.waiter = nil }
                return state.waiter
            }
            waiter?.resume(returning: result)
        }

        /// The time has passed without a result.
        func giveUp() {
            let waiter = state.withLock { state in
                defer { state.waiter = nil }
                return state.waiter
            }
            waiter?.resume(returning: nil)
        }
    }

    private let slot = Slot()
    private let settlement: Settlement
    private let task: Task<Void, Never>

    init(_ attempt: Attempt, _ settlement: Settlement, _ executor: LoopExecutor?) {
        self.settlement = settlement
        let slot = slot
        // OWNER: this value; the task is awaited in `result(within:)`, or stopped by `deinit`, and the transport's shutdown ends what it
        // waits for.
        task = Task(executorPreference: executor) { slot.deliver(await attempt.run(settlement)) }
    }

    deinit {
        // Has no effect when the result has been taken.
        let isOpen = slot.state.withLock { $0.result == nil }
        if isOpen { settlement.leaving.abandon() }
    }

    /// - Parameter limit: nil = unlimited; the attempts have their own deadline.
    /// - Returns: nil when the time passes first. One caller at a time.
    func result(within limit: Duration?) async -> Attempt.Result? {
        let timer = limit.map { limit in
            settlement.admission.accepted.eventLoop.scheduleTask(in: TimeAmount(limit)) { [slot] in slot.giveUp() }
        }
        defer { timer?.cancel() }
        return await withCheckedContinuation { continuation in
            let result = slot.state.withLock { state in
                if state.result == nil { state.waiter = continuation }
                return state.result
            }
            if let result { continuation.resume(returning: result) }
        }
    }
}
