import RouterCore

/// Chat Completions as a client sends it (https://platform.openai.com/docs/api-reference/chat/create), with the fields that OpenRouter
/// adds to it (https://openrouter.ai/docs/api-reference/parameters).
enum ChatRequestReader {
    static func read(_ fields: inout Fields) throws(UpstreamFailure) -> Conversation {
        var result = Conversation()
        guard let messages = try fields.array("messages"), !messages.isEmpty else {
            throw .malformedField("messages", "must be an array with at least one message")
        }
        for (index, message) in messages.enumerated() {
            result.messages.append(try self.message(Fields(message, at: "messages[\(index)]")))
        }
        for (index, tool) in (try fields.array("tools") ?? []).enumerated() {
            result.tools.append(try self.tool(Fields(tool, at: "tools[\(index)]")))
        }
        if let choice = fields.take("tool_choice") { result.toolChoice = try toolChoice(choice) }
        result.parallelToolCalls = try fields.flag("parallel_tool_calls")
        if var format = try fields.object("response_format") { result.format = try self.format(&format) }
        let older = try fields.integer("max_tokens")
        result.maxTokens = try fields.integer("max_completion_tokens") ?? older
        try readSampling(&fields, &result)
        result.reasoning = try reasoning(&fields)
        result.user = try fields.text("user")
        if let pseudonym = try fields.text("safety_identifier"), result.user == nil { result.user = pseudonym }
        // OpenRouter's way to ask for usage, read from the envelope.
        fields.skip("usage")
        fields.skip("store", when: false)
        fields.skip("service_tier", when: "auto", "default")
        fields.skip("modalities", when: ["text"])
        fields.skip("verbosity", when: "medium")
        fields.skip("prompt_cache_retention", "metadata")
        return result
    }

    private static func readSampling(_ fields: inout Fields, _ result: inout Conversation) throws(UpstreamFailure) {
        let names: [(String, Conversation.Sampling)] = [
            ("temperature", .temperature), ("top_p", .topP), ("top_k", .topK), ("seed", .seed),
            ("frequency_penalty", .frequencyPenalty), ("presence_penalty", .presencePenalty),
        ]
        for (name, key) in names { result.sampling[key] = try fields.number(name) }
        result.stop = try stop(fields.take("stop"))
        result.choices = try fields.integer("n") ?? 1
        result.logprobs = try fields.flag("logprobs") ?? false
        result.topLogprobs = try fields.integer("top_logprobs")
    }

    static func stop(_ value: JSONValue?) throws(UpstreamFailure) -> [String] {
        guard let value else { return [] }
        if let text = value.stringValue { return [text] }
        guard let texts = value.arrayValue?.map(\.stringValue), !texts.contains(nil) else {
            throw .malformedField("stop", "must be a string or an array of strings")
        }
        return texts.compactMap { $0 }
    }

    private static func reasoning(_ fields: inout Fields) throws(UpstreamFailure) -> Conversation.Reasoning? {
        let effort = try fields.text("reasoning_effort")
        guard var object = try fields.object("reasoning") else { return effort.map { .effort($0) } }
        object.skip("exclude", when: false)
        object.skip("summary")
        let isEnabled = try object.flag("enabled")
        let budget = try object.integer("max_tokens")
        let inner = try object.text("effort")
        try object.done()
        if let budget { return .budget(budget) }
        if let word = effort ?? inner { return .effort(word) }
        return isEnabled.map { $0 ? .effort("medium") : .effort("none") }
    }

    // MARK: Messages

