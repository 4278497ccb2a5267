package import HTTPTypes
package import NIOCore

/// The answer to a client.
package struct ClientAnswer: Sendable {
    package enum Body: Sendable {
        case bytes(ByteBuffer)
        /// Writes the body and marks its end. If it throws before that, the connection is closed, so that a truncated answer never looks
        /// complete.
        case stream(@Sendable (ClientConnection) async throws -> Void)
    }
    package var status: HTTPResponse.Status
    package var headers: HTTPFields
    package var body: Body

    package init(status: HTTPResponse.Status, headers: HTTPFields, body: Body) {
        self.status = status
        self.headers = headers
        self.body = body
    }

    package init(status: HTTPResponse.Status, headers: HTTPFields, bytes: ByteBuffer) {
        self.init(status: status, headers: headers, body: .bytes(bytes))
    }
}
