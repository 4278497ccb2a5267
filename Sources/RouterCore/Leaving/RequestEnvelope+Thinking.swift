import NIOCore

extension RequestEnvelope {
    /// Whether the request asks the model to think, in the words of any dialect or vendor that we know. Asked only when
    /// somebody leaves early, so it may take its time: names are compared decoded and in small letters, because a
    /// vendor may read them so.
    ///
    /// In doubt it does: what follows from it is that an answer is read on for its usage.
    public var asksForThinking: Bool {
        let bytes = body.readableBytesUInt8Span
        for member in members where Self.asks(member, bytes, depth: 0) { return true }
        return false
    }

    /// Objects in objects that are looked into: `extra_body.google.thinking_config`, `generationConfig.thinkingConfig`.
    private static let maximumDepth = 3

    private static func asks(_ member: JSONMember, _ bytes: Span<UInt8>, depth: Int) -> Bool {
        let name = JSONText.string(bytes, content: member.key).lowercased().filter { $0 != "_" }
        switch name {
        // OpenAI's chat; the Responses' and OpenRouter's object; Anthropic's, Z.AI's and Doubao's; Gemini's; Qwen's;
        // vLLM's templates.
        case "reasoningeffort", "reasoning", "thinking", "thinkingconfig", "enablethinking", "enablereasoning",
            "includereasoning":
            return isWish(member, bytes)
        case "thinkingbudget": return isWish(member, bytes)
        case "generationconfig", "extrabody", "google", "chattemplatekwargs", "additionalmodelrequestfields",
            "parameters":
            guard depth < maximumDepth, member.kind == .object else { return false }
            guard var cursor = try? JSONObjectCursor(bytes, at: member.value.lowerBound) else { return false }
            while let inner = try? cursor.next(bytes) { if asks(inner, bytes, depth: depth + 1) { return true } }
            return false
        default: return false
        }
    }

    /// null, false, 0, "none" and objects that say as much ask for nothing; everything else does.
    private static func isWish(_ member: JSONMember, _ bytes: Span<UInt8>) -> Bool {
        switch member.kind {
        case .null: return false
        case .boolean: return bytes[member.value.lowerBound] == UInt8(ascii: "t")
        case .number: return JSONText.integer(bytes, member.value) != 0
        case .string:
            let word = JSONText.string(bytes, value: member.value).lowercased()
            return !["none", "off", "disabled", "false"].contains(word)
        case .object:
            guard var cursor = try? JSONObjectCursor(bytes, at: member.value.lowerBound) else { return true }
            while let inner = try? cursor.next(bytes) { if refuses(inner, bytes) { return false } }
            return true
        case .array: return true
        }
    }

    /// A member of the object of a wish that takes it back.
    private static func refuses(_ member: JSONMember, _ bytes: Span<UInt8>) -> Bool {
        let name = JSONText.string(bytes, content: member.key).lowercased().filter { $0 != "_" }
        switch name {
        case "effort", "type", "enabled", "thinkingbudget", "budgettokens", "maxtokens":
            return member.kind != .null && !isWish(member, bytes)
        default: return false
        }
    }
}
