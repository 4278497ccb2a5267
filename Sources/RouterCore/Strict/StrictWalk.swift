/// Strict admission's pass over a body: everything in it must be known, or the request is refused.
///
/// The body is valid JSON of bounded depth (``JSONScanner``); only keys and the few strings that decide something are decoded.
struct StrictWalk {
    private let shapes: [String: StrictShape]
    /// Number of images, linked or inline.
    private(set) var images: Int64 = 0
    /// Bytes of image data, which are not counted as text.
    private(set) var imageBytes = 0
    /// Tokens that the vendor adds for features that the request names.
    private(set) var addedTokens: Int64 = 0
    /// Number of separate prompts, each with its own answer.
    private(set) var prompts: Int64 = 1

    private var path: [Step] = []

    /// Each level of nesting scans its contents again, so a deeply nested body could cost a hundred times its size before it is priced.
    /// This is what may still be scanned. Real bodies are scanned six to eight times; small ones need no bound.
    private var scanAllowance = 0
    private static let scansOfBody = 24
    private static let scannedAtLeast = 1 << 20

    private enum Step {
        case key(String)
        case index(Int)
    }

    /// - Parameter shapes: the shapes that ``StrictShape/named(_:)`` looks up.
    init(shapes: [String: StrictShape]) { self.shapes = shapes }

    /// - Parameter offset: where the value begins.
    /// - Throws: ``RequestEnvelope/Rejection`` that names the field and the admission mode that would accept it.
    mutating func run(_ shape: StrictShape, _ bytes: Span<UInt8>, at offset: Int) throws(RequestEnvelope.Rejection) {
        var end = offset
        let kind: JSONKind
        do throws(JSONScanError) {
            kind = try JSONScanner.skipValue(bytes, &end, depth: 0)
        } catch {
            throw RequestEnvelope.Rejection("the request body is not a valid JSON object: \(error)")
        }
        scanAllowance = max(Self.scannedAtLeast, Self.scansOfBody * (end - offset))
        try check(shape, bytes, Value(range: offset..<end, kind: kind))
    }

    /// Charges one scan of the value to the allowance.
    private mutating func scans(_ value: Value) throws(RequestEnvelope.Rejection) {
        scanAllowance -= value.range.count
        guard scanAllowance >= 0 else { throw refusal(.nested) }
    }

    private struct Value {
        var range: Range<Int>
        var kind: JSONKind
    }

    private mutating func check(
        _ shape: StrictShape, _ bytes: Span<UInt8>, _ value: Value
    ) throws(RequestEnvelope.Rejection) {
        switch shape {
        case .free: try free(bytes, value)
        case .text: guard value.kind == .string || value.kind == .null else { throw refusal(.shape) }
        case .scalar: guard value.kind != .object, value.kind != .array else { throw refusal(.shape) }
        case .absent(let why): guard value.kind == .null else { throw refusal(why) }
        case .words(let words, let why):
            guard value.kind == .null || value.kind == .string && words.contains(text(bytes, value)) else { throw refusal(why) }
        case .list(let inner): try list(inner, bytes, value)
        case .listOrOne(let inner):
            if value.kind == .object { try check(inner, bytes, value) } else { try list(inner, bytes, value) }
        case .textOr(let part):
            if value.kind != .string { try check(.listOrOne(part), bytes, value) }
        case .object(let members): try object(members, bytes, value)
        case .typed(let types, let fallback): try typed(types, fallback: fallback, bytes, value)
        case .told(let names, let common): try told(names, common: common, bytes, value)
        case .named(let name): if let shape = shapes[name] { try check(shape, bytes, value) } else { throw refusal(.unknown) }
        case .tools(let known, let keyed): try tools(known, keyed, bytes, value)
        case .imageLink(let isObject): try imageLink(isObject, bytes, value)
        case .imageData: try picture(bytes, value)
        case .textDataURL: try textData(bytes, value)
        case .inlineData: try inlineData(bytes, value)
        case .audioInput: try audio(bytes, value)
        case .prompts: try countPrompts(bytes, value)
        }
    }

