import RouterCore

/// Keeps keys out of words that vendors send back.
enum Redaction {
    private static let mark = "<redacted>"

    /// Without the key, and without anything that looks like `sk-…` (also with stars in it, as OpenAI shows keys).
    static func clean(_ text: String, key: Secret?) -> String {
        guard let key, key.reveal().utf8.count >= 4 else { return withoutKeyLike(text) }
        return withoutKeyLike(replacing(key.reveal(), in: text))
    }

    /// The same for every text of an error, names and figures included.
    static func clean(_ error: ErrorObject, key: Secret?) -> ErrorObject {
        func clean(_ text: String) -> String { self.clean(text, key: key) }
        return ErrorObject(
            message: clean(error.message), type: clean(error.type), param: error.param.map(clean), code: error.code.map(clean),
            metadata: error.metadata.map { .init(clean($0.name), cleaned($0.value, clean)) })
    }

    private static func cleaned(_ value: JSONValue, _ clean: (String) -> String) -> JSONValue {
        switch value {
        case .null, .boolean: return value
        case .string(let text): return .string(clean(text))
        case .number(let text):
            let rest = clean(text)
            return rest == text ? value : .string(rest)
        case .array(let elements): return .array(elements.map { cleaned($0, clean) })
        case .object(let members): return .object(members.map { .init(clean($0.name), cleaned($0.value, clean)) })
        }
    }

    private static func replacing(_ secret: String, in text: String) -> String {
        let bytes = Array(text.utf8)
        let wanted = Array(secret.utf8)
        var result: [UInt8] = []
        var index = 0
        while index < bytes.count {
            if bytes[index...].starts(with: wanted) {
                result += mark.utf8
                index += wanted.count
            } else {
                result.append(bytes[index])
                index += 1
            }
        }
        return String(decoding: result, as: UTF8.self)
    }

    private static func withoutKeyLike(_ text: String) -> String {
        let bytes = Array(text.utf8)
        var result: [UInt8] = []
        var index = 0
        while index < bytes.count {
            let isBoundary = index == 0 || !isKeyByte(bytes[index - 1])
            if isBoundary, bytes[index...].starts(with: "sk-".utf8) {
                var end = index + 3
                while end < bytes.count, isKeyByte(bytes[end]) { end += 1 }
                // Anything shorter is an ordinary word.
                if end - index >= 8 {
                    result += mark.utf8
                    index = end
                    continue
                }
            }
            result.append(bytes[index])
            index += 1
        }
        return String(decoding: result, as: UTF8.self)
    }

    private static func isKeyByte(_ byte: UInt8) -> Bool {
        (byte >= 0x30 && byte <= 0x39) || (byte | 0x20 >= 0x61 && byte | 0x20 <= 0x7A) || byte == 0x2D || byte == 0x5F
            || byte == UInt8(ascii: "*") || byte == UInt8(ascii: ".")
    }
}
