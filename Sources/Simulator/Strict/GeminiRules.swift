import RouterCore

/// Gemini's generateContent (https://ai.google.dev/api/generate-content, https://ai.google.dev/api/caching#FunctionDeclaration). Unknown
/// fields are refused there too ("Unknown name … Cannot find field").
enum GeminiRules {
    private static let fields: Set<String> = [
        "contents", "tools", "toolConfig", "safetySettings", "systemInstruction", "generationConfig", "cachedContent", "labels", "model",
        "serviceTier", "store",
    ]
    private static let generation: Set<String> = [
        "stopSequences", "responseMimeType", "responseSchema", "responseJsonSchema", "responseModalities", "candidateCount",
        "maxOutputTokens", "temperature", "topP", "topK", "seed", "presencePenalty", "frequencyPenalty", "responseLogprobs", "logprobs",
        "enableEnhancedCivicAnswers", "speechConfig", "thinkingConfig", "imageConfig", "mediaResolution",
    ]
    /// The fields of `Schema`, for `parameters`; `parametersJsonSchema` takes any JSON schema.
    private static let schema: Set<String> = [
        "type", "format", "title", "description", "nullable", "enum", "maxItems", "minItems", "properties", "required", "minProperties",
        "maxProperties", "minLength", "maxLength", "pattern", "example", "anyOf", "propertyOrdering", "default", "items", "minimum",
        "maximum",
    ]
    private static let parts: Set<String> = [
        "text", "inlineData", "fileData", "functionCall", "functionResponse", "executableCode", "codeExecutionResult",
    ]

    static func check(_ request: CheckedJSON) throws(VendorRefusal) {
        try request.members(fields)
        try request.member("generationConfig")?.members(generation)
        if let system = request.member("systemInstruction") {
            try system.members(["role", "parts"])
            for part in try system.required("parts").elements() { try check(part: part) }
        }
        for tool in try request.member("tools")?.elements() ?? [] { try check(tool: tool) }
        var calls = 0
        for turn in try request.required("contents").elements() { try check(turn: turn, calls: &calls) }
        if calls > 0 { throw request.refused("please ensure that function call turns are followed by function response turns") }
    }

    private static func check(tool: CheckedJSON) throws(VendorRefusal) {
        try tool.members([
            "functionDeclarations", "googleSearch", "googleSearchRetrieval", "codeExecution", "urlContext", "computerUse", "fileSearch",
            "googleMaps",
        ])
        for function in try tool.member("functionDeclarations")?.elements() ?? [] {
            try function.members([
                "name", "description", "parameters", "parametersJsonSchema", "response", "responseJsonSchema", "behavior",
            ])
            try function.required("name").toolName(64)
            try function.member("parametersJsonSchema")?.schema()
            if let parameters = function.member("parameters") { try check(schema: parameters) }
        }
    }

    private static func check(schema: CheckedJSON) throws(VendorRefusal) {
        try schema.members(Self.schema)
        if let properties = schema.member("properties"), case .object(let members) = properties.value {
            for member in members { try check(schema: CheckedJSON(member.value, path: "\(properties.path).\(member.name)")) }
        }
        if let items = schema.member("items") { try check(schema: items) }
    }

    /// A turn with results answers every call of the turn before it.
    private static func check(turn: CheckedJSON, calls: inout Int) throws(VendorRefusal) {
        try turn.members(["role", "parts"])
        let role = try turn.member("role")?.oneOf(["user", "model"]) ?? "user"
        let parts = try turn.required("parts").elements()
        guard !parts.isEmpty else { throw turn.refused("must include at least one parts field") }
        for part in parts { try check(part: part) }
        let results = parts.count { $0.member("functionResponse") != nil }
        guard results == calls else {
            throw turn.refused(
                "the number of function response parts must equal the number of function call parts of the function call turn")
        }
        calls = role == "model" ? parts.count { $0.member("functionCall") != nil } : 0
    }

    private static func check(part: CheckedJSON) throws(VendorRefusal) {
        try part.members(parts.union(["thought", "thoughtSignature", "videoMetadata", "mediaResolution"]))
        guard parts.count(where: { part.value[$0] != nil }) == 1 else { throw part.refused("exactly one kind of data is expected") }
        if let call = part.member("functionCall") {
            try call.members(["id", "name", "args"])
            _ = try call.required("name").string()
        }
        if let response = part.member("functionResponse") {
            try response.members(["id", "name", "response", "willContinue", "scheduling", "parts"])
            _ = try response.required("name").string()
            guard case .object? = response.member("response")?.value else { throw response.refused("response must be an object") }
        }
    }
}
