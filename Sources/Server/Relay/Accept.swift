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
            sessionHeader: Self.sessionName.flatMap { request.headers[$0] }, betas: betas(request, endpoint),
            presence: services.presences.presence(of: context.channel), eventLoop: context.channel.eventLoop)
    }

    private static let betaName = HTTPField.Name("anthropic-beta")

    /// Only what a list of beta names is made of: nothing else of a client's headers reaches a vendor.
    private func betas(_ request: Request, _ endpoint: Endpoint) -> String {
        guard endpoint == .messages, let name = Self.betaName, let text = request.headers[name], text.utf8.count <= 1_024 else { return "" }
        let isList = text.utf8.allSatisfy { byte in
            (0x30...0x39).contains(byte) || (0x61...0x7A).contains(byte | 0x20) || [0x2C, 0x20, 0x2D, 0x2E, 0x5F].contains(byte)
        }
        return isList ? text : ""
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
    /// Anthropic's betas that the client asked for.
    var betas = ""
    var presence: ClientPresence?
    var eventLoop: any EventLoop
}
