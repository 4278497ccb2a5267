import Adaptors
import HTTPTypes
import NIOCore
import NIOHTTP1
import RouterCore

/// The head of a model call, as the client sent it, with what the gateway derives from it at once.
struct ClientRequest: Sendable {
    var requestID: RequestID
    var receivedAt: MonotonicInstant
    var endpoint: Endpoint
    /// Whether the tokens are only to be counted, without asking a vendor.
    var isCount = false
    /// The template of the route, for metrics and the log.
    var route: String
    /// The path without the query.
    var path: String
    var query: String
    /// The parsed path of a call in Google's dialect.
    var target: GeminiTarget?
    /// The caller of the console's own chat; nil for every other call.
    var playground: PlaygroundCaller?
    var headers: HTTPHeaders
    /// The peer's address, or the client address that trusted proxies report (`server.trusted_proxies`).
    var clientIP: String
    var presence: ClientPresence
    var eventLoop: any EventLoop

    /// The first value of a header.
    func header(_ name: String) -> String? { headers.first(name: name) }

    /// The shape of the client's errors in OpenAI's protocol, which depends on the path.
    var errorStyle: DialectError.Style { DialectError.Style(path: route) }

    var presentedKey: String? {
        PresentedKey.find(speaksGoogle: target != nil, queryKey: target?.key?.reveal()) { header($0) }
    }
}