    // MARK: Structures

    private mutating func list(_ inner: StrictShape, _ bytes: Span<UInt8>, _ value: Value) throws(RequestEnvelope.Rejection) {
        if value.kind == .null { return }
        guard value.kind == .array else { throw refusal(.shape) }
        try elements(bytes, value) { (walk, element) throws(RequestEnvelope.Rejection) in
            try walk.check(inner, bytes, element)
        }
    }

    private mutating func object(
        _ members: [String: StrictShape], _ bytes: Span<UInt8>, _ value: Value
    ) throws(RequestEnvelope.Rejection) {
        if value.kind == .null { return }
        try self.members(bytes, value) { (walk, name, inner) throws(RequestEnvelope.Rejection) in
            guard let shape = members[name] else { throw walk.refusal(.unknown) }
            try walk.check(shape, bytes, inner)
        }
    }

    private mutating func typed(
        _ types: [String: [String: StrictShape]], fallback: String?, _ bytes: Span<UInt8>, _ value: Value
    ) throws(RequestEnvelope.Rejection) {
        guard value.kind == .object else { throw refusal(.shape) }
        let member = JSONPath.member("type", of: value.range.lowerBound, bytes)
        let given = member.flatMap { $0.kind == .string ? JSONText.string(bytes, value: $0.value) : nil }
        guard let type = given ?? (member == nil ? fallback : nil), var members = types[type] else {
            path.append(.key("type"))
            throw refusal(.unknown)
        }
        members["type"] = .scalar
        try object(members, bytes, value)
    }

    private mutating func told(
        _ names: [String: StrictShape], common: [String: StrictShape], _ bytes: Span<UInt8>, _ value: Value
    ) throws(RequestEnvelope.Rejection) {
        try object(names.merging(common) { first, _ in first }, bytes, value)
    }

    private mutating func tools(
        _ known: [String: StrictTool], _ keyed: Bool, _ bytes: Span<UInt8>, _ value: Value
    ) throws(RequestEnvelope.Rejection) {
        if value.kind == .null { return }
        guard value.kind == .array else { throw refusal(.shape) }
        var count: Int64 = 0
        try elements(bytes, value) { (walk, element) throws(RequestEnvelope.Rejection) in
            guard element.kind == .object else { throw walk.refusal(.shape) }
            count += 1
            try walk.free(bytes, element)
            if keyed {
                try walk.members(bytes, element) { (walk, name, _) throws(RequestEnvelope.Rejection) in
                    guard known[name] != nil else { throw walk.refusal(.vendorTool) }
                }
            } else {
                try walk.tool(known, bytes, element)
            }
        }
        if count > 0 { addedTokens += StrictBound.tokensOfTools }
    }

    private mutating func tool(
        _ known: [String: StrictTool], _ bytes: Span<UInt8>, _ value: Value
    ) throws(RequestEnvelope.Rejection) {
        var type = ""
        try members(bytes, value) { (walk, name, inner) throws(RequestEnvelope.Rejection) in
            guard name == "type" else { return }
            guard inner.kind == .string || inner.kind == .null else { throw walk.refusal(.shape) }
            if inner.kind == .string { type = walk.text(bytes, inner) }
        }
        // Versions of Anthropic's own tools end with a date.
        let found = known.first { type == $0.key || $0.key.hasSuffix("_") && type.hasPrefix($0.key) }
        guard let found else {
            path.append(.key("type"))
            throw refusal(.vendorTool)
        }
        addedTokens += found.value.addedTokens
    }

    /// Any JSON is accepted as text, but no name in it may use needless escapes: they could hide a field that the vendor acts on.
    private mutating func free(_ bytes: Span<UInt8>, _ value: Value) throws(RequestEnvelope.Rejection) {
        switch value.kind {
        case .object:
            try scans(value)
            var cursor = try objectCursor(bytes, value)
            while let member = try next(&cursor, bytes) {
                path.append(.key(JSONText.string(bytes, content: member.key)))
                if member.keyHasEscapes, Self.hidesASCII(bytes, member.key) { throw refusal(.disguised) }
                try free(bytes, Value(range: member.value, kind: member.kind))
                path.removeLast()
            }
        case .array:
            try elements(bytes, value) { (walk, element) throws(RequestEnvelope.Rejection) in try walk.free(bytes, element) }
        default: break
        }
    }

