import NIOCore

/// Cuts a byte stream into server-sent events (WHATWG HTML, section 9.2), wherever the reads were cut.
///
/// An event is handed out as its raw bytes, blank line included, so that it can be forwarded unchanged. Lines end in LF, CRLF or CR.
/// Every byte is looked at once, however small the pieces come.
struct SSEParser: Sendable {
    private var buffer = ByteBuffer()
    private var scan = Scan()

    /// Bytes of the incomplete event.
    var pendingBytes: Int { buffer.readableBytes }

    mutating func append(_ bytes: ByteBuffer) {
        if buffer.readableBytes == 0 { buffer = bytes } else { buffer.writeImmutableBuffer(bytes) }
    }

    /// The next whole event, or nil until more bytes come.
    mutating func next() -> ByteBuffer? {
        let whole = buffer
        guard let end = scan.findEnd(whole.readableBytesUInt8Span) else { return nil }
        scan.scanned = 0
        scan.lineLength = 0
        return buffer.readSlice(length: end)
    }

    /// What is left at the end of the stream: an event without its blank line, or nothing.
    mutating func rest() -> ByteBuffer? {
        defer { self = SSEParser() }
        return buffer.readableBytes > 0 ? buffer : nil
    }

    /// How far the search for the end of the event has come.
    private struct Scan {
        /// Bytes behind the reader index that were looked at already.
        var scanned = 0
        var lineLength = 0
        var lastWasCR = false

        mutating func findEnd(_ bytes: Span<UInt8>) -> Int? {
            var index = scanned
            let count = bytes.count
            while index < count {
                let byte = bytes[index]
                index += 1
                if byte == 0x0A {
                    if lastWasCR {
                        // The second half of CRLF.
                        lastWasCR = false
                        continue
                    }
                    if lineLength == 0 { return index }
                    lineLength = 0
                } else if byte == 0x0D {
                    lastWasCR = true
                    if lineLength == 0 {
                        // The LF of a CRLF belongs to this event when it is here already.
                        if index < count, bytes[index] == 0x0A {
                            lastWasCR = false
                            index += 1
                        }
                        return index
                    }
                    lineLength = 0
                } else {
                    lastWasCR = false
                    lineLength += 1
                }
            }
            scanned = count
            return nil
        }
    }
}

/// The fields of one raw event that matter here.
struct SSEEvent {
    /// Range of the payload inside the raw event, when it is a single `data` line.
    var dataRange: Range<Int>?
    /// The payload when it came in several `data` lines, joined with LF.
    var joinedData: ByteBuffer?

    init(_ raw: ByteBuffer) {
        let bytes = raw.readableBytesUInt8Span
        var ranges: [Range<Int>] = []
        var start = 0
        // A byte order mark may open the stream.
        if bytes.count >= 3, bytes[0] == 0xEF, bytes[1] == 0xBB, bytes[2] == 0xBF { start = 3 }
        while start < bytes.count {
            var end = start
            while end < bytes.count, bytes[end] != 0x0A, bytes[end] != 0x0D { end += 1 }
            if let payload = Self.payload(bytes, start..<end) { ranges.append(payload) }
            start = end + 1
        }
        if ranges.count == 1 {
            dataRange = ranges[0]
        } else if ranges.count > 1 {
            var joined = ByteBuffer()
            for (index, range) in ranges.enumerated() {
                if index > 0 { joined.writeInteger(UInt8(0x0A)) }
                if let slice = raw.getSlice(at: raw.readerIndex + range.lowerBound, length: range.count) {
                    joined.writeImmutableBuffer(slice)
                }
            }
            joinedData = joined
        }
    }

    private static func payload(_ bytes: Span<UInt8>, _ line: Range<Int>) -> Range<Int>? {
        let name: [UInt8] = [0x64, 0x61, 0x74, 0x61]  // data
        guard line.count >= 4 else { return nil }
        for offset in 0..<4 where bytes[line.lowerBound + offset] != name[offset] { return nil }
        var start = line.lowerBound + 4
        if start == line.upperBound { return start..<start }
        guard bytes[start] == 0x3A else { return nil }
        start += 1
        if start < line.upperBound, bytes[start] == 0x20 { start += 1 }
        return start..<line.upperBound
    }
}
