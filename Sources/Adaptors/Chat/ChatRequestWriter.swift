import RouterCore

/// Writes a conversation as Chat Completions for a vendor of the OpenAI family.
struct ChatRequestWriter {
    let model: String
    let rules: RequestRules
    let dialect: OpenAIDialect
    /// Whether `stream_options.include_usage` may be sent.
    let asksForUsage: Bool
    /// Members that go to the vendor as they are.
    var passed: [JSONValue.Member] = []

    func write(_ conversation: Conversation) throws(UpstreamFailure) -> JSONValue {
        var body = ObjectBuilder()
        body.add("model", .string(model))
        var messages: [JSONValue] = []
        for message in conversation.messages { try append(message, &messages) }
        body.add("messages", .array(messages))
        if !conversation.tools.isEmpty { body.add("tools", .array(conversation.tools.map(tool))) }
        body.add("tool_choice", conversation.toolChoice.map(choice))
        body.add("parallel_tool_calls", flag: conversation.tools.isEmpty ? nil : conversation.parallelToolCalls)
        body.add("response_format", conversation.format.map(format))
        body.add("max_completion_tokens", integer: conversation.maxTokens)
        body.add("reasoning_effort", text: conversation.reasoning.flatMap { effort($0, max: conversation.maxTokens) })
        let sampling = conversation.sampling
        body.add("temperature", number: sampling[.temperature])
        body.add("top_p", number: sampling[.topP])
        if let topK = sampling[.topK] {
            // OpenAI itself has no such field; members of the family that do say so by naming it in their file.
            guard dialect.readsTopK || rules.mentions("top_k") else { throw .inexpressible("top_k") }
            body.add("top_k", number: topK)
        }
        body.add("seed", number: sampling[.seed])
        body.add("frequency_penalty", number: sampling[.frequencyPenalty])
        body.add("presence_penalty", number: sampling[.presencePenalty])
        if !conversation.stop.isEmpty { body.add("stop", .array(conversation.stop.map { .string($0) })) }
        if conversation.choices > 1 { body.add("n", integer: conversation.choices) }
        if conversation.logprobs { body.add("logprobs", true) }
        body.add("top_logprobs", integer: conversation.topLogprobs)
        body.add("user", text: conversation.user)
        if conversation.isStream {
            body.add("stream", true)
            if asksForUsage { body.add("stream_options", ["include_usage": true]) }
        }
        for member in passed { body.add(member.name, member.value) }
        body.apply(rules)
        return body.value
    }

    /// A budget as one of OpenAI's words: the thresholds are the middles between the shares that OpenRouter gives the words
    /// (0.2, 0.5 and 0.8 of the answer, https://openrouter.ai/docs/use-cases/reasoning-tokens).
    private func effort(_ reasoning: Conversation.Reasoning, max: Int64?) -> String? {
        switch reasoning {
        case .effort(let word): return word
        case .adaptive: return nil
        case .budget(let budget):
            guard budget > 0 else { return "minimal" }
            // Both are a client's numbers.
            let whole = Swift.min(Swift.max(max ?? 16_384, 1), 1 << 40)
            let budget = Swift.min(budget, 1 << 40)
            if budget * 100 < whole * 35 { return "low" }
            return budget * 100 < whole * 65 ? "medium" : "high"
        }
    }

    // MARK: Messages

    private func append(_ message: Conversation.Message, _ out: inout [JSONValue]) throws(UpstreamFailure) {
        if message.role == .tool {
            for part in message.parts {
                guard case .toolResult(let result) = part else { continue }
                try append(result, &out)
            }
            return
        }
        var object = ObjectBuilder()
        object.add("role", .string(message.role.rawValue))
        object.add("name", text: message.name)
        var content: [JSONValue] = []
        var calls: [JSONValue] = []
        var details: [JSONValue] = []
        var images: [JSONValue] = []
        for part in message.parts {
            switch part {
            // Pictures that the model has drawn stand beside its text.
            case .image(let media, _, _) where message.role == .assistant && dialect.readsAnswerImages:
                images.append(ChatImages.entry(media, index: images.count))
            case .toolCall(let call): calls.append(Self.toolCall(call))
            // Thoughts of other vendors' models are of no use to this one, unless it is an aggregator that keeps them.
            case .thinking(let thinking): details += ChatDetails.entries(thinking, index: Int64(details.count))
            default: content.append(try self.part(part))
            }
        }
        object.add("content", Self.content(content, isAssistant: message.role == .assistant))
        if dialect.readsReasoningDetails, !details.isEmpty { object.add("reasoning_details", .array(details)) }
        if !images.isEmpty { object.add("images", .array(images)) }
        if !calls.isEmpty { object.add("tool_calls", .array(calls)) }
        out.append(object.value)
    }

