import RouterCore

/// Anthropic's Messages as a client sends them (https://docs.anthropic.com/en/api/messages).
enum MessagesRequestReader {
    static func read(_ fields: inout Fields, noting dropped: DroppedFields) throws(UpstreamFailure) -> Conversation {
        var result = Conversation()
        if let system = fields.take("system") {
            result.messages.append(Conversation.Message(role: .system, parts: try content(system, "system")))
        }
        guard let messages = try fields.array("messages"), !messages.isEmpty else {
            throw .malformedField("messages", "must be an array with at least one message")
        }
        for (index, message) in messages.enumerated() {
            try append(Fields(message, at: "messages[\(index)]"), &result)
        }
        guard let maxTokens = try fields.integer("max_tokens") else { throw .malformedField("max_tokens", "is missing") }
        result.maxTokens = maxTokens
        for (index, tool) in (try fields.array("tools") ?? []).enumerated() {
            if let tool = try self.tool(Fields(tool, at: "tools[\(index)]"), noting: dropped) { result.tools.append(tool) }
        }
        if var choice = try fields.object("tool_choice") { try readChoice(&choice, &result) }
        try result.checkToolChoice()
        try readThinking(&fields, &result, dropped)
        result.sampling[.temperature] = try fields.number("temperature")
        result.sampling[.topP] = try fields.number("top_p")
        result.sampling[.topK] = try fields.number("top_k")
        result.stop = try ChatRequestReader.stop(fields.take("stop_sequences"))
        if var metadata = try fields.object("metadata") {
            result.user = try metadata.text("user_id")
            try metadata.done()
        }
        fields.skip("service_tier", when: "auto", "standard_only")
        // How the vendor is to shorten what it keeps of the conversation; here the whole of it goes to another one.
        fields.drop("context_management", noting: dropped)
        return result
    }

    private static func readThinking(
        _ fields: inout Fields, _ result: inout Conversation, _ dropped: DroppedFields
    ) throws(UpstreamFailure) {
        if var thinking = try fields.object("thinking") {
            // Whether the thoughts are shown in full or as a summary is the vendor's to decide.
            thinking.drop("display", in: "thinking", noting: dropped)
            thinking.skip("display")
            switch try thinking.requiredText("type") {
            case "enabled":
                guard let budget = try thinking.integer("budget_tokens") else {
                    throw .malformedField("thinking.budget_tokens", "is missing")
                }
                result.reasoning = .budget(budget)
            case "disabled": result.reasoning = .effort("none")
            case "adaptive": result.reasoning = .adaptive
            default: throw .inexpressible("thinking.type")
            }
            try thinking.done()
        }
        // `output_format` is the older name of `output_config.format`.
        if var format = try fields.object("output_format") { result.format = try self.format(&format) }
        if var config = try fields.object("output_config") {
            if let effort = try config.text("effort"), result.reasoning == nil || result.reasoning == .adaptive {
                result.reasoning = .effort(effort == "max" ? "xhigh" : effort)
            }
            if var format = try config.object("format") { result.format = try self.format(&format) }
            try config.done()
        }
    }

    private static func format(_ fields: inout Fields) throws(UpstreamFailure) -> Conversation.AnswerFormat {
        guard try fields.requiredText("type") == "json_schema", let schema = fields.take("schema") else {
            throw .inexpressible(fields.path("type"))
        }
        try fields.done()
        // The other dialects want a name.
        return .schema(name: "answer", description: nil, schema: schema, strict: true)
    }

    // MARK: Messages

    /// A message of the user can hold answers of tools, which are messages of their own elsewhere.
    private static func append(_ given: Fields, _ result: inout Conversation) throws(UpstreamFailure) {
        var fields = given
        let word = try fields.requiredText("role")
        guard let role = Conversation.Role(rawValue: word), role == .user || role == .assistant || role == .system else {
            throw .malformedField(fields.path("role"), "must be user or assistant")
        }
        guard let value = fields.take("content") else { throw .malformedField(fields.path("content"), "is missing") }
        let parts = try content(value, fields.path("content"))
        try fields.done()
        var results: [Conversation.Part] = []
        var rest: [Conversation.Part] = []
        for part in parts {
            if case .toolResult = part { results.append(part) } else { rest.append(part) }
        }
        if !results.isEmpty { result.messages.append(Conversation.Message(role: .tool, parts: results)) }
        if !rest.isEmpty || results.isEmpty { result.messages.append(Conversation.Message(role: role, parts: rest)) }
    }

    private static func content(_ value: JSONValue, _ path: String) throws(UpstreamFailure) -> [Conversation.Part] {
        if let text = value.stringValue { return [.text(text, cache: nil)] }
        guard let elements = value.arrayValue else { throw .malformedField(path, "must be a string or an array") }
        var parts: [Conversation.Part] = []
        for (index, element) in elements.enumerated() {
            parts.append(try block(Fields(element, at: "\(path)[\(index)]")))
        }
        return parts
    }

