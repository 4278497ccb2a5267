import NIOCore
import RouterCore

/// Watches a stream of chat or completion chunks go by. Events are forwarded as their raw bytes unless one of the two
/// changes applies (``OpenAIAnswer``); the usage chunk that only we asked for is left out.
///
/// Data that is no JSON object is a failure: `.malformed` before content, when another channel can still answer, and
/// `.midStream` afterwards.
struct OpenAIStreamDecoder: EventStreamDecoder {
    /// One event may be this large: a 1 MB delta is legal, an endless line is not.
    static let maximumEventBytes = 16 * 1024 * 1024

    private(set) var progress = AnswerProgress()
    private(set) var trailer = ByteBuffer()
    var parser = SSEParser()
    private let answer: OpenAIAnswer

    init(call: UpstreamCall, vendor: OpenAIVendor) { answer = OpenAIAnswer(call: call, vendor: vendor) }

    var isDone: Bool { progress.isDone }

    mutating func close(into out: inout ByteBuffer) throws(UpstreamFailure) {
        guard progress.hasFinishReason else { throw progress.truncated }
        // Complete in all but the marker: some vendors do not send it.
        progress.isDone = true
        trailer = ByteBuffer(string: "data: [DONE]\n\n")
    }

    mutating func take(
        _ event: SSEEvent, raw: ByteBuffer, isLast: Bool, into out: inout ByteBuffer
    ) throws(UpstreamFailure) -> EventOutcome {
        // Comments, and fields that we do not know.
        guard let first = event.first else { return .forward }
        let isOneLine = event.more.isEmpty
        let base = isOneLine ? first.payload.lowerBound : 0
        let source = isOneLine ? raw : event.joined(raw)
        let length = isOneLine ? first.payload.count : source.readableBytes
        guard let json = source.getSlice(at: source.readerIndex + base, length: length) else { return .forward }
        let bytes = json.readableBytesUInt8Span
        if SSEEvent.isEndMarker(bytes) {
            progress.isDone = true
            trailer = raw
            return .drop
        }
        if SSEEvent.isBlank(bytes) { return .forward }
        let facts: OpenAIFacts
        do throws(JSONScanError) {
            facts = try OpenAIFacts(bytes, end: bytes.count, delivered: progress.delivered)
        } catch {
            if isLast, error.problem == .unexpectedEnd { throw progress.truncated }
            throw progress.broken("a chunk is no JSON object: \(error)")
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
}
