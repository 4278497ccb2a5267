import CPlatform
import Config
import Gateway
import Hummingbird
import Logging
import NIOCore
import ServiceLifecycle
import Transport

/// The HTTP server as a service with a bounded drain.
struct HTTPService: Service {
    let door: FrontDoor
    let router: @Sendable () -> Hummingbird.Router<GatewayContext>
    let settings: GatewayConfiguration.Server
    let transport: UpstreamSwitch
    let relays: RelayTasks
    let logger: Logger
    private static let acceptedInATurn: UInt = 64

    func run() async throws {
        // Each call takes two: its client and its vendor.
        apir_raise_descriptor_limit()
        let application = door.application(behind: router(), host: settings.host, port: settings.port, logger: logger) { channel in
            let port = channel.localAddress?.port ?? settings.port
            // By default four in a turn of the loop: while that has much to do, new clients would wait for seconds.
            try? await channel.setOption(ChannelOptions.maxMessagesPerRead, value: Self.acceptedInATurn).get()
            try? await channel.pipeline.addHandler(AcceptGuard(logger: logger), position: .first).get()
            logger.notice("serving", metadata: ["address": "http://\(settings.host):\(port)"])
        }
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                try await application.run()
                // Calls whose client has left may still have to hear what they cost.
                await relays.drained()
            }
            group.addTask {
                // Runs only from the signal on: when the time to drain is over, upstream calls are ended, which ends
                // the streams that wait for them, each with its settlement.
                try await gracefulShutdown()
                try await Task.sleep(for: settings.drainTimeout)
                logger.warning("drain timeout: ending the requests that still run")
                await transport.shutdown()
                try await Task.sleep(for: .seconds(3600))
            }
            try await group.next()
            group.cancelAll()
        }
    }
}
