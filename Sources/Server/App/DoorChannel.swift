import Gateway
import Hummingbird
import HummingbirdCore
import Logging
import NIOCore
import NIOHTTPTypesHTTP1

/// Puts the door in front of Hummingbird's own HTTP/1 channel.
struct DoorChannel: ServerChildChannel {
    struct Value: ServerChildChannelValue {
        let behind: HTTP1Channel.Value
        let gate: PassingGate
        var channel: any NIOCore.Channel { behind.channel }
    }

    let door: FrontDoor
    let behind: HTTP1Channel

    func setup(channel: any NIOCore.Channel, logger: Logger) -> EventLoopFuture<Value> {
        behind.setup(channel: channel, logger: logger).flatMapThrowing { value in
            let pipeline = channel.pipeline.syncOperations
            let gate = PassingGate()
            // Placed before the conversion to swift-http-types, which the relay does not need.
            let codec = try pipeline.context(handlerType: HTTP1ToHTTPServerCodec.self).handler
            try door.addHandlers(to: pipeline, before: codec, gate: gate)
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
