import Config
import GatewayState
import NIOCore
import Platform
import RouterCore

/// Step 1: identifies the key and takes the configuration. Keys are looked up in memory, without SQL.
struct Accept: Sendable {
    let keyCheck: KeyCheck
    let snapshots: SnapshotHolder
    let clock: ServerClock

    /// - Throws: ``APIError``: no valid key, or a body that would be refused in any case.
    func run(_ request: ClientRequest) throws -> Accepted {
        let principal =
            if let caller = request.playground {
                try keyCheck.principal(session: caller.session.get())
            } else {
                try keyCheck.principal(presented: request.presentedKey, clientIP: request.clientIP)
            }
        let snapshot = snapshots.snapshot
        if let encoding = request.header("content-encoding"), encoding.lowercased() != "identity" {
            throw APIError.badRequest("Content-Encoding '\(encoding)' is not accepted; send the body uncompressed", param: nil)
        }
        let limit = snapshot.configuration.server.maxBodyBytes
        if let announced = request.header("content-length").flatMap(Int.init), announced > limit { throw APIError.bodyTooLarge(limit) }
        return Accepted(
            request: request, principal: principal, snapshot: snapshot, createdAt: clock.unixSeconds,
            sessionHeader: session(request), betas: betas(request))
    }

    /// The conversation that a header names: ours, or the one of Claude Code or Codex, which are looked for in their dialects only.
    private func session(_ request: ClientRequest) -> String? {
        if let session = request.header("x-session-id") { return session }
        switch request.endpoint.dialect {
        case .messages: return request.header("x-claude-code-session-id")
        case .responses: return request.header("session-id")
        case .chat, .gemini: return nil
        }
    }

    /// Keeps only the characters of a list of beta names: no other part of a client's headers reaches a vendor.
    private func betas(_ request: ClientRequest) -> String {
        guard request.endpoint.dialect == .messages, let text = request.header("anthropic-beta"), text.utf8.count <= 1_024 else {
            return ""
        }
        let isList = text.utf8.allSatisfy { byte in
            (0x30...0x39).contains(byte) || (0x61...0x7A).contains(byte | 0x20) || [0x2C, 0x20, 0x2D, 0x2E, 0x5F].contains(byte)
        }
        return isList ? text : ""
    }
}
