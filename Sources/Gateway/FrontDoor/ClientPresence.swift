import Synchronization

/// Whether the client of one connection is still connected, for the code that processes its current request.
///
/// Otherwise a disconnect is noticed only when a write fails, which is too late for an answer that has not been written yet. The
/// ``FrontDoorHandler`` sees the connection close and runs the registered action.
final class ClientPresence: Sendable {
    private struct State {
        var isGone = false
        /// The request that the action belongs to; a connection serves many requests.
        var owner: ObjectIdentifier?
        var action: (@Sendable () -> Void)?
    }
    private let state = Mutex(State())

    var isGone: Bool { state.withLock { $0.isGone } }

    /// Registers an action for the client's disconnect; runs it at once when the client has already disconnected. One action at a time,
    /// because a connection processes one request at a time.
    func onGone(_ owner: AnyObject, _ action: @escaping @Sendable () -> Void) {
        let runNow = state.withLock { state in
            if state.isGone { return true }
            state.owner = ObjectIdentifier(owner)
            state.action = action
            return false
        }
        if runNow { action() }
    }

    /// The owner's request is over: forgets its action, unless that of the next request has replaced it.
    func clear(_ owner: AnyObject) {
        state.withLock { state in
            guard state.owner == ObjectIdentifier(owner) else { return }
            state.owner = nil
            state.action = nil
        }
    }

    func leave() {
        let action = state.withLock { state -> (@Sendable () -> Void)? in
            state.isGone = true
            defer { state.action = nil }
            return state.action
        }
        action?()
    }
}
