import NIOCore
import RouterCore

/// Watches the events of a streamed picture, transcription or voice: each has a `type`, the last one ends in `.completed` or `.done` and
/// carries the usage (https://platform.openai.com/docs/api-reference/images-streaming, …/audio/transcript-text-done-event,
/// …/audio/speech-audio-done-event). Bytes go through but for the charge in that usage.
struct MediaStreamDecoder: StreamDecoder {
    /// A picture of the largest size in base64.
    static let maximumEventBytes = 32 * 1024 * 1024

    private(set) var progress = AnswerProgress()
    private(set) var trailer = ByteBuffer()
    private var parser = SSEParser()
    private var isFirstEvent = true
    private var share = AnswerShare()
    private var hasEnd = false
    private let answer: OpenAIAnswer
    private let usage: MediaUsage

    init(call: UpstreamCall, spec: ProviderSpec, dialect: OpenAIDialect) {
        answer = OpenAIAnswer(call: call, spec: spec, dialect: dialect)
        usage = MediaUsage(call: call, dialect: dialect)
    }

    private var envelope: RequestEnvelope { answer.call.envelope }

    mutating func push(_ bytes: ByteBuffer, into out: inout ByteBuffer) throws(UpstreamFailure) {
        guard !progress.isDone else { return }
        parser.append(bytes)
        let buffer = parser.buffer
        while let event = parser.next() {
            guard event.count <= Self.maximumEventBytes,
                let raw = buffer.getSlice(at: buffer.readerIndex + event.lowerBound, length: event.count)
            else { throw tooLarge }
            try take(parser.hasBareCR ? SSEEvent.withoutBareCR(raw) : raw, isLast: false, into: &out)
            if progress.isDone { return }
        }
        if parser.pendingBytes > Self.maximumEventBytes { throw tooLarge }
    }

    mutating func finish(into out: inout ByteBuffer) throws(UpstreamFailure) {
        guard !progress.isDone else { return }
        if let rest = parser.rest() { try take(parser.hasBareCR ? SSEEvent.withoutBareCR(rest) : rest, isLast: true, into: &out) }
        guard !progress.isDone else { return }
        guard hasEnd else { throw truncated }
        progress.isDone = true
    }

    private mutating func take(_ raw: ByteBuffer, isLast: Bool, into out: inout ByteBuffer) throws(UpstreamFailure) {
        let event = SSEEvent(raw, isFirst: isFirstEvent)
        isFirstEvent = false
        guard event.first != nil else {
            out.writeImmutableBuffer(raw)
            return
        }
        let json = event.joined(raw)
        if String(buffer: json) == "[DONE]" {
            guard hasEnd else { throw truncated }
            progress.isDone = true
            trailer.writeImmutableBuffer(raw)
            return
        }
        let bytes = json.readableBytesUInt8Span
        let facts: OpenAIFacts
        do throws(JSONScanError) {
            facts = try OpenAIFacts(bytes, end: bytes.count)
        } catch {
            if isLast, error.problem == .unexpectedEnd { throw truncated }
            throw UpstreamFailure(
                kind: progress.hasContent ? .midStream : .malformed, isBillable: progress.hasContent,
                detail: "an event is no JSON object: \(error)")
        }
        if facts.isError { throw answer.failure(facts, bytes, hasContent: progress.hasContent) }
        var root = 0
        JSONScanner.skipWhitespace(bytes, &root)
        let type = JSONPath.member("type", of: root, bytes).flatMap { json.value(of: $0)?.stringValue } ?? ""
        progress.hasContent = true
        guard type.hasSuffix(".completed") || type == "transcript.text.done" || type == "speech.audio.done" else {
            note(type, bytes, root)
            out.writeImmutableBuffer(raw)
            return
        }
        out.writeImmutableBuffer(trailer)
        trailer = try end(facts, json, event, raw)
    }

    /// A part of the answer: what it would cost to stop here.
    private mutating func note(_ type: String, _ bytes: Span<UInt8>, _ root: Int) {
        if type.hasSuffix(".partial_image") { share.previews += 1 }
        if let delta = JSONPath.member("delta", of: root, bytes), delta.kind == .string {
            progress.count(JSONText.string(bytes, value: delta.value))
            share.milliseconds = MediaEstimate.spokenMilliseconds(characters: progress.deliveredASCII + progress.deliveredOther * 3)
        }
        if let audio = JSONPath.member("audio", of: root, bytes), audio.kind == .string {
            // Four characters of base64 are three bytes.
            let spoken = MediaEstimate.spokenCharacters(bytes: Int64(audio.value.count) * 3 / 4, format: envelope.media.format)
            share.characters = min(envelope.media.characters, share.characters + spoken)
        }
        if share.milliseconds == nil, envelope.endpoint == .transcriptions { share.milliseconds = 0 }
        progress.usage = envelope.estimatedUsage(progress, price: answer.call.quote.price, share: share)
        progress.isUsageEstimated = true
    }

    /// The event that tells the usage; kept back, so that the relay can settle before the client sees the end.
    private mutating func end(
        _ facts: OpenAIFacts, _ json: ByteBuffer, _ event: SSEEvent, _ raw: ByteBuffer
    ) throws(UpstreamFailure) -> ByteBuffer {
        hasEnd = true
        share.images += envelope.endpoint == .images ? 1 : 0
        share.characters = envelope.media.characters
        share.milliseconds = nil
        let reading = usage.read(facts.usage.flatMap { json.value(of: $0) }, progress: progress, share: share)
        progress.usage = reading.usage
        progress.isUsageEstimated = reading.isEstimated
        progress.hasFinishReason = true
        if share.images >= envelope.choices || envelope.endpoint != .images { progress.isDone = true }
        var splice = BodySplice()
        answer.edit(facts, json.readableBytesUInt8Span, reading.usage, base: 0, &splice)
        return splice.isEmpty ? raw : event.replacing(payload: splice.applied(to: json), in: raw)
    }

    private var tooLarge: UpstreamFailure {
        UpstreamFailure(
            kind: progress.hasContent ? .midStream : .malformed, isBillable: progress.hasContent,
            detail: "one event is larger than \(Self.maximumEventBytes) bytes")
    }

    private var truncated: UpstreamFailure {
        UpstreamFailure(
            kind: .truncated, isBillable: progress.hasContent, detail: "the upstream closed the stream before it was complete")
    }
}
