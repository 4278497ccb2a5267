import RouterCore

/// Google's generateContent as a client sends it (https://ai.google.dev/api/generate-content). Model and streaming stand in its path.
enum GeminiRequestReader {
    /// - Parameter drop: fields that the provider file drops: at the top level, or settings under either dialect's name.
    static func read(_ tree: JSONValue, drop: [String]) throws(UpstreamFailure) -> Conversation {
        var fields = try Fields(google: tree, at: "")
        for name in drop { fields.skip(name) }
        fields.skip("model")
        var reading = GeminiContentsReader()
        if var system = try fields.google("systemInstruction") {
            system.skip("role")
            let parts = try GeminiContentsReader.plainParts(&system)
            try system.done()
            if !parts.isEmpty { reading.messages.append(Conversation.Message(role: .system, parts: parts)) }
        }
        guard let contents = try fields.array("contents"), !contents.isEmpty else {
            throw .malformedField("contents", "must be an array with at least one content")
        }
        for (index, content) in contents.enumerated() { try reading.append(Fields(google: content, at: "contents[\(index)]")) }
        var result = Conversation()
        result.messages = reading.finished
        try GeminiToolsReader.read(&fields, &result)
        if var config = try fields.google("generationConfig") {
            for name in drop {
                config.skip(name)
                if let own = GeminiNames.setting(name) { config.skip(own) }
            }
            try readConfig(&config, &result)
            try config.done()
        }
        try readSafety(&fields)
        try fields.done()
        return result
    }

    /// What is not to be filtered needs no words elsewhere; a filter that is wanted would be lost.
    private static func readSafety(_ fields: inout Fields) throws(UpstreamFailure) {
        for (index, setting) in (try fields.array("safetySettings") ?? []).enumerated() {
            var inner = try Fields(google: setting, at: "safetySettings[\(index)]")
            inner.skip("category")
            inner.skip("threshold", when: "BLOCK_NONE", "OFF", "HARM_BLOCK_THRESHOLD_UNSPECIFIED")
            try inner.done()
        }
    }

    // MARK: Settings

    private static func readConfig(_ config: inout Fields, _ result: inout Conversation) throws(UpstreamFailure) {
        result.maxTokens = try config.integer("maxOutputTokens")
        result.choices = try config.integer("candidateCount") ?? 1
        result.sampling[.temperature] = try config.number("temperature")
        result.sampling[.topP] = try config.number("topP")
        // Google has these as floats: 40.0 is 40.
        if let topK = config.take("topK") { result.sampling[.topK] = try wholeNumber(topK, config.path("topK")) }
        if let seed = config.take("seed") { result.sampling[.seed] = try wholeNumber(seed, config.path("seed")) }
        result.sampling[.presencePenalty] = try config.number("presencePenalty")
        result.sampling[.frequencyPenalty] = try config.number("frequencyPenalty")
        result.stop = try ChatRequestReader.stop(config.take("stopSequences"))
        result.logprobs = try config.flag("responseLogprobs") ?? false
        result.topLogprobs = try config.integer("logprobs")
        result.format = try format(&config)
        result.reasoning = try thinking(&config)
        try readMediaResolution(&config, &result)
        config.skip("responseModalities", when: ["TEXT"], ["MODALITY_UNSPECIFIED"])
        config.skip("enableEnhancedCivicAnswers", when: false)
        config.skip("audioTimestamp", when: false)
    }

    private static func wholeNumber(_ value: JSONValue, _ path: String) throws(UpstreamFailure) -> String {
        guard let number = value.integerValue else { throw .malformedField(path, "must be a whole number") }
        return String(number)
    }

    private static func format(_ config: inout Fields) throws(UpstreamFailure) -> Conversation.AnswerFormat? {
        let path = config.path("responseMimeType")
        let type = try config.text("responseMimeType")
        let google = config.take("responseSchema")
        let json = config.take("responseJsonSchema")
        switch type {
        case nil, "text/plain":
            guard google == nil, json == nil else {
                throw .malformedField(path, "must be application/json with a schema")
            }
            return nil
        case "application/json":
            guard let schema = json ?? google.map(GeminiSchema.json) else { return .object }
            // The other dialects want a name.
            return .schema(name: "answer", description: nil, schema: schema, strict: nil)
        case let other?: throw .inexpressible(path, "'\(other)' cannot be expressed in the protocol of this model's vendor")
        }
    }

    /// Whether thoughts are shown is for the writer of the answer.
    private static func thinking(_ config: inout Fields) throws(UpstreamFailure) -> Conversation.Reasoning? {
        guard var thinking = try config.google("thinkingConfig") else { return nil }
        thinking.skip("includeThoughts")
        let budget = try thinking.integer("thinkingBudget")
        let level = try thinking.text("thinkingLevel")
        try thinking.done()
        if let budget {
            // What the model decides, and nothing at all.
            return budget == -1 ? .adaptive : budget == 0 ? .effort("none") : .budget(budget)
        }
        return level.flatMap { $0 == "THINKING_LEVEL_UNSPECIFIED" ? nil : .effort($0.lowercased()) }
    }

