import NIOCore

/// Decides which audio has a length that is bounded by its bytes. Codecs that write silence in almost no space (FLAC, Opus, AAC) have no
/// such bound: an hour of it fits into a few kilobytes. Uncompressed WAV and MP3 do, and are recognised by their first bytes, not by the
/// name that the client gives them.
enum StrictAudio {
    /// An MP3 file may begin with a tag; nothing is looked for behind a tag that is larger than this (bytes).
    private static let maximumTag = 1 << 20

    static func isBounded(_ bytes: Span<UInt8>, _ range: Range<Int>) -> Bool {
        isBounded(count: range.count) { bytes[range.lowerBound + $0] }
    }

    /// - Parameter range: the base64 text.
    static func isBounded(base64 bytes: Span<UInt8>, _ range: Range<Int>) -> Bool {
        isBounded(count: range.count / 4 * 3) { offset in
            let group = range.lowerBound + offset / 3 * 4
            guard let first = sextet(bytes[group]), let second = sextet(bytes[group + 1]) else { return 0 }
            let third = sextet(bytes[group + 2]) ?? 0
            let fourth = sextet(bytes[group + 3]) ?? 0
            let word = UInt32(first) << 18 | UInt32(second) << 12 | UInt32(third) << 6 | UInt32(fourth)
            return UInt8(truncatingIfNeeded: word >> (16 - 8 * UInt32(offset % 3)))
        }
    }

    private static func isBounded(count: Int, _ byte: (Int) -> UInt8) -> Bool {
        guard count >= 64 else { return false }
        if (byte(0), byte(1), byte(2), byte(3)) == (0x52, 0x49, 0x46, 0x46) { return isPlainWave(byte) }
        var start = 0
        if (byte(0), byte(1), byte(2)) == (0x49, 0x44, 0x33) {
            // ID3v2: four groups of seven bits after the version and the flags give the length.
            let length = (6..<10).reduce(0) { $0 << 7 | Int(byte($1) & 0x7F) }
            guard length <= maximumTag else { return false }
            start = 10 + length
        }
        guard start + 4 <= count else { return false }
        // A frame header of layer III whose bit rate and sample rate are in the tables (ISO/IEC 11172-3, 13818-3).
        let rate = byte(start + 2) >> 4
        return byte(start) == 0xFF && byte(start + 1) & 0xE6 == 0xE2 && (1...14).contains(rate) && byte(start + 2) & 0x0C != 0x0C
    }

    /// Whether the length follows from the bytes: PCM or floating point, at a customary sample rate.
    private static func isPlainWave(_ byte: (Int) -> UInt8) -> Bool {
        var head = ByteBuffer()
        for index in 0..<64 { head.writeInteger(byte(index)) }
        let tag = UInt16(byte(20)) | UInt16(byte(21)) << 8
        return (tag == 1 || tag == 3) && AudioLength.isUncompressed(head)
    }

    private static func sextet(_ byte: UInt8) -> UInt8? {
        switch byte {
        case UInt8(ascii: "A")...UInt8(ascii: "Z"): byte - UInt8(ascii: "A")
        case UInt8(ascii: "a")...UInt8(ascii: "z"): byte - UInt8(ascii: "a") + 26
        case UInt8(ascii: "0")...UInt8(ascii: "9"): byte - UInt8(ascii: "0") + 52
        case UInt8(ascii: "+"), UInt8(ascii: "-"): 62
        case UInt8(ascii: "/"), UInt8(ascii: "_"): 63
        default: nil
        }
    }
}
