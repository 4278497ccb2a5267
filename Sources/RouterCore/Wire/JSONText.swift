public import NIOCore

/// Reads single values out of ranges that ``JSONScanner`` has validated.
public enum JSONText {
    /// The text of a string value, escapes decoded. `content` is the range between the quotes.
    public static func string(_ bytes: Span<UInt8>, content: Range<Int>, hasEscapes: Bool = true) -> String {
        guard hasEscapes, containsBackslash(bytes, content) else { return raw(bytes, content) }
        var utf8: [UInt8] = []
        utf8.reserveCapacity(content.count)
        var index = content.lowerBound
        while index < content.upperBound {
            let byte = bytes[index]
            if byte != UInt8(ascii: "\\") {
                utf8.append(byte)
                index += 1
                continue
            }
            switch bytes[index + 1] {
            case UInt8(ascii: "b"): utf8.append(0x08)
            case UInt8(ascii: "f"): utf8.append(0x0C)
            case UInt8(ascii: "n"): utf8.append(0x0A)
            case UInt8(ascii: "r"): utf8.append(0x0D)
            case UInt8(ascii: "t"): utf8.append(0x09)
            case UInt8(ascii: "u"):
                utf8.append(contentsOf: String(unicodeEscape(bytes, &index, content.upperBound)).utf8)
                continue
            case let other: utf8.append(other)
            }
            index += 2
        }
        return String(decoding: utf8, as: UTF8.self)
    }

    /// Decodes `\uXXXX`, with the second half of a surrogate pair; a lone surrogate becomes U+FFFD.
    private static func unicodeEscape(_ bytes: Span<UInt8>, _ index: inout Int, _ end: Int) -> Unicode.Scalar {
        func unit(at position: Int) -> UInt32? {
            guard position + 6 <= end, bytes[position] == UInt8(ascii: "\\"), bytes[position + 1] == UInt8(ascii: "u")
            else { return nil }
            var value: UInt32 = 0
            for offset in 2..<6 { value = value << 4 | (JSONScanner.hexValue(bytes[position + offset]) ?? 0) }
            return value
        }
        let high = unit(at: index) ?? 0xFFFD
        index += 6
        if (0xD800..<0xDC00).contains(high), let low = unit(at: index), (0xDC00..<0xE000).contains(low) {
            index += 6
            return Unicode.Scalar(0x10000 + (high - 0xD800) << 10 + (low - 0xDC00)) ?? "\u{FFFD}"
        }
        return Unicode.Scalar(high) ?? "\u{FFFD}"
    }

    /// The text of a value range that is a string (quotes included).
    public static func string(_ bytes: Span<UInt8>, value: Range<Int>) -> String {
        string(bytes, content: value.lowerBound + 1..<value.upperBound - 1)
    }

    /// The bytes of a range as text, undecoded: numbers, or raw JSON.
    public static func raw(_ bytes: Span<UInt8>, _ range: Range<Int>) -> String {
        bytes.extracting(range).withUnsafeBufferPointer { String(decoding: $0, as: UTF8.self) }
    }

    private static func containsBackslash(_ bytes: Span<UInt8>, _ range: Range<Int>) -> Bool {
        for index in range where bytes[index] == UInt8(ascii: "\\") { return true }
        return false
    }

    /// A whole number in the range of Int64; `5.0` and `1e3` count as whole too.
    public static func integer(_ bytes: Span<UInt8>, _ range: Range<Int>) -> Int64? {
        if range.count <= 18 {
            var value: Int64 = 0
            var isPlain = !range.isEmpty
            for index in range {
                let digit = bytes[index] &- UInt8(ascii: "0")
                if digit > 9 {
                    isPlain = false
                    break
                }
                value = value * 10 + Int64(digit)
            }
            if isPlain { return value }
        }
        guard range.count <= 64, let decimal = try? DecimalText(raw(bytes, range)),
            let (value, exact) = try? decimal.scaled(byPowerOfTen: 0), exact
        else { return nil }
        return Int64(exactly: value)
    }

    /// Whether a member's key is this name; escapes in the key are decoded.
    public static func isKey(_ member: JSONMember, _ name: StaticString, _ bytes: Span<UInt8>) -> Bool {
        if member.keyHasEscapes {
            // No letter takes more bytes than `\u0061`, so a longer key cannot match and is not decoded.
            guard member.key.count <= 6 * name.utf8CodeUnitCount else { return false }
            return name.withUTF8Buffer { buffer in
                string(bytes, content: member.key).utf8.elementsEqual(buffer)
            }
        }
        return JSONScanner.equals(bytes, member.key, name)
    }

    /// Appends text as a JSON string with its quotes.
    public static func appendQuoted(_ text: some StringProtocol, to buffer: inout ByteBuffer) {
        var scratch: [UInt8] = [UInt8(ascii: "\"")]
        scratch.reserveCapacity(text.utf8.count + 8)
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "\""): scratch += [UInt8(ascii: "\\"), UInt8(ascii: "\"")]
            case UInt8(ascii: "\\"): scratch += [UInt8(ascii: "\\"), UInt8(ascii: "\\")]
            case 0x0A: scratch += [UInt8(ascii: "\\"), UInt8(ascii: "n")]
            case 0x0D: scratch += [UInt8(ascii: "\\"), UInt8(ascii: "r")]
            case 0x09: scratch += [UInt8(ascii: "\\"), UInt8(ascii: "t")]
            case 0..<0x20, 0x7F:
                let digits = Array("0123456789abcdef".utf8)
                scratch += Array("\\u00".utf8) + [digits[Int(byte >> 4)], digits[Int(byte & 15)]]
            default: scratch.append(byte)
            }
        }
        scratch.append(UInt8(ascii: "\""))
        buffer.writeBytes(scratch)
    }
}
