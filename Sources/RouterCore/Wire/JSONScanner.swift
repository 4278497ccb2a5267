/// The reason why bytes are not valid JSON, and the offset of the problem from the start of the scanned bytes.
public struct JSONScanError: Error, Sendable, Hashable, CustomStringConvertible {
    public enum Problem: String, Sendable, Hashable {
        case unexpectedEnd = "unexpected end"
        case unexpectedByte = "unexpected character"
        case badEscape = "bad escape in a string"
        case badNumber = "bad number"
        case badUTF8 = "invalid UTF-8"
        case controlCharacter = "unescaped control character in a string"
        case tooDeep = "nested deeper than 128 levels, which is the limit,"
        case tooManyValues = "too many values"
        case trailingBytes = "something after the end of the JSON value"
        case notAnObject = "not a JSON object"
    }
    public var problem: Problem
    public var offset: Int

    public init(_ problem: Problem, at offset: Int) {
        self.problem = problem
        self.offset = offset
    }

    public var description: String { "\(problem.rawValue) at byte \(offset)" }
}

/// The kinds of JSON values, as the first byte shows.
public enum JSONKind: Sendable, Hashable {
    case object, array, string, number, boolean, null
}

/// A member of an object, as byte ranges; nothing is decoded until it is needed.
public struct JSONMember: Sendable, Hashable {
    /// The key, without the quotes.
    public var key: Range<Int>
    public var keyHasEscapes: Bool
    public var value: Range<Int>
    public var kind: JSONKind

    /// From the opening quote of the key to the end of the value.
    public var whole: Range<Int> { key.lowerBound - 1..<value.upperBound }
}

/// A validating scanner that reads bytes in place. It builds no tree and allocates nothing; strings are checked for escapes, control
/// characters and UTF-8, numbers for their grammar, nesting for its depth.
public enum JSONScanner {
    /// Deeper than any sensible request; keeps the recursion bounded. ``JSONScanError/Problem/tooDeep`` reports this number.
    public static let maximumDepth = 128

    @inlinable
    public static func isWhitespace(_ byte: UInt8) -> Bool {
        byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09
    }

    @inlinable
    public static func skipWhitespace(_ bytes: Span<UInt8>, _ position: inout Int) {
        while position < bytes.count, isWhitespace(bytes[position]) { position += 1 }
    }

    /// Validates that the bytes are one JSON value and nothing else.
    public static func validate(_ bytes: Span<UInt8>) throws(JSONScanError) {
        var position = 0
        skipWhitespace(bytes, &position)
        _ = try skipValue(bytes, &position, depth: 0)
        skipWhitespace(bytes, &position)
        guard position == bytes.count else { throw JSONScanError(.trailingBytes, at: position) }
    }

    /// Moves past one value, validating it.
    public static func skipValue(
        _ bytes: Span<UInt8>, _ position: inout Int, depth: Int
    ) throws(JSONScanError) -> JSONKind {
        guard position < bytes.count else { throw JSONScanError(.unexpectedEnd, at: position) }
        switch bytes[position] {
        case UInt8(ascii: "{"):
            var cursor = try JSONObjectCursor(bytes, at: position, depth: depth)
            while try cursor.next(bytes) != nil {}
            position = cursor.position
            return .object
        case UInt8(ascii: "["):
            var cursor = try JSONArrayCursor(bytes, at: position, depth: depth)
            while try cursor.next(bytes) != nil {}
            position = cursor.position
            return .array
        case UInt8(ascii: "\""):
            _ = try skipString(bytes, &position)
            return .string
        case UInt8(ascii: "t"): return try skipWord("true", bytes, &position, .boolean)
        case UInt8(ascii: "f"): return try skipWord("false", bytes, &position, .boolean)
        case UInt8(ascii: "n"): return try skipWord("null", bytes, &position, .null)
        case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"):
            try skipNumber(bytes, &position)
            return .number
        default: throw JSONScanError(.unexpectedByte, at: position)
        }
    }

