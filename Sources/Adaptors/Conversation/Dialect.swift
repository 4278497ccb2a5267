import NIOCore
import RouterCore

/// Reads a vendor's stream, one event at a time.
protocol AnswerEventReader: Sendable {
    /// - Parameter json: the payload of one server-sent event.
    mutating func read(_ json: JSONValue, into events: inout [AnswerEvent])
}

/// Writes a streamed answer in a client's dialect.
protocol AnswerEventWriter: Sendable {
    mutating func write(_ event: AnswerEvent, into out: inout ByteBuffer)
    /// Bytes that the dialect makes the writer keep, because its last event repeats the answer.
    var heldBytes: Int { get }
    /// What follows the last event. - Returns: the end marker, which the client gets once the books are closed.
    mutating func end(into out: inout ByteBuffer) -> ByteBuffer
}

extension AnswerEventWriter {
    var heldBytes: Int { 0 }
}

/// What a writer must know of the call.
struct DialectContext: Sendable {
    /// The name that the client knows.
    var model: String
    /// The channel sends another name upstream.
    var isRenamed = false
    var quote: PriceQuote
    /// The client asked for usage in the stream (chat only; the other dialects always have it).
    var wantsUsage = false
    /// Unix seconds.
    var startedAt: Int64 = 0
    /// For answers without an id.
    var answerID = ""
    /// The client asked for the model's thoughts (Gemini's `includeThoughts`; the other dialects always show them).
    var showsThoughts = false

    init(_ call: UpstreamCall) {
        model = call.model
        isRenamed = call.upstreamModel != call.model
        quote = call.quote
        wantsUsage = call.envelope.wantsStreamUsage
        startedAt = call.startedAt
        answerID = call.answerID
        if call.envelope.endpoint == .gemini { showsThoughts = Self.asksForThoughts(call.envelope.body) }
    }

    private static func asksForThoughts(_ body: ByteBuffer) -> Bool {
        let bytes = body.readableBytesUInt8Span
        var start = 0
        JSONScanner.skipWhitespace(bytes, &start)
        for path in ["generationConfig.thinkingConfig.includeThoughts", "generation_config.thinking_config.include_thoughts"] {
            if let member = JSONPath.member(path: path, of: start, bytes) { return JSONScanner.equals(bytes, member.value, "true") }
        }
        return false
    }

    /// The vendor's own name for what it served, unless the channel renames.
    func id(_ given: String) -> String { given.isEmpty ? answerID : given }

    func shown(_ served: String) -> String { isRenamed || served.isEmpty ? model : served }
}

enum DialectWriter {
    static func stream(_ endpoint: Endpoint, _ context: DialectContext) -> any AnswerEventWriter {
        switch endpoint {
        case .messages: MessagesAnswerWriter(context: context)
        case .responses: ResponsesAnswerWriter(context: context)
        case .gemini: GeminiAnswerWriter(context: context)
        default: ChatAnswerWriter(context: context)
        }
    }

    static func body(_ answer: Answer, _ endpoint: Endpoint, _ context: DialectContext) -> ByteBuffer {
        let tree: JSONValue =
            switch endpoint {
            case .messages: MessagesAnswerWriter(context: context).body(answer)
            case .responses: ResponsesAnswerWriter(context: context).body(answer)
            case .gemini: GeminiAnswerWriter(context: context).body(answer)
            default: ChatAnswerWriter(context: context).body(answer)
            }
        var body = ByteBuffer()
        tree.write(to: &body)
        return body
    }
}

enum SSEWriter {
    /// - Parameter event: for the dialects that name their events, which is then also `type` of the payload.
    static func write(_ json: JSONValue, event: String? = nil, into out: inout ByteBuffer) {
        if let event { out.writeString("event: \(event)\n") }
        out.writeStaticString("data: ")
        json.write(to: &out)
        out.writeStaticString("\n\n")
    }
}

/// ``Usage`` as each dialect tells it.
enum UsageShape {
    /// Chat: everything inside the prompt; `cost` is what we charge.
    static func chat(_ usage: Usage, _ quote: PriceQuote) -> JSONValue {
        var object = ObjectBuilder()
        object.add("prompt_tokens", .integer(usage.promptTokens))
        object.add("completion_tokens", .integer(usage.completionTokens))
        object.add("total_tokens", .integer(usage.promptTokens + usage.completionTokens))
        var prompt = ObjectBuilder()
        prompt.add("cached_tokens", .integer(usage.cacheRead))
        if usage.cacheWrite5m + usage.cacheWrite1h > 0 {
            prompt.add("cache_write_tokens", .integer(usage.cacheWrite5m + usage.cacheWrite1h))
        }
        if usage.audioInput > 0 { prompt.add("audio_tokens", .integer(usage.audioInput)) }
        object.add("prompt_tokens_details", prompt.value)
        object.add("completion_tokens_details", ["reasoning_tokens": .integer(usage.reasoning)])
        if let charge = try? quote.charge(for: usage) { object.add("cost", .usd(charge)) }
        return object.value
    }

    /// Responses: the same under other names.
    static func responses(_ usage: Usage, _ quote: PriceQuote) -> JSONValue {
        var object = ObjectBuilder()
        object.add("input_tokens", .integer(usage.promptTokens))
        object.add(
            "input_tokens_details",
            [
                "cached_tokens": .integer(usage.cacheRead), "cache_write_tokens": .integer(usage.cacheWrite5m + usage.cacheWrite1h),
            ])
        object.add("output_tokens", .integer(usage.completionTokens))
        object.add("output_tokens_details", ["reasoning_tokens": .integer(usage.reasoning)])
        object.add("total_tokens", .integer(usage.promptTokens + usage.completionTokens))
        if let charge = try? quote.charge(for: usage) { object.add("cost", .usd(charge)) }
        return object.value
    }

    /// Messages: cached tokens beside the input; no cost, which Anthropic's clients do not know.
    static func messages(_ usage: Usage?) -> JSONValue {
        let usage = usage ?? Usage()
        var object = ObjectBuilder()
        object.add("input_tokens", .integer(usage.uncachedInput + usage.audioInput))
        object.add("cache_creation_input_tokens", .integer(usage.cacheWrite5m + usage.cacheWrite1h))
        object.add("cache_read_input_tokens", .integer(usage.cacheRead))
        object.add("output_tokens", .integer(usage.completionTokens))
        return object.value
    }
}
