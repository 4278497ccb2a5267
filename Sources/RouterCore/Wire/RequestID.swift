/// The id of a request: a UUID of version 7 (48 bits of Unix milliseconds, then random bits), so that ids sort by time.
public struct RequestID: Sendable, Hashable, Comparable, CustomStringConvertible {
    public let bits: UInt128

    public init(bits: UInt128) { self.bits = bits }

    /// Makes a version 7 id (RFC 9562, section 5.7) from a time and 80 random bits, of which six are replaced by version and variant.
    public init(unixMilliseconds: Int64, randomHigh: UInt16, randomLow: UInt64) {
        let time = UInt128(UInt64(bitPattern: unixMilliseconds) & 0xFFFF_FFFF_FFFF)
        let versioned = UInt128(0x7000 | (randomHigh & 0x0FFF))
        let variant = UInt128(0x8000_0000_0000_0000 | (randomLow & 0x3FFF_FFFF_FFFF_FFFF))
        bits = time << 80 | versioned << 64 | variant
    }

    /// Reads the usual form of 36 characters in either case; nil for anything else.
    public init?(_ text: some StringProtocol) {
        var value: UInt128 = 0
        var index = 0
        for byte in text.utf8 {
            if index == 8 || index == 13 || index == 18 || index == 23 {
                guard byte == UInt8(ascii: "-") else { return nil }
            } else {
                guard let digit = Character(UnicodeScalar(byte)).hexDigitValue else { return nil }
                value = value << 4 | UInt128(digit)
            }
            index += 1
        }
        guard index == 36 else { return nil }
        bits = value
    }

    public static func < (left: RequestID, right: RequestID) -> Bool { left.bits < right.bits }

    public var description: String {
        String(unsafeUninitializedCapacity: 36) { buffer in
            var position = 0
            for (word, dashes) in [(UInt64(truncatingIfNeeded: bits >> 64), (8, 12)), (UInt64(truncatingIfNeeded: bits), (0, 4))] {
                for nibble in 0..<16 {
                    if nibble == dashes.0 || nibble == dashes.1 {
                        buffer[position] = UInt8(ascii: "-")
                        position += 1
                    }
                    let digit = UInt8(truncatingIfNeeded: word >> UInt64(60 - nibble * 4)) & 15
                    buffer[position] = digit + (digit < 10 ? UInt8(ascii: "0") : UInt8(ascii: "a") - 10)
                    position += 1
                }
            }
            return 36
        }
    }
}
