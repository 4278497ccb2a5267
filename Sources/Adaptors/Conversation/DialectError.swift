public import NIOCore
public import RouterCore

/// Errors in the shape of the dialect that the client speaks. Pure: the Server decides status, words and codes.
public enum DialectError {
    /// The body of an error response.
    ///
    /// OpenAI: `{"error":{message,type,param,code}}`. Anthropic: `{"type":"error","error":{type,message},"request_id"}`
    /// (https://docs.anthropic.com/en/api/errors), where the type follows from the status.
    public static func body(
        _ endpoint: Endpoint, status: Int, message: String, type: String, code: String? = nil, param: String? = nil,
        requestID: String? = nil
    ) -> ByteBuffer {
        var body = ByteBuffer()
        json(endpoint, status: status, message: message, type: type, code: code, param: param, requestID: requestID).write(to: &body)
        return body
    }

    /// The same from a vendor's or adaptor's error object in OpenAI's shape (``UpstreamFailure/clientError``).
    public static func body(_ endpoint: Endpoint, status: Int, clientError: String, requestID: String? = nil) -> ByteBuffer {
        guard endpoint == .messages, let error = JSONText.parse(clientError) else { return ByteBuffer(string: "{\"error\":\(clientError)}") }
        return body(
            endpoint, status: status, message: error["message"]?.stringValue ?? "the request was refused",
            type: error["type"]?.stringValue ?? "invalid_request_error", requestID: requestID)
    }

    /// An error inside a stream that has begun, as server-sent event. No end marker follows it.
    public static func event(
        _ endpoint: Endpoint, status: Int, message: String, type: String, code: String? = nil, sequenceNumber: Int = 0
    ) -> ByteBuffer {
        var out = ByteBuffer()
        switch endpoint {
        case .messages:
            SSEWriter.write(json(endpoint, status: status, message: message, type: type), event: "error", into: &out)
        case .responses:
            SSEWriter.write([
                "type": "error", "sequence_number": .integer(sequenceNumber), "code": .optional(code ?? type), "message": .string(message),
                "param": .null,
            ], event: "error", into: &out)
        default: SSEWriter.write(json(endpoint, status: status, message: message, type: type, code: code), into: &out)
        }
        return out
    }

    private static func json(
        _ endpoint: Endpoint, status: Int, message: String, type: String, code: String? = nil, param: String? = nil,
        requestID: String? = nil
    ) -> JSONValue {
        guard endpoint == .messages else {
            return ["error": [
                "message": .string(message), "type": .string(type), "param": .optional(param), "code": .optional(code),
            ]]
        }
        var object = ObjectBuilder()
        object.add("type", "error")
        object.add("error", ["type": .string(anthropicType(status)), "message": .string(message)])
        object.add("request_id", text: requestID)
        return object.value
    }

    private static func anthropicType(_ status: Int) -> String {
        switch status {
        case 401: "authentication_error"
        case 402: "billing_error"
        case 403: "permission_error"
        case 404: "not_found_error"
        case 413: "request_too_large"
        case 429: "rate_limit_error"
        case 400..<500: "invalid_request_error"
        case 503, 529: "overloaded_error"
        case 504: "timeout_error"
        default: "api_error"
        }
    }
}
