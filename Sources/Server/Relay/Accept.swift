import Config
import GatewayState
import NIOCore
import Platform
import RouterCore

/// Step 1: who asks, and with which configuration. The key was looked up in memory by the access check; no SQL happened.
struct Accept: Sendable {
    let services: GatewayServices

    /// - Throws: ``APIError``: no valid key, or a body that would be refused anyway.
    func run(_ request: ClientRequest) throws -> Accepted {
        let principal = try AccessCheck(services: services).key(
            bearer: request.header("authorization"), other: request.otherKey, clientIP: request.clientIP)
        let snapshot = services.snapshots.snapshot
        if let encoding = request.header("content-encoding"), encoding.lowercased() != "identity" {
            throw APIError.badRequest("Content-Encoding '\(encoding)' is not accepted; send the body uncompressed", param: nil)
        }
        let limit = snapshot.configuration.server.maxBodyBytes
        if let announced = request.header("content-length").flatMap(Int.init), announced > limit { throw APIError.bodyTooLarge(limit) }
        return Accepted(
            request: request, principal: principal, snapshot: snapshot, createdAt: services.clock.unixSeconds,
            sessionHeader: request.header("x-session-id"), betas: betas(request))
    }

    /// Only what a list of beta names is made of: nothing else of a client's headers reaches a vendor.
    private func betas(_ request: ClientRequest) -> String {
        guard request.endpoint == .messages, let text = request.header("anthropic-beta"), text.utf8.count <= 1_024 else { return "" }
        let isList = text.utf8.allSatisfy { byte in
            (0x30...0x39).contains(byte) || (0x61...0x7A).contains(byte | 0x20) || [0x2C, 0x20, 0x2D, 0x2E, 0x5F].contains(byte)
        }
        return isList ? text : ""
    }
}

/// A request that may go on. It keeps the snapshot that it started with.
final class Accepted: Sendable {
    let request: ClientRequest
    let principal: KeyPrincipal
    let snapshot: GatewaySnapshot
    /// Unix seconds.
    let createdAt: Int64
    /// `x-session-id`: what keeps a conversation on one channel.
    let sessionHeader: String?
    /// Anthropic's betas that the client asked for.
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

    var requestID: RouterCore.RequestID { request.requestID }
    var endpoint: Endpoint { request.endpoint }
    var receivedAt: MonotonicInstant { request.receivedAt }
    var clientIP: String { request.clientIP }
    var presence: ClientPresence { request.presence }
    var eventLoop: any EventLoop { request.eventLoop }
}
