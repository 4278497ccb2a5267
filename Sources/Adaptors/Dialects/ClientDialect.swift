import NIOCore
import RouterCore

/// How a dialect is read and written. ``RequestDialect`` in RouterCore has what the gateway itself looks at in a request.
protocol ClientDialect: Sendable {
    /// Reads a client's body.
    /// - Parameters:
    ///   - drop: top-level fields that the provider file drops.
    ///   - dropped: takes the names of what is left out besides.
    static func read(_ body: JSONValue, drop: [String], noting dropped: DroppedFields) throws(UpstreamFailure) -> Conversation

    /// The name of a field as the client knows it.
    static func fieldName(_ name: String) -> String

    /// The client asked to see the model's thoughts; most dialects always show them.
    static func showsThoughts(_ body: ByteBuffer) -> Bool

    /// Writes a streamed answer.
    static func writer(_ context: DialectContext) -> any AnswerEventWriter

    /// A whole answer.
    static func answer(_ answer: Answer, _ context: DialectContext) -> JSONValue

    /// An error as an object of its own.
    static func error(
        _ error: ErrorObject, style: DialectError.Style, status: Int, requestID: String?
    ) -> JSONValue

    /// An error inside a stream that has begun, as server-sent event. No end marker follows it.
    static func errorEvent(
        _ error: ErrorObject, style: DialectError.Style, status: Int, sequenceNumber: Int, into out: inout ByteBuffer
    )

    /// Keeps a stream alive that has nothing to say yet.
    static var keepAlive: StaticString { get }
}

extension ClientDialect {
    static func fieldName(_ name: String) -> String { name }

    static func showsThoughts(_ body: ByteBuffer) -> Bool { false }

    /// OpenAI's shape, or OpenRouter's.
    static func error(
        _ error: ErrorObject, style: DialectError.Style, status: Int, requestID: String?
    ) -> JSONValue {
        ["error": style == .openRouter ? OpenRouterError.json(error, status: status) : error.json]
    }

    static func errorEvent(
        _ error: ErrorObject, style: DialectError.Style, status: Int, sequenceNumber: Int, into out: inout ByteBuffer
    ) {
        SSEWriter.write(Self.error(error, style: style, status: status, requestID: nil), into: &out)
    }

    /// A comment.
    static var keepAlive: StaticString { ": keep-alive\n\n" }

    /// The fields of a body, without those that the gateway reads from the envelope.
    static func fields(
        _ body: JSONValue, drop: [String], _ read: (inout Fields) throws(UpstreamFailure) -> Conversation
    ) throws(UpstreamFailure) -> Conversation {
        guard case .object(let members) = body else { throw .malformedField("body", "must be an object") }
        var fields = try Fields(.object(members.filter { !drop.contains($0.name) }), at: "")
        fields.skip("model", "models", "provider", "session_id", "prompt_cache_key", "stream", "stream_options")
        let conversation = try read(&fields)
        try fields.done()
        return conversation
    }
}

extension Dialect {
    var client: any ClientDialect.Type {
        switch self {
        case .chat: ChatDialect.self
        case .responses: ResponsesDialect.self
        case .messages: MessagesDialect.self
        case .gemini: GeminiDialect.self
        }
    }
}
