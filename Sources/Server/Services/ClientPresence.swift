import NIOCore
import Synchronization

/// Whether the client of one connection is still there, for whoever works on its current request.
///
/// Hummingbird tells a handler of a lost client only when a write fails, which is too late for an answer that is not
/// written yet. The channel handler below sees the connection close and calls the one action that is registered.
final class ClientPresence: Sendable {
    private struct State {
        var isGone = false
        var action: (@Sendable () -> Void)?
    }
    private let state = Mutex(State())

    var isGone: Bool { state.withLock { $0.isGone } }

    /// Registers what to do when the client leaves; runs it at once when it has left already. One action at a time:
    /// a connection works on one request at a time.
    func onGone(_ action: @escaping @Sendable () -> Void) {
        let runNow = state.withLock { state in
            if state.isGone { return true }
            state.action = action
            return false
        }
        if runNow { action() }
    }

    /// The request is over; forget its action.
    func clear() { state.withLock { $0.action = nil } }

    fileprivate func leave() {
        let action = state.withLock { state -> (@Sendable () -> Void)? in
            state.isGone = true
            defer { state.action = nil }
            return state.action
        }
        action?()
    }
}

/// Finds the presence of a connection by its channel. Entries live exactly as long as connections.
final class ClientPresenceRegistry: Sendable {
    private let presences = Mutex<[ObjectIdentifier: ClientPresence]>([:])

    func presence(of channel: any Channel) -> ClientPresence? {
        let key = ObjectIdentifier(channel)
        return presences.withLock { $0[key] }
    }

    var count: Int { presences.withLock { $0.count } }

    fileprivate func add(_ channel: any Channel) -> ClientPresence {
        let presence = ClientPresence()
        let key = ObjectIdentifier(channel)
        presences.withLock { $0[key] = presence }
        return presence
    }

    fileprivate func remove(_ channel: any Channel) {
        let key = ObjectIdentifier(channel)
        presences.withLock { $0[key] = nil }
    }
}

/// Sits in every client connection. A half-closed connection counts as gone: no client of an HTTP API shuts its sending side down
/// and still waits for an answer, but many libraries close that way.
final class ClientPresenceHandler: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = Any
    private let registry: ClientPresenceRegistry
    private var presence: ClientPresence?

    init(registry: ClientPresenceRegistry) { self.registry = registry }

    func handlerAdded(context: ChannelHandlerContext) { presence = registry.add(context.channel) }

    func handlerRemoved(context: ChannelHandlerContext) {
        presence?.leave()
        registry.remove(context.channel)
    }

    func channelInactive(context: ChannelHandlerContext) {
        presence?.leave()
        context.fireChannelInactive()
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case .inputClosed = event as? ChannelEvent { presence?.leave() }
        context.fireUserInboundEventTriggered(event)
    }
}
