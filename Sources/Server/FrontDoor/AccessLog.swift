import HTTPTypes
import Logging
import Platform
import RouterCore

/// The one line and the one count for each request, whoever served it.
struct AccessLog: Sendable {
    let services: GatewayServices

    static let requestIDHeader = HTTPField.Name("X-Request-Id")!

    func write(
        method: String, route: String, status: Int, receivedAt: MonotonicInstant, requestID: RouterCore.RequestID, clientIP: String
    ) {
        services.metrics.request(route: route, status: status)
        let elapsed = receivedAt.duration(to: services.clock.monotonic)
        services.logger.info(
            "request",
            metadata: [
                "method": "\(method)", "route": "\(route)", "status": "\(status)", "ms": "\(elapsed / .milliseconds(1))",
                "request_id": "\(requestID)", "ip": "\(clientIP)",
            ])
    }
}
