import NIOCore
import RouterCore

/// Reads an OpenAI vendor's whole answer and chunks into the neutral form.
struct ChatAnswerReader: AnswerEventReader {
    let usageRules: UsageRules
    let dialect: OpenAIDialect
    private var hasStarted = false
    private var calls: [Int: [Int: Int]] = [:]
    /// Characters of each choice so far.
    private var lengths: [Int: Int] = [:]

    init(usageRules: UsageRules, dialect: OpenAIDialect) {
        self.usageRules = usageRules
        self.dialect = dialect
    }

    func usage(_ tree: JSONValue) -> Usage? {
        guard case .object? = tree["usage"] else { return nil }
        let text = ByteBuffer(string: tree.text)
        let bytes = text.readableBytesUInt8Span
        guard let member = JSONPath.member("usage", of: 0, bytes) else { return nil }
        var usage = OpenAIUsage(rules: usageRules, dialect: dialect).read(bytes, usage: member.value.lowerBound, root: 0)
        usage?.serviceTier = tree["service_tier"]?.stringValue
        return usage
    }

    func answer(_ tree: JSONValue) -> Answer {
        var answer = Answer(
            id: tree["id"]?.stringValue ?? "", model: tree["model"]?.stringValue ?? "", created: tree["created"]?.integerValue,
            usage: usage(tree))
        for choice in tree["choices"]?.arrayValue ?? [] {
            var result = Answer.Choice(logprobs: choice["logprobs"].flatMap { $0.isNull ? nil : $0 })
            let message = choice["message"] ?? .object([])
            if var fields = try? Fields(message, at: ""), let thoughts = try? ChatRequestReader.thinking(&fields) {
                result.parts += thoughts
            }
            if let text = message["content"]?.stringValue, !text.isEmpty { result.parts.append(.text(text, cache: nil)) }
            result.parts += ChatImages.read(message).map { .image($0, detail: nil, cache: nil) }
            if let text = message["refusal"]?.stringValue, !text.isEmpty { result.parts.append(.refusal(text)) }
            for (index, call) in (message["tool_calls"]?.arrayValue ?? []).enumerated() {
                result.parts.append(
                    .toolCall(
                        ToolCall(
                            id: call["id"]?.stringValue ?? "call_\(index)", name: call["function"]?["name"]?.stringValue ?? "",
                            arguments: call["function"]?["arguments"]?.stringValue ?? "")))
            }
            result.citations = (message["annotations"]?.arrayValue ?? []).prefix(Citation.maximum).compactMap {
                CitationShape.read($0, in: result.text)
            }
            result.finish = choice["finish_reason"]?.stringValue.flatMap { FinishReason(chat: $0) }
            answer.choices.append(result)
        }
        return answer
    }

    mutating func read(_ chunk: JSONValue, into events: inout [AnswerEvent]) {
        // A chunk of a content filter may come first, without id and choices.
        if !hasStarted, chunk["id"]?.stringValue?.isEmpty == false || chunk["choices"]?.arrayValue?.isEmpty == false {
            hasStarted = true
            events.append(
                AnswerEvent(
                    .start(
                        id: chunk["id"]?.stringValue ?? "", model: chunk["model"]?.stringValue ?? "",
                        created: chunk["created"]?.integerValue)))
        }
        for choice in chunk["choices"]?.arrayValue ?? [] {
            let index = choice["index"]?.integerValue.flatMap { Int(exactly: $0) } ?? 0
            if let delta = choice["delta"] { read(delta, choice: index, into: &events) }
            if let logprobs = choice["logprobs"], !logprobs.isNull { events.append(AnswerEvent(.logprobs(logprobs), choice: index)) }
            if let word = choice["finish_reason"]?.stringValue, let reason = FinishReason(chat: word) {
                events.append(AnswerEvent(.finish(reason, stopSequence: nil), choice: index))
            }
        }
        if let usage = usage(chunk) { events.append(AnswerEvent(.usage(usage))) }
    }

