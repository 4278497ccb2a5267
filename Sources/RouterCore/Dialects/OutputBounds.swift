/// Top-level fields that bound the tokens of an answer.
struct OutputBounds: OptionSet {
    let rawValue: UInt8
    static let maxTokens = OutputBounds(rawValue: 1)
    static let maxCompletionTokens = OutputBounds(rawValue: 2)
    static let maxOutputTokens = OutputBounds(rawValue: 4)

    /// Whether a member is one of these fields.
    func contains(_ member: JSONMember, _ bytes: Span<UInt8>) -> Bool {
        switch member.key.count {
        case 10: contains(.maxTokens) && JSONText.isKey(member, "max_tokens", bytes)
        case 21: contains(.maxCompletionTokens) && JSONText.isKey(member, "max_completion_tokens", bytes)
        case 17: contains(.maxOutputTokens) && JSONText.isKey(member, "max_output_tokens", bytes)
        default: false
        }
    }
}
