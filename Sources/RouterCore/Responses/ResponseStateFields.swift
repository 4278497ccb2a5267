public import NIOCore

/// The fields of a Responses request about state that is kept between calls
/// (https://platform.openai.com/docs/api-reference/responses/create).
public struct ResponseStateFields: Sendable, Hashable {
    /// nil = absent, which means true.
    public var store: Bool?
    public var previousResponseID: String?
    public var conversationID: String?
    /// `prompt`: a prompt that is stored at the vendor.
    public var hasPrompt = false
    /// The answer comes at once, and the response is made behind it (https://platform.openai.com/docs/guides/background).
    public var isBackground = false

    public init() {}

    /// Whether an id is fit to be looked up and to be part of a URL.
    public static func isID(_ text: String) -> Bool {
        !text.isEmpty && text.utf8.count <= maximumID
            && text.utf8.allSatisfy {
                (0x30...0x39).contains($0) || (0x61...0x7A).contains($0 | 0x20) || $0 == 0x2D || $0 == 0x5F
            }
    }

    /// Length of an id, in bytes.
    public static let maximumID = 256
}

extension RequestEnvelope {
    /// - Throws: ``Rejection`` for a field of another type, or one that is given twice: the vendor might use the other one.
    public func stateFields() throws(Rejection) -> ResponseStateFields {
        let bytes = body.readableBytesUInt8Span
        var fields = ResponseStateFields()
        var seen: Set<String> = []
        for member in members where !member.keyHasEscapes && Self.stateFieldLengths.contains(member.key.count) {
            let name = JSONText.string(bytes, content: member.key)
            guard Self.stateFieldNames.contains(name) else { continue }
            guard seen.insert(name).inserted else { throw Rejection("field '\(name)' is given twice", param: name) }
            guard member.kind != .null else { continue }
            switch name {
            case "store":
                guard member.kind == .boolean else { throw Rejection("'store' must be a boolean", param: name) }
                fields.store = bytes[member.value.lowerBound] == UInt8(ascii: "t")
            case "previous_response_id": fields.previousResponseID = try id(member, bytes, name)
            case "conversation":
                let inner = member.kind == .object ? JSONPath.member("id", of: member.value.lowerBound, bytes) : member
                guard let inner else { throw Rejection("'conversation' must be an id, or an object with one", param: name) }
                fields.conversationID = try id(inner, bytes, name)
            case "background":
                guard member.kind == .boolean else { throw Rejection("'background' must be a boolean", param: name) }
                fields.isBackground = bytes[member.value.lowerBound] == UInt8(ascii: "t")
            default: fields.hasPrompt = true
            }
        }
        return fields
    }

    private static let stateFieldNames: Set<String> = ["store", "previous_response_id", "conversation", "prompt", "background"]
    private static let stateFieldLengths = Set(stateFieldNames.map(\.utf8.count))

    /// An id of another form is that of no response; it is looked up like any other.
    private func id(_ member: JSONMember, _ bytes: Span<UInt8>, _ name: String) throws(Rejection) -> String {
        guard member.kind == .string, member.value.count <= 2 * ResponseStateFields.maximumID else {
            throw Rejection("'\(name)' must be an id of at most \(ResponseStateFields.maximumID) bytes", param: name)
        }
        return JSONText.string(bytes, value: member.value)
    }

    /// The same request with other input, and without the fields that named what is in it now.
    /// - Parameters:
    ///   - items: a JSON array.
    ///   - keepsState: those fields stay; the items are the same input in other words.
    public func withInput(_ items: ByteBuffer, keepsState: Bool = false) throws(Rejection) -> RequestEnvelope {
        let bytes = body.readableBytesUInt8Span
        var splice = BodySplice()
        var kept: Set<Int> = []
        var hasInput = false
        for (index, member) in members.enumerated() {
            let isState = JSONText.isKey(member, "previous_response_id", bytes) || JSONText.isKey(member, "conversation", bytes)
            if isState, !keepsState { continue }
            kept.insert(index)
            guard JSONText.isKey(member, "input", bytes) else { continue }
            guard !hasInput else { throw Rejection("field 'input' is given twice", param: "input") }
            hasInput = true
            splice.replace(member.value, with: items)
        }
        if !hasInput {
            var brace = 0
            JSONScanner.skipWhitespace(bytes, &brace)
            var field = ByteBuffer(string: "\"input\":")
            field.writeImmutableBuffer(items)
            if !kept.isEmpty { field.writeString(",") }
            splice.replace(brace + 1..<brace + 1, with: field)
        }
        splice.remove(from: members, except: kept)
        return try RequestEnvelope(body: splice.applied(to: body), endpoint: endpoint)
    }

    /// The same request as one whose answer is a stream that somebody reads.
    public func streamedInForeground() throws(Rejection) -> RequestEnvelope {
        let bytes = body.readableBytesUInt8Span
        var kept: Set<Int> = []
        for (index, member) in members.enumerated() {
            if !JSONText.isKey(member, "background", bytes), !JSONText.isKey(member, "stream", bytes) { kept.insert(index) }
        }
        var brace = 0
        JSONScanner.skipWhitespace(bytes, &brace)
        var splice = BodySplice()
        splice.insert("\"stream\":true" + (kept.isEmpty ? "" : ","), at: brace + 1)
        splice.remove(from: members, except: kept)
        return try RequestEnvelope(body: splice.applied(to: body), endpoint: endpoint)
    }

    /// The same request for a vendor that will read so many tokens more than are in it.
    public func carrying(tokens: Int64) -> RequestEnvelope {
        var copy = self
        copy.prompt.tokens += tokens
        copy.prompt.upperBound += tokens
        // The id was taken for something of unknown length.
        copy.prompt.references = max(0, copy.prompt.references - 1)
        return copy
    }
}
