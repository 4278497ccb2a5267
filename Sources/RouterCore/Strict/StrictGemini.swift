/// Google's generateContent, whose parser accepts two spellings of every name.
enum StrictGemini {
    static let body: [String: StrictShape] = both([
        "contents": .named("contents"), "systemInstruction": .named("content"), "tools": .tools(tools, keyed: true),
        "toolConfig": .free, "safetySettings": .free, "labels": .free, "model": .scalar,
        "cachedContent": .absent(.heldByVendor), "generationConfig": .object(generation),
    ])

    private static let tools = ["functionDeclarations": StrictTool(), "function_declarations": StrictTool()]

    private static let generation = both(
        StrictFields.merged(
            StrictFields.named(
                [
                    "temperature", "topP", "topK", "candidateCount", "maxOutputTokens", "presencePenalty", "frequencyPenalty", "seed",
                    "responseMimeType", "responseLogprobs", "logprobs", "enableEnhancedCivicAnswers", "mediaResolution",
                ], .scalar),
            StrictFields.named(
                ["stopSequences", "responseSchema", "responseJsonSchema", "thinkingConfig", "speechConfig", "routingConfig"], .free),
            ["responseModalities": .list(.words(["TEXT", "AUDIO", "text", "audio", "MODALITY_UNSPECIFIED"], .output))]))

    private static let content = StrictShape.object(["role": .scalar, "parts": .named("parts")])

    private static let call: [String: StrictShape] = ["id": .scalar, "name": .scalar, "args": .free]

    private static let part = StrictShape.told(
        both([
            "text": .text, "inlineData": .inlineData, "fileData": .absent(.byReference), "functionCall": .object(call),
            "functionResponse": .object(
                both([
                    "id": .scalar, "name": .scalar, "response": .free, "willContinue": .scalar, "scheduling": .scalar,
                    "parts": .list(.object(both(["inlineData": .inlineData, "fileData": .absent(.byReference)]))),
                ])),
            "executableCode": .free, "codeExecutionResult": .free,
        ]), common: both(["thought": .scalar, "thoughtSignature": .text, "partMetadata": .free, "mediaResolution": .free]))

    static let named: [String: StrictShape] = [
        "contents": .listOrOne(content), "content": .textOr(content), "parts": .listOrOne(part),
    ]

    /// Every name as `camelCase` and as `snake_case`.
    private static func both(_ shapes: [String: StrictShape]) -> [String: StrictShape] {
        var all = shapes
        for (name, shape) in shapes { all[snake(name)] = shape }
        return all
    }

    private static func snake(_ name: String) -> String {
        name.reduce(into: "") { text, letter in
            if letter.isUppercase { text += "_" + letter.lowercased() } else { text.append(letter) }
        }
    }
}
