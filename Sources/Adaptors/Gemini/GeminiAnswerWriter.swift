import NIOCore
import RouterCore

/// Writes an answer as Google's `GenerateContentResponse` for a client (https://ai.google.dev/api/generate-content).
///
/// A call's arguments come whole here, so they are kept until the model stops; so are thoughts that the vendor signs, because the client is
/// to give them back (``GeminiSignature``). There is no end marker: the last event, which has the finish reason, waits for the end.
struct GeminiAnswerWriter: AnswerEventWriter {
    let context: DialectContext
    private(set) var heldBytes = 0
    private var id = ""
    private var model = ""
    private var usage: Usage?
    private var choices: [Int: Choice] = [:]

    /// What is known of one candidate of a stream.
    private struct Choice {
        var thought = ""
        var signed: [Thinking] = []
        var calls: [ToolCall] = []
        var finish: FinishReason?
        var hasRefusal = false
        var ruler = TextRuler()
        var citations: [Citation] = []

        /// The signature that goes with the next part.
        mutating func signature() -> String? {
            defer { signed = [] }
            return signed.isEmpty ? nil : GeminiSignature.text(signed)
        }
    }

    init(context: DialectContext) { self.context = context }

    // MARK: Whole

    func body(_ answer: Answer) -> JSONValue {
        var candidates: [JSONValue] = []
        for (index, choice) in answer.choices.enumerated() {
            var state = Choice(finish: choice.finish, citations: choice.citations)
            var parts: [JSONValue] = []
            for part in choice.parts {
                switch part {
                case .text(let text, _) where !text.isEmpty: parts.append(Self.text(text, &state))
                case .refusal(let text):
                    state.hasRefusal = true
                    parts.append(Self.text(text, &state))
                case .thinking(let thinking):
                    if thinking.signature != nil || thinking.redacted != nil { state.signed.append(thinking) }
                    if context.showsThoughts, !thinking.text.isEmpty { parts.append(Self.thought(thinking.text)) }
                case .toolCall(let call): parts.append(Self.call(call, &state))
                case .image(let media, _, _): parts.append(Self.image(media, &state))
                default: break
                }
            }
            if let signature = state.signature() { parts.append(["text": "", "thoughtSignature": .string(signature)]) }
            candidates.append(Self.candidate(parts, state, index: index, logprobs: choice.logprobs))
        }
        return response(candidates, id: answer.id, model: answer.model, usage: answer.usage)
    }

    private static func text(_ text: String, _ state: inout Choice) -> JSONValue {
        if !state.hasRefusal { state.ruler.append(text) }
        var part = ObjectBuilder()
        part.add("text", .string(text))
        part.add("thoughtSignature", text: state.signature())
        return part.value
    }

    private static func thought(_ text: String) -> JSONValue { ["text": .string(text), "thought": true] }

    private static func call(_ call: ToolCall, _ state: inout Choice) -> JSONValue {
        var part = ObjectBuilder()
        part.add("functionCall", ["id": .string(call.id), "name": .string(call.name), "args": call.value ?? .object([])])
        part.add("thoughtSignature", text: state.signature())
        return part.value
    }

    private static func image(_ media: Conversation.Media, _ state: inout Choice) -> JSONValue {
        var part = ObjectBuilder()
        switch media {
        case .base64(let type, let data): part.add("inlineData", ["mimeType": .string(type), "data": .string(data)])
        case .url(let url), .file(let url):
            part.add("fileData", ["mimeType": .string(DataURL.type(ofURL: url) ?? "image/png"), "fileUri": .string(url)])
        }
        part.add("thoughtSignature", text: state.signature())
        return part.value
    }

    private static func candidate(_ parts: [JSONValue], _ state: Choice, index: Int, logprobs: JSONValue? = nil) -> JSONValue {
        var candidate = ObjectBuilder()
        // A last event without words has an empty one, as Google's own; some clients do not do without.
        candidate.add("content", ["parts": .array(parts.isEmpty ? [["text": ""]] : parts), "role": "model"])
        candidate.add("finishReason", text: state.finish.map { ($0 == .stop && state.hasRefusal ? .refusal : $0).gemini })
        candidate.add("index", .integer(index))
        candidate.add("groundingMetadata", GeminiGrounding.metadata(state.citations, state.ruler))
        candidate.add("logprobsResult", logprobs.map(self.logprobs))
        return candidate.value
    }

    private func response(_ candidates: [JSONValue], id: String, model: String, usage: Usage?) -> JSONValue {
        var object = ObjectBuilder()
        object.add("candidates", .array(candidates))
        object.add("usageMetadata", usage.map(UsageShape.gemini))
        object.add("modelVersion", .string(context.shown(model)))
        object.add("responseId", .string(context.id(id)))
        return object.value
    }

    /// From OpenAI's `logprobs` object.
    private static func logprobs(_ value: JSONValue) -> JSONValue {
        func entry(_ token: JSONValue) -> JSONValue { ["token": token["token"] ?? "", "logProbability": token["logprob"] ?? .null] }
        let content = value["content"]?.arrayValue ?? []
        return [
            "topCandidates": .array(content.map { ["candidates": .array(($0["top_logprobs"]?.arrayValue ?? []).map(entry))] }),
            "chosenCandidates": .array(content.map(entry)),
        ]
    }

