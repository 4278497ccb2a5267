import NIOCore
import RouterCore

/// What one JSON answer or stream chunk says, as ranges, found in one pass over its top level.
struct OpenAIFacts {
    var error: JSONMember?
    var usage: JSONMember?
    var model: JSONMember?
    var id: JSONMember?
    var choices: JSONMember?
    var data: JSONMember?
    var hasContent = false
    var hasFinishReason = false
    var choiceError: JSONMember?
    /// `finish_reason: "error"`.
    var endedInError = false
    var isChoicesEmpty = true
    var ascii: Int64 = 0
    var other: Int64 = 0

    /// - Throws: ``JSONScanError`` for bytes that are not one JSON object.
    init(_ bytes: Span<UInt8>, start: Int = 0, end: Int) throws(JSONScanError) {
        var position = start
        JSONScanner.skipWhitespace(bytes, &position)
        var cursor = try JSONObjectCursor(bytes, at: position)
        while let member = try cursor.next(bytes) {
            if JSONText.isKey(member, "choices", bytes) {
                choices = member
            } else if JSONText.isKey(member, "usage", bytes) {
                usage = member.kind == .object ? member : usage
            } else if JSONText.isKey(member, "error", bytes) {
                error = member.kind == .null ? nil : member
            } else if JSONText.isKey(member, "model", bytes) {
                model = member.kind == .string ? member : nil
            } else if JSONText.isKey(member, "id", bytes) {
                id = member.kind == .string ? member : nil
            } else if JSONText.isKey(member, "data", bytes) {
                data = member
            }
        }
        position = cursor.position
        JSONScanner.skipWhitespace(bytes, &position)
        guard position >= end else { throw JSONScanError(.trailingBytes, at: position) }
        if let choices, choices.kind == .array { readChoices(choices, bytes) }
    }

    private mutating func readChoices(_ choices: JSONMember, _ bytes: Span<UInt8>) {
        guard var cursor = try? JSONArrayCursor(bytes, at: choices.value.lowerBound) else { return }
        while let choice = try? cursor.next(bytes) {
            isChoicesEmpty = false
            guard choice.kind == .object, var members = try? JSONObjectCursor(bytes, at: choice.range.lowerBound) else {
                continue
            }
            while let member = try? members.next(bytes) { readChoice(member, bytes) }
        }
    }

    private mutating func readChoice(_ member: JSONMember, _ bytes: Span<UInt8>) {
        if JSONText.isKey(member, "delta", bytes) || JSONText.isKey(member, "message", bytes) {
            guard member.kind == .object, var inner = try? JSONObjectCursor(bytes, at: member.value.lowerBound) else {
                return
            }
            while let field = try? inner.next(bytes) { readMessage(field, bytes) }
        } else if JSONText.isKey(member, "text", bytes) {
            text(member, bytes)
        } else if JSONText.isKey(member, "finish_reason", bytes), member.kind == .string {
            if JSONScanner.equals(bytes, member.value, "\"error\"") {
                endedInError = true
            } else if member.value.count > 2 {
                hasFinishReason = true
            }
        } else if JSONText.isKey(member, "error", bytes), member.kind != .null {
            choiceError = member
        }
    }

    private mutating func readMessage(_ field: JSONMember, _ bytes: Span<UInt8>) {
        if JSONText.isKey(field, "content", bytes) || JSONText.isKey(field, "reasoning", bytes)
            || JSONText.isKey(field, "reasoning_content", bytes) || JSONText.isKey(field, "refusal", bytes)
        {
            if field.kind == .string { text(field, bytes) } else { structure(field, bytes) }
        } else if JSONText.isKey(field, "tool_calls", bytes) || JSONText.isKey(field, "function_call", bytes)
            || JSONText.isKey(field, "audio", bytes) || JSONText.isKey(field, "images", bytes)
        {
            structure(field, bytes)
        } else if JSONText.isKey(field, "reasoning_details", bytes) {
            // Says the same as `reasoning`; content, but not counted twice.
            if field.kind == .array, !isEmpty(field, bytes) { hasContent = true }
        }
    }

    private mutating func text(_ member: JSONMember, _ bytes: Span<UInt8>) {
        guard member.kind == .string, member.value.count > 2 else { return }
        hasContent = true
        count(member.value, bytes)
    }

    /// A non-empty array or object is content; the strings in it count as delivered text.
    private mutating func structure(_ member: JSONMember, _ bytes: Span<UInt8>) {
        guard member.kind == .array || member.kind == .object, !isEmpty(member, bytes) else { return }
        hasContent = true
        count(member.value, bytes)
    }

    private func isEmpty(_ member: JSONMember, _ bytes: Span<UInt8>) -> Bool {
        var position = member.value.lowerBound + 1
        JSONScanner.skipWhitespace(bytes, &position)
        return position == member.value.upperBound - 1
    }

    private mutating func count(_ range: Range<Int>, _ bytes: Span<UInt8>) {
        var index = range.lowerBound + 1
        let end = range.upperBound - 1
        while index < end {
            let byte = bytes[index]
            if byte == UInt8(ascii: "\\") {
                let isUnicode = index + 1 < end && bytes[index + 1] == UInt8(ascii: "u")
                if isUnicode { other += 1 } else { ascii += 1 }
                index += isUnicode ? 6 : 2
                continue
            }
            if byte < 0x80 { ascii += 1 } else if byte >= 0xC0 { other += 1 }
            index += 1
        }
    }
}
