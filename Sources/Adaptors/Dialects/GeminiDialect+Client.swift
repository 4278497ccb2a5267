import NIOCore
import RouterCore

extension GeminiDialect: ClientDialect {
    static func read(_ body: JSONValue, drop: [String], noting dropped: DroppedFields) throws(UpstreamFailure) -> Conversation {
        try GeminiRequestReader.read(body, drop: drop)
    }

    static func fieldName(_ name: String) -> String { GeminiNames.field(name) }

    /// `generationConfig.thinkingConfig.includeThoughts` (https://ai.google.dev/gemini-api/docs/thinking#summaries).
    static func showsThoughts(_ body: ByteBuffer) -> Bool {
        let bytes = body.readableBytesUInt8Span
        var start = 0
        JSONScanner.skipWhitespace(bytes, &start)
        for path in ["generationConfig.thinkingConfig.includeThoughts", "generation_config.thinking_config.include_thoughts"] {
            if let member = JSONPath.member(path: path, of: start, bytes) { return JSONScanner.equals(bytes, member.value, "true") }
        }
        return false
    }

    static func writer(_ context: DialectContext) -> any AnswerEventWriter { GeminiAnswerWriter(context: context) }

    static func answer(_ answer: Answer, _ context: DialectContext) -> JSONValue { GeminiAnswerWriter(context: context).body(answer) }

    /// Google's clients take every line for data and skip empty ones only.
    static var keepAlive: StaticString { "\n" }

    /// `{"error":{code,message,status,details}}` (https://google.aip.dev/193), where the field at fault is a `BadRequest` and our code the
    /// reason of an `ErrorInfo`.
    static func error(
        _ error: ErrorObject, style: DialectError.Style, status: Int, requestID: String?
    ) -> JSONValue {
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
        object.add("status", .string(errorStatus(status)))
        if !details.isEmpty { object.add("details", .array(details)) }
        return ["error": object.value]
    }

    /// https://cloud.google.com/apis/design/errors#handling_errors
    private static func errorStatus(_ status: Int) -> String {
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
}