    /// Whether a `\u` escape stands for an ASCII letter, digit or sign that needs no escape.
    private static func hidesASCII(_ bytes: Span<UInt8>, _ range: Range<Int>) -> Bool {
        var index = range.lowerBound
        while index + 1 < range.upperBound {
            guard bytes[index] == UInt8(ascii: "\\") else {
                index += 1
                continue
            }
            if bytes[index + 1] == UInt8(ascii: "/") { return true }
            if bytes[index + 1] == UInt8(ascii: "u"), index + 6 <= range.upperBound,
                bytes[index + 2] == UInt8(ascii: "0"), bytes[index + 3] == UInt8(ascii: "0"),
                let high = JSONScanner.hexValue(bytes[index + 4]), high >= 2, high < 8
            {
                return true
            }
            index += 2
        }
        return false
    }

    // MARK: Leaves

    private mutating func imageLink(_ isObject: Bool, _ bytes: Span<UInt8>, _ value: Value) throws(RequestEnvelope.Rejection) {
        if isObject, value.kind == .object {
            return try members(bytes, value) { (walk, name, inner) throws(RequestEnvelope.Rejection) in
                switch name {
                case "url": try walk.imageLink(false, bytes, inner)
                case "detail", "format", "media_type": try walk.check(.scalar, bytes, inner)
                default: throw walk.refusal(.unknown)
                }
            }
        }
        guard value.kind == .string else { throw refusal(.shape) }
        let content = value.range.lowerBound + 1..<value.range.upperBound - 1
        if Self.begins("data:image/", bytes, content) {
            images += 1
            imageBytes += content.count
        } else if Self.begins("https://", bytes, content) || Self.begins("http://", bytes, content) {
            images += 1
        } else {
            throw refusal(Self.begins("data:", bytes, content) ? .data : .heldByVendor)
        }
    }

    private mutating func picture(_ bytes: Span<UInt8>, _ value: Value) throws(RequestEnvelope.Rejection) {
        guard value.kind == .string else { throw refusal(.shape) }
        images += 1
        imageBytes += value.range.count - 2
    }

    private func textData(_ bytes: Span<UInt8>, _ value: Value) throws(RequestEnvelope.Rejection) {
        guard value.kind == .string else { throw refusal(.shape) }
        let content = value.range.lowerBound + 1..<value.range.upperBound - 1
        // Decoded base64 is shorter than its text, so the bytes of the text are a bound.
        guard Self.begins("data:text/", bytes, content) else {
            throw refusal(Self.begins("http", bytes, content) ? .byReference : .data)
        }
    }

    private mutating func inlineData(_ bytes: Span<UInt8>, _ value: Value) throws(RequestEnvelope.Rejection) {
        var type = ""
        var data: Value?
        try members(bytes, value) { (walk, name, inner) throws(RequestEnvelope.Rejection) in
            switch name {
            case "mimeType", "mime_type":
                guard type.isEmpty, inner.kind == .string else { throw walk.refusal(.shape) }
                type = walk.text(bytes, inner).lowercased()
            case "data":
                guard inner.kind == .string else { throw walk.refusal(.shape) }
                data = inner
            case "displayName", "display_name": try walk.check(.scalar, bytes, inner)
            default: throw walk.refusal(.unknown)
            }
        }
        guard let data else { return }
        if type.hasPrefix("image/") { return try picture(bytes, data) }
        if type.hasPrefix("text/") { return }
        guard type.hasPrefix("audio/"), StrictAudio.isBounded(base64: bytes, data.range.lowerBound + 1..<data.range.upperBound - 1) else {
            throw refusal(.data)
        }
    }

