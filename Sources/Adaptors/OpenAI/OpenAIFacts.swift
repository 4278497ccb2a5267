import NIOCore
import RouterCore

/// What one JSON answer or stream chunk says, as ranges, found in one pass.
struct OpenAIFacts {
    var error: JSONMember?
    var usage: JSONMember?
    var model: JSONMember?
    var id: JSONMember?
    var serviceTier: JSONMember?
    var data: JSONMember?
    var hasContent = false
    /// The `finish_reason` of the last choice that has one.
    private(set) var finish: AnswerFinish?
    var hasFinishReason: Bool { finish != nil }
    var choiceError: JSONMember?
    /// `finish_reason: "error"`.
    var endedInError = false
    var isChoicesEmpty = true
    /// What was delivered before, and what this delivers: words that are cut between two chunks count once.
    var text: DeliveredText
    /// Tokens of `text` that this adds as thoughts.
    private(set) var thoughts: Int64 = 0
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
        countsText = !trustsUsage
        var position = 0
        JSONScanner.skipWhitespace(bytes, &position)
        var cursor = try JSONObjectCursor(bytes, at: position)
        while let (key, hasEscapes) = try cursor.nextKey(bytes) {
            let name = Name(bytes, key, hasEscapes)
            if name == .choices, cursor.position < end, bytes[cursor.position] == UInt8(ascii: "[") {
                let choicesEnd = try readChoices(bytes, at: cursor.position, depth: cursor.valueDepth)
                try cursor.closeValue(bytes, at: choicesEnd)
            } else {
                take(name, try cursor.takeValue(bytes, of: key, hasEscapes: hasEscapes))
            }
        }
        position = cursor.position
        JSONScanner.skipWhitespace(bytes, &position)
        guard position >= end else { throw JSONScanError(.trailingBytes, at: position) }
        // No figures to trust: what was passed over is counted after all.
        if trustsUsage, usage == nil { self = try OpenAIFacts(bytes, end: end, delivered: delivered) }
    }

    /// Names of members that say something, told by their length first.
    private enum Name {
        case other, choices, usage, error, model, id, serviceTier, data

        init(_ bytes: Span<UInt8>, _ key: Range<Int>, _ hasEscapes: Bool) {
            if hasEscapes {
                self = Self.written(JSONText.string(bytes, content: key))
                return
            }
            func isKey(_ name: StaticString) -> Bool { JSONScanner.equals(bytes, key, name) }
            switch key.count {
            case 2 where isKey("id"): self = .id
            case 4 where isKey("data"): self = .data
            case 5 where isKey("model"): self = .model
            case 5 where isKey("usage"): self = .usage
            case 5 where isKey("error"): self = .error
            case 7 where isKey("choices"): self = .choices
            case 12 where isKey("service_tier"): self = .serviceTier
            default: self = .other
            }
        }

        private static func written(_ text: String) -> Name {
            switch text {
            case "choices": .choices
            case "usage": .usage
            case "error": .error
            case "model": .model
            case "id": .id
            case "service_tier": .serviceTier
            case "data": .data
            default: .other
            }
        }
    }

    private mutating func take(_ name: Name, _ member: JSONMember) {
        switch name {
        case .usage: usage = member.kind == .object ? member : usage
        case .error: error = member.kind == .null ? nil : member
        case .model: model = member.kind == .string ? member : nil
        case .id: id = member.kind == .string ? member : nil
        case .serviceTier: serviceTier = member.kind == .string ? member : nil
        case .data: data = member
        case .choices, .other: break
        }
    }

    /// - Returns: the place behind the array.
    private mutating func readChoices(_ bytes: Span<UInt8>, at start: Int, depth: Int) throws(JSONScanError) -> Int {
        var cursor = try JSONArrayCursor(bytes, at: start, depth: depth)
        while try cursor.nextStart(bytes) {
            isChoicesEmpty = false
            var end = cursor.position
            if bytes[end] == UInt8(ascii: "{") {
                var members = try JSONObjectCursor(bytes, at: end, depth: cursor.valueDepth)
                while let (key, hasEscapes) = try members.nextKey(bytes) { try readChoice(key, hasEscapes, &members, bytes) }
                end = members.position
            } else {
                _ = try JSONScanner.skipValue(bytes, &end, depth: cursor.valueDepth)
            }
            try cursor.closeElement(bytes, at: end)
        }
        return cursor.position
    }

    private mutating func readChoice(
        _ key: Range<Int>, _ hasEscapes: Bool, _ members: inout JSONObjectCursor, _ bytes: Span<UInt8>
    ) throws(JSONScanError) {
        // Most members of most choices are the message, and it is walked through once.
        let isMessage = !hasEscapes && (JSONScanner.equals(bytes, key, "delta") || JSONScanner.equals(bytes, key, "message"))
        if isMessage, members.position < bytes.count, bytes[members.position] == UInt8(ascii: "{") {
            let end = try readMessage(bytes, at: members.position, depth: members.valueDepth)
            return try members.closeValue(bytes, at: end)
        }
        let member = try members.takeValue(bytes, of: key, hasEscapes: hasEscapes)
        if JSONText.isKey(member, "finish_reason", bytes), member.kind == .string {
            if JSONScanner.equals(bytes, member.value, "\"error\"") {
                endedInError = true
            } else if member.value.count > 2 {
                finish = Self.finish(bytes, member.value)
            }
        } else if JSONText.isKey(member, "text", bytes) {
            written(member, bytes)
        } else if JSONText.isKey(member, "error", bytes), member.kind != .null {
            choiceError = member
        } else if hasEscapes, member.kind == .object, JSONText.isKey(member, "delta", bytes) || JSONText.isKey(member, "message", bytes) {
            _ = try readMessage(bytes, at: member.value.lowerBound, depth: members.valueDepth)
        }
    }

    /// A word that nobody has agreed on is a regular end. - Parameter value: the JSON string.
    private static func finish(_ bytes: Span<UInt8>, _ value: Range<Int>) -> AnswerFinish {
        func isWord(_ word: StaticString) -> Bool { JSONScanner.equals(bytes, value, word) }
        if isWord("\"stop\"") { return .stop }
        if isWord("\"length\"") { return .length }
        if isWord("\"tool_calls\"") || isWord("\"function_call\"") { return .toolCalls }
        return isWord("\"content_filter\"") ? .contentFilter : .stop
    }

    /// - Returns: the place behind the object.
    private mutating func readMessage(_ bytes: Span<UInt8>, at start: Int, depth: Int) throws(JSONScanError) -> Int {
        var inner = try JSONObjectCursor(bytes, at: start, depth: depth)
        // `reasoning`, `reasoning_content` and `reasoning_details` say the same thing in three ways: counted once.
        var reasoning: (text: JSONMember?, details: JSONMember?)
        while let field = try inner.next(bytes) {
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
        guard let field = reasoning.text ?? reasoning.details else { return inner.position }
        let before = text.estimate.tokens
        if reasoning.text != nil { written(field, bytes) } else { structure(field, bytes) }
        thoughts += text.estimate.tokens - before
        return inner.position
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