    /// Moves past a string. - Returns: the range between the quotes, and whether it has escapes.
    public static func skipString(
        _ bytes: Span<UInt8>, _ position: inout Int
    ) throws(JSONScanError) -> (content: Range<Int>, hasEscapes: Bool) {
        let start = position + 1
        var index = start
        var hasEscapes = false
        let count = bytes.count
        EightBytes.skipPlain(bytes, &index)
        while index < count {
            let byte = bytes[index]
            if byte == UInt8(ascii: "\"") {
                position = index + 1
                return (start..<index, hasEscapes)
            } else if byte == UInt8(ascii: "\\") {
                hasEscapes = true
                try skipEscape(bytes, &index)
                EightBytes.skipPlain(bytes, &index)
            } else if byte < 0x20 {
                throw JSONScanError(.controlCharacter, at: index)
            } else if byte < 0x80 {
                index += 1
            } else {
                try skipUTF8(bytes, &index)
            }
        }
        throw JSONScanError(.unexpectedEnd, at: count)
    }

    private static func skipEscape(_ bytes: Span<UInt8>, _ index: inout Int) throws(JSONScanError) {
        guard index + 1 < bytes.count else { throw JSONScanError(.unexpectedEnd, at: bytes.count) }
        switch bytes[index + 1] {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"), UInt8(ascii: "b"), UInt8(ascii: "f"),
            UInt8(ascii: "n"), UInt8(ascii: "r"), UInt8(ascii: "t"):
            index += 2
        case UInt8(ascii: "u"):
            guard index + 6 <= bytes.count else { throw JSONScanError(.unexpectedEnd, at: bytes.count) }
            for digit in index + 2..<index + 6 where hexValue(bytes[digit]) == nil {
                throw JSONScanError(.badEscape, at: index)
            }
            index += 6
        default: throw JSONScanError(.badEscape, at: index)
        }
    }

    static func hexValue(_ byte: UInt8) -> UInt32? {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): UInt32(byte - UInt8(ascii: "0"))
        case UInt8(ascii: "a")...UInt8(ascii: "f"): UInt32(byte - UInt8(ascii: "a") + 10)
        case UInt8(ascii: "A")...UInt8(ascii: "F"): UInt32(byte - UInt8(ascii: "A") + 10)
        default: nil
        }
    }

    /// One multi-byte character, by the table of well-formed sequences (Unicode, table 3-7).
    private static func skipUTF8(_ bytes: Span<UInt8>, _ index: inout Int) throws(JSONScanError) {
        let first = bytes[index]
        let length: Int
        var second: ClosedRange<UInt8> = 0x80...0xBF
        switch first {
        case 0xC2...0xDF: length = 2
        case 0xE0: (length, second) = (3, 0xA0...0xBF)
        case 0xED: (length, second) = (3, 0x80...0x9F)
        case 0xE1...0xEF: length = 3
        case 0xF0: (length, second) = (4, 0x90...0xBF)
        case 0xF4: (length, second) = (4, 0x80...0x8F)
        case 0xF1...0xF3: length = 4
        default: throw JSONScanError(.badUTF8, at: index)
        }
        guard index + length <= bytes.count else { throw JSONScanError(.unexpectedEnd, at: bytes.count) }
        guard second.contains(bytes[index + 1]) else { throw JSONScanError(.badUTF8, at: index) }
        for offset in 2..<max(2, length) where bytes[index + offset] & 0xC0 != 0x80 {
            throw JSONScanError(.badUTF8, at: index)
        }
        index += length
    }

    private static func skipWord(
        _ word: StaticString, _ bytes: Span<UInt8>, _ position: inout Int, _ kind: JSONKind
    ) throws(JSONScanError) -> JSONKind {
        guard position + word.utf8CodeUnitCount <= bytes.count else {
            throw JSONScanError(.unexpectedEnd, at: bytes.count)
        }
        guard equals(bytes, position..<position + word.utf8CodeUnitCount, word) else {
            throw JSONScanError(.unexpectedByte, at: position)
        }
        position += word.utf8CodeUnitCount
        return kind
    }

    private static func skipNumber(_ bytes: Span<UInt8>, _ position: inout Int) throws(JSONScanError) {
        let start = position
        func digits() -> Int {
            let from = position
            while position < bytes.count, bytes[position] >= UInt8(ascii: "0"), bytes[position] <= UInt8(ascii: "9") {
                position += 1
            }
            return position - from
        }
        if bytes[position] == UInt8(ascii: "-") { position += 1 }
        let whole = position
        guard digits() > 0 else { throw JSONScanError(.badNumber, at: start) }
        if bytes[whole] == UInt8(ascii: "0"), position - whole > 1 { throw JSONScanError(.badNumber, at: start) }
        if position < bytes.count, bytes[position] == UInt8(ascii: ".") {
            position += 1
            guard digits() > 0 else { throw JSONScanError(.badNumber, at: start) }
        }
        if position < bytes.count, bytes[position] | 0x20 == UInt8(ascii: "e") {
            position += 1
            if position < bytes.count, bytes[position] == UInt8(ascii: "+") || bytes[position] == UInt8(ascii: "-") {
                position += 1
            }
            guard digits() > 0 else { throw JSONScanError(.badNumber, at: start) }
        }
    }

    /// Whether the bytes of a range are exactly this text.
    public static func equals(_ bytes: Span<UInt8>, _ range: Range<Int>, _ text: StaticString) -> Bool {
        guard range.count == text.utf8CodeUnitCount else { return false }
        let start = text.utf8Start
        for offset in 0..<range.count where bytes[range.lowerBound + offset] != start[offset] { return false }
        return true
    }
}

