public import NIOCore
public import RouterCore

/// A stream of server-sent events as one JSON array, which is how Google streams without `alt=sse`: each event's payload is an element. The
/// closing bracket waits for the end, so that a stream that broke is no JSON.
public struct JSONArrayDecoder: StreamDecoder {
    private var inner: any StreamDecoder
    private var parser = SSEParser()
    private var hasBegun = false
    public private(set) var trailer = ByteBuffer()

    public init(_ inner: any StreamDecoder) { self.inner = inner }

    public var progress: AnswerProgress { inner.progress }

    public mutating func push(_ bytes: ByteBuffer, into out: inout ByteBuffer) throws(UpstreamFailure) {
        let wasDone = inner.progress.isDone
        var events = ByteBuffer()
        defer { take(events, wasDone, into: &out) }
        try inner.push(bytes, into: &events)
    }

    public mutating func finish(into out: inout ByteBuffer) throws(UpstreamFailure) {
        let wasDone = inner.progress.isDone
        var events = ByteBuffer()
        defer { take(events, wasDone, into: &out) }
        try inner.finish(into: &events)
    }

    private mutating func take(_ events: ByteBuffer, _ wasDone: Bool, into out: inout ByteBuffer) {
        write(events, into: &out)
        guard !wasDone, inner.progress.isDone else { return }
        var end = ByteBuffer()
        write(inner.trailer, into: &end)
        // An upstream that closed without the blank line behind its last event.
        if let raw = parser.rest() { append(raw, into: &end) }
        end.writeString(hasBegun ? "]" : "[]")
        trailer = end
    }

    private mutating func write(_ events: ByteBuffer, into out: inout ByteBuffer) {
        guard events.readableBytes > 0 else { return }
        parser.append(events)
        let buffer = parser.buffer
        while let range = parser.next() {
            guard let raw = buffer.getSlice(at: buffer.readerIndex + range.lowerBound, length: range.count) else { return }
            append(raw, into: &out)
        }
    }

    private mutating func append(_ raw: ByteBuffer, into out: inout ByteBuffer) {
        let event = SSEEvent(raw, isFirst: !hasBegun)
        guard event.first != nil else { return }
        let payload = event.joined(raw)
        // An event without anything in it is no element.
        guard payload.readableBytesView.contains(where: { $0 > 0x20 }) else { return }
        out.writeString(hasBegun ? ",\r\n" : "[")
        hasBegun = true
        out.writeImmutableBuffer(payload)
    }
}