    private static func block(_ given: Fields) throws(UpstreamFailure) -> Conversation.Part {
        var fields = given
        let cache = fields.take("cache_control")
        let type = try fields.requiredText("type")
        let part: Conversation.Part
        switch type {
        case "text":
            // Where a text of the model came from; nothing that the model needs back.
            fields.skip("citations")
            part = .text(try fields.requiredText("text"), cache: cache)
        case "image": part = .image(try source(&fields), detail: nil, cache: cache)
        case "document": part = try document(&fields, cache)
        case "thinking":
            let text = try fields.requiredText("thinking")
            // Thoughts of a vendor that does not sign have an empty signature.
            part = .thinking(Thinking(text, signature: try fields.text("signature").flatMap { $0.isEmpty ? nil : $0 }))
        case "redacted_thinking": part = .thinking(Thinking(redacted: try fields.requiredText("data")))
        case "tool_use":
            fields.skip("caller")
            part = .toolCall(
                ToolCall(
                    id: try fields.requiredText("id"), name: try fields.requiredText("name"),
                    arguments: (fields.take("input") ?? .object([])).text))
        case "tool_result":
            let path = fields.path("content")
            part = .toolResult(
                ToolResult(
                    id: try fields.requiredText("tool_use_id"),
                    parts: try fields.take("content").map { value throws(UpstreamFailure) in
                        try content(value, path)
                    } ?? [], isError: try fields.flag("is_error") ?? false, cache: cache))
        default: throw .inexpressible(fields.path("type"), "'\(type)' cannot be expressed in the protocol of this model's vendor")
        }
        try fields.done()
        return part
    }

    private static func source(_ fields: inout Fields) throws(UpstreamFailure) -> Conversation.Media {
        guard var source = try fields.object("source") else { throw .malformedField(fields.path("source"), "is missing") }
        return try media(&source)
    }

    private static func media(_ source: inout Fields) throws(UpstreamFailure) -> Conversation.Media {
        let media: Conversation.Media
        switch try source.requiredText("type") {
        case "base64": media = .base64(type: try source.requiredText("media_type"), data: try source.requiredText("data"))
        case "url": media = .url(try source.requiredText("url"))
        case "file": media = .file(try source.requiredText("file_id"))
        default: throw .inexpressible(source.path("type"))
        }
        try source.done()
        return media
    }

    private static func document(_ fields: inout Fields, _ cache: JSONValue?) throws(UpstreamFailure) -> Conversation.Part {
        let title = try fields.text("title")
        if var citations = try fields.object("citations") {
            citations.skip("enabled", when: false)
            try citations.done()
        }
        if let source = fields.take("source") {
            var inner = try Fields(source, at: fields.path("source"))
            // A document that is text is text everywhere.
            if source["type"] == "text" {
                inner.skip("type", "media_type")
                let text = try inner.requiredText("data")
                try inner.done()
                return .text(title.map { "\($0)\n\n\(text)" } ?? text, cache: cache)
            }
            return .document(try media(&inner), name: title, cache: cache)
        }
        throw .malformedField(fields.path("source"), "is missing")
    }

    // MARK: Tools

    /// - Returns: nil for a tool that only its vendor can run, which is left out.
    private static func tool(_ given: Fields, noting dropped: DroppedFields) throws(UpstreamFailure) -> Conversation.Tool? {
        var fields = given
        // Tools that Anthropic runs have a type of their own.
        if let type = try fields.text("type"), type != "custom" {
            if dropped.isLenient, VendorTool(type: type).isRunByVendor {
                dropped.add("tools.\(type)")
                return nil
            }
            throw .inexpressible(fields.path("type"), "'\(type)' is a tool that only its vendor can run")
        }
        let tool = Conversation.Tool(
            name: try fields.requiredText("name"), description: try fields.text("description"), schema: fields.take("input_schema"),
            strict: try fields.flag("strict"), cache: fields.take("cache_control"))
        fields.skip("eager_input_streaming", when: false)
        // How the vendor is to load the tool, and who may call it there.
        fields.drop("defer_loading", "allowed_callers", "eager_input_streaming", "input_examples", in: "tools", noting: dropped)
        try fields.done()
        return tool
    }

    private static func readChoice(_ choice: inout Fields, _ result: inout Conversation) throws(UpstreamFailure) {
        switch try choice.requiredText("type") {
        case "auto": result.toolChoice = .auto
        case "any": result.toolChoice = .required
        case "none": result.toolChoice = Conversation.ToolChoice.none
        case "tool": result.toolChoice = .function(try choice.requiredText("name"))
        default: throw .inexpressible("tool_choice.type")
        }
        if let isDisabled = try choice.flag("disable_parallel_tool_use") { result.parallelToolCalls = !isDisabled }
        try choice.done()
    }
}
