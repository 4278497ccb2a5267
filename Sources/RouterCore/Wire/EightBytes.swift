/// Examines bytes eight at a time, as one word: most data that passes through the gateway is text that needs no processing.
public enum EightBytes {
    private static let ones: UInt64 = 0x0101_0101_0101_0101
    private static let highs: UInt64 = 0x8080_8080_8080_8080

    @inline(__always)
    private static func word(_ bytes: Span<UInt8>, _ index: Int) -> UInt64 {
        // In memory order on every machine: the first byte is the lowest.
        UInt64(littleEndian: bytes.bytes.unsafeLoadUnaligned(fromByteOffset: index, as: UInt64.self))
    }

    /// The high bit of each byte that equals `byte`. Only the lowest set bit is reliable: a borrow may set false ones above it.
    @inline(__always)
    private static func equal(_ word: UInt64, _ byte: UInt8) -> UInt64 {
        let difference = word ^ (ones &* UInt64(byte))
        return (difference &- ones) & ~difference
    }

    /// Moves over bytes that stand for themselves in a JSON string: ASCII without quotes, backslashes and control characters. May stop
    /// short of the first other byte when fewer than eight are left.
    @inline(__always)
    static func skipPlain(_ bytes: Span<UInt8>, _ index: inout Int) {
        while index &+ 8 <= bytes.count {
            let word = word(bytes, index)
            let control = (word &- (ones &* 0x20)) & ~word
            let hits = (equal(word, UInt8(ascii: "\"")) | equal(word, UInt8(ascii: "\\")) | control | word) & highs
            guard hits == 0 else {
                index &+= hits.trailingZeroBitCount >> 3
                return
            }
            index &+= 8
        }
    }

    /// Moves over bytes that are written into a JSON string as they are: no quotes, backslashes, control characters or DEL. May stop short
    /// as ``skipPlain(_:_:)`` may.
    @inline(__always)
    static func skipUnescaped(_ bytes: Span<UInt8>, _ index: inout Int) {
        while index &+ 8 <= bytes.count {
            let word = word(bytes, index)
            let control = (word &- (ones &* 0x20)) & ~word
            let hits = (equal(word, UInt8(ascii: "\"")) | equal(word, UInt8(ascii: "\\")) | equal(word, 0x7F) | control) & highs
            guard hits == 0 else {
                index &+= hits.trailingZeroBitCount >> 3
                return
            }
            index &+= 8
        }
    }

    /// Moves over bytes that are neither a quote nor a backslash. May stop short as ``skipPlain(_:_:)`` may.
    @inline(__always)
    static func skipUnquoted(_ bytes: Span<UInt8>, _ index: inout Int) {
        while index &+ 8 <= bytes.count {
            let word = word(bytes, index)
            let hits = (equal(word, UInt8(ascii: "\"")) | equal(word, UInt8(ascii: "\\"))) & highs
            guard hits == 0 else {
                index &+= hits.trailingZeroBitCount >> 3
                return
            }
            index &+= 8
        }
    }

    /// Moves over bytes that do not end a line: neither LF nor CR. May stop short as ``skipPlain(_:_:)`` may.
    public static func skipLine(_ bytes: Span<UInt8>, _ index: inout Int) {
        while index &+ 8 <= bytes.count {
            let word = word(bytes, index)
            let hits = (equal(word, 0x0A) | equal(word, 0x0D)) & highs
            guard hits == 0 else {
                index &+= hits.trailingZeroBitCount >> 3
                return
            }
            index &+= 8
        }
    }

    /// Moves over lower-case letters. May stop short as ``skipPlain(_:_:)`` may.
    @inline(__always)
    static func skipLower(_ bytes: Span<UInt8>, _ index: inout Int, end: Int) {
        while index &+ 8 <= end {
            let word = word(bytes, index)
            // With the high bits cleared, no byte borrows from its neighbour.
            let low = word & ~highs
            let fromA = (low | highs) &- (ones &* UInt64(UInt8(ascii: "a")))
            let beyondZ = low &+ (ones &* UInt64(0x7F - UInt8(ascii: "z")))
            let hits = (~fromA | beyondZ | word) & highs
            guard hits == 0 else {
                index &+= hits.trailingZeroBitCount >> 3
                return
            }
            index &+= 8
        }
    }
}
