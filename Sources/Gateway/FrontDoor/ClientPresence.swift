import Synchronization

/// Whether the client of one connection is still there, for whoever works on its current request.
///
/// A lost client shows only when a write fails, which is too late for an answer that is not written yet. The ``FrontDoorHandler`` sees the
/// connection close and calls the one action that is registered.
final class ClientPresence: Sendable {
    private struct State {
        var isGone = false
        /// Whose action it is: one request's, while a connection lives through many.
        var owner: ObjectIdentifier?
        var action: (@Sendable () -> Void)?
    }
    private let state = Mutex(State())

    var isGone: Bool { state.withLock { $0.isGone } }

    /// Registers what to do when the client leaves; runs it at once when it has left already. One action at a time:
    /// a connection works on one request at a time.
    func onGone(_ owner: AnyObject, _ action: @escaping @Sendable () -> Void) {
        let runNow = state.withLock { state in
            if state.isGone { return true }
            state.owner = ObjectIdentifier(owner)
            state.action = action
            return false
        }
        if runNow { action() }
    }

    /// The owner's request is over; forget its action, if it has not been replaced by that of the next one.
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
