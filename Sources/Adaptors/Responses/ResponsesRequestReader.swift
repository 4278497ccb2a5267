import RouterCore

/// OpenAI's Responses as a client sends them; state has become input before
/// (https://platform.openai.com/docs/api-reference/responses/create).
enum ResponsesRequestReader {
    static func read(_ fields: inout Fields, noting dropped: DroppedFields) throws(UpstreamFailure) -> Conversation {
        var result = Conversation()
        if let text = try fields.text("instructions") {
            result.messages.append(Conversation.Message(role: .system, parts: [.text(text, cache: nil)]))
        }
        guard let input = fields.take("input") else { throw .malformedField("input", "is missing") }
        if let text = input.stringValue {
            result.messages.append(Conversation.Message(role: .user, parts: [.text(text, cache: nil)]))
        } else {
            guard let items = input.arrayValue else { throw .malformedField("input", "must be a string or an array") }
            for (index, item) in items.enumerated() { try append(Fields(item, at: "input[\(index)]"), &result) }
        }
        let tools = try fields.array("tools") ?? []
        for (index, tool) in tools.enumerated() {
            try append(tool: Fields(tool, at: "tools[\(index)]"), namespace: nil, &result, dropped)
        }
        // The vendor's calls could not be told apart, and would come back as the wrong tool's.
        guard !tools.contains(where: { $0["type"] == "namespace" }) || Set(result.tools.map(\.name)).count == result.tools.count else {
            throw .malformedField("tools", "has two tools of one name, counting those of a namespace as 'namespace__name'")
        }
        if let choice = fields.take("tool_choice") { result.toolChoice = try toolChoice(choice) }
        try result.checkToolChoice()
        result.parallelToolCalls = try fields.flag("parallel_tool_calls")
        result.maxTokens = try fields.integer("max_output_tokens")
        result.sampling[.temperature] = try fields.number("temperature")
        result.sampling[.topP] = try fields.number("top_p")
        if var text = try fields.object("text") { result.format = try format(&text, dropped) }
        if var reasoning = try fields.object("reasoning") {
            reasoning.skip("summary", "generate_summary")
            reasoning.drop("context", in: "reasoning", noting: dropped)
            result.reasoning = try reasoning.text("effort").map { .effort($0) }
            try reasoning.done()
        }
        result.topLogprobs = try fields.integer("top_logprobs")
        try readInclude(&fields, &result)
        result.user = try fields.text("user")
        if let pseudonym = try fields.text("safety_identifier"), result.user == nil { result.user = pseudonym }
        if fields.take("previous_response_id") != nil {
            throw .malformedField("previous_response_id", "is not known to the vendor of this model; send the whole input")
        }
        // Kept by the gateway, if at all: the vendor has no part in it.
        _ = try fields.flag("store")
        fields.skip("background", when: false)
        fields.skip("truncation", when: "disabled")
        fields.skip("service_tier", when: "auto", "default")
        fields.skip("prompt_cache_retention", "metadata")
        // Told to the vendor for its own records.
        fields.drop("client_metadata", noting: dropped)
        return result
    }

    private static func readInclude(_ fields: inout Fields, _ result: inout Conversation) throws(UpstreamFailure) {
        for (index, value) in (try fields.array("include") ?? []).enumerated() {
            switch value.stringValue {
            // Always there: a conversation cannot go on without it where nothing is stored.
            case "reasoning.encrypted_content": break
            case "message.output_text.logprobs": result.logprobs = true
            default: throw .inexpressible("include[\(index)]")
            }
        }
    }

    private static func format(_ text: inout Fields, _ dropped: DroppedFields) throws(UpstreamFailure) -> Conversation.AnswerFormat? {
        text.skip("verbosity", when: "medium")
        text.drop("verbosity", in: "text", noting: dropped)
        var result: Conversation.AnswerFormat?
        if var format = try text.object("format") {
            switch try format.requiredText("type") {
            case "text": break
            case "json_object": result = .object
            case "json_schema": result = try ChatRequestReader.schema(&format)
            default: throw .inexpressible(format.path("type"))
            }
            try format.done()
        }
        try text.done()
        return result
    }

    // MARK: Items

