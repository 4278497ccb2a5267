import RouterCore

/// Writes a conversation as Gemini's `generateContent` (https://ai.google.dev/api/generate-content).
struct GeminiRequestWriter {
    let model: String
    let rules: RequestRules

    /// Stands for a signature that is lacking because another model made the call; Gemini 3 refuses calls without one
    /// (https://ai.google.dev/gemini-api/docs/thought-signatures).
    static let noSignature = "skip_thought_signature_validator"

    func write(_ conversation: Conversation) throws(UpstreamFailure) -> JSONValue {
        if conversation.messages.contains(where: { $0.name != nil }) { throw .inexpressible("messages.name") }
        if conversation.parallelToolCalls == false, !conversation.tools.isEmpty { throw .inexpressible("parallel_tool_calls") }
        var body = ObjectBuilder()
        var system: [JSONValue] = []
        let names = conversation.functionNames
        for message in conversation.messages where message.role == .system || message.role == .developer {
            system += try parts(message, names)
        }
        if !system.isEmpty { body.add("systemInstruction", ["parts": .array(system)]) }
        body.add("contents", .array(try contents(conversation, names)))
        if !conversation.tools.isEmpty {
            body.add("tools", [["functionDeclarations": .array(try conversation.tools.map(tool))]])
            body.add("toolConfig", conversation.toolChoice.map { ["functionCallingConfig": choice($0)] })
        }
        let config = try generationConfig(conversation)
        if !config.isEmpty { body.add("generationConfig", config.value) }
        body.apply(rules)
        return body.value
    }

    private func generationConfig(_ conversation: Conversation) throws(UpstreamFailure) -> ObjectBuilder {
        var config = ObjectBuilder()
        let sampling = conversation.sampling
        config.add("maxOutputTokens", integer: conversation.maxTokens)
        config.add("temperature", number: sampling[.temperature])
        config.add("topP", number: sampling[.topP])
        config.add("topK", number: sampling[.topK])
        config.add("seed", number: sampling[.seed])
        config.add("frequencyPenalty", number: sampling[.frequencyPenalty])
        config.add("presencePenalty", number: sampling[.presencePenalty])
        if !conversation.stop.isEmpty { config.add("stopSequences", .array(conversation.stop.map { .string($0) })) }
        if conversation.choices > 1 { config.add("candidateCount", .integer(conversation.choices)) }
        if conversation.logprobs {
            config.add("responseLogprobs", true)
            config.add("logprobs", integer: conversation.topLogprobs)
        }
        if let format = conversation.format {
            config.add("responseMimeType", "application/json")
            if case .schema(_, _, let schema, _) = format { config.add("responseJsonSchema", schema) }
        }
        config.add("thinkingConfig", try thinking(conversation.reasoning))
        return config
    }

    /// Google's own figures for OpenAI's words (https://ai.google.dev/gemini-api/docs/openai#thinking); -1 lets the model decide.
    private func thinking(_ reasoning: Conversation.Reasoning?) throws(UpstreamFailure) -> JSONValue? {
        let budgets: [String: Int64] = ["none": 0, "minimal": 1_024, "low": 1_024, "medium": 8_192, "high": 24_576, "xhigh": 24_576]
        let budget: Int64
        switch reasoning {
        case nil: return nil
        case .adaptive?: budget = -1
        case .budget(let tokens)?: budget = tokens
        case .effort(let word)?:
            guard let known = budgets[word] else {
                throw .malformedField("reasoning_effort", "must be one of none, minimal, low, medium, high, xhigh")
            }
            budget = known
        }
        return ["thinkingBudget": .integer(budget), "includeThoughts": .boolean(budget != 0)]
    }

    // MARK: Contents

    private func contents(_ conversation: Conversation, _ names: [String: String]) throws(UpstreamFailure) -> [JSONValue] {
        var turns: [(role: String, parts: [JSONValue])] = []
        for message in conversation.messages where message.role != .system && message.role != .developer {
            let role = message.role == .assistant ? "model" : "user"
            let parts = try parts(message, names)
            guard !parts.isEmpty else { continue }
            if let last = turns.indices.last, turns[last].role == role {
                turns[last].parts += parts
            } else {
                turns.append((role, parts))
            }
        }
        return turns.map { ["role": .string($0.role), "parts": .array($0.parts)] }
    }

