import NIOCore
import RouterCore

/// Cuts a byte stream into server-sent events (WHATWG HTML, section 9.2), wherever the reads were cut.
///
/// An event is handed out as a range of ``buffer``, blank line included, so that it can be forwarded unchanged and together
/// with its neighbours. Lines end in LF, CRLF or CR. Every byte is looked at once, however small the pieces come, and only
/// the incomplete event is kept.
struct SSEParser: Sendable {
    /// The incomplete event, and before it what was handed out since the last ``append(_:)``.
    private(set) var buffer = ByteBuffer()
    /// Where the incomplete event starts, from the reader index.
    private var start = 0
    /// How far the search for its end has come, from the reader index.
    private var scanned = 0
    /// Bytes of the line so far.
    private var lineLength = 0
    /// The byte before was a CR that ended a line: an LF now is its second half.
    private var isAfterCR = false
    /// The line before ended in a CR alone.
    private var wasBareCR = false
    /// The stream ends lines in a CR alone. The format allows it and almost no client looks for it: what is forwarded gets LF instead
    /// (``SSEEvent/withoutBareCR(_:)``), or `[DONE]` and everything before it would be one endless line to them.
    private(set) var hasBareCR = false
    /// All bytes ever looked at; the tests bound the work with it.
    private(set) var examined = 0

    /// The event that was handed out last is the first of the stream.
    var isAtFirst: Bool { handedOut == 1 }
    private var handedOut = 0

    /// Bytes of the incomplete event.
    var pendingBytes: Int { buffer.readableBytes - start }

    mutating func append(_ bytes: ByteBuffer) {
        guard pendingBytes > 0 else {
            buffer = bytes
            start = 0
            scanned = 0
            return
        }
        buffer.moveReaderIndex(forwardBy: start)
        scanned -= start
        start = 0
        // Without this the buffer would grow with the stream when no read ends where an event ends. At most as many bytes are
        // moved as were read since the last time.
        if buffer.readerIndex >= buffer.readableBytes { buffer.discardReadBytes() }
        buffer.writeImmutableBuffer(bytes)
    }

    /// The next whole event as a range from the reader index of ``buffer``, or nil until more bytes come.
    mutating func next() -> Range<Int>? {
        let whole = buffer
        guard let end = findEnd(whole.readableBytesUInt8Span) else { return nil }
        defer {
            start = end
            handedOut &+= 1
        }
        return start..<end
    }

    /// What is left at the end of the stream, completed with the line ends that it lacks; nil when nothing is left.
    mutating func rest() -> ByteBuffer? {
        // A CR of an empty line that waited for its LF ends the event by itself.
        let waited = pendingBytes > 0 && scanned < buffer.readableBytes
        let hasBareCR = hasBareCR || waited
        let handedOut = handedOut &+ 1
        defer {
            self = SSEParser()
            self.hasBareCR = hasBareCR
            self.handedOut = handedOut
        }
        guard pendingBytes > 0, var rest = buffer.getSlice(at: buffer.readerIndex + start, length: pendingBytes) else {
            return nil
        }
        if waited { return rest }
        // Behind a CR one LF would only be its second half.
        rest.writeStaticString(lineLength == 0 && !isAfterCR ? "\n" : "\n\n")
        return rest
    }

    private mutating func findEnd(_ bytes: Span<UInt8>) -> Int? {
        var index = scanned
        let count = bytes.count
        defer {
            examined += index - scanned
            scanned = index
        }
        while index < count {
            let byte = bytes[index]
            if isAfterCR {
                isAfterCR = false
                wasBareCR = byte != 0x0A
                if wasBareCR {
                    hasBareCR = true
                } else {
                    index += 1
                    continue
                }
            }
            if byte == 0x0A {
                index += 1
                if lineLength == 0 { return endOfEvent(at: index, afterCR: false) }
                lineLength = 0
                wasBareCR = false
            } else if byte == 0x0D {
                if lineLength > 0 {
                    lineLength = 0
                    isAfterCR = true
                    index += 1
                } else if wasBareCR {
                    // A stream with CR alone: waiting for an LF would hold every event back until the next one.
                    index += 1
                    return endOfEvent(at: index, afterCR: true)
                } else {
                    // The LF of a CRLF belongs to this event, also when it comes with the next read.
                    guard index + 1 < count else { return nil }
                    let isBare = bytes[index + 1] != 0x0A
                    if isBare { hasBareCR = true }
                    index += isBare ? 1 : 2
                    return endOfEvent(at: index, afterCR: false)
                }
            } else {
                let from = index
                index += 1
                EightBytes.skipLine(bytes, &index)
                lineLength += index - from
            }
        }
        return nil
    }

