import RouterCore

/// A reasoning item's `encrypted_content`: here a signature, or thoughts that only the vendor can read.
enum ResponsesReasoning {
    private static let redactedMark = "redacted#"

    static func thinking(_ text: String, encrypted: String?) -> Thinking {
        guard let encrypted, encrypted.hasPrefix(redactedMark) else { return Thinking(text, signature: encrypted) }
        return Thinking(text, redacted: String(encrypted.dropFirst(redactedMark.count)))
    }

    static func encrypted(_ thinking: Thinking) -> String? { thinking.redacted.map { redactedMark + $0 } ?? thinking.signature }
}