    private mutating func read(_ delta: JSONValue, choice: Int, into events: inout [AnswerEvent]) {
        if let text = (delta["reasoning_content"] ?? delta["reasoning"])?.stringValue, !text.isEmpty {
            events.append(AnswerEvent(.thinking(text), choice: choice))
        }
        for detail in delta["reasoning_details"]?.arrayValue ?? [] {
            if let signature = detail["signature"]?.stringValue { events.append(AnswerEvent(.signature(signature), choice: choice)) }
            if let data = detail["data"]?.stringValue { events.append(AnswerEvent(.redactedThinking(data), choice: choice)) }
        }
        if let text = delta["content"]?.stringValue, !text.isEmpty {
            events.append(AnswerEvent(.text(text), choice: choice))
            lengths[choice, default: 0] += text.unicodeScalars.count
        }
        for media in ChatImages.read(delta) { events.append(AnswerEvent(.image(media), choice: choice)) }
        for annotation in delta["annotations"]?.arrayValue?.prefix(Citation.maximum) ?? [] {
            // Some vendors tell them before the words.
            let bounds = 0..<max(lengths[choice] ?? 0, CitationShape.end(annotation))
            if let citation = CitationShape.read(annotation, in: bounds) { events.append(AnswerEvent(.citation(citation), choice: choice)) }
        }
        if let text = delta["refusal"]?.stringValue, !text.isEmpty { events.append(AnswerEvent(.refusal(text), choice: choice)) }
        for (position, call) in (delta["tool_calls"]?.arrayValue ?? []).enumerated() {
            let theirs = call["index"]?.integerValue.flatMap { Int(exactly: $0) } ?? position
            var known = calls[choice] ?? [:]
            let index = known[theirs] ?? known.count
            if known[theirs] == nil {
                known[theirs] = index
                calls[choice] = known
                events.append(
                    AnswerEvent(
                        .toolBegin(
                            index: index, id: call["id"]?.stringValue ?? "call_\(index)",
                            name: call["function"]?["name"]?.stringValue ?? ""), choice: choice))
            }
            if let text = call["function"]?["arguments"]?.stringValue, !text.isEmpty {
                events.append(AnswerEvent(.toolArguments(index: index, text), choice: choice))
            }
        }
    }

    /// Errors inside an answer or chunk.
    func failure(_ tree: JSONValue, hasContent: Bool, _ errors: FailureClassifier) -> UpstreamFailure? {
        let choice = tree["choices"]?.arrayValue?.first { $0["finish_reason"] == "error" || !($0["error"]?.isNull ?? true) }
        let error = tree["error"].flatMap { $0.isNull ? nil : $0 } ?? choice.map { $0["error"] ?? .object([]) }
        return error.map { errors.inBand(VendorError(inBand: $0), hasContent: hasContent) }
    }
}

/// Writes an answer as Chat Completions for a client.
struct ChatAnswerWriter: AnswerEventWriter {
    let context: DialectContext
    private var id = ""
    private var created: Int64 = 0
    private var model = ""
    private var thoughts: [Int: Int64] = [:]
    private var lastUsage: Usage?
    private var images: [Int: Int] = [:]

    init(context: DialectContext) { self.context = context }

    // MARK: Whole

    func body(_ answer: Answer) -> JSONValue {
        var choices: [JSONValue] = []
        for (index, choice) in answer.choices.enumerated() {
            choices.append([
                "index": .integer(index), "message": message(choice),
                "logprobs": choice.logprobs ?? .null, "finish_reason": .optional(choice.finish?.chat),
            ])
        }
        var body = ObjectBuilder()
        body.add("id", .string(context.id(answer.id)))
        body.add("object", "chat.completion")
        body.add("created", .integer(answer.created ?? context.startedAt))
        body.add("model", .string(context.shown(answer.model)))
        body.add("choices", .array(choices))
        body.add("usage", answer.usage.map { UsageShape.chat($0, context.quote) })
        return body.value
    }

