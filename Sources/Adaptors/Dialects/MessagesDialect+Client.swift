import NIOCore
import RouterCore

extension MessagesDialect: ClientDialect {
    static func read(_ body: JSONValue, drop: [String], noting dropped: DroppedFields) throws(UpstreamFailure) -> Conversation {
        try fields(body, drop: drop) { fields throws(UpstreamFailure) in try MessagesRequestReader.read(&fields, noting: dropped) }
    }

    static func writer(_ context: DialectContext) -> any AnswerEventWriter { MessagesAnswerWriter(context: context) }

    static func answer(_ answer: Answer, _ context: DialectContext) -> JSONValue { MessagesAnswerWriter(context: context).body(answer) }

    /// `{"type":"error","error":{type,message},"request_id"}` (https://docs.anthropic.com/en/api/errors), where the type follows from the
    /// status.
    static func error(
        _ error: ErrorObject, style: DialectError.Style, status: Int, requestID: String?
    ) -> JSONValue {
        var object = ObjectBuilder()
        object.add("type", "error")
        object.add("error", ["type": .string(errorType(status)), "message": .string(error.message)])
        object.add("request_id", text: requestID)
        return object.value
    }

    static func errorEvent(
        _ error: ErrorObject, style: DialectError.Style, status: Int, sequenceNumber: Int, into out: inout ByteBuffer
    ) {
        SSEWriter.write(Self.error(error, style: style, status: status, requestID: nil), event: "error", into: &out)
    }

    private static func errorType(_ status: Int) -> String {
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
