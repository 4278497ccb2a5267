public import HTTPTypes
public import NIOCore

/// One HTTP call to a vendor, as data. An adaptor makes it, the transport sends it.
public struct UpstreamRequest: Sendable {
    public var method: HTTPRequest.Method
    /// Absolute URL. Its origin comes from configuration only, never from what a client sent.
    public var url: String
    /// Headers in order, credentials included; never log them.
    public var headers: HTTPFields
    public var body: ByteBuffer?

    public init(method: HTTPRequest.Method = .post, url: String, headers: HTTPFields = [:], body: ByteBuffer? = nil) {
        self.method = method
        self.url = url
        self.headers = headers
        self.body = body
    }
}

/// Status line and headers of an upstream answer.
public struct UpstreamHead: Sendable {
    public var status: Int
    public var headers: HTTPFields

    public init(status: Int, headers: HTTPFields) {
        self.status = status
        self.headers = headers
    }
}

/// Time limits of one attempt. Each is an upper bound; zero is not allowed.
public struct AttemptTimeouts: Sendable, Hashable {
    /// Name look-up, TCP and TLS together.
    public var connect: Duration
    /// From the start of the call until the response head; the relay applies it to the first content as well.
    public var firstByte: Duration
    /// Longest silence between two reads of the body.
    public var idle: Duration
    /// The whole call, body included.
    public var total: Duration

    public init(
        connect: Duration = .seconds(5), firstByte: Duration = .seconds(60),
        idle: Duration = .seconds(60), total: Duration = .seconds(600)
    ) {
        self.connect = connect
        self.firstByte = firstByte
        self.idle = idle
        self.total = total
    }
}
