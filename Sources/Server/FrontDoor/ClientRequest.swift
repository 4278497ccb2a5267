import Adaptors
import HTTPTypes
import NIOCore
import NIOHTTP1
import RouterCore

/// The head of a model call, as the client sent it, with what the gateway knows of it from the start.
struct ClientRequest: Sendable {
    var requestID: RouterCore.RequestID
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

    /// The API key where the dialect has it beside `Authorization`.
    var otherKey: String? {
        guard let target else { return header("x-api-key") }
        return header("x-goog-api-key") ?? target.key?.reveal() ?? header("x-api-key")
    }
}

/// What a client gets.
struct ClientAnswer: Sendable {
    enum Body: Sendable {
        case bytes(ByteBuffer)
        /// Writes the body and says when it is complete. If it throws before that, the connection is closed, so that a cut answer never
        /// looks complete.
        case stream(@Sendable (ClientConnection) async throws -> Void)
    }
    var status: HTTPResponse.Status
    var headers: HTTPFields
    var body: Body

    init(status: HTTPResponse.Status, headers: HTTPFields, body: Body) {
        self.status = status
        self.headers = headers
        self.body = body
    }

    init(status: HTTPResponse.Status, headers: HTTPFields, bytes: ByteBuffer) {
        self.init(status: status, headers: headers, body: .bytes(bytes))
    }
}

/// The client has closed its connection.
struct ClientGone: Error, Sendable {}
