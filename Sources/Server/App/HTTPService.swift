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
        // Each call needs two descriptors: one for the client and one for the vendor.
        apir_raise_descriptor_limit()
        let application = door.application(behind: router(), host: settings.host, port: settings.port, logger: logger) { channel in
            let port = channel.localAddress?.port ?? settings.port
            // The default is four per iteration of the event loop: on a busy loop, new clients would wait for seconds.
            try? await channel.setOption(ChannelOptions.maxMessagesPerRead, value: Self.acceptedInATurn).get()
            try? await channel.pipeline.addHandler(AcceptGuard(logger: logger), position: .first).get()
            logger.notice("serving", metadata: ["address": "http://\(settings.host):\(port)"])
        }
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                try await application.run()
                // Calls whose client has left may still be waiting for their usage.
                await relays.drained()
            }
            group.addTask {
                // Runs only after the signal: when the drain time is over, upstream calls are ended, which ends the streams that wait for
                // them, each with its settlement.
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
