public import NIOCore
import RouterCore

/// Answers as OpenRouter's clients expect them.
public enum OpenRouterAnswer {
    private static let fingerprint: StaticString = "system_fingerprint"

    /// A whole Chat answer with `system_fingerprint`, which OpenRouter's SDK demands and many vendors leave out
    /// (https://openrouter.ai/docs/client-sdks/python/components/chatresult); null = unknown.
    /// - Returns: the same bytes where it is there, and for everything that is no JSON object.
    public static func completed(_ body: ByteBuffer) -> ByteBuffer {
        let bytes = body.readableBytesUInt8Span
        var start = 0
        JSONScanner.skipWhitespace(bytes, &start)
        guard start < bytes.count, bytes[start] == UInt8(ascii: "{"), JSONPath.member(fingerprint, of: start, bytes) == nil else {
            return body
        }
        var next = start + 1
        JSONScanner.skipWhitespace(bytes, &next)
        let isEmpty = next >= bytes.count || bytes[next] == UInt8(ascii: "}")
        var splice = BodySplice()
        splice.insert("\"\(fingerprint)\":null" + (isEmpty ? "" : ","), at: start + 1)
        return splice.applied(to: body)
    }
}
