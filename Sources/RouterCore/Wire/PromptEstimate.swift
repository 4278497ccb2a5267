/// A guess at the size of a prompt before the vendor has counted it, and a bound that it cannot exceed.
///
/// The guess: a quarter token per ASCII byte inside JSON strings, one token per other character, a flat figure per
/// image. English text comes out a little high, code and Chinese close. Base64 data (`data:` URLs) is not text and is counted
/// by the image or file it stands for.
public struct PromptEstimate: Sendable, Hashable {
    /// Estimated tokens, images included.
    public var tokens: Int64 = 0
    public var images: Int64 = 0
    /// No byte-level tokenizer makes more tokens than bytes.
    public var upperBound: Int64 = 0

    /// What one image counts in the guess: a 1024×1024 picture in OpenAI's high-detail scheme is 765, a large one 1,105.
    public static let tokensPerImage: Int64 = 1_105

    public init() {}

    /// Walks the strings of a validated JSON body.
    public init(_ bytes: Span<UInt8>) {
        var ascii = 0
        var other = 0
        var skipped = 0
        var index = 0
        let count = bytes.count
        while index < count {
            guard bytes[index] == UInt8(ascii: "\"") else {
                index += 1
                continue
            }
            index += 1
            if Self.hasPrefix("data:", bytes, index) {
                let start = index
                Self.skipToQuote(bytes, &index)
                skipped += index - start
            } else if Self.hasPrefix("image_url\"", bytes, index) {
                index += 9
                if Self.isFollowedByColon(bytes, index + 1) { images += 1 }
            } else {
                while index < count, bytes[index] != UInt8(ascii: "\"") {
                    let byte = bytes[index]
                    if byte < 0x80 { ascii += 1 } else if byte >= 0xC0 { other += 1 }
                    // An escape is two bytes of text; skipping the second keeps \" from ending the string.
                    index += byte == UInt8(ascii: "\\") ? 2 : 1
                }
            }
            index += 1
        }
        tokens = Int64((ascii + 3) / 4 + other) + images * Self.tokensPerImage
        upperBound = Int64(count - skipped) + images * Self.tokensPerImage * 8
    }

    private static func hasPrefix(_ text: StaticString, _ bytes: Span<UInt8>, _ index: Int) -> Bool {
        index + text.utf8CodeUnitCount <= bytes.count
            && JSONScanner.equals(bytes, index..<index + text.utf8CodeUnitCount, text)
    }

    private static func skipToQuote(_ bytes: Span<UInt8>, _ index: inout Int) {
        while index < bytes.count, bytes[index] != UInt8(ascii: "\"") {
            index += bytes[index] == UInt8(ascii: "\\") ? 2 : 1
        }
    }

    private static func isFollowedByColon(_ bytes: Span<UInt8>, _ index: Int) -> Bool {
        var position = index
        JSONScanner.skipWhitespace(bytes, &position)
        return position < bytes.count && bytes[position] == UInt8(ascii: ":")
    }

    /// The same rule for text that was delivered: a quarter token per ASCII byte, one per other character.
    public static func tokens(asciiBytes: Int64, otherCharacters: Int64) -> Int64 { (asciiBytes + 3) / 4 + otherCharacters }
}
