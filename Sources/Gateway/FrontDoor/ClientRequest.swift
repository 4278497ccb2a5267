import Adaptors
import HTTPTypes
import NIOCore
import NIOHTTP1
import RouterCore

/// The head of a model call, as the client sent it, with what the gateway knows of it from the start.
struct ClientRequest: Sendable {
    var requestID: RequestID
    var receivedAt: MonotonicInstant
    var endpoint: Endpoint
    /// Its tokens are to be counted, no vendor is to be asked.
    var isCount = false
    /// The template of the route, for metrics and the log.
    var route: String
    /// Without the query.
    var path: String
    var query: String
    /// The parsed path of a call in Google's dialect.
    var target: GeminiTarget?
    var headers: HTTPHeaders
    /// The peer's address, or what trusted proxies say of their client (`server.trusted_proxies`).
    var clientIP: String
    var presence: ClientPresence
    var eventLoop: any EventLoop

    /// The first value of a header.
    func header(_ name: String) -> String? { headers.first(name: name) }

    /// Whose shape the client's errors have, where it speaks OpenAI's protocol.
    var errorStyle: DialectError.Style { DialectError.Style(path: route) }

    var presentedKey: String? {
        PresentedKey.find(speaksGoogle: target != nil, queryKey: target?.key?.reveal()) { header($0) }
    }
}