    private func parts(_ message: Conversation.Message, _ names: [String: String]) throws(UpstreamFailure) -> [JSONValue] {
        var out: [JSONValue] = []
        // A signature belongs to the part behind the thought, or to the last one when none follows.
        var signature: String?
        var hasCall = false
        for part in message.parts {
            var object = ObjectBuilder()
            switch part {
            case .thinking(let thinking):
                signature = thinking.geminiSignature ?? signature
                continue
            case .toolCall(let call):
                guard let args = call.value else { throw .malformedField("tool_calls.function.arguments", "must be JSON") }
                object.add("functionCall", ["name": .string(call.name), "args": args])
                // Only the first of parallel calls has one.
                if signature == nil, !hasCall, model.contains("gemini-3") { signature = Self.noSignature }
                hasCall = true
            case .toolResult(let result):
                out += try functionResponse(result, names)
                continue
            default: object = try self.part(part)
            }
            object.add("thoughtSignature", text: signature)
            signature = nil
            out.append(object.value)
        }
        if let signature, case .object(let members)? = out.last {
            out[out.count - 1] = .object(members + [.init("thoughtSignature", .string(signature))])
        }
        return out
    }

    private func functionResponse(_ result: ToolResult, _ names: [String: String]) throws(UpstreamFailure) -> [JSONValue] {
        guard let name = names[result.id] else {
            throw .malformedField("tool_call_id", "'\(result.id)' belongs to no tool call of this conversation")
        }
        var texts: [String] = []
        var media: [JSONValue] = []
        for part in result.parts {
            if case .text(let text, _) = part { texts.append(text) } else { media.append(try self.part(part).value) }
        }
        let text = texts.joined(separator: "\n")
        var response: JSONValue = [result.isError ? "error" : "result": .string(text)]
        if !result.isError, let tree = JSONText.parse(text), case .object = tree { response = tree }
        return [["functionResponse": ["name": .string(name), "response": response]]] + media
    }

    private func part(_ part: Conversation.Part) throws(UpstreamFailure) -> ObjectBuilder {
        var object = ObjectBuilder()
        switch part {
        case .text(let text, _), .refusal(let text): object.add("text", .string(text))
        case .image(let media, _, _): try add(media, "image", &object)
        case .document(let media, _, _): try add(media, "document", &object)
        case .audio(let data, let format):
            object.add("inlineData", ["mimeType": .string(DataURL.audioType(format)), "data": .string(data)])
        case .thinking, .toolCall, .toolResult: throw .inexpressible("messages.content")
        }
        return object
    }

    private func add(_ media: Conversation.Media, _ what: String, _ object: inout ObjectBuilder) throws(UpstreamFailure) {
        switch media {
        case .base64(let type, let data): object.add("inlineData", ["mimeType": .string(type), "data": .string(data)])
        case .url(let url), .file(let url):
            guard url.hasPrefix("https://") || url.hasPrefix("gs://") else { throw .inexpressible("\(what).url") }
            var type = DataURL.type(ofURL: url)
            if what == "image" {
                // `fileUri` takes films, documents and what Google holds too (https://ai.google.dev/gemini-api/docs/video-understanding),
                // which count far more than the picture that they were admitted as.
                guard type?.hasPrefix("image/") ?? true, !Self.isGoogles(url) else {
                    throw .inexpressible("image", "must be the address of a picture on the web for this model's vendor")
                }
                type = type ?? "image/jpeg"
            }
            var file = ObjectBuilder()
            file.add("mimeType", text: type)
            file.add("fileUri", .string(url))
            object.add("fileData", file.value)
        }
    }

    /// Whether the address is one at which Gemini finds more than a file of the web.
    private static func isGoogles(_ url: String) -> Bool {
        let rest = url.lowercased().dropFirst("https://".count)
        let authority = rest.prefix { !"/?#\\".contains($0) }
        var host = authority.split(separator: "@").last?.split(separator: ":").first ?? ""
        // A name with its final dot is the same name.
        while host.last == "." { host.removeLast() }
        let names = ["youtube.com", "youtu.be", "youtube-nocookie.com", "googleapis.com"]
        return names.contains { host == $0 || host.hasSuffix("." + $0) } && host != "storage.googleapis.com"
    }

    // MARK: Tools

    private func tool(_ tool: Conversation.Tool) throws(UpstreamFailure) -> JSONValue {
        var object = ObjectBuilder()
        object.add("name", .string(tool.name))
        object.add("description", text: tool.description)
        object.add("parametersJsonSchema", tool.schema)
        return object.value
    }

    private func choice(_ choice: Conversation.ToolChoice) -> JSONValue {
        switch choice {
        case .auto: ["mode": "AUTO"]
        case .none: ["mode": "NONE"]
        case .required: ["mode": "ANY"]
        case .function(let name): ["mode": "ANY", "allowedFunctionNames": [.string(name)]]
        }
    }
}
