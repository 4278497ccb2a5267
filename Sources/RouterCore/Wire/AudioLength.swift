public import NIOCore

/// The length of an audio file without decoding it: exact for uncompressed WAV, otherwise estimated from its size.
public struct AudioLength: Sendable, Hashable {
    /// The likely length in milliseconds.
    public var milliseconds: Int64
    /// A length in milliseconds that the audio does not exceed.
    public var upperBound: Int64

    /// The lowest bit rate at which codecs encode speech: Opus at 6 kbit/s (RFC 6716).
    private static let leastBytesPerSecond: Int64 = 750

    /// - Parameters:
    ///   - bytes: the size of the whole file.
    ///   - head: the first bytes of the file.
    public init(bytes: Int64, head: ByteBuffer) {
        if let rate = Self.waveRate(head) {
            milliseconds = Self.milliseconds(bytes, rate)
            upperBound = milliseconds
        } else {
            milliseconds = Self.milliseconds(bytes, Self.usualRate(head))
            upperBound = max(milliseconds, Self.milliseconds(bytes, Self.leastBytesPerSecond))
        }
    }

    private static func milliseconds(_ bytes: Int64, _ bytesPerSecond: Int64) -> Int64 {
        let (product, overflowed) = bytes.multipliedReportingOverflow(by: 1_000)
        return overflowed ? .max : product / bytesPerSecond + (product % bytesPerSecond > 0 ? 1 : 0)
    }

    /// Whether the length follows from the size: true for uncompressed audio, as the file's header shows.
    static func isUncompressed(_ head: ByteBuffer) -> Bool { waveRate(head) != nil }

    /// The byte rate of uncompressed audio, from the format chunk of a WAV file, which comes first in practice (RIFF, "fmt "). nil where
    /// the stated rate is not the product of channels, sample rate and sample size: decoders use these, so a false rate would buy hours for
    /// the price of a second.
    private static func waveRate(_ head: ByteBuffer) -> Int64? {
        let start = head.readerIndex
        guard head.getString(at: start, length: 4) == "RIFF", head.getString(at: start + 8, length: 8) == "WAVEfmt " else { return nil }
        func short(_ offset: Int) -> Int64? { head.getInteger(at: start + offset, endianness: .little, as: UInt16.self).map(Int64.init) }
        func long(_ offset: Int) -> Int64? { head.getInteger(at: start + offset, endianness: .little, as: UInt32.self).map(Int64.init) }
        // PCM, floating point, and the extensible format that specifies either further on.
        guard let tag = short(20), [1, 3, 0xFFFE].contains(tag), let channels = short(22), (1...32).contains(channels),
            let samples = long(24), (1_000...768_000).contains(samples), let rate = long(28), let bits = short(34), bits % 8 == 0,
            (8...64).contains(bits), rate == samples * channels * bits / 8
        else { return nil }
        return rate
    }

    /// Bytes per second at customary settings: 32 kbit/s for Opus in Ogg or WebM, 256 kbit/s for FLAC, 128 kbit/s for MP3, AAC and others.
    private static func usualRate(_ head: ByteBuffer) -> Int64 {
        switch head.getBytes(at: head.readerIndex, length: 4) ?? [] {
        case Array("OggS".utf8), [0x1A, 0x45, 0xDF, 0xA3]: 4_000
        case Array("fLaC".utf8): 32_000
        default: 16_000
        }
    }
}
