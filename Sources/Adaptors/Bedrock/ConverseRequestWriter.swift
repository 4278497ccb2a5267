import RouterCore

/// Writes a conversation as Amazon Bedrock's Converse (https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html).
struct ConverseRequestWriter {
    let rules: RequestRules
    /// The most that the model can answer, where the provider file says so; thinking needs a bound.
    let modelMaxTokens: Int64?

    func write(_ conversation: Conversation) throws(UpstreamFailure) -> JSONValue {
        if conversation.choices > 1 { throw .inexpressible("n") }
        if conversation.logprobs { throw .inexpressible("logprobs") }
        for (key, name) in [
            (Conversation.Sampling.seed, "seed"), (.frequencyPenalty, "frequency_penalty"), (.presencePenalty, "presence_penalty"),
        ]
        where conversation.sampling[key] != nil { throw .inexpressible(name) }
        if conversation.format != nil { throw .inexpressible("response_format") }
        if conversation.messages.contains(where: { $0.name != nil }) { throw .inexpressible("messages.name") }
        if conversation.parallelToolCalls == false, !conversation.tools.isEmpty { throw .inexpressible("parallel_tool_calls") }
        var body = ObjectBuilder()
        var system: [JSONValue] = []
        for message in conversation.messages where message.role == .system || message.role == .developer {
            for part in message.parts { try append(part, &system) }
        }
        if !system.isEmpty { body.add("system", .array(system)) }
        body.add("messages", .array(try messages(conversation)))
        var config = ObjectBuilder()
        config.add("maxTokens", integer: conversation.maxTokens)
        config.add("temperature", number: conversation.sampling[.temperature])
        config.add("topP", number: conversation.sampling[.topP])
        if !conversation.stop.isEmpty { config.add("stopSequences", .array(conversation.stop.map { .string($0) })) }
        if !config.isEmpty { body.add("inferenceConfig", config.value) }
        try addTools(conversation, &body)
        var more = ObjectBuilder()
        more.add("top_k", number: conversation.sampling[.topK])
        // The one field that models take beside the common ones is Anthropic's.
        let maxTokens = conversation.maxTokens ?? modelMaxTokens ?? MessagesRequestWriter.defaultMaxTokens
        more.add("thinking", try MessagesRequestWriter.thinking(conversation.reasoning, maxTokens: maxTokens))
        if !more.isEmpty { body.add("additionalModelRequestFields", more.value) }
        body.apply(rules)
        return body.value
    }

    private func addTools(_ conversation: Conversation, _ body: inout ObjectBuilder) throws(UpstreamFailure) {
        guard !conversation.tools.isEmpty else { return }
        var tools: [JSONValue] = []
        for tool in conversation.tools {
            var spec = ObjectBuilder()
            spec.add("name", .string(tool.name))
            spec.add("description", text: tool.description)
            spec.add("inputSchema", ["json": tool.schema ?? ["type": "object", "properties": [:]]])
            tools.append(["toolSpec": spec.value])
            if tool.cache != nil { tools.append(Self.cachePoint) }
        }
        var config = ObjectBuilder()
        config.add("tools", .array(tools))
        switch conversation.toolChoice {
        case .auto?: config.add("toolChoice", ["auto": [:]])
        case .required?: config.add("toolChoice", ["any": [:]])
        case .function(let name)?: config.add("toolChoice", ["tool": ["name": .string(name)]])
        case Conversation.ToolChoice.none?: throw .inexpressible("tool_choice", "'none' cannot be expressed for this model's vendor")
        case nil: break
        }
        body.add("toolConfig", config.value)
    }

    private static let cachePoint: JSONValue = ["cachePoint": ["type": "default"]]

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
        return turns.map { ["role": .string($0.role), "content": .array($0.blocks)] }
    }

    private func append(_ part: Conversation.Part, _ blocks: inout [JSONValue]) throws(UpstreamFailure) {
        var mark: JSONValue?
        switch part {
        case .text(let text, let cache):
            guard !text.isEmpty else { return }
            blocks.append(["text": .string(text)])
            mark = cache
        case .refusal(let text): blocks.append(["text": .string(text)])
        case .image(let media, _, let cache):
            guard case .base64(let type, let data) = media else {
                throw .inexpressible("image", "can only be given as data to this model's vendor, not by its URL")
            }
            let format = String(type.split(separator: "/").last ?? "png")
            blocks.append(["image": ["format": .string(format), "source": ["bytes": .string(data)]]])
            mark = cache
        case .document(let media, let name, let cache):
            guard case .base64(_, let data) = media else {
                throw .inexpressible("document", "can only be given as data to this model's vendor, not by its URL")
            }
            blocks.append(["document": ["format": "pdf", "name": .string(documentName(name)), "source": ["bytes": .string(data)]]])
            mark = cache
        case .audio: throw .inexpressible("input_audio")
        case .thinking(let thinking):
            if let data = thinking.redacted {
                blocks.append(["reasoningContent": ["redactedContent": .string(data)]])
            } else if let signature = thinking.anthropicSignature {
                blocks.append(["reasoningContent": ["reasoningText": ["text": .string(thinking.text), "signature": .string(signature)]]])
            }
        case .toolCall(let call):
            guard let input = call.value else { throw .malformedField("tool_calls.function.arguments", "must be JSON") }
            blocks.append(["toolUse": ["toolUseId": .string(call.id), "name": .string(call.name), "input": input]])
        case .toolResult(let result):
            var content: [JSONValue] = []
            for inner in result.parts { try append(inner, &content) }
            // A mark can stand behind the result only.
            if content.contains(Self.cachePoint) {
                content.removeAll { $0 == Self.cachePoint }
                mark = Self.cachePoint
            }
            var object = ObjectBuilder()
            object.add("toolUseId", .string(result.id))
            object.add("content", .array(content))
            if result.isError { object.add("status", "error") }
            blocks.append(["toolResult": object.value])
            mark = result.cache ?? mark
        }
        if mark != nil { blocks.append(Self.cachePoint) }
    }

    /// Letters, digits, single spaces, hyphens and brackets are allowed.
    private func documentName(_ name: String?) -> String {
        let allowed = (name ?? "document").map { $0.isASCII && ($0.isLetter || $0.isNumber || $0 == "-") ? $0 : " " }
        let words = String(allowed).split(separator: " ").joined(separator: " ")
        return words.isEmpty ? "document" : words
    }
}
