import NIOCore
import RouterCore

extension ChatDialect: ClientDialect {
    static func read(_ body: JSONValue, drop: [String], noting dropped: DroppedFields) throws(UpstreamFailure) -> Conversation {
        try fields(body, drop: drop) { fields throws(UpstreamFailure) in try ChatRequestReader.read(&fields) }
    }

    static func writer(_ context: DialectContext) -> any AnswerEventWriter { ChatAnswerWriter(context: context) }

    static func answer(_ answer: Answer, _ context: DialectContext) -> JSONValue { ChatAnswerWriter(context: context).body(answer) }

    static func errorEvent(
        _ error: ErrorObject, style: DialectError.Style, status: Int, sequenceNumber: Int, into out: inout ByteBuffer
    ) {
        guard style == .openRouter else {
            return SSEWriter.write(Self.error(error, style: style, status: status, requestID: nil), into: &out)
        }
        // With the choice that OpenRouter's clients look for in every chunk.
        SSEWriter.write(
            [
                "error": OpenRouterError.json(error, status: status),
                "choices": [["index": .integer(0), "delta": ["content": ""], "finish_reason": "error"]],
            ], into: &out)
    }
}