    // MARK: Stream

    mutating func write(_ event: AnswerEvent, into out: inout ByteBuffer) {
        guard event.kind != .end else { return }
        // Taken out while it is worked on: a second one would make each text that is appended to be copied first.
        var state = choices.removeValue(forKey: event.choice) ?? Choice()
        defer { choices[event.choice] = state }
        switch event.kind {
        case .start(let id, let model, _):
            self.id = id
            self.model = model
        case .text(let text):
            state.thought = ""
            chunk([Self.text(text, &state)], event.choice, into: &out)
        case .refusal(let text):
            state.hasRefusal = true
            chunk([Self.text(text, &state)], event.choice, into: &out)
        case .thinking(let text):
            state.thought += text
            heldBytes += text.utf8.count
            if context.showsThoughts { chunk([Self.thought(text)], event.choice, into: &out) }
        case .signature(let signature):
            state.signed.append(Thinking(state.thought, signature: signature))
            state.thought = ""
            heldBytes += signature.utf8.count
        case .redactedThinking(let data):
            state.signed.append(Thinking(redacted: data))
            heldBytes += data.utf8.count
        case .image(let media):
            state.thought = ""
            chunk([Self.image(media, &state)], event.choice, into: &out)
        case .toolBegin(let index, let id, let name):
            state.thought = ""
            while state.calls.count <= index { state.calls.append(ToolCall(id: "", name: "", arguments: "")) }
            state.calls[index] = ToolCall(id: id, name: name, arguments: "")
            heldBytes += id.utf8.count + name.utf8.count
        case .toolArguments(let index, let text):
            guard state.calls.indices.contains(index) else { return }
            state.calls[index].arguments += text
            heldBytes += text.utf8.count
        case .logprobs(let value):
            let candidate = Self.candidate([], Choice(), index: event.choice, logprobs: value)
            SSEWriter.write(response([candidate], id: id, model: model, usage: nil), into: &out)
        case .citation(let citation):
            state.citations.append(citation)
            heldBytes += citation.url.utf8.count + (citation.title ?? "").utf8.count
        case .finish(let reason, _):
            state.finish = reason
            flush(&state, event.choice, into: &out)
        case .usage(let usage): self.usage = usage
        case .end: break
        }
    }

    private mutating func flush(_ state: inout Choice, _ choice: Int, into out: inout ByteBuffer) {
        let calls = state.calls
        state.calls = []
        guard !calls.isEmpty else { return }
        var parts: [JSONValue] = []
        for call in calls { parts.append(Self.call(call, &state)) }
        chunk(parts, choice, into: &out)
    }

    private func chunk(_ parts: [JSONValue], _ choice: Int, into out: inout ByteBuffer) {
        let candidate = Self.candidate(parts, Choice(), index: choice)
        SSEWriter.write(response([candidate], id: id, model: model, usage: nil), into: &out)
    }

    mutating func end(into out: inout ByteBuffer) -> ByteBuffer {
        var candidates: [JSONValue] = []
        for (index, choice) in choices.sorted(by: { $0.key < $1.key }) {
            var state = choice
            flush(&state, index, into: &out)
            var parts: [JSONValue] = []
            if let signature = state.signature() { parts.append(["text": "", "thoughtSignature": .string(signature)]) }
            candidates.append(Self.candidate(parts, state, index: index))
        }
        var trailer = ByteBuffer()
        SSEWriter.write(response(candidates, id: id, model: model, usage: usage), into: &trailer)
        return trailer
    }
}

extension FinishReason {
    /// https://ai.google.dev/api/generate-content#FinishReason
    var gemini: String {
        switch self {
        case .stop, .toolCalls, .pause: "STOP"
        case .length: "MAX_TOKENS"
        case .contentFilter, .refusal: "SAFETY"
        }
    }
}

extension UsageShape {
    /// Gemini: cached tokens inside the prompt, thoughts beside the answer; no cost, which Google's clients do not know.
    static func gemini(_ usage: Usage) -> JSONValue {
        var object = ObjectBuilder()
        object.add("promptTokenCount", .integer(usage.promptTokens))
        object.add("candidatesTokenCount", .integer(usage.completionTokens - usage.reasoning))
        object.add("totalTokenCount", .integer(usage.promptTokens + usage.completionTokens))
        if usage.cacheRead > 0 { object.add("cachedContentTokenCount", .integer(usage.cacheRead)) }
        if usage.reasoning > 0 { object.add("thoughtsTokenCount", .integer(usage.reasoning)) }
        if usage.audioInput > 0 {
            object.add(
                "promptTokensDetails",
                [
                    ["modality": "TEXT", "tokenCount": .integer(usage.promptTokens - usage.audioInput)],
                    ["modality": "AUDIO", "tokenCount": .integer(usage.audioInput)],
                ])
        }
        return object.value
    }
}
