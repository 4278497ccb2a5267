import RouterCore

/// Writes a conversation as Anthropic's Messages (https://docs.anthropic.com/en/api/messages).
struct MessagesRequestWriter {
    let model: String
    let rules: RequestRules
    /// The most that the model can answer, where the provider file says so; the format does not do without a bound.
    let modelMaxTokens: Int64?

    static let defaultMaxTokens: Int64 = 4_096
    /// Anthropic takes no smaller budget.
    static let smallestBudget: Int64 = 1_024

    func write(_ conversation: Conversation) throws(UpstreamFailure) -> JSONValue {
        try refuse(conversation)
        var body = ObjectBuilder()
        body.add("model", .string(model))
        let fileDefault = rules.defaults.first { $0.name == "max_tokens" }.flatMap { Int64($0.json) }
        let maxTokens = conversation.maxTokens ?? fileDefault ?? modelMaxTokens ?? Self.defaultMaxTokens
        body.add("max_tokens", .integer(maxTokens))
        var system: [JSONValue] = []
        for message in conversation.messages where message.role == .system || message.role == .developer {
            for part in message.parts { try append(part, &system) }
        }
        if !system.isEmpty { body.add("system", .array(system)) }
        body.add("messages", .array(try messages(conversation)))
        if !conversation.tools.isEmpty {
            body.add("tools", .array(conversation.tools.map(tool)))
            body.add("tool_choice", choice(conversation))
        }
        body.add("thinking", try Self.thinking(conversation.reasoning, maxTokens: maxTokens))
        if case .schema(_, _, let schema, _)? = conversation.format {
            body.add("output_config", ["format": ["type": "json_schema", "schema": schema]])
        }
        body.add("temperature", number: conversation.sampling[.temperature])
        body.add("top_p", number: conversation.sampling[.topP])
        body.add("top_k", number: conversation.sampling[.topK])
        if !conversation.stop.isEmpty { body.add("stop_sequences", .array(conversation.stop.map { .string($0) })) }
        if let user = conversation.user { body.add("metadata", ["user_id": .string(user)]) }
        if conversation.isStream { body.add("stream", true) }
        body.apply(rules)
        return body.value
    }

    private func refuse(_ conversation: Conversation) throws(UpstreamFailure) {
        if conversation.choices > 1 { throw .inexpressible("n") }
        if conversation.logprobs { throw .inexpressible("logprobs") }
        if conversation.sampling[.seed] != nil { throw .inexpressible("seed") }
        for (key, name) in [(Conversation.Sampling.frequencyPenalty, "frequency_penalty"), (.presencePenalty, "presence_penalty")] {
            // 0 is what holds without the field.
            if let value = conversation.sampling[key], value.contains(where: { "123456789".contains($0) }) { throw .inexpressible(name) }
        }
        if conversation.format == .object {
            throw .inexpressible("response_format", "of type json_object cannot be expressed for this model's vendor; give a json_schema")
        }
        if conversation.messages.contains(where: { $0.name != nil }) { throw .inexpressible("messages.name") }
    }

    /// OpenAI's words as a share of the answer: minimal 0.1, low 0.2, medium 0.5, high 0.8, xhigh 0.95
    /// (https://openrouter.ai/docs/use-cases/reasoning-tokens), at least what Anthropic takes and below `max_tokens`.
    static func thinking(_ reasoning: Conversation.Reasoning?, maxTokens: Int64) throws(UpstreamFailure) -> JSONValue? {
        let budget: Int64
        switch reasoning {
        case nil: return nil
        case .adaptive?: return ["type": "adaptive"]
        case .budget(let tokens)?: budget = tokens
        case .effort(let word)?:
            let shares: [String: Int64] = ["minimal": 10, "low": 20, "medium": 50, "high": 80, "xhigh": 95]
            if word == "none" { return ["type": "disabled"] }
            guard let share = shares[word] else {
                throw .malformedField("reasoning_effort", "must be one of none, minimal, low, medium, high, xhigh")
            }
            guard maxTokens > smallestBudget else {
                throw .inexpressible("reasoning_effort", "needs max_tokens above \(smallestBudget) for this model's vendor")
            }
            let (product, overflowed) = maxTokens.multipliedReportingOverflow(by: share)
            budget = max(smallestBudget, overflowed ? maxTokens - 1 : product / 100)
        }
        return ["type": "enabled", "budget_tokens": .integer(budget)]
    }

