import NIOCore
import RouterCore

/// Watches a stream of chat or completion chunks go by. Events are forwarded as their raw bytes unless one of the two
/// changes applies (``OpenAIAnswer``); the usage chunk that only we asked for is left out.
///
/// Data that is no JSON object is a failure: `.malformed` before content, when another channel can still answer, and
/// `.midStream` afterwards.
struct OpenAIStreamDecoder: StreamDecoder {
    /// One event may be this large: a 1 MB delta is legal, an endless line is not.
    static let maximumEventBytes = 16 * 1024 * 1024

    private(set) var progress = AnswerProgress()
    private(set) var trailer = ByteBuffer()
    private(set) var parser = SSEParser()
    private var isFirstEvent = true
    private let answer: OpenAIAnswer

    init(call: UpstreamCall, vendor: OpenAIVendor) { answer = OpenAIAnswer(call: call, vendor: vendor) }

    var isDone: Bool { progress.isDone }

    /// What becomes of one event.
    private enum Outcome {
        case forward
        case drop
        case replace(ByteBuffer)
    }

    mutating func push(_ bytes: ByteBuffer, into out: inout ByteBuffer) throws(UpstreamFailure) {
        guard !progress.isDone else { return }
        parser.append(bytes)
        let buffer = parser.buffer
        // Neighbouring events that stay as they are leave as one slice of what came in.
        var run = 0..<0
        defer { Self.forward(run, of: buffer, into: &out) }
        while let event = parser.next() {
            guard event.count <= Self.maximumEventBytes,
                let raw = buffer.getSlice(at: buffer.readerIndex + event.lowerBound, length: event.count)
            else { throw tooLarge }
            switch try take(parser.hasBareCR ? SSEEvent.withoutBareCR(raw) : raw, isLast: false) {
            case .forward where parser.hasBareCR:
                Self.forward(run, of: buffer, into: &out)
                out.writeImmutableBuffer(SSEEvent.withoutBareCR(raw))
            case .forward:
                if run.isEmpty { run = event } else { run = run.lowerBound..<event.upperBound }
                continue
            case .drop:
                Self.forward(run, of: buffer, into: &out)
            case .replace(let changed):
                Self.forward(run, of: buffer, into: &out)
                out.writeImmutableBuffer(changed)
            }
            run = 0..<0
            if progress.isDone { return }
        }
        if parser.pendingBytes > Self.maximumEventBytes { throw tooLarge }
    }

    mutating func finish(into out: inout ByteBuffer) throws(UpstreamFailure) {
        guard !progress.isDone else { return }
        // The last event may lack its blank line.
        if let rest = parser.rest() {
            let raw = parser.hasBareCR ? SSEEvent.withoutBareCR(rest) : rest
            switch try take(raw, isLast: true) {
            case .forward: out.writeImmutableBuffer(raw)
            case .drop: break
            case .replace(let changed): out.writeImmutableBuffer(changed)
            }
        }
        guard !progress.isDone else { return }
        guard progress.hasFinishReason else { throw truncated }
        // Complete in all but the marker: some vendors do not send it.
        progress.isDone = true
        trailer = ByteBuffer(string: "data: [DONE]\n\n")
    }

    private static func forward(_ run: Range<Int>, of buffer: ByteBuffer, into out: inout ByteBuffer) {
        guard !run.isEmpty, let slice = buffer.getSlice(at: buffer.readerIndex + run.lowerBound, length: run.count) else {
            return
        }
        if out.readableBytes == 0 { out = slice } else { out.writeImmutableBuffer(slice) }
    }

    // MARK: Failures

    private func failure(_ kind: FailureKind, _ detail: String) -> UpstreamFailure {
        UpstreamFailure(
            kind: progress.hasContent ? .midStream : kind, isBillable: progress.hasContent, detail: detail)
    }

    private var tooLarge: UpstreamFailure {
        failure(.malformed, "one event is larger than \(Self.maximumEventBytes) bytes")
    }

    private var truncated: UpstreamFailure {
        UpstreamFailure(
            kind: .truncated, isBillable: progress.hasContent,
            detail: "the upstream closed the stream before it was complete")
    }

    // MARK: Events

    /// - Parameter isLast: the upstream closed behind this event; JSON that is cut off there is a cut stream.
    private mutating func take(_ raw: ByteBuffer, isLast: Bool) throws(UpstreamFailure) -> Outcome {
        let event = SSEEvent(raw, isFirst: isFirstEvent)
        isFirstEvent = false
        // Comments, and fields that we do not know.
        guard let first = event.first else { return .forward }
        let isOneLine = event.more.isEmpty
        let base = isOneLine ? first.payload.lowerBound : 0
        let source = isOneLine ? raw : event.joined(raw)
        let length = isOneLine ? first.payload.count : source.readableBytes
        guard let json = source.getSlice(at: source.readerIndex + base, length: length) else { return .forward }
        let bytes = json.readableBytesUInt8Span
        if isDoneMarker(bytes) {
            progress.isDone = true
            trailer = raw
            return .drop
        }
        if isBlank(bytes) { return .forward }
        let facts: OpenAIFacts
        do throws(JSONScanError) {
            facts = try OpenAIFacts(bytes, end: bytes.count, delivered: progress.delivered)
        } catch {
            if isLast, error.problem == .unexpectedEnd { throw truncated }
            throw failure(.malformed, "a chunk is no JSON object: \(error)")
        }
        let usage = answer.usage(facts, bytes, tier: progress.serviceTier)
        if facts.isError {
            if let usage { progress.usage = usage }
            throw answer.failure(facts, bytes, hasContent: progress.hasContent)
        }
        progress.absorb(facts, bytes, usage: usage)
        if facts.usage != nil, facts.isChoicesEmpty, !answer.call.envelope.wantsStreamUsage { return .drop }
        var splice = BodySplice()
        answer.edit(facts, bytes, usage, base: base, &splice)
        if splice.isEmpty { return .forward }
        let changed = splice.applied(to: source)
        return .replace(isOneLine ? changed : event.replacing(payload: changed, in: raw))
    }

    private func isDoneMarker(_ bytes: Span<UInt8>) -> Bool {
        var start = 0
        var end = bytes.count
        while start < end, JSONScanner.isWhitespace(bytes[start]) { start += 1 }
        while end > start, JSONScanner.isWhitespace(bytes[end - 1]) { end -= 1 }
        return JSONScanner.equals(bytes, start..<end, "[DONE]")
    }

    private func isBlank(_ bytes: Span<UInt8>) -> Bool {
        for index in 0..<bytes.count where !JSONScanner.isWhitespace(bytes[index]) { return false }
        return true
    }
}