    private mutating func endOfEvent(at index: Int, afterCR: Bool) -> Int {
        lineLength = 0
        wasBareCR = false
        isAfterCR = afterCR
        return index
    }
}

/// The payload of one raw event; comments and other fields (`event`, `id`, `retry`) stay raw bytes that nobody reads.
struct SSEEvent {
    /// One `data` line, as ranges from the start of the event.
    struct DataLine {
        /// With its line end.
        var line: Range<Int>
        var payload: Range<Int>
    }
    private(set) var first: DataLine?
    /// The second and further `data` lines; hardly any stream has them.
    private(set) var more: [DataLine] = []

    /// - Parameter isFirst: of the stream; only there a byte order mark may stand.
    init(_ raw: ByteBuffer, isFirst: Bool) {
        let bytes = raw.readableBytesUInt8Span
        var start = 0
        if isFirst, bytes.count >= 3, bytes[0] == 0xEF, bytes[1] == 0xBB, bytes[2] == 0xBF { start = 3 }
        while start < bytes.count {
            var end = start
            EightBytes.skipLine(bytes, &end)
            while end < bytes.count, bytes[end] != 0x0A, bytes[end] != 0x0D { end += 1 }
            var next = min(end + 1, bytes.count)
            if end < bytes.count, bytes[end] == 0x0D, next < bytes.count, bytes[next] == 0x0A { next += 1 }
            if let payload = Self.payload(bytes, start..<end) {
                let line = DataLine(line: start..<next, payload: payload)
                if first == nil { first = line } else { more.append(line) }
            }
            start = next
        }
    }

    /// The payload of several lines as one text, joined with LF.
    func joined(_ raw: ByteBuffer) -> ByteBuffer {
        var result = ByteBuffer()
        for (index, line) in ([first].compactMap { $0 } + more).enumerated() {
            if index > 0 { result.writeInteger(UInt8(0x0A)) }
            if let slice = raw.getSlice(at: raw.readerIndex + line.payload.lowerBound, length: line.payload.count) {
                result.writeImmutableBuffer(slice)
            }
        }
        return result
    }

    /// The raw event with another payload, on one line; everything else stays as it is.
    func replacing(payload: ByteBuffer, in raw: ByteBuffer) -> ByteBuffer {
        guard let first else { return raw }
        var splice = BodySplice()
        // Line feeds inside JSON are white space.
        let oneLine = payload.readableBytesView.lazy.map { $0 == 0x0A || $0 == 0x0D ? UInt8(0x20) : $0 }
        splice.replace(first.payload, with: ByteBuffer(bytes: oneLine))
        for line in more { splice.remove(line.line) }
        return splice.applied(to: raw)
    }

    /// OpenAI's end of a stream as the payload of an event.
    static func isEndMarker(_ payload: Span<UInt8>) -> Bool {
        var start = 0
        var end = payload.count
        while start < end, JSONScanner.isWhitespace(payload[start]) { start += 1 }
        while end > start, JSONScanner.isWhitespace(payload[end - 1]) { end -= 1 }
        return JSONScanner.equals(payload, start..<end, "[DONE]")
    }

    static func isBlank(_ payload: Span<UInt8>) -> Bool {
        for index in 0..<payload.count where !JSONScanner.isWhitespace(payload[index]) { return false }
        return true
    }

    /// The event with LF in the place of each CR that no LF follows.
    static func withoutBareCR(_ raw: ByteBuffer) -> ByteBuffer {
        let bytes = raw.readableBytesView
        var result = ByteBuffer()
        result.reserveCapacity(bytes.count)
        var before: UInt8 = 0
        for byte in bytes {
            if before == 0x0D { result.writeInteger(byte == 0x0A ? before : 0x0A) }
            if byte != 0x0D { result.writeInteger(byte) }
            before = byte
        }
        if before == 0x0D { result.writeInteger(UInt8(0x0A)) }
        return result
    }

    private static func payload(_ bytes: Span<UInt8>, _ line: Range<Int>) -> Range<Int>? {
        guard line.count >= 4, JSONScanner.equals(bytes, line.lowerBound..<line.lowerBound + 4, "data") else { return nil }
        var start = line.lowerBound + 4
        if start == line.upperBound { return start..<start }
        guard bytes[start] == 0x3A else { return nil }
        start += 1
        if start < line.upperBound, bytes[start] == 0x20 { start += 1 }
        return start..<line.upperBound
    }
}