    // MARK: Messages

    /// Answers of tools become a message of the user, together with what the user says next.
    private func messages(_ conversation: Conversation) throws(UpstreamFailure) -> [JSONValue] {
        var turns: [(role: String, blocks: [JSONValue])] = []
        for message in conversation.messages where message.role != .system && message.role != .developer {
            let role = message.role == .assistant ? "assistant" : "user"
            var blocks: [JSONValue] = []
            for part in message.parts { try append(part, &blocks) }
            guard !blocks.isEmpty else { continue }
            if let last = turns.indices.last, turns[last].role == role {
                turns[last].blocks += blocks
            } else {
                turns.append((role, blocks))
            }
        }
        return turns.map { turn in
            var content: JSONValue = .array(turn.blocks)
            if turn.blocks.count == 1, turn.blocks[0]["type"] == "text", turn.blocks[0]["cache_control"] == nil,
                let text = turn.blocks[0]["text"]
            {
                content = text
            }
            return ["role": .string(turn.role), "content": content]
        }
    }

    private func append(_ part: Conversation.Part, _ blocks: inout [JSONValue]) throws(UpstreamFailure) {
        var block = ObjectBuilder()
        switch part {
        case .text(let text, let cache):
            // Anthropic refuses blocks without text.
            guard !text.isEmpty else { return }
            block.add("type", "text")
            block.add("text", .string(text))
            block.add("cache_control", cache)
        case .refusal(let text):
            block.add("type", "text")
            block.add("text", .string(text))
        case .image(let media, _, let cache):
            block.add("type", "image")
            block.add("source", source(media))
            block.add("cache_control", cache)
        case .document(let media, let name, let cache):
            block.add("type", "document")
            block.add("source", source(media))
            block.add("title", text: name)
            block.add("cache_control", cache)
        case .audio: throw .inexpressible("input_audio")
        case .thinking(let thinking):
            // Without Anthropic's own signature a thought is refused; it is of use to its own model only.
            if let data = thinking.redacted {
                block.add("type", "redacted_thinking")
                block.add("data", .string(data))
            } else if let signature = thinking.anthropicSignature {
                block.add("type", "thinking")
                block.add("thinking", .string(thinking.text))
                block.add("signature", .string(signature))
            } else {
                return
            }
        case .toolCall(let call):
            guard let input = call.value else { throw .malformedField("tool_calls.function.arguments", "must be JSON") }
            block.add("type", "tool_use")
            block.add("id", .string(call.id))
            block.add("name", .string(call.name))
            block.add("input", input)
        case .toolResult(let result):
            block.add("type", "tool_result")
            block.add("tool_use_id", .string(result.id))
            if let text = result.text {
                block.add("content", .string(text))
            } else {
                var inner: [JSONValue] = []
                for part in result.parts { try append(part, &inner) }
                block.add("content", .array(inner))
            }
            if result.isError { block.add("is_error", true) }
            block.add("cache_control", result.cache)
        }
        blocks.append(block.value)
    }

    private func source(_ media: Conversation.Media) -> JSONValue {
        switch media {
        case .url(let url): ["type": "url", "url": .string(url)]
        case .base64(let type, let data): ["type": "base64", "media_type": .string(type), "data": .string(data)]
        case .file(let id): ["type": "file", "file_id": .string(id)]
        }
    }

    // MARK: Tools

    private func tool(_ tool: Conversation.Tool) -> JSONValue {
        var object = ObjectBuilder()
        object.add("name", .string(tool.name))
        object.add("description", text: tool.description)
        object.add("input_schema", tool.schema ?? ["type": "object", "properties": [:]])
        if tool.strict == true { object.add("strict", true) }
        object.add("cache_control", tool.cache)
        return object.value
    }

    private func choice(_ conversation: Conversation) -> JSONValue? {
        var object = ObjectBuilder()
        switch conversation.toolChoice {
        case .auto?: object.add("type", "auto")
        case Conversation.ToolChoice.none?: return ["type": "none"]
        case .required?: object.add("type", "any")
        case .function(let name)?:
            object.add("type", "tool")
            object.add("name", .string(name))
        case nil:
            guard conversation.parallelToolCalls == false else { return nil }
            object.add("type", "auto")
        }
        if conversation.parallelToolCalls == false { object.add("disable_parallel_tool_use", true) }
        return object.value
    }
}
