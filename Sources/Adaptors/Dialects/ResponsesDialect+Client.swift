import NIOCore
import RouterCore

extension ResponsesDialect: ClientDialect {
    static func read(_ body: JSONValue, drop: [String], noting dropped: DroppedFields) throws(UpstreamFailure) -> Conversation {
        try fields(body, drop: drop) { fields throws(UpstreamFailure) in try ResponsesRequestReader.read(&fields, noting: dropped) }
    }

    static func writer(_ context: DialectContext) -> any AnswerEventWriter { ResponsesAnswerWriter(context: context) }

    static func answer(_ answer: Answer, _ context: DialectContext) -> JSONValue { ResponsesAnswerWriter(context: context).body(answer) }

    /// https://platform.openai.com/docs/api-reference/responses-streaming/error
    static func errorEvent(
        _ error: ErrorObject, style: DialectError.Style, status: Int, sequenceNumber: Int, into out: inout ByteBuffer
    ) {
        SSEWriter.write(
            [
                "type": "error", "sequence_number": .integer(sequenceNumber), "code": .optional(error.code ?? error.type),
                "message": .string(error.message), "param": .null,
            ], event: "error", into: &out)
    }
}
