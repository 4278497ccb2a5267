import Transport
import Config
import Hummingbird
import HummingbirdCore
import Logging
import NIOCore
import ServiceLifecycle

/// The HTTP server as a service with a bounded drain.
struct HTTPService: Service {
    let gateway: Gateway

    func run() async throws {
        let server = gateway.configuration.server
        let services = gateway.services
        let logger = services.logger
        let presences = services.presences
        let application = Application(
            router: buildRouter(services),
            server: .http1(
                configuration: HTTP1Channel.Configuration(
                    additionalChannelHandlers: [ClientPresenceHandler(registry: presences)],
                    idleTimeout: .seconds(120))),
            configuration: ApplicationConfiguration(
                address: .hostname(server.host, port: server.port), serverName: nil, backlog: 1024),
            onServerRunning: { channel in
                let port = channel.localAddress?.port ?? server.port
                logger.notice("serving", metadata: ["address": "http://\(server.host):\(port)"])
            },
            logger: Self.quiet(logger))
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await application.run() }
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

    /// Hummingbird's own lines (bound address, lost connections) are debugging matter; ours say the same once.
    private static func quiet(_ logger: Logger) -> Logger {
        var quiet = logger
        quiet.logLevel = max(logger.logLevel, .warning)
        return quiet
    }
}
