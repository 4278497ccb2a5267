import HTTPTypes
import Hummingbird
import NIOCore
import RouterCore

/// Step 1: who asks, and with which configuration. The key was looked up in memory by the access check; no SQL happened.
struct Accept: Sendable {
    let services: GatewayServices

    private static let sessionName = HTTPField.Name("x-session-id")

    func run(_ request: Request, _ context: GatewayContext, endpoint: Endpoint) throws -> Accepted {
        guard case .key(let principal) = context.principal else {
            throw APIError.invalidKey("You must provide an API key: send it as 'Authorization: Bearer sk-…'.")
        }
        return Accepted(
            requestID: context.requestID, principal: principal, endpoint: endpoint,
            snapshot: services.snapshots.snapshot, receivedAt: context.receivedAt,
            createdAt: services.clock.unixSeconds, clientIP: context.clientIP,
            sessionHeader: Self.sessionName.flatMap { request.headers[$0] },
            presence: services.presences.presence(of: context.channel), eventLoop: context.channel.eventLoop)
    }
}

/// A request that may go on. It keeps the snapshot that it started with.
struct Accepted: Sendable {
    var requestID: RouterCore.RequestID
    var principal: KeyPrincipal
    var endpoint: Endpoint
    var snapshot: GatewaySnapshot
    var receivedAt: MonotonicInstant
    /// Unix seconds.
    var createdAt: Int64
    var clientIP: String
    /// `x-session-id`: what keeps a conversation on one channel.
    var sessionHeader: String?
    var presence: ClientPresence?
    var eventLoop: any EventLoop
}