    private mutating func audio(_ bytes: Span<UInt8>, _ value: Value) throws(RequestEnvelope.Rejection) {
        try members(bytes, value) { (walk, name, inner) throws(RequestEnvelope.Rejection) in
            switch name {
            case "format": try walk.check(.scalar, bytes, inner)
            case "data":
                guard inner.kind == .string,
                    StrictAudio.isBounded(base64: bytes, inner.range.lowerBound + 1..<inner.range.upperBound - 1)
                else { throw walk.refusal(.data) }
            default: throw walk.refusal(.unknown)
            }
        }
    }

    private mutating func countPrompts(_ bytes: Span<UInt8>, _ value: Value) throws(RequestEnvelope.Rejection) {
        guard value.kind == .array else { return try check(.text, bytes, value) }
        try elements(bytes, value) { (walk, element) throws(RequestEnvelope.Rejection) in
            switch element.kind {
            case .string, .number: break
            case .array:
                try walk.elements(bytes, element) { (walk, token) throws(RequestEnvelope.Rejection) in
                    guard token.kind == .number else { throw walk.refusal(.shape) }
                }
            default: throw walk.refusal(.shape)
            }
        }
        prompts = RequestEnvelope.countPrompts(bytes, at: value.range.lowerBound)
    }

    // MARK: Cursors

    /// Calls `body` for each member with its decoded name. Members that are given twice or whose names are hidden are refused first.
    private mutating func members(
        _ bytes: Span<UInt8>, _ value: Value,
        _ body: (inout StrictWalk, String, Value) throws(RequestEnvelope.Rejection) -> Void
    ) throws(RequestEnvelope.Rejection) {
        guard value.kind == .object else { throw refusal(.shape) }
        try scans(value)
        var cursor = try objectCursor(bytes, value)
        var seen: Set<String> = []
        while let member = try next(&cursor, bytes) {
            let name = JSONText.string(bytes, content: member.key)
            path.append(.key(name))
            if member.keyHasEscapes { throw refusal(.disguised) }
            guard seen.insert(name).inserted else { throw refusal(.twice) }
            try body(&self, name, Value(range: member.value, kind: member.kind))
            path.removeLast()
        }
    }

    private mutating func elements(
        _ bytes: Span<UInt8>, _ value: Value, _ body: (inout StrictWalk, Value) throws(RequestEnvelope.Rejection) -> Void
    ) throws(RequestEnvelope.Rejection) {
        guard var cursor = try? JSONArrayCursor(bytes, at: value.range.lowerBound) else { throw refusal(.shape) }
        try scans(value)
        var index = 0
        while let element = try? cursor.next(bytes) {
            path.append(.index(index))
            try body(&self, Value(range: element.range, kind: element.kind))
            path.removeLast()
            index += 1
        }
    }

    private func objectCursor(_ bytes: Span<UInt8>, _ value: Value) throws(RequestEnvelope.Rejection) -> JSONObjectCursor {
        guard let cursor = try? JSONObjectCursor(bytes, at: value.range.lowerBound) else { throw refusal(.shape) }
        return cursor
    }

    private func next(_ cursor: inout JSONObjectCursor, _ bytes: Span<UInt8>) throws(RequestEnvelope.Rejection) -> JSONMember? {
        do throws(JSONScanError) { return try cursor.next(bytes) } catch { throw refusal(.shape) }
    }

    private func text(_ bytes: Span<UInt8>, _ value: Value) -> String { JSONText.string(bytes, value: value.range) }

    private static func begins(_ prefix: StaticString, _ bytes: Span<UInt8>, _ range: Range<Int>) -> Bool {
        guard range.count >= prefix.utf8CodeUnitCount else { return false }
        return JSONScanner.equals(bytes, range.lowerBound..<range.lowerBound + prefix.utf8CodeUnitCount, prefix)
    }

    // MARK: Refusals

    private func refusal(_ why: StrictRefusal) -> RequestEnvelope.Rejection {
        var name = ""
        for step in path.prefix(24) {
            switch step {
            case .key(let key): name += (name.isEmpty ? "" : ".") + key.prefix(64)
            case .index(let index): name += "[\(index)]"
            }
        }
        return StrictBound.rejection(name, why)
    }
}
