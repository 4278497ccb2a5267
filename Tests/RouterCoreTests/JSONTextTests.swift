import NIOCore
import Testing

@testable import RouterCore

/// Strings are decoded and written run by run; byte by byte, as here, is the measure.
@Suite struct JSONTextTests {
    private static func quoted(_ text: String) -> [UInt8] {
        let digits = Array("0123456789abcdef".utf8)
        var out: [UInt8] = [UInt8(ascii: "\"")]
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "\""), UInt8(ascii: "\\"): out += [UInt8(ascii: "\\"), byte]
            case 0x0A: out += Array("\\n".utf8)
            case 0x0D: out += Array("\\r".utf8)
            case 0x09: out += Array("\\t".utf8)
            case 0..<0x20, 0x7F: out += Array("\\u00".utf8) + [digits[Int(byte >> 4)], digits[Int(byte & 15)]]
            default: out.append(byte)
            }
        }
        return out + [UInt8(ascii: "\"")]
    }

    /// Texts of every length around the eight bytes that are looked at together, of letters that need an escape and such that need none.
    private static var texts: [String] {
        let letters = ["a", "\"", "\\", "\n", "\t", "\r", "\u{1}", "\u{1F}", " ", "\u{7F}", "é", "€", "\u{1F600}", "/", "\u{0}", "z"]
        var rng = SplitMix64(seed: 11)
        return (0..<2_000).map { number in
            (0..<(number % 40)).map { _ in letters[Int(rng.next() % (number % 3 == 0 ? 16 : 40)) % letters.count] }.joined()
        } + ["", "a", String(repeating: "plain ", count: 1_000), String(repeating: "\n", count: 100)]
    }

    @Test func `a text is written as byte by byte, and read back as it was`() throws {
        for text in Self.texts {
            var buffer = ByteBuffer()
            JSONText.appendQuoted(text, to: &buffer)
            #expect(Array(buffer.readableBytesView) == Self.quoted(text), "\(text.debugDescription)")
            #expect(try JSONValue(parsing: buffer) == .string(text), "\(text.debugDescription)")
            var part = ByteBuffer()
            JSONText.appendQuoted(text.dropFirst(), to: &part)
            #expect(try JSONValue(parsing: part) == .string(String(text.dropFirst())))
        }
    }

    @Test(arguments: [
        (#""\u00e9\u20AC""#, "é€"), (#""\ud83d\ude00x""#, "\u{1F600}x"), (#""\ud83d""#, "\u{FFFD}"), (#""\ude00a""#, "\u{FFFD}a"),
        (#""\ud83d\u0041""#, "\u{FFFD}A"), (#""a long run before \/ and after it\b\f""#, "a long run before / and after it\u{8}\u{C}"),
        (#""\\\"\\""#, #"\"\"#), (#""ends with \n""#, "ends with \n"),
    ])
    func `escapes are decoded`(json: String, text: String) throws {
        #expect(try JSONValue(parsing: ByteBuffer(string: json)) == .string(text))
    }
}