    /// What the model said, thought and called in one go are items of their own here and one message elsewhere.
    private static func append(_ given: Fields, _ result: inout Conversation) throws(UpstreamFailure) {
        var fields = given
        fields.skip("id", "status")
        let type = try fields.text("type") ?? "message"
        switch type {
        case "message":
            fields.skip("phase")
            let word = try fields.requiredText("role")
            guard let role = Conversation.Role(rawValue: word), role != .tool else {
                throw .malformedField(fields.path("role"), "must be one of system, developer, user, assistant")
            }
            let parts = try content(&fields, "content")
            if role == .assistant { appendAssistant(parts, &result) } else { result.messages.append(.init(role: role, parts: parts)) }
        case "function_call":
            let name = ResponsesTools.joined(try fields.text("namespace"), try fields.requiredText("name"))
            let call = ToolCall(id: try fields.requiredText("call_id"), name: name, arguments: try fields.text("arguments") ?? "")
            appendAssistant([.toolCall(call)], &result)
        case "custom_tool_call":
            let name = ResponsesTools.joined(try fields.text("namespace"), try fields.requiredText("name"))
            let input = try fields.text("input") ?? ""
            let call = ToolCall(id: try fields.requiredText("call_id"), name: name, arguments: ResponsesTools.arguments(input))
            appendAssistant([.toolCall(call)], &result)
        case "local_shell_call":
            let action = fields.take("action") ?? [:]
            let id = try fields.requiredText("call_id")
            let call = ToolCall(id: id, name: ResponsesTools.localShell, arguments: ResponsesTools.arguments(action: action))
            appendAssistant([.toolCall(call)], &result)
        case "function_call_output", "custom_tool_call_output", "local_shell_call_output":
            let id = try callID(&fields, given, type)
            result.messages.append(.init(role: .tool, parts: [.toolResult(ToolResult(id: id, parts: try content(&fields, "output")))]))
        case "reasoning": appendAssistant([.thinking(try thinking(&fields))], &result)
        default: throw .inexpressible(fields.path("type"), "'\(type)' cannot be expressed in the protocol of this model's vendor")
        }
        try fields.done()
    }

    /// The result of a local shell names its call in `id` in OpenAI's documentation, and in `call_id` where Codex writes it.
    private static func callID(_ fields: inout Fields, _ given: Fields, _ type: String) throws(UpstreamFailure) -> String {
        if let id = try fields.text("call_id") { return id }
        var again = given
        if type == "local_shell_call_output", let id = try again.text("id") { return id }
        return try fields.requiredText("call_id")
    }

    private static func appendAssistant(_ parts: [Conversation.Part], _ result: inout Conversation) {
        if let last = result.messages.indices.last, result.messages[last].role == .assistant {
            result.messages[last].parts += parts
        } else {
            result.messages.append(Conversation.Message(role: .assistant, parts: parts))
        }
    }

    private static func thinking(_ fields: inout Fields) throws(UpstreamFailure) -> Thinking {
        var texts: [String] = []
        for name in ["summary", "content"] {
            for (index, entry) in (try fields.array(name) ?? []).enumerated() {
                var inner = try Fields(entry, at: fields.path("\(name)[\(index)]"))
                inner.skip("type")
                texts.append(try inner.requiredText("text"))
                try inner.done()
            }
        }
        return ResponsesReasoning.thinking(texts.joined(separator: "\n\n"), encrypted: try fields.text("encrypted_content"))
    }

    private static func content(_ fields: inout Fields, _ name: String) throws(UpstreamFailure) -> [Conversation.Part] {
        let path = fields.path(name)
        guard let value = fields.take(name) else { return [] }
        if let text = value.stringValue { return [.text(text, cache: nil)] }
        guard let elements = value.arrayValue else { throw .malformedField(path, "must be a string or an array") }
        var parts: [Conversation.Part] = []
        for (index, element) in elements.enumerated() { parts.append(try part(Fields(element, at: "\(path)[\(index)]"))) }
        return parts
    }

    private static func part(_ given: Fields) throws(UpstreamFailure) -> Conversation.Part {
        var fields = given
        let type = try fields.requiredText("type")
        let part: Conversation.Part
        switch type {
        case "input_text", "output_text", "text":
            fields.skip("annotations", "logprobs")
            part = .text(try fields.requiredText("text"), cache: nil)
        case "refusal": part = .refusal(try fields.requiredText("refusal"))
        case "input_image":
            let detail = try fields.text("detail")
            if let id = try fields.text("file_id") {
                part = .image(.file(id), detail: detail, cache: nil)
            } else {
                part = .image(DataURL.media(try fields.requiredText("image_url")), detail: detail, cache: nil)
            }
        case "input_file": part = try ChatRequestReader.document(&fields, nil)
        case "input_audio":
            guard var audio = try fields.object("input_audio") else { throw .malformedField(fields.path("input_audio"), "is missing") }
            part = .audio(data: try audio.requiredText("data"), format: try audio.requiredText("format"))
            try audio.done()
        default: throw .inexpressible(fields.path("type"), "'\(type)' is not known here")
        }
        try fields.done()
        return part
    }
}
