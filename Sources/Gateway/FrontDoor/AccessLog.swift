package import HTTPTypes
package import Logging
package import Platform
package import RouterCore

/// Writes one log line and one count for each request, whichever part served it.
package final class AccessLog: Sendable {
    private let metrics: GatewayMetrics
    private let clock: ServerClock
    private let logger: Logger

    package init(metrics: GatewayMetrics, clock: ServerClock, logger: Logger) {
        self.metrics = metrics
        self.clock = clock
        self.logger = logger
    }

    package static let requestIDHeader = HTTPField.Name("X-Request-Id")!

    package func write(
        method: String, route: String, status: Int, receivedAt: MonotonicInstant, requestID: RequestID, clientIP: String
    ) {
        metrics.request(route: route, status: status)
        let elapsed = receivedAt.duration(to: clock.monotonic)
        logger.info(
            "request",
            metadata: [
                "method": "\(method)", "route": "\(route)", "status": "\(status)", "ms": "\(elapsed / .milliseconds(1))",
                "request_id": "\(requestID)", "ip": "\(clientIP)",
            ])
    }
}