/// Walks the members of an object.
public struct JSONObjectCursor: Sendable {
    public private(set) var position: Int
    private let depth: Int
    private var isFirst = true
    private var isDone = false

    /// - Parameter position: offset of the opening brace.
    public init(_ bytes: Span<UInt8>, at position: Int, depth: Int = 0) throws(JSONScanError) {
        guard position < bytes.count, bytes[position] == UInt8(ascii: "{") else {
            throw JSONScanError(.notAnObject, at: position)
        }
        guard depth < JSONScanner.maximumDepth else { throw JSONScanError(.tooDeep, at: position) }
        self.position = position + 1
        self.depth = depth
    }

    /// Depth of the values inside.
    public var valueDepth: Int { depth + 1 }

    /// The next member, or nil after the closing brace; `position` is then after it.
    public mutating func next(_ bytes: Span<UInt8>) throws(JSONScanError) -> JSONMember? {
        guard let (key, hasEscapes) = try nextKey(bytes) else { return nil }
        return try takeValue(bytes, of: key, hasEscapes: hasEscapes)
    }

    /// The key of the next member, or nil after the closing brace. `position` is then at its value, which the caller either skips with
    /// ``takeValue(_:of:hasEscapes:)`` or walks through and then reports with ``closeValue(_:at:)``.
    public mutating func nextKey(_ bytes: Span<UInt8>) throws(JSONScanError) -> (key: Range<Int>, hasEscapes: Bool)? {
        if isDone { return nil }
        JSONScanner.skipWhitespace(bytes, &position)
        guard position < bytes.count else { throw JSONScanError(.unexpectedEnd, at: position) }
        if bytes[position] == UInt8(ascii: "}") && isFirst {
            position += 1
            isDone = true
            return nil
        }
        guard bytes[position] == UInt8(ascii: "\"") else { throw JSONScanError(.unexpectedByte, at: position) }
        let (key, hasEscapes) = try JSONScanner.skipString(bytes, &position)
        JSONScanner.skipWhitespace(bytes, &position)
        guard position < bytes.count else { throw JSONScanError(.unexpectedEnd, at: position) }
        guard bytes[position] == UInt8(ascii: ":") else { throw JSONScanError(.unexpectedByte, at: position) }
        position += 1
        JSONScanner.skipWhitespace(bytes, &position)
        return (key, hasEscapes)
    }

