import NIOCore
import RouterCore

/// Reads a vendor's stream and writes it in the client's dialect, or forwards it as it is and only watches.
///
/// It holds at most one incomplete event. (The Responses dialect repeats the answer in its last event, so its writer keeps the text; the
/// same bound holds for that.)
struct FamilyStreamDecoder: StreamDecoder {
    /// What becomes of an event that was read.
    enum Mode: Sendable {
        case convert(any AnswerEventWriter)
        /// Same dialect in and out. The closure gives the payload back with what must differ, or nil when nothing must.
        case forward(edit: @Sendable (ByteBuffer, JSONValue, Usage?) -> ByteBuffer?)
    }

    /// An in-band error of the family; the flag says whether content came before.
    typealias FailureFinder = @Sendable (JSONValue, Bool) -> UpstreamFailure?

    private(set) var progress = AnswerProgress()
    private(set) var trailer = ByteBuffer()
    private var parser = SSEParser()
    private var isFirstEvent = true
    /// nil = the events are forwarded.
    private var writer: (any AnswerEventWriter)?
    private let edit: @Sendable (ByteBuffer, JSONValue, Usage?) -> ByteBuffer?
    private var reader: any AnswerEventReader
    private let failure: FailureFinder
    /// The family's streams may end without an end marker once a finish reason came.
    private let mayLackMarker: Bool
    /// For forwarded streams without an end marker: the last event with a finish reason, which is what tells the client that all is there.
    private var last: ByteBuffer?
    private var events: [AnswerEvent] = []

    static let maximumBytes = OpenAIStreamDecoder.maximumEventBytes

    init(reader: any AnswerEventReader, mode: Mode, mayLackMarker: Bool, failure: @escaping FailureFinder) {
        self.reader = reader
        switch mode {
        case .convert(let writer):
            self.writer = writer
            edit = { _, _, _ in nil }
        case .forward(let edit): self.edit = edit
        }
        self.mayLackMarker = mayLackMarker
        self.failure = failure
    }

    mutating func push(_ bytes: ByteBuffer, into out: inout ByteBuffer) throws(UpstreamFailure) {
        guard !progress.isDone else { return }
        parser.append(bytes)
        let buffer = parser.buffer
        while let event = parser.next() {
            guard event.count <= Self.maximumBytes,
                let raw = buffer.getSlice(at: buffer.readerIndex + event.lowerBound, length: event.count)
            else { throw broken("one event is larger than \(Self.maximumBytes) bytes") }
            try take(parser.hasBareCR ? SSEEvent.withoutBareCR(raw) : raw, isLast: false, into: &out)
            if progress.isDone { return }
        }
        if parser.pendingBytes > Self.maximumBytes { throw broken("one event is larger than \(Self.maximumBytes) bytes") }
    }

    mutating func finish(into out: inout ByteBuffer) throws(UpstreamFailure) {
        guard !progress.isDone else { return }
        if let rest = parser.rest() { try take(parser.hasBareCR ? SSEEvent.withoutBareCR(rest) : rest, isLast: true, into: &out) }
        guard !progress.isDone else { return }
        guard mayLackMarker, progress.hasFinishReason else { throw truncated }
        end(nil, into: &out)
    }

    // MARK: Events

    private mutating func take(_ raw: ByteBuffer, isLast: Bool, into out: inout ByteBuffer) throws(UpstreamFailure) {
        let event = SSEEvent(raw, isFirst: isFirstEvent)
        isFirstEvent = false
        let payload = event.joined(raw)
        if event.first == nil || payload.readableBytesView.allSatisfy(JSONScanner.isWhitespace) { return forward(raw, into: &out) }
        if String(buffer: payload).filter({ !$0.isWhitespace }) == "[DONE]" { return end(raw, into: &out) }
        let json: JSONValue
        do throws(JSONScanError) {
            json = try JSONValue(parsing: payload)
            guard case .object = json else { throw JSONScanError(.notAnObject, at: 0) }
        } catch {
            if isLast, error.problem == .unexpectedEnd { throw truncated }
            throw broken("an event is no JSON object: \(error)")
        }
        if let failure = failure(json, progress.hasContent) { throw failure }
        events.removeAll(keepingCapacity: true)
        reader.read(json, into: &events)
        var hasEnded = false
        let toldBefore = progress.usage?.completionTokens ?? 0
        for event in events {
            progress.absorb(event)
            writer?.write(event, into: &out)
            if event.kind == .end { hasEnded = true }
        }
        progress.usageCoversDelivered(since: toldBefore)
        if let held = writer?.heldBytes {
            if held > Self.maximumBytes { throw broken("the answer is larger than \(Self.maximumBytes) bytes") }
            if hasEnded { end(nil, into: &out) }
        } else {
            let changed = edit(payload, json, progress.usage).map { event.replacing(payload: $0, in: raw) } ?? raw
            if hasEnded { end(changed, into: &out) } else { forward(changed, into: &out) }
        }
    }

    private mutating func forward(_ raw: ByteBuffer, into out: inout ByteBuffer) {
        guard writer == nil else { return }
        guard mayLackMarker, progress.hasFinishReason else {
            out.writeImmutableBuffer(raw)
            return
        }
        if let last { out.writeImmutableBuffer(last) }
        last = raw
    }

    /// - Parameter raw: the end marker as it came, for a stream that is forwarded.
    private mutating func end(_ raw: ByteBuffer?, into out: inout ByteBuffer) {
        progress.isDone = true
        if let trailer = writer?.end(into: &out) {
            self.trailer = trailer
        } else {
            trailer = raw ?? last ?? ByteBuffer()
        }
    }

    // MARK: Failures

    private func broken(_ detail: String) -> UpstreamFailure {
        UpstreamFailure(kind: progress.hasContent ? .midStream : .malformed, isBillable: progress.hasContent, detail: detail)
    }

    private var truncated: UpstreamFailure {
        UpstreamFailure(
            kind: .truncated, isBillable: progress.hasContent, detail: "the upstream closed the stream before it was complete")
    }
}
