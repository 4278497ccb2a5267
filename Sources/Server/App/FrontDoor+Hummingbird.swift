import Gateway
import Hummingbird
import HummingbirdCore
import Logging
import NIOCore

extension FrontDoor {
    /// The whole application: this door, and behind it the routes that are not model calls.
    func application(
        behind router: Hummingbird.Router<GatewayContext>, host: String, port: Int, logger: Logger,
        onServerRunning: @escaping @Sendable (any NIOCore.Channel) async -> Void = { _ in }
    ) -> Application<RouterResponder<GatewayContext>> {
        var quiet = logger
        // Hummingbird's own log lines (bound address, lost connections) are for debugging; the gateway logs the same events itself.
        quiet.logLevel = max(logger.logLevel, .warning)
        return Application(
            router: router,
            server: HTTPServerBuilder { responder in
                DoorChannel(door: self, behind: HTTP1Channel(responder: responder, configuration: Self.channelConfiguration))
            },
            configuration: ApplicationConfiguration(address: .hostname(host, port: port), serverName: nil, backlog: 1024),
            onServerRunning: onServerRunning, logger: quiet)
    }

    private static let channelConfiguration = HTTP1Channel.Configuration(
        httpDecoderConfiguration: .init(
            maxHeaderFieldSize: DoorLimits.headBytes, maxHeaderListSize: DoorLimits.headBytes, maxHeaderFieldCount: 256))
}