    /// The value of the key that was read last.
    public mutating func takeValue(
        _ bytes: Span<UInt8>, of key: Range<Int>, hasEscapes: Bool
    ) throws(JSONScanError) -> JSONMember {
        let start = position
        let kind = try JSONScanner.skipValue(bytes, &position, depth: depth + 1)
        let end = position
        try finishMember(bytes)
        return JSONMember(key: key, keyHasEscapes: hasEscapes, value: start..<end, kind: kind)
    }

    /// Marks the end of the last key's value, which the caller has walked through.
    public mutating func closeValue(_ bytes: Span<UInt8>, at end: Int) throws(JSONScanError) {
        position = end
        try finishMember(bytes)
    }

    /// Moves past the comma or the closing brace; a comma must be followed by another member.
    private mutating func finishMember(_ bytes: Span<UInt8>) throws(JSONScanError) {
        isFirst = false
        JSONScanner.skipWhitespace(bytes, &position)
        guard position < bytes.count else { throw JSONScanError(.unexpectedEnd, at: position) }
        switch bytes[position] {
        case UInt8(ascii: ","): break
        case UInt8(ascii: "}"): isDone = true
        default: throw JSONScanError(.unexpectedByte, at: position)
        }
        position += 1
    }
}

/// Walks the elements of an array.
public struct JSONArrayCursor: Sendable {
    public private(set) var position: Int
    private let depth: Int
    private var isFirst = true
    private var isDone = false

    /// - Parameter position: offset of the opening bracket.
    public init(_ bytes: Span<UInt8>, at position: Int, depth: Int = 0) throws(JSONScanError) {
        guard position < bytes.count, bytes[position] == UInt8(ascii: "[") else {
            throw JSONScanError(.unexpectedByte, at: position)
        }
        guard depth < JSONScanner.maximumDepth else { throw JSONScanError(.tooDeep, at: position) }
        self.position = position + 1
        self.depth = depth
    }

    /// Depth of the elements.
    public var valueDepth: Int { depth + 1 }

    /// The next element, or nil after the closing bracket; `position` is then after it.
    public mutating func next(_ bytes: Span<UInt8>) throws(JSONScanError) -> (range: Range<Int>, kind: JSONKind)? {
        guard try nextStart(bytes) else { return nil }
        let start = position
        let kind = try JSONScanner.skipValue(bytes, &position, depth: depth + 1)
        let end = position
        try closeElement(bytes, at: end)
        return (start..<end, kind)
    }

    /// Whether there is another element; `position` is then at its first byte, and the caller walks through it and then calls
    /// ``closeElement(_:at:)``.
    public mutating func nextStart(_ bytes: Span<UInt8>) throws(JSONScanError) -> Bool {
        if isDone { return false }
        JSONScanner.skipWhitespace(bytes, &position)
        guard position < bytes.count else { throw JSONScanError(.unexpectedEnd, at: position) }
        if bytes[position] == UInt8(ascii: "]") && isFirst {
            position += 1
            isDone = true
            return false
        }
        isFirst = false
        return true
    }

    public mutating func closeElement(_ bytes: Span<UInt8>, at end: Int) throws(JSONScanError) {
        position = end
        JSONScanner.skipWhitespace(bytes, &position)
        guard position < bytes.count else { throw JSONScanError(.unexpectedEnd, at: position) }
        switch bytes[position] {
        case UInt8(ascii: ","): break
        case UInt8(ascii: "]"): isDone = true
        default: throw JSONScanError(.unexpectedByte, at: position)
        }
        position += 1
    }
}
