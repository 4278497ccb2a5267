public import NIOCore

/// How long a file of sound is, before anybody has decoded it: exactly for WAV, else guessed from its size.
public struct AudioLength: Sendable, Hashable {
    /// The likely length in milliseconds.
    public var milliseconds: Int64
    /// A length that it will not exceed.
    public var upperBound: Int64

    /// The thinnest speech that codecs make: 6 kbit/s of Opus (RFC 6716).
    private static let leastBytesPerSecond: Int64 = 750

    /// - Parameters:
    ///   - bytes: of the whole file.
    ///   - head: its first bytes.
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

    /// The byte rate that a WAV file tells in its format chunk, which stands first in practice (RIFF, "fmt ").
    private static func waveRate(_ head: ByteBuffer) -> Int64? {
        let start = head.readerIndex
        guard head.getString(at: start, length: 4) == "RIFF", head.getString(at: start + 8, length: 8) == "WAVEfmt ",
            let rate = head.getInteger(at: start + 28, endianness: .little, as: UInt32.self), rate >= 1_000
        else { return nil }
        return Int64(rate)
    }

    /// Bytes per second as people record: 32 kbit/s for Opus in Ogg or WebM, 256 kbit/s for FLAC, 128 kbit/s for MP3, AAC and the rest.
    private static func usualRate(_ head: ByteBuffer) -> Int64 {
        switch head.getBytes(at: head.readerIndex, length: 4) ?? [] {
        case Array("OggS".utf8), [0x1A, 0x45, 0xDF, 0xA3]: 4_000
        case Array("fLaC".utf8): 32_000
        default: 16_000
        }
    }
}