    private static func message(_ given: Fields) throws(UpstreamFailure) -> Conversation.Message {
        var fields = given
        let word = try fields.requiredText("role")
        guard let role = Conversation.Role(rawValue: word) else {
            throw .malformedField(fields.path("role"), "must be one of system, developer, user, assistant, tool")
        }
        let name = try fields.text("name")
        // What an answer carries and nobody needs back.
        fields.skip("annotations")
        var parts: [Conversation.Part] = []
        if role == .assistant { parts += try thinking(&fields) }
        parts += try content(&fields)
        if role == .assistant { parts += try images(&fields) }
        if role == .tool {
            let id = try fields.requiredText("tool_call_id")
            try fields.done()
            return Conversation.Message(role: .tool, parts: [.toolResult(ToolResult(id: id, parts: parts))])
        }
        if let refusal = try fields.text("refusal"), !refusal.isEmpty { parts.append(.refusal(refusal)) }
        for (index, call) in (try fields.array("tool_calls") ?? []).enumerated() {
            parts.append(.toolCall(try toolCall(Fields(call, at: fields.path("tool_calls[\(index)]")))))
        }
        try fields.done()
        return Conversation.Message(role: role, parts: parts, name: name)
    }

    /// Pictures of an answer that a client gives back.
    private static func images(_ fields: inout Fields) throws(UpstreamFailure) -> [Conversation.Part] {
        let path = fields.path("images")
        var parts: [Conversation.Part] = []
        for (index, element) in (try fields.array("images") ?? []).enumerated() {
            var entry = try Fields(element, at: "\(path)[\(index)]")
            entry.skip("type", when: "image_url")
            entry.skip("index")
            guard var image = try entry.object("image_url") else { throw .malformedField(entry.path("image_url"), "is missing") }
            parts.append(.image(DataURL.media(try image.requiredText("url")), detail: nil, cache: nil))
            try image.done()
            try entry.done()
        }
        return parts
    }

    private static func toolCall(_ given: Fields) throws(UpstreamFailure) -> ToolCall {
        var fields = given
        fields.skip("type", when: "function")
        fields.skip("index")
        let id = try fields.requiredText("id")
        guard var function = try fields.object("function") else { throw .malformedField(fields.path("function"), "is missing") }
        let call = ToolCall(
            id: id, name: try function.requiredText("name"), arguments: try function.text("arguments") ?? "")
        try function.done()
        try fields.done()
        return call
    }

    /// `reasoning_details` as OpenRouter has them; else the bare text, which has no signature.
    static func thinking(_ fields: inout Fields) throws(UpstreamFailure) -> [Conversation.Part] {
        let plain = try fields.text("reasoning")
        let text = try fields.text("reasoning_content") ?? plain
        let path = fields.path("reasoning_details")
        guard let details = try fields.array("reasoning_details"), !details.isEmpty else {
            return text.map { $0.isEmpty ? [] : [.thinking(Thinking($0))] } ?? []
        }
        var blocks: [(index: Int64?, thinking: Thinking)] = []
        for (position, detail) in details.enumerated() {
            var entry = try Fields(detail, at: "\(path)[\(position)]")
            entry.skip("format", "id")
            let index = try entry.integer("index")
            let type = try entry.requiredText("type")
            let summary = try entry.text("summary") ?? ""
            let part = Thinking(
                try entry.text("text") ?? summary, signature: try entry.text("signature"),
                redacted: try entry.text("data"))
            try entry.done()
            // Pieces of a stream that a client kept as they came.
            if type == "reasoning.text", let last = blocks.indices.last, index != nil, blocks[last].index == index,
                blocks[last].thinking.redacted == nil
            {
                blocks[last].thinking.text += part.text
                if let signature = part.signature { blocks[last].thinking.signature = signature }
            } else {
                blocks.append((index, part))
            }
        }
        return blocks.map { .thinking($0.thinking) }
    }

    private static func content(_ fields: inout Fields) throws(UpstreamFailure) -> [Conversation.Part] {
        let path = fields.path("content")
        guard let value = fields.take("content") else { return [] }
        if let text = value.stringValue { return text.isEmpty ? [] : [.text(text, cache: nil)] }
        guard let elements = value.arrayValue else { throw .malformedField(path, "must be a string or an array") }
        var parts: [Conversation.Part] = []
        for (index, element) in elements.enumerated() {
            parts.append(try part(Fields(element, at: "\(path)[\(index)]")))
        }
        return parts
    }

