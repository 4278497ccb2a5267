package import NIOCore
package import RouterCore

/// Calls to vendors that no client has asked for: lists of models, records, reports, tests. One answer each, bounded in time and size.
package struct VendorClient: Sendable {
    private let transport: any UpstreamTransport

    package init(transport: any UpstreamTransport) { self.transport = transport }

    /// - Parameters:
    ///   - proxy: of the channel.
    ///   - limit: for each wait, and for the whole answer.
    ///   - bytes: of the body that are read; what comes after them is thrown away with the connection.
    ///   - isFresh: not on a kept connection, which may be dead without the vendor being so.
    package func call(
        _ request: UpstreamRequest, proxy: Secret? = nil, within limit: Duration, atMost bytes: Int, isFresh: Bool = false
    ) async throws(TransportFailure) -> (head: UpstreamHead, body: ByteBuffer) {
        let response = try await open(request, proxy: proxy, within: limit, isFresh: isFresh)
        return (response.head, try await Self.read(response.body, atMost: bytes))
    }

    /// The same with a body that is read as it comes.
    package func open(
        _ request: UpstreamRequest, proxy: Secret? = nil, within limit: Duration, isFresh: Bool = false
    ) async throws(TransportFailure) -> UpstreamResponse {
        let timeouts = AttemptTimeouts(
            connect: min(limit, Self.connecting), firstByte: limit, firstContent: limit, idle: limit, total: limit)
        return try await transport.send(
            request, options: TransportOptions(timeouts: timeouts, proxy: proxy, needsNewConnection: isFresh),
            cancellation: UpstreamCancellation())
    }

    private static let connecting = Duration.seconds(5)

    package static func read(_ body: any UpstreamBody, atMost bytes: Int) async throws(TransportFailure) -> ByteBuffer {
        var whole = ByteBuffer()
        while whole.readableBytes < bytes, let chunk = try await body.next() { whole.writeImmutableBuffer(chunk) }
        body.cancel()
        return whole
    }
}
