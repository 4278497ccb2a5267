import NIOCore
import RouterCore

/// The decision about one event of a stream.
enum EventOutcome {
    /// It goes to the client as it came.
    case forward
    /// It is left out, or the decoder has written what stands for it.
    case drop
    case replace(ByteBuffer)
}

/// A decoder of server-sent events. Cutting the stream, the bound of an event and forwarding are here; a family reads one event at a time.
protocol EventStreamDecoder: StreamDecoder {
    /// An event over this is refused.
    static var maximumEventBytes: Int { get }
    var parser: SSEParser { get set }

    /// Reads one event.
    /// - Parameters:
    ///   - raw: the event with its blank line.
    ///   - isLast: the upstream closed behind this event; JSON that is cut off there is a cut stream.
    ///   - out: for decoders that write something else than what came. One that does must never say ``EventOutcome/forward``, because
    ///     events that are forwarded wait for their neighbours.
    mutating func take(
        _ event: SSEEvent, raw: ByteBuffer, isLast: Bool, into out: inout ByteBuffer
    ) throws(UpstreamFailure) -> EventOutcome

    /// The upstream has closed in order, without an end marker.
    /// - Throws: ``UpstreamFailure`` of kind `.truncated` when the answer is not complete.
    mutating func close(into out: inout ByteBuffer) throws(UpstreamFailure)
}

extension EventStreamDecoder {
    mutating func push(_ bytes: ByteBuffer, into out: inout ByteBuffer) throws(UpstreamFailure) {
        guard !isDone else { return }
        parser.append(bytes)
        let buffer = parser.buffer
        // Neighbouring events that stay as they are leave as one slice of what came in.
        var run = 0..<0
        defer { Self.forward(run, of: buffer, into: &out) }
        while let range = parser.next() {
            guard range.count <= Self.maximumEventBytes,
                let slice = buffer.getSlice(at: buffer.readerIndex + range.lowerBound, length: range.count)
            else { throw tooLarge }
            let raw = parser.hasBareCR ? SSEEvent.withoutBareCR(slice) : slice
            switch try take(SSEEvent(raw, isFirst: parser.isAtFirst), raw: raw, isLast: false, into: &out) {
            case .forward where parser.hasBareCR:
                Self.forward(run, of: buffer, into: &out)
                out.writeImmutableBuffer(raw)
            case .forward:
                run = run.isEmpty ? range : run.lowerBound..<range.upperBound
                continue
            case .drop:
                Self.forward(run, of: buffer, into: &out)
            case .replace(let changed):
                Self.forward(run, of: buffer, into: &out)
                out.writeImmutableBuffer(changed)
            }
            run = 0..<0
            if isDone { return }
        }
        if parser.pendingBytes > Self.maximumEventBytes { throw tooLarge }
    }

    mutating func finish(into out: inout ByteBuffer) throws(UpstreamFailure) {
        guard !isDone else { return }
        // The last event may lack its blank line.
        if let rest = parser.rest() {
            let raw = parser.hasBareCR ? SSEEvent.withoutBareCR(rest) : rest
            switch try take(SSEEvent(raw, isFirst: parser.isAtFirst), raw: raw, isLast: true, into: &out) {
            case .forward: out.writeImmutableBuffer(raw)
            case .drop: break
            case .replace(let changed): out.writeImmutableBuffer(changed)
            }
        }
        if !isDone { try close(into: &out) }
    }

    private static func forward(_ run: Range<Int>, of buffer: ByteBuffer, into out: inout ByteBuffer) {
        guard !run.isEmpty, let slice = buffer.getSlice(at: buffer.readerIndex + run.lowerBound, length: run.count) else {
            return
        }
        if out.readableBytes == 0 { out = slice } else { out.writeImmutableBuffer(slice) }
    }

    private var tooLarge: UpstreamFailure { progress.broken("one event is larger than \(Self.maximumEventBytes) bytes") }
}

extension AnswerProgress {
    /// The bytes cannot be read: another channel can still answer as long as nothing has been delivered; afterwards the answer is broken.
    func broken(_ detail: String) -> UpstreamFailure {
        UpstreamFailure(kind: hasContent ? .midStream : .malformed, isBillable: hasContent, detail: detail)
    }

    var truncated: UpstreamFailure {
        UpstreamFailure(kind: .truncated, isBillable: hasContent, detail: "the upstream closed the stream before it was complete")
    }
}
