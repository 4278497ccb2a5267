import NIOCore
import RouterCore

/// Thoughts of other vendors' models as a `thoughtSignature`: the one thing that clients of this dialect give back on the next turn
/// (https://ai.google.dev/gemini-api/docs/thought-signatures). The field is base64, and holds what the vendor needs, the words included,
/// because clients may leave out the parts that are thoughts.
enum GeminiSignature {
    /// Twelve bytes, so that it is the same sixteen characters at the beginning of every one of them, in both alphabets of base64.
    private static let mark = Array("apirouter:1:".utf8)
    private static let encodedMark = Array(Base64.encode(mark).utf8)

    static func text(_ thoughts: [Thinking]) -> String {
        let list = JSONValue.array(
            thoughts.map { thinking in
                var object = ObjectBuilder()
                if !thinking.text.isEmpty { object.add("text", .string(thinking.text)) }
                object.add("signature", text: thinking.signature)
                object.add("data", text: thinking.redacted)
                return object.value
            })
        return Base64.encode(mark + Array(list.text.utf8))
    }

    /// nil: a signature of Gemini's own.
    static func thoughts(_ text: String) -> [Thinking]? {
        guard text.utf8.starts(with: encodedMark), let bytes = Base64.decode(text), bytes.starts(with: mark),
            let list = JSONText.parse(String(decoding: bytes.dropFirst(mark.count), as: UTF8.self))?.arrayValue
        else { return nil }
        return list.map {
            Thinking($0["text"]?.stringValue ?? "", signature: $0["signature"]?.stringValue, redacted: $0["data"]?.stringValue)
        }
    }

    /// A body on its way to Gemini itself, after turns that another vendor's model had: for those signatures it has a word of its own.
    /// - Returns: nil when there are none, so that the bytes stay.
    static func withoutForeign(_ body: ByteBuffer) -> ByteBuffer? {
        var splice = BodySplice()
        let bytes = body.readableBytesUInt8Span
        var index = 0
        while index + encodedMark.count < bytes.count {
            guard bytes[index] == UInt8(ascii: "\""), encodedMark.indices.allSatisfy({ bytes[index + 1 + $0] == encodedMark[$0] }) else {
                index += 1
                continue
            }
            var end = index + 1
            while end < bytes.count, bytes[end] != UInt8(ascii: "\"") { end += 1 }
            splice.replace(index + 1..<end, with: GeminiRequestWriter.noSignature)
            index = end + 1
        }
        return splice.isEmpty ? nil : splice.applied(to: body)
    }
}
