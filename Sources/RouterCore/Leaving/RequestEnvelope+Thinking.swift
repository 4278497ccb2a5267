import NIOCore

extension RequestEnvelope {
    /// Whether the request asks the model to reason, in the terms of any known dialect or vendor. It is evaluated only when a client leaves
    /// early, so it need not be fast: names are compared decoded and in lower case, because a vendor may read them that way.
    ///
    /// Doubtful cases count as yes; the only consequence is that an answer is read to its end for its usage.
    public var asksForThinking: Bool {
        let bytes = body.readableBytesUInt8Span
        for member in members where Self.asks(member, bytes, depth: 0) { return true }
        return false
    }

    /// How deep nested objects are searched: `extra_body.google.thinking_config`, `generationConfig.thinkingConfig`.
    private static let maximumDepth = 3

    private static func asks(_ member: JSONMember, _ bytes: Span<UInt8>, depth: Int) -> Bool {
        let name = JSONText.string(bytes, content: member.key).lowercased().filter { $0 != "_" }
        switch name {
        // OpenAI's chat; the object of Responses and OpenRouter; Anthropic, Z.AI and Doubao; Gemini; Qwen; vLLM's templates.
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

    /// null, false, 0, "none" and objects that say the same do not ask for reasoning; every other value does.
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

    /// Whether a member inside the object turns reasoning off.
    private static func refuses(_ member: JSONMember, _ bytes: Span<UInt8>) -> Bool {
        let name = JSONText.string(bytes, content: member.key).lowercased().filter { $0 != "_" }
        switch name {
        case "effort", "type", "enabled", "thinkingbudget", "budgettokens", "maxtokens":
            return member.kind != .null && !isWish(member, bytes)
        default: return false
        }
    }
}
