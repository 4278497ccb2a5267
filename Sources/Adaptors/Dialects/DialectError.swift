public import NIOCore
public import RouterCore

/// Errors in the shape of the dialect that the client speaks. Pure: the Server decides status, words and codes.
public enum DialectError {
    /// Whose errors the clients of OpenAI's protocol expect, told by the area of the path.
    public enum Style: Sendable, Hashable {
        case openAI
        /// `/api/v1`: `{"error":{code,message,metadata}}`, where the code is the HTTP status as a number
        /// (https://openrouter.ai/docs/api/reference/errors-and-debugging).
        case openRouter

        /// - Parameter path: of the request, or the template of its route.
        public init(path: String) { self = path.hasPrefix("/api/v1/") ? .openRouter : .openAI }
    }

    /// The body of an error response.
    public static func body(
        _ dialect: Dialect, style: Style = .openAI, status: Int, message: String, type: String, code: String? = nil,
        param: String? = nil, requestID: String? = nil
    ) -> ByteBuffer {
        let error = ErrorObject(message: message, type: type, param: param, code: code)
        return body(dialect, style: style, status: status, clientError: error, requestID: requestID)
    }

    /// The same for an error in the client's own request, found by a vendor or an adaptor (``UpstreamFailure/clientError``).
    public static func body(
        _ dialect: Dialect, style: Style = .openAI, status: Int, clientError: ErrorObject, requestID: String? = nil
    ) -> ByteBuffer {
        var body = ByteBuffer()
        dialect.client.error(clientError, style: style, status: status, requestID: requestID).write(to: &body)
        return body
    }

    /// An error inside a stream that has begun, as server-sent event. No end marker follows it.
    public static func event(
        _ dialect: Dialect, style: Style = .openAI, status: Int, message: String, type: String, code: String? = nil,
        sequenceNumber: Int = 0
    ) -> ByteBuffer {
        var out = ByteBuffer()
        let error = ErrorObject(message: message, type: type, code: code)
        dialect.client.errorEvent(error, style: style, status: status, sequenceNumber: sequenceNumber, into: &out)
        return out
    }

    /// Keeps a stream alive that has nothing to say yet.
    public static func keepAlive(_ dialect: Dialect) -> ByteBuffer { ByteBuffer(staticString: dialect.client.keepAlive) }
}
