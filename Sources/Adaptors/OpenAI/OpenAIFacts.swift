import NIOCore
import RouterCore

/// What one JSON answer or stream chunk says, as ranges, found in one pass over its top level and one over its choices.
struct OpenAIFacts {
    var error: JSONMember?
    var usage: JSONMember?
    var model: JSONMember?
    var id: JSONMember?
    var serviceTier: JSONMember?
    var choices: JSONMember?
    var data: JSONMember?
    var hasContent = false
    var hasFinishReason = false
    var choiceError: JSONMember?
    /// `finish_reason: "error"`.
    var endedInError = false
    var isChoicesEmpty = true
    /// What was delivered before, and what this delivers: words that are cut between two chunks count once.
    var text: DeliveredText
    private var countsText = true

    /// The three places inside a body or chunk where a failure is told.
    var isError: Bool { error != nil || choiceError != nil || endedInError }

    /// - Parameters:
    ///   - delivered: what the chunks before this one delivered.
    ///   - trustsUsage: text is not counted where the vendor has counted it.
    /// - Throws: ``JSONScanError`` for bytes that are not one JSON object.
    init(
        _ bytes: Span<UInt8>, end: Int, delivered: DeliveredText = DeliveredText(), trustsUsage: Bool = false
    ) throws(JSONScanError) {
        text = delivered
        var position = 0
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
            } else if JSONText.isKey(member, "service_tier", bytes) {
                serviceTier = member.kind == .string ? member : nil
            } else if JSONText.isKey(member, "data", bytes) {
                data = member
            }
        }
        position = cursor.position
        JSONScanner.skipWhitespace(bytes, &position)
        guard position >= end else { throw JSONScanError(.trailingBytes, at: position) }
        countsText = !(trustsUsage && usage != nil)
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
            if member.kind == .object { readMessage(member, bytes) }
        } else if JSONText.isKey(member, "text", bytes) {
            written(member, bytes)
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

    private mutating func readMessage(_ message: JSONMember, _ bytes: Span<UInt8>) {
        guard var inner = try? JSONObjectCursor(bytes, at: message.value.lowerBound) else { return }
        // `reasoning`, `reasoning_content` and `reasoning_details` say the same thing in three ways: counted once.
        var reasoning: (text: JSONMember?, details: JSONMember?)
        while let field = try? inner.next(bytes) {
            if JSONText.isKey(field, "content", bytes) || JSONText.isKey(field, "refusal", bytes) {
                if field.kind == .string { written(field, bytes) } else { structure(field, bytes) }
            } else if JSONText.isKey(field, "reasoning", bytes) || JSONText.isKey(field, "reasoning_content", bytes) {
                if field.kind == .string, field.value.count > 2 { reasoning.text = field }
            } else if JSONText.isKey(field, "reasoning_details", bytes) {
                reasoning.details = field
            } else if JSONText.isKey(field, "tool_calls", bytes) || JSONText.isKey(field, "function_call", bytes)
                || JSONText.isKey(field, "audio", bytes) || JSONText.isKey(field, "images", bytes)
            {
                structure(field, bytes)
            }
        }
        if let field = reasoning.text {
            written(field, bytes)
        } else if let field = reasoning.details {
            structure(field, bytes)
        }
    }

    private mutating func written(_ member: JSONMember, _ bytes: Span<UInt8>) {
        guard member.kind == .string, member.value.count > 2 else { return }
        hasContent = true
        count(member.value, bytes)
    }

    /// A non-empty array or object is content; what the model wrote inside it counts as delivered text.
    private mutating func structure(_ member: JSONMember, _ bytes: Span<UInt8>) {
        guard member.kind == .array || member.kind == .object, !Self.isEmpty(member, bytes) else { return }
        hasContent = true
        countInside(member.value, member.kind, bytes)
    }

    /// Ids, types, signatures and base64 data are no text of the model; names, arguments and texts are.
    private mutating func countInside(_ range: Range<Int>, _ kind: JSONKind, _ bytes: Span<UInt8>) {
        if kind == .array {
            guard var cursor = try? JSONArrayCursor(bytes, at: range.lowerBound) else { return }
            while let element = try? cursor.next(bytes) { countInside(element.range, element.kind, bytes) }
        } else if kind == .object {
            guard var cursor = try? JSONObjectCursor(bytes, at: range.lowerBound) else { return }
            while let member = try? cursor.next(bytes) {
                if member.kind == .string {
                    if isWrittenByModel(member, bytes) { count(member.value, bytes) }
                } else {
                    countInside(member.value, member.kind, bytes)
                }
            }
        }
    }

    private func isWrittenByModel(_ member: JSONMember, _ bytes: Span<UInt8>) -> Bool {
        JSONText.isKey(member, "arguments", bytes) || JSONText.isKey(member, "name", bytes)
            || JSONText.isKey(member, "text", bytes) || JSONText.isKey(member, "input", bytes)
            || JSONText.isKey(member, "summary", bytes) || JSONText.isKey(member, "refusal", bytes)
            || JSONText.isKey(member, "transcript", bytes)
    }

    /// Whether an array or object has nothing inside.
    static func isEmpty(_ member: JSONMember, _ bytes: Span<UInt8>) -> Bool {
        var position = member.value.lowerBound + 1
        JSONScanner.skipWhitespace(bytes, &position)
        return position == member.value.upperBound - 1
    }

    /// Counts a string as its decoded text, without decoding it.
    private mutating func count(_ range: Range<Int>, _ bytes: Span<UInt8>) {
        guard countsText else { return }
        text.add(jsonString: bytes, range.lowerBound + 1..<range.upperBound - 1)
    }
}
