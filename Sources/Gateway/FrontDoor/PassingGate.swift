import Synchronization

/// Opens with the first request of a connection that is passed on, or when the connection closes. Until then the tasks of the server
/// behind, which need 4 KB of memory per connection, are not started; most connections carry only model calls.
package final class PassingGate: Sendable {
    private enum State {
        case shut
        case awaited(CheckedContinuation<Void, Never>)
        case open
    }
    private let state = Mutex(State.shut)

    package init() {}

    /// Idempotent.
    package func open() {
        let waiter = state.withLock { state -> CheckedContinuation<Void, Never>? in
            defer { state = .open }
            if case .awaited(let waiter) = state { return waiter }
            return nil
        }
        waiter?.resume()
    }

    /// Waits until the gate is open. Only one caller.
    package func opened() async {
        await withCheckedContinuation { continuation in
            let isOpen = state.withLock { state in
                if case .open = state { return true }
                state = .awaited(continuation)
                return false
            }
            if isOpen { continuation.resume() }
        }
    }
}
