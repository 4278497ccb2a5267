import NIOCore

extension RequestEnvelope {
    /// A completions request can have many prompts and generate up to `best_of` answers to each
    /// (https://platform.openai.com/docs/api-reference/completions/create).
    mutating func countCompletions(_ bytes: Span<UInt8>) throws(Rejection) {
        var found: JSONMember?
        for member in members where JSONText.isKey(member, "best_of", bytes) {
            guard found == nil else { throw Rejection("field 'best_of' is given twice", param: "best_of") }
            found = member
        }
        if let found, found.kind != .null { choices = max(choices, try integer(found, bytes, "best_of", atLeast: 1)) }
        var prompts: Int64 = 1
        for member in members where JSONText.isKey(member, "prompt", bytes) {
            prompts = max(prompts, Self.countPrompts(bytes, at: member.value.lowerBound))
        }
        let (product, overflowed) = choices.multipliedReportingOverflow(by: prompts)
        choices = overflowed ? .max : product
    }

    /// Number of prompts in a value: each text and each list of tokens counts; a plain list of tokens is one prompt.
    static func countPrompts(_ bytes: Span<UInt8>, at offset: Int) -> Int64 {
        guard var cursor = try? JSONArrayCursor(bytes, at: offset) else { return 1 }
        var count: Int64 = 0
        var hasTokens = false
        while let element = try? cursor.next(bytes) {
            if element.kind == .number { hasTokens = true } else { count += 1 }
        }
        return max(1, count + (hasTokens ? 1 : 0))
    }
}