    /// For all pictures of the request, where other dialects say it for each.
    private static func readMediaResolution(_ config: inout Fields, _ result: inout Conversation) throws(UpstreamFailure) {
        let words = ["MEDIA_RESOLUTION_LOW": "low", "MEDIA_RESOLUTION_MEDIUM": "auto", "MEDIA_RESOLUTION_HIGH": "high"]
        guard let word = try config.text("mediaResolution"), word != "MEDIA_RESOLUTION_UNSPECIFIED" else { return }
        guard let detail = words[word] else { throw .inexpressible(config.path("mediaResolution")) }
        for message in result.messages.indices {
            for part in result.messages[message].parts.indices {
                guard case .image(let media, _, let cache) = result.messages[message].parts[part] else { continue }
                result.messages[message].parts[part] = .image(media, detail: detail, cache: cache)
            }
        }
    }
}

/// What this dialect calls the things that others refuse by their own names.
enum GeminiNames {
    private static let settings = [
        "n": "candidateCount", "seed": "seed", "logprobs": "responseLogprobs", "top_logprobs": "logprobs", "top_k": "topK", "top_p": "topP",
        "temperature": "temperature", "frequency_penalty": "frequencyPenalty", "presence_penalty": "presencePenalty",
        "response_format": "responseMimeType", "reasoning_effort": "thinkingConfig", "stop": "stopSequences",
        "max_tokens": "maxOutputTokens",
    ]
    private static let others = [
        "input_audio": "contents.parts.inlineData", "document": "contents.parts.inlineData", "image": "contents.parts.inlineData",
        "image.url": "contents.parts.fileData", "document.url": "contents.parts.fileData",
        "tool_choice": "toolConfig.functionCallingConfig.mode", "tool message content": "contents.parts.functionResponse",
        "tool_calls.function.arguments": "contents.parts.functionCall.args", "tool_call_id": "contents.parts.functionResponse.id",
        "messages.content": "contents.parts",
    ]

    static func setting(_ name: String) -> String? { settings[name] }

    static func field(_ name: String) -> String { settings[name].map { "generationConfig.\($0)" } ?? others[name] ?? name }
}

/// Functions and how they may be called.
private enum GeminiToolsReader {
    static func read(_ fields: inout Fields, _ result: inout Conversation) throws(UpstreamFailure) {
        for (index, entry) in (try fields.array("tools") ?? []).enumerated() {
            var tool = try Fields(google: entry, at: "tools[\(index)]")
            for (place, declaration) in (try tool.array("functionDeclarations") ?? []).enumerated() {
                result.tools.append(try function(Fields(google: declaration, at: tool.path("functionDeclarations[\(place)]"))))
            }
            if let other = tool.rest.first(where: { !$0.value.isNull }) {
                throw .inexpressible(tool.path(other.name), "is a tool that only its vendor can run")
            }
        }
        guard var config = try fields.google("toolConfig") else { return }
        if var calling = try config.google("functionCallingConfig") {
            try readCalling(&calling, &result)
            try calling.done()
        }
        try config.done()
    }

    private static func function(_ given: Fields) throws(UpstreamFailure) -> Conversation.Tool {
        var fields = given
        let json = fields.take("parametersJsonSchema")
        let schema = fields.take("parameters").map(GeminiSchema.json)
        fields.skip("behavior", when: "UNSPECIFIED", "BLOCKING")
        // What the function gives back; words for the model that nobody else has a field for.
        fields.skip("response", "responseJsonSchema")
        let tool = Conversation.Tool(
            name: try fields.requiredText("name"), description: try fields.text("description"), schema: json ?? schema)
        try fields.done()
        return tool
    }

    private static func readCalling(_ calling: inout Fields, _ result: inout Conversation) throws(UpstreamFailure) {
        let mode = try calling.text("mode") ?? "AUTO"
        let names = (try calling.array("allowedFunctionNames") ?? []).compactMap(\.stringValue)
        guard !result.tools.isEmpty else { return }
        switch mode {
        case "AUTO", "MODE_UNSPECIFIED": result.toolChoice = .auto
        case "NONE": result.toolChoice = Conversation.ToolChoice.none
        case "ANY" where names.count == 1: result.toolChoice = .function(names[0])
        case "ANY":
            // Only some of them may be called: those alone, and one is required.
            if !names.isEmpty { result.tools = result.tools.filter { names.contains($0.name) } }
            result.toolChoice = .required
        default: throw .inexpressible(calling.path("mode"), "'\(mode)' cannot be expressed in the protocol of this model's vendor")
        }
        if mode != "ANY", !names.isEmpty { throw .inexpressible(calling.path("allowedFunctionNames"), "goes with the mode ANY only") }
    }
}
