import NIOCore
import RouterCore

/// Watches the events of a streamed picture, transcription or voice: each has a `type`, the last one ends in `.completed` or `.done` and
/// carries the usage (https://platform.openai.com/docs/api-reference/images-streaming, …/audio/transcript-text-done-event,
/// …/audio/speech-audio-done-event). Bytes go through but for the charge in that usage.
struct MediaStreamDecoder: EventStreamDecoder {
    /// A picture of the largest size in base64.
    static let maximumEventBytes = 32 * 1024 * 1024

    /// The last one at Mistral is `transcription.done`.
    private static let ends: Set<String> = ["transcript.text.done", "transcription.done", "speech.audio.done"]

    private(set) var progress = AnswerProgress()
    private(set) var trailer = ByteBuffer()
    var parser = SSEParser()
    private var share = AnswerShare()
    private var hasEnd = false
    private let answer: OpenAIAnswer
    private let usage: MediaUsage

    init(call: UpstreamCall, spec: ProviderSpec, dialect: OpenAIDialect) {
        answer = OpenAIAnswer(call: call, spec: spec, dialect: dialect)
        usage = MediaUsage(call: call, dialect: dialect)
    }

    private var envelope: RequestEnvelope { answer.call.envelope }

    var isDone: Bool { progress.isDone }

    mutating func close(into out: inout ByteBuffer) throws(UpstreamFailure) {
        guard hasEnd else { throw progress.truncated }
        progress.isDone = true
    }

    mutating func take(
        _ event: SSEEvent, raw: ByteBuffer, isLast: Bool, into out: inout ByteBuffer
    ) throws(UpstreamFailure) -> EventOutcome {
        guard event.first != nil else { return .forward }
        let json = event.joined(raw)
        let bytes = json.readableBytesUInt8Span
        if SSEEvent.isEndMarker(bytes) {
            guard hasEnd else { throw progress.truncated }
            progress.isDone = true
            trailer.writeImmutableBuffer(raw)
            return .drop
        }
        let facts: OpenAIFacts
        do throws(JSONScanError) {
            facts = try OpenAIFacts(bytes, end: bytes.count)
        } catch {
            if isLast, error.problem == .unexpectedEnd { throw progress.truncated }
            throw progress.broken("an event is no JSON object: \(error)")
        }
        if facts.isError { throw answer.failure(facts, bytes, hasContent: progress.hasContent) }
        var root = 0
        JSONScanner.skipWhitespace(bytes, &root)
        let type = JSONPath.member("type", of: root, bytes).flatMap { json.value(of: $0)?.stringValue } ?? ""
        progress.hasContent = true
        guard type.hasSuffix(".completed") || Self.ends.contains(type) else {
            note(type, bytes, root: root)
            return .forward
        }
        let before = trailer
        trailer = end(facts, json, event, raw)
        return before.readableBytes > 0 ? .replace(before) : .drop
    }

    /// A part of the answer: what it would cost to stop here.
    private mutating func note(_ type: String, _ bytes: Span<UInt8>, root: Int) {
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
        envelope.endpoint.media?.begin(&share)
        progress.usage = envelope.estimatedUsage(progress, price: answer.call.quote.price, share: share)
        progress.isUsageEstimated = true
    }

    /// The event that tells the usage; kept back, so that the relay can settle before the client sees the end.
    private mutating func end(
        _ facts: OpenAIFacts, _ json: ByteBuffer, _ event: SSEEvent, _ raw: ByteBuffer
    ) -> ByteBuffer {
        hasEnd = true
        let isComplete = envelope.endpoint.media?.end(&share, of: envelope) ?? true
        share.characters = envelope.media.characters
        share.milliseconds = nil
        let reading = usage.read(MediaUsage.Told(usage: facts.usage.flatMap { json.value(of: $0) }, share: share), progress: progress)
        progress.usage = reading.usage
        progress.isUsageEstimated = reading.isEstimated
        progress.hasFinishReason = true
        if isComplete { progress.isDone = true }
        var splice = BodySplice()
        answer.edit(facts, json.readableBytesUInt8Span, reading.usage, base: 0, &splice)
        return splice.isEmpty ? raw : event.replacing(payload: splice.applied(to: json), in: raw)
    }
}
