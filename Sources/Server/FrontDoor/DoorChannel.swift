import Hummingbird
import HummingbirdCore
import Logging
import NIOCore
import NIOHTTPTypesHTTP1
import Synchronization

/// Puts the door in front of Hummingbird's own HTTP/1 channel.
struct DoorChannel: ServerChildChannel {
    struct Value: ServerChildChannelValue {
        let behind: HTTP1Channel.Value
        let gate: HummingbirdGate
        var channel: any NIOCore.Channel { behind.channel }
    }

    let door: FrontDoor
    let behind: HTTP1Channel

    func setup(channel: any NIOCore.Channel, logger: Logger) -> EventLoopFuture<Value> {
        behind.setup(channel: channel, logger: logger).flatMapThrowing { value in
            let pipeline = channel.pipeline.syncOperations
            let gate = HummingbirdGate()
            // Before the parts become swift-http-types: the relay has no need of that.
            let codec = try pipeline.context(handlerType: HTTP1ToHTTPServerCodec.self).handler
            let writer = AnswerWriter()
            try pipeline.addHandler(writer, position: .first)
            try pipeline.addHandler(FrontDoorHandler(door: door, writer: writer, gate: gate), position: .before(codec))
            return Value(behind: value, gate: gate)
        }
    }

    func handle(value: Value, logger: Logger) async {
        await withTaskCancellationHandler {
            await value.gate.opened()
        } onCancel: {
            value.gate.open()
        }
        await behind.handle(value: value.behind, logger: logger)
    }
}

/// Opens with the first request of a connection that is Hummingbird's, and with the connection's end. Until then its tasks, 4 KB of memory
/// per connection, are not set up; most connections carry model calls alone.
final class HummingbirdGate: Sendable {
    private enum State {
        case shut
        case awaited(CheckedContinuation<Void, Never>)
        case open
    }
    private let state = Mutex(State.shut)

    /// Idempotent.
    func open() {
        let waiter = state.withLock { state -> CheckedContinuation<Void, Never>? in
            defer { state = .open }
            if case .awaited(let waiter) = state { return waiter }
            return nil
        }
        waiter?.resume()
    }

    /// One caller.
    func opened() async {
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
