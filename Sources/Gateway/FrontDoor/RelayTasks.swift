import Synchronization

/// Owns the tasks of running model calls, even after their clients have left. A graceful shutdown waits here until the last one has
/// settled.
package final class RelayTasks: Sendable {
    private struct State {
        var running = 0
        var waiters: [CheckedContinuation<Void, Never>] = []
    }
    private let state = Mutex(State())

    package var count: Int { state.withLock { $0.running } }

    /// - Parameter executor: where the call runs; nil = the shared thread pool, for work that would block an event loop for too long.
    func start(on executor: LoopExecutor?, _ body: @escaping @Sendable () async -> Void) {
        state.withLock { $0.running += 1 }
        // OWNER: this object; `drained()` waits for the task, and the time limits of the call and the transport's shutdown bound it.
        Task(executorPreference: executor) {
            await body()
            self.ended()
        }
    }

    private func ended() {
        let waiters = state.withLock { state -> [CheckedContinuation<Void, Never>] in
            state.running -= 1
            guard state.running == 0 else { return [] }
            defer { state.waiters = [] }
            return state.waiters
        }
        for waiter in waiters { waiter.resume() }
    }

    /// Returns when no call is running.
    package func drained() async {
        await withCheckedContinuation { continuation in
            let isIdle = state.withLock { state in
                if state.running > 0 { state.waiters.append(continuation) }
                return state.running == 0
            }
            if isIdle { continuation.resume() }
        }
    }
}
