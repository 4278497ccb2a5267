import GatewayState
import NIOCore
import RouterCore

/// A request with a valid key. It keeps the snapshot that it started with.
final class Accepted: Sendable {
    let request: ClientRequest
    let principal: KeyPrincipal
    let snapshot: GatewaySnapshot
    /// Unix seconds.
    let createdAt: Int64
    /// `x-session-id` or an agent's own header: keeps a conversation on one channel.
    let sessionHeader: String?
    /// Anthropic's betas that the client requested.
    let betas: String

    init(
        request: ClientRequest, principal: KeyPrincipal, snapshot: GatewaySnapshot, createdAt: Int64, sessionHeader: String?, betas: String
    ) {
        self.request = request
        self.principal = principal
        self.snapshot = snapshot
        self.createdAt = createdAt
        self.sessionHeader = sessionHeader
        self.betas = betas
    }

    /// The same request without its client, who need not be there any more.
    func behind(_ presence: ClientPresence) -> Accepted {
        var request = request
        request.presence = presence
        return Accepted(
            request: request, principal: principal, snapshot: snapshot, createdAt: createdAt, sessionHeader: sessionHeader, betas: betas)
    }

    var requestID: RequestID { request.requestID }
    var endpoint: Endpoint { request.endpoint }
    var receivedAt: MonotonicInstant { request.receivedAt }
    var clientIP: String { request.clientIP }
    var presence: ClientPresence { request.presence }
    var eventLoop: any EventLoop { request.eventLoop }
}
