import CPlatform
import Config
import Hummingbird
import Logging
import NIOCore
import ServiceLifecycle
import Transport

/// The HTTP server as a service with a bounded drain.
struct HTTPService: Service {
    let gateway: Gateway
    private static let acceptedInATurn: UInt = 64

    func run() async throws {
        // Each call takes two.
        apir_raise_descriptor_limit()
        let server = gateway.configuration.server
        let services = gateway.services
        let logger = services.logger
        let application = FrontDoor(services: services).application(host: server.host, port: server.port) { channel in
            let port = channel.localAddress?.port ?? server.port
            // By default four in a turn of the loop: while that has much to do, new clients would wait for seconds.
            try? await channel.setOption(ChannelOptions.maxMessagesPerRead, value: Self.acceptedInATurn).get()
            try? await channel.pipeline.addHandler(AcceptGuard(logger: logger), position: .first).get()
            logger.notice("serving", metadata: ["address": "http://\(server.host):\(port)"])
        }
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                try await application.run()
                // Calls whose client has left may still have to hear what they cost.
                await services.relays.drained()
            }
            group.addTask {
                // Runs only from the signal on: when the time to drain is over, upstream calls are ended, which ends
                // the streams that wait for them, each with its settlement.
                try await gracefulShutdown()
                try await Task.sleep(for: server.drainTimeout)
                logger.warning("drain timeout: ending the requests that still run")
                await gateway.transport.shutdown()
                try await Task.sleep(for: .seconds(3600))
            }
            try await group.next()
            group.cancelAll()
        }
    }
}
