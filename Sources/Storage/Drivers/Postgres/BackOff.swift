import Synchronization

/// After a failed connection the next one is not tried at once: 100 ms, doubled up to 5 s, shared by all connections of a pool.
final class BackOff: Sendable {
    private struct State {
        var wait = Duration.zero
        var notBefore: ContinuousClock.Instant?
        var message = ""
    }
    private let state = Mutex(State())

    func check() throws(SQLFailure) {
        let message = state.withLock { state -> String? in
            guard let instant = state.notBefore, ContinuousClock.now < instant else { return nil }
            return state.message
        }
        if let message { throw .lost(message) }
    }

    func succeeded() { state.withLock { $0 = State() } }

    func failed(_ message: String) {
        state.withLock { state in
            state.wait = state.wait == .zero ? .milliseconds(100) : min(state.wait * 2, .seconds(5))
            state.notBefore = .now + state.wait
            state.message = message
        }
    }
}