    /// One text is a plain string, which every vendor of the family reads.
    private static func content(_ parts: [JSONValue], isAssistant: Bool) -> JSONValue {
        if parts.isEmpty { return isAssistant ? .null : "" }
        if parts.count == 1, parts[0]["type"] == "text", let text = parts[0]["text"], parts[0]["cache_control"] == nil { return text }
        return .array(parts)
    }

    static func toolCall(_ call: ToolCall) -> JSONValue {
        [
            "id": .string(call.id), "type": "function",
            "function": ["name": .string(call.name), "arguments": .string(call.arguments.isEmpty ? "{}" : call.arguments)],
        ]
    }

    /// The format has text only in a tool's answer: pictures follow as a message of the user.
    private func append(_ result: ToolResult, _ out: inout [JSONValue]) throws(UpstreamFailure) {
        var texts: [String] = []
        var rest: [JSONValue] = []
        for inner in result.parts {
            if case .text(let text, _) = inner { texts.append(text) } else { rest.append(try part(inner)) }
        }
        var text = texts.joined(separator: "\n")
        if result.isError { text = "Error: " + text }
        if !rest.isEmpty, texts.isEmpty { text = "(see the next message)" }
        out.append(["role": "tool", "tool_call_id": .string(result.id), "content": .string(text)])
        if !rest.isEmpty { out.append(["role": "user", "content": .array(rest)]) }
    }

    private func part(_ part: Conversation.Part) throws(UpstreamFailure) -> JSONValue {
        switch part {
        case .text(let text, let cache):
            var object = ObjectBuilder()
            object.add("type", "text")
            object.add("text", .string(text))
            if dialect.readsCacheControl { object.add("cache_control", cache) }
            return object.value
        case .refusal(let text): return ["type": "refusal", "refusal": .string(text)]
        case .image(let media, let detail, _):
            var image = ObjectBuilder()
            image.add("url", .string(try url(media, "image")))
            image.add("detail", text: detail)
            return ["type": "image_url", "image_url": image.value]
        case .audio(let data, let format):
            return ["type": "input_audio", "input_audio": ["data": .string(data), "format": .string(format)]]
        case .document(let media, let name, _):
            var file = ObjectBuilder()
            file.add("filename", text: name ?? "document.pdf")
            switch media {
            case .file(let id): return ["type": "file", "file": ["file_id": .string(id)]]
            default: file.add("file_data", .string(try url(media, "document")))
            }
            return ["type": "file", "file": file.value]
        case .thinking, .toolCall, .toolResult: throw .inexpressible("messages.content")
        }
    }

    private func url(_ media: Conversation.Media, _ what: String) throws(UpstreamFailure) -> String {
        switch media {
        case .url(let url):
            if what == "document", !dialect.readsFileURLs {
                throw .inexpressible("document", "can only be given as data to this model's vendor, not by its URL")
            }
            return url
        case .base64(let type, let data): return DataURL.text(type: type, data: data)
        case .file: throw .inexpressible("\(what).file_id")
        }
    }

    // MARK: Tools and format

    private func tool(_ tool: Conversation.Tool) -> JSONValue {
        var function = ObjectBuilder()
        function.add("name", .string(tool.name))
        function.add("description", text: tool.description)
        function.add("parameters", tool.schema)
        function.add("strict", flag: tool.strict)
        return ["type": "function", "function": function.value]
    }

    private func choice(_ choice: Conversation.ToolChoice) -> JSONValue {
        switch choice {
        case .auto: "auto"
        case .none: "none"
        case .required: "required"
        case .function(let name): ["type": "function", "function": ["name": .string(name)]]
        }
    }

    private func format(_ format: Conversation.AnswerFormat) -> JSONValue {
        switch format {
        case .object: return ["type": "json_object"]
        case .schema(let name, let description, let schema, let strict):
            var object = ObjectBuilder()
            object.add("name", .string(name))
            object.add("description", text: description)
            object.add("schema", schema)
            object.add("strict", flag: strict)
            return ["type": "json_schema", "json_schema": object.value]
        }
    }
}

extension RequestRules {
    /// The provider file deals with the field, so the vendor knows it.
    func mentions(_ name: String) -> Bool {
        rename.contains { $0.from == name || $0.to == name } || drop.contains(name)
            || (defaults + set).contains { $0.name == name }
    }
}

/// `reasoning_details` as OpenRouter has them (https://openrouter.ai/docs/use-cases/reasoning-tokens).
enum ChatDetails {
    static func entries(_ thinking: Thinking, index: Int64) -> [JSONValue] {
        if let data = thinking.redacted {
            return [["type": "reasoning.encrypted", "data": .string(data), "index": .integer(index)]]
        }
        var entry = ObjectBuilder()
        entry.add("type", "reasoning.text")
        if !thinking.text.isEmpty || thinking.signature == nil { entry.add("text", .string(thinking.text)) }
        entry.add("signature", text: thinking.signature)
        entry.add("index", .integer(index))
        return [entry.value]
    }
}
