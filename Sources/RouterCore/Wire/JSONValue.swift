public import NIOCore

/// A JSON value as a tree, for the management API and error bodies; model traffic is never read into it. The order of members and the text
/// of numbers are kept, so that amounts stay exact.
public enum JSONValue: Sendable, Hashable {
    case null
    case boolean(Bool)
    /// The digits as written.
    case number(String)
    case string(String)
    case array([JSONValue])
    case object([Member])

    public struct Member: Sendable, Hashable {
        public var name: String
        public var value: JSONValue
        public init(_ name: String, _ value: JSONValue) {
            self.name = name
            self.value = value
        }
    }

    /// - Throws: ``JSONScanError``.
    public init(parsing buffer: ByteBuffer) throws(JSONScanError) {
        let bytes = buffer.readableBytesUInt8Span
        try JSONScanner.validate(bytes)
        var position = 0
        JSONScanner.skipWhitespace(bytes, &position)
        var left = Self.maximumValues
        self = try Self.read(bytes, &position, depth: 0, &left)
    }

    /// Maximum number of values in one tree: each takes about forty bytes of memory for as little as two bytes of text.
    public static let maximumValues = 2_000_000

    private static func read(
        _ bytes: Span<UInt8>, _ position: inout Int, depth: Int, _ left: inout Int
    ) throws(JSONScanError) -> JSONValue {
        let start = position
        left -= 1
        guard left >= 0 else { throw JSONScanError(.tooManyValues, at: position) }
        switch bytes[position] {
        case UInt8(ascii: "{"):
            var cursor = try JSONObjectCursor(bytes, at: position, depth: depth)
            var members: [Member] = []
            while let (key, hasEscapes) = try cursor.nextKey(bytes) {
                var inner = cursor.position
                let value = try read(bytes, &inner, depth: depth + 1, &left)
                members.append(Member(JSONText.string(bytes, content: key, hasEscapes: hasEscapes), value))
                try cursor.closeValue(bytes, at: inner)
            }
            position = cursor.position
            return .object(members)
        case UInt8(ascii: "["):
            var cursor = try JSONArrayCursor(bytes, at: position, depth: depth)
            var elements: [JSONValue] = []
            while try cursor.nextStart(bytes) {
                var inner = cursor.position
                elements.append(try read(bytes, &inner, depth: depth + 1, &left))
                try cursor.closeElement(bytes, at: inner)
            }
            position = cursor.position
            return .array(elements)
        default:
            let kind = try JSONScanner.skipValue(bytes, &position, depth: depth)
            switch kind {
            case .string: return .string(JSONText.string(bytes, value: start..<position))
            case .number: return .number(JSONText.raw(bytes, start..<position))
            case .boolean: return .boolean(bytes[start] == UInt8(ascii: "t"))
            default: return .null
            }
        }
    }

    /// The last member of this name; nil when there is none or this is not an object.
    public subscript(_ name: String) -> JSONValue? {
        guard case .object(let members) = self else { return nil }
        return members.last { $0.name == name }?.value
    }

    public var stringValue: String? { if case .string(let text) = self { text } else { nil } }
    public var numberText: String? { if case .number(let text) = self { text } else { nil } }
    public var boolValue: Bool? { if case .boolean(let value) = self { value } else { nil } }
    public var arrayValue: [JSONValue]? { if case .array(let elements) = self { elements } else { nil } }
    public var isNull: Bool { self == .null }
    /// Whole numbers only.
    public var integerValue: Int64? {
        guard case .number(let text) = self, let decimal = try? DecimalText(text),
            let (value, exact) = try? decimal.scaled(byPowerOfTen: 0), exact
        else { return nil }
        return Int64(exactly: value)
    }

    public func write(to buffer: inout ByteBuffer) {
        switch self {
        case .null: buffer.writeStaticString("null")
        case .boolean(let value): buffer.writeString(value ? "true" : "false")
        case .number(let text): buffer.writeString(text)
        case .string(let text): JSONText.appendQuoted(text, to: &buffer)
        case .array(let elements):
            buffer.writeInteger(UInt8(ascii: "["))
            for (index, element) in elements.enumerated() {
                if index > 0 { buffer.writeInteger(UInt8(ascii: ",")) }
                element.write(to: &buffer)
            }
            buffer.writeInteger(UInt8(ascii: "]"))
        case .object(let members):
            buffer.writeInteger(UInt8(ascii: "{"))
            for (index, member) in members.enumerated() {
                if index > 0 { buffer.writeInteger(UInt8(ascii: ",")) }
                JSONText.appendQuoted(member.name, to: &buffer)
                buffer.writeInteger(UInt8(ascii: ":"))
                member.value.write(to: &buffer)
            }
            buffer.writeInteger(UInt8(ascii: "}"))
        }
    }

    public var text: String {
        var buffer = ByteBuffer()
        write(to: &buffer)
        return String(buffer: buffer)
    }
}

// Deliberately not expressible by nil: `nil` for a `JSONValue?` must stay "absent" and never become "null".
extension JSONValue: ExpressibleByStringLiteral, ExpressibleByBooleanLiteral, ExpressibleByArrayLiteral,
    ExpressibleByDictionaryLiteral
{
    public init(stringLiteral value: String) { self = .string(value) }
    public init(booleanLiteral value: Bool) { self = .boolean(value) }
    public init(arrayLiteral elements: JSONValue...) { self = .array(elements) }
    public init(dictionaryLiteral elements: (String, JSONValue)...) {
        self = .object(elements.map { Member($0.0, $0.1) })
    }

    public static func integer(_ value: some BinaryInteger) -> JSONValue { .number(String(value)) }
    public static func integer(_ value: (some BinaryInteger)?) -> JSONValue { value.map { .number(String($0)) } ?? .null }
    /// USD with exact decimal text.
    public static func usd(_ amount: NanoUSD) -> JSONValue { .number(amount.usdText) }
    public static func usd(_ price: FemtoUSD?) -> JSONValue { price.map { .number($0.usdText) } ?? .null }
    public static func optional(_ text: String?) -> JSONValue { text.map { .string($0) } ?? .null }
}
