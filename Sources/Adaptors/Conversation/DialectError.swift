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
    ///
    /// OpenAI: `{"error":{message,type,param,code}}`. Anthropic: `{"type":"error","error":{type,message},"request_id"}`
    /// (https://docs.anthropic.com/en/api/errors), where the type follows from the status. Google:
    /// `{"error":{code,message,status,details}}` (https://google.aip.dev/193), where the field at fault is a `BadRequest` and our code the
    /// reason of an `ErrorInfo`.
    public static func body(
        _ endpoint: Endpoint, style: Style = .openAI, status: Int, message: String, type: String, code: String? = nil,
        param: String? = nil, requestID: String? = nil
    ) -> ByteBuffer {
        let error = ErrorObject(message: message, type: type, param: param, code: code)
        return body(endpoint, style: style, status: status, clientError: error, requestID: requestID)
    }

    /// The same for an error that a vendor or an adaptor has found the client's request guilty of (``UpstreamFailure/clientError``).
    public static func body(
        _ endpoint: Endpoint, style: Style = .openAI, status: Int, clientError: ErrorObject, requestID: String? = nil
    ) -> ByteBuffer {
        var body = ByteBuffer()
        json(endpoint, style, status: status, clientError, requestID: requestID).write(to: &body)
        return body
    }

    /// An error inside a stream that has begun, as server-sent event. No end marker follows it.
    public static func event(
        _ endpoint: Endpoint, style: Style = .openAI, status: Int, message: String, type: String, code: String? = nil,
        sequenceNumber: Int = 0
    ) -> ByteBuffer {
        var out = ByteBuffer()
        let object = ErrorObject(message: message, type: type, code: code)
        switch endpoint {
        case .messages: SSEWriter.write(json(endpoint, style, status: status, object), event: "error", into: &out)
        case .responses:
            SSEWriter.write(
                [
                    "type": "error", "sequence_number": .integer(sequenceNumber), "code": .optional(code ?? type),
                    "message": .string(message),
                    "param": .null,
                ], event: "error", into: &out)
        case .chat where style == .openRouter:
            // With the choice that OpenRouter's clients look for in every chunk.
            SSEWriter.write(
                [
                    "error": openRouter(status: status, object),
                    "choices": [["index": .integer(0), "delta": ["content": ""], "finish_reason": "error"]],
                ], into: &out)
        default: SSEWriter.write(json(endpoint, style, status: status, object), into: &out)
        }
        return out
    }

    /// Keeps a stream alive that has nothing to say yet: a comment, but for Google's clients, which take every line for data and skip
    /// empty ones only.
    public static func keepAlive(_ endpoint: Endpoint) -> ByteBuffer {
        ByteBuffer(string: endpoint == .gemini ? "\n" : ": keep-alive\n\n")
    }

    private static func json(
        _ endpoint: Endpoint, _ style: Style, status: Int, _ error: ErrorObject, requestID: String? = nil
    ) -> JSONValue {
        if endpoint == .gemini { return google(status: status, error) }
        guard endpoint == .messages else { return ["error": style == .openRouter ? openRouter(status: status, error) : error.json] }
        var object = ObjectBuilder()
        object.add("type", "error")
        object.add("error", ["type": .string(anthropicType(status)), "message": .string(error.message)])
        object.add("request_id", text: requestID)
        return object.value
    }

    /// What OpenRouter's shape has no field for is kept under `metadata`.
    private static func openRouter(status: Int, _ error: ErrorObject) -> JSONValue {
        var metadata = error.metadata
        func add(_ name: String, _ value: String?) {
            guard let value, !metadata.contains(where: { $0.name == name }) else { return }
            metadata.append(.init(name, .string(value)))
        }
        add("error_type", openRouterType(status))
        add("type", error.type)
        add("code", error.code)
        add("param", error.param)
        return ["code": .integer(status), "message": .string(error.message), "metadata": .object(metadata)]
    }

    /// The stable names of https://openrouter.ai/docs/api/reference/errors-and-debugging.
    private static func openRouterType(_ status: Int) -> String {
        switch status {
        case 401: "authentication"
        case 402: "payment_required"
        case 403: "permission_denied"
        case 404: "not_found"
        case 408, 504: "timeout"
        case 413: "payload_too_large"
        case 422: "unprocessable"
        case 429: "rate_limit_exceeded"
        case 400..<500: "invalid_request"
        case 502: "provider_unavailable"
        case 503, 529: "provider_overloaded"
        default: "server"
        }
    }

    private static func google(status: Int, _ error: ErrorObject) -> JSONValue {
        var details: [JSONValue] = []
        if let param = error.param {
            details.append([
                "@type": "type.googleapis.com/google.rpc.BadRequest",
                "fieldViolations": [["field": .string(param), "description": .string(error.message)]],
            ])
        }
        if let code = error.code {
            details.append([
                "@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": .string(code.uppercased()), "domain": "apirouter",
            ])
        }
        var object = ObjectBuilder()
        object.add("code", .integer(status))
        object.add("message", .string(error.message))
        object.add("status", .string(googleStatus(status)))
        if !details.isEmpty { object.add("details", .array(details)) }
        return ["error": object.value]
    }

    /// https://cloud.google.com/apis/design/errors#handling_errors
    private static func googleStatus(_ status: Int) -> String {
        switch status {
        case 401: "UNAUTHENTICATED"
        case 402: "FAILED_PRECONDITION"
        case 403: "PERMISSION_DENIED"
        case 404: "NOT_FOUND"
        case 405: "UNIMPLEMENTED"
        case 409: "ABORTED"
        case 429: "RESOURCE_EXHAUSTED"
        case 499: "CANCELLED"
        case 400..<500: "INVALID_ARGUMENT"
        case 502, 503, 529: "UNAVAILABLE"
        case 504: "DEADLINE_EXCEEDED"
        default: "INTERNAL"
        }
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
