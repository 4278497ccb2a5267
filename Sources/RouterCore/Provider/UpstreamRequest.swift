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
    /// Names of the fields of the client's request that are not in it; the client is told them.
    public var droppedFields: [String] = []

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
