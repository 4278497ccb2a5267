import NIOCore
import RouterCore

/// Reads a vendor's stream and writes it in the client's dialect, or forwards it as it is and only watches.
///
/// It holds at most one incomplete event. (The Responses dialect repeats the answer in its last event, so its writer keeps the text; the
/// same bound holds for that.)
struct FamilyStreamDecoder: EventStreamDecoder {
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
    var parser = SSEParser()
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

    static let maximumEventBytes = OpenAIStreamDecoder.maximumEventBytes

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

    var isDone: Bool { progress.isDone }

    mutating func close(into out: inout ByteBuffer) throws(UpstreamFailure) {
        guard mayLackMarker, progress.hasFinishReason else { throw progress.truncated }
        end(nil, into: &out)
    }

    // MARK: Events

    mutating func take(
        _ event: SSEEvent, raw: ByteBuffer, isLast: Bool, into out: inout ByteBuffer
    ) throws(UpstreamFailure) -> EventOutcome {
        let payload = event.joined(raw)
        if SSEEvent.isBlank(payload.readableBytesUInt8Span) { return passed(.forward, raw) }
        if SSEEvent.isEndMarker(payload.readableBytesUInt8Span) {
            end(raw, into: &out)
            return .drop
        }
        let json: JSONValue
        do throws(JSONScanError) {
            json = try JSONValue(parsing: payload)
            guard case .object = json else { throw JSONScanError(.notAnObject, at: 0) }
        } catch {
            if isLast, error.problem == .unexpectedEnd { throw progress.truncated }
            throw progress.broken("an event is no JSON object: \(error)")
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
            if held > Self.maximumEventBytes { throw progress.broken("the answer is larger than \(Self.maximumEventBytes) bytes") }
            if hasEnded { end(nil, into: &out) }
            return .drop
        }
        let changed = edit(payload, json, progress.usage).map { event.replacing(payload: $0, in: raw) }
        guard hasEnded else { return passed(changed.map { .replace($0) } ?? .forward, changed ?? raw) }
        end(changed ?? raw, into: &out)
        return .drop
    }

    /// An event that goes on, unless it may be the last one.
    private mutating func passed(_ outcome: EventOutcome, _ event: ByteBuffer) -> EventOutcome {
        guard writer == nil else { return .drop }
        guard mayLackMarker, progress.hasFinishReason else { return outcome }
        let before = last
        last = event
        return before.map { .replace($0) } ?? .drop
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
}
