public import NIOCore

/// Reads single values out of ranges that ``JSONScanner`` has validated.
public enum JSONText {
    /// The text of a string value, escapes decoded. `content` is the range between the quotes.
    public static func string(_ bytes: Span<UInt8>, content: Range<Int>, hasEscapes: Bool = true) -> String {
        guard hasEscapes, containsBackslash(bytes, content) else { return raw(bytes, content) }
        return bytes.extracting(content).withUnsafeBufferPointer { source in
            // No escape is shorter than what it stands for.
            String(unsafeUninitializedCapacity: source.count) { target in
                decode(source, into: UnsafeMutableRawBufferPointer(target))
            }
        }
    }

    /// Decodes the content of a string; runs without escapes are copied as they are.
    /// - Parameter target: as long as `source`.
    /// - Returns: the number of bytes written.
    private static func decode(_ source: UnsafeBufferPointer<UInt8>, into target: UnsafeMutableRawBufferPointer) -> Int {
        let bytes = source.span
        var written = 0
        var index = 0
        func copy(_ run: Range<Int>) {
            UnsafeMutableRawBufferPointer(rebasing: target[written...]).copyMemory(
                from: UnsafeRawBufferPointer(UnsafeBufferPointer(rebasing: source[run])))
            written += run.count
        }
        while index < bytes.count {
            let start = index
            EightBytes.skipUnquoted(bytes, &index)
            while index < bytes.count, bytes[index] != UInt8(ascii: "\\") { index += 1 }
            copy(start..<index)
            guard index + 1 < bytes.count else { break }
            switch bytes[index + 1] {
            case UInt8(ascii: "b"): target[written] = 0x08
            case UInt8(ascii: "f"): target[written] = 0x0C
            case UInt8(ascii: "n"): target[written] = 0x0A
            case UInt8(ascii: "r"): target[written] = 0x0D
            case UInt8(ascii: "t"): target[written] = 0x09
            case UInt8(ascii: "u"):
                // Never in what the scanner has accepted.
                guard index + 6 <= bytes.count else { return written }
                for byte in String(unicodeEscape(bytes, &index, bytes.count)).utf8 {
                    target[written] = byte
                    written += 1
                }
                continue
            case let other: target[written] = other
            }
            written += 1
            index += 2
        }
        return written
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
        let bytes = bytes.extracting(range)
        var index = 0
        while index < bytes.count {
            EightBytes.skipUnquoted(bytes, &index)
            guard index < bytes.count else { break }
            if bytes[index] == UInt8(ascii: "\\") { return true }
            index += 1
        }
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

    /// Appends text as a JSON string with its quotes; runs that need no escape are copied as they are.
    public static func appendQuoted(_ text: some StringProtocol, to buffer: inout ByteBuffer) {
        var text = String(text)
        buffer.reserveCapacity(minimumWritableBytes: text.utf8.count + 2)
        buffer.writeInteger(UInt8(ascii: "\""))
        text.withUTF8 { utf8 in
            let bytes = utf8.span
            var start = 0
            var index = 0
            while index < bytes.count {
                EightBytes.skipUnescaped(bytes, &index)
                guard index < bytes.count else { break }
                guard let letter = escape(of: bytes[index]) else {
                    index += 1
                    continue
                }
                buffer.writeBytes(UnsafeRawBufferPointer(UnsafeBufferPointer(rebasing: utf8[start..<index])))
                if letter == UInt8(ascii: "u") {
                    let digits: StaticString = "0123456789abcdef"
                    buffer.writeStaticString("\\u00")
                    buffer.writeInteger(digits.utf8Start[Int(bytes[index] >> 4)])
                    buffer.writeInteger(digits.utf8Start[Int(bytes[index] & 15)])
                } else {
                    buffer.writeMultipleIntegers(UInt8(ascii: "\\"), letter)
                }
                index += 1
                start = index
            }
            buffer.writeBytes(UnsafeRawBufferPointer(UnsafeBufferPointer(rebasing: utf8[start...])))
        }
        buffer.writeInteger(UInt8(ascii: "\""))
    }

    /// The letter after the backslash, `u` for a number; nil for a byte that stands for itself.
    private static func escape(of byte: UInt8) -> UInt8? {
        switch byte {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"): byte
        case 0x0A: UInt8(ascii: "n")
        case 0x0D: UInt8(ascii: "r")
        case 0x09: UInt8(ascii: "t")
        case 0..<0x20, 0x7F: UInt8(ascii: "u")
        default: nil
        }
    }
}