    private func message(_ choice: Answer.Choice) -> JSONValue {
        var texts = ""
        var refusal: String?
        var thinking = ""
        var details: [JSONValue] = []
        var calls: [JSONValue] = []
        var images: [JSONValue] = []
        for part in choice.parts {
            switch part {
            case .text(let text, _): texts += text
            case .image(let media, _, _): images.append(ChatImages.entry(media, index: images.count))
            case .refusal(let text): refusal = (refusal ?? "") + text
            case .thinking(let block):
                thinking += block.text
                details += ChatDetails.entries(block, index: Int64(details.count))
            case .toolCall(let call): calls.append(ChatRequestWriter.toolCall(call))
            default: break
            }
        }
        var message = ObjectBuilder()
        message.add("role", "assistant")
        message.add("content", texts.isEmpty && (!calls.isEmpty || refusal != nil) ? .null : .string(texts))
        message.add("refusal", .optional(refusal))
        if !thinking.isEmpty { message.add("reasoning_content", .string(thinking)) }
        if !details.isEmpty { message.add("reasoning_details", .array(details)) }
        if !images.isEmpty { message.add("images", .array(images)) }
        if !calls.isEmpty { message.add("tool_calls", .array(calls)) }
        if !choice.citations.isEmpty { message.add("annotations", .array(choice.citations.map(CitationShape.chat))) }
        return message.value
    }

    // MARK: Stream

    mutating func write(_ event: AnswerEvent, into out: inout ByteBuffer) {
        switch event.kind {
        case .start(let id, let model, let created):
            self.id = context.id(id)
            self.model = context.shown(model)
            self.created = created ?? context.startedAt
            chunk(event.choice, ["role": "assistant", "content": ""], into: &out)
        case .text(let text): chunk(event.choice, ["content": .string(text)], into: &out)
        case .refusal(let text): chunk(event.choice, ["refusal": .string(text)], into: &out)
        case .thinking(let text):
            chunk(
                event.choice,
                [
                    "reasoning_content": .string(text),
                    "reasoning_details": .array(ChatDetails.entries(Thinking(text), index: thoughts[event.choice] ?? 0)),
                ], into: &out)
        case .signature(let signature): detail(event.choice, Thinking(signature: signature), into: &out)
        case .redactedThinking(let data): detail(event.choice, Thinking(redacted: data), into: &out)
        case .image(let media):
            let index = images[event.choice] ?? 0
            images[event.choice] = index + 1
            chunk(event.choice, ["images": [ChatImages.entry(media, index: index)]], into: &out)
        case .toolBegin(let index, let id, let name):
            let call: JSONValue = [
                "index": .integer(index), "id": .string(id), "type": "function",
                "function": ["name": .string(name), "arguments": ""],
            ]
            chunk(event.choice, ["tool_calls": [call]], into: &out)
        case .toolArguments(let index, let text):
            let call: JSONValue = ["index": .integer(index), "function": ["arguments": .string(text)]]
            chunk(event.choice, ["tool_calls": [call]], into: &out)
        case .logprobs(let value): chunk(event.choice, [:], logprobs: value, into: &out)
        case .citation(let citation): chunk(event.choice, ["annotations": [CitationShape.chat(citation)]], into: &out)
        case .finish(let reason, _): chunk(event.choice, [:], finish: reason.chat, into: &out)
        case .usage(let usage): lastUsage = usage
        case .end: break
        }
    }

    private mutating func detail(_ choice: Int, _ thinking: Thinking, into out: inout ByteBuffer) {
        let index = thoughts[choice] ?? 0
        chunk(choice, ["reasoning_details": .array(ChatDetails.entries(thinking, index: index))], into: &out)
        thoughts[choice] = index + 1
    }

    mutating func end(into out: inout ByteBuffer) -> ByteBuffer {
        if context.wantsUsage, let lastUsage {
            SSEWriter.write(head(choices: [], usage: UsageShape.chat(lastUsage, context.quote)), into: &out)
        }
        return ByteBuffer(string: "data: [DONE]\n\n")
    }

    private func chunk(_ choice: Int, _ delta: JSONValue, logprobs: JSONValue? = nil, finish: String? = nil, into out: inout ByteBuffer) {
        var object = ObjectBuilder()
        object.add("index", .integer(choice))
        object.add("delta", delta)
        object.add("logprobs", logprobs)
        object.add("finish_reason", .optional(finish))
        SSEWriter.write(head(choices: [object.value], usage: nil), into: &out)
    }

    private func head(choices: [JSONValue], usage: JSONValue?) -> JSONValue {
        var object = ObjectBuilder()
        object.add("id", .string(id))
        object.add("object", "chat.completion.chunk")
        object.add("created", .integer(created))
        object.add("model", .string(model))
        object.add("choices", .array(choices))
        object.add("usage", usage)
        return object.value
    }
}