    private static func part(_ given: Fields) throws(UpstreamFailure) -> Conversation.Part {
        var fields = given
        let cache = fields.take("cache_control")
        let type = try fields.requiredText("type")
        let part: Conversation.Part
        switch type {
        case "text": part = .text(try fields.requiredText("text"), cache: cache)
        case "refusal": part = .refusal(try fields.requiredText("refusal"))
        case "image_url":
            guard var image = try fields.object("image_url") else { throw .malformedField(fields.path("image_url"), "is missing") }
            part = .image(DataURL.media(try image.requiredText("url")), detail: try image.text("detail"), cache: cache)
            try image.done()
        case "input_audio":
            guard var audio = try fields.object("input_audio") else { throw .malformedField(fields.path("input_audio"), "is missing") }
            part = .audio(data: try audio.requiredText("data"), format: try audio.requiredText("format"))
            try audio.done()
        case "file":
            guard var file = try fields.object("file") else { throw .malformedField(fields.path("file"), "is missing") }
            part = try document(&file, cache)
            try file.done()
        default: throw .inexpressible(fields.path("type"), "'\(type)' is not known here")
        }
        try fields.done()
        return part
    }

    /// A file by its data or by its id.
    static func document(_ file: inout Fields, _ cache: JSONValue?) throws(UpstreamFailure) -> Conversation.Part {
        let name = try file.text("filename")
        if let id = try file.text("file_id") { return .document(.file(id), name: name, cache: cache) }
        if let url = try file.text("file_url") { return .document(.url(url), name: name, cache: cache) }
        let data = try file.requiredText("file_data")
        if data.hasPrefix("data:") || data.hasPrefix("http") { return .document(DataURL.media(data), name: name, cache: cache) }
        return .document(.base64(type: "application/pdf", data: data), name: name, cache: cache)
    }

    // MARK: Tools and format

    private static func tool(_ given: Fields) throws(UpstreamFailure) -> Conversation.Tool {
        var fields = given
        let cache = fields.take("cache_control")
        let type = try fields.requiredText("type")
        guard type == "function", var function = try fields.object("function") else {
            throw .inexpressible(fields.path("type"), "'\(type)' is not a function")
        }
        let tool = Conversation.Tool(
            name: try function.requiredText("name"), description: try function.text("description"),
            schema: function.take("parameters"), strict: try function.flag("strict"), cache: cache)
        try function.done()
        try fields.done()
        return tool
    }

    /// `auto`, `none`, `required`, or a function by name: under `function` (chat) or directly (responses).
    static func toolChoice(_ value: JSONValue) throws(UpstreamFailure) -> Conversation.ToolChoice {
        switch value.stringValue {
        case "auto": return .auto
        case "none": return .none
        case "required": return .required
        default: break
        }
        if value["type"]?.stringValue == "function",
            let name = value["function"]?["name"]?.stringValue ?? value["name"]?.stringValue
        {
            return .function(name)
        }
        throw .inexpressible("tool_choice")
    }

    private static func format(_ fields: inout Fields) throws(UpstreamFailure) -> Conversation.AnswerFormat? {
        let type = try fields.requiredText("type")
        switch type {
        case "text":
            try fields.done()
            return nil
        case "json_object":
            try fields.done()
            return .object
        case "json_schema":
            guard var schema = try fields.object("json_schema") else {
                throw .malformedField(fields.path("json_schema"), "is missing")
            }
            let format = try self.schema(&schema)
            try schema.done()
            try fields.done()
            return format
        default: throw .inexpressible(fields.path("type"))
        }
    }

    static func schema(_ fields: inout Fields) throws(UpstreamFailure) -> Conversation.AnswerFormat {
        let name = try fields.requiredText("name")
        let description = try fields.text("description")
        let strict = try fields.flag("strict")
        guard let schema = fields.take("schema") else { throw .malformedField(fields.path("schema"), "is missing") }
        return .schema(name: name, description: description, schema: schema, strict: strict)
    }
}
