import NIOCore
import RouterCore

/// Reads whole answers of the endpoints for pictures, transcriptions, moderation and ranking. The bytes go through, but for the two
/// changes of the family (``OpenAIAnswer``).
struct MediaAnswer {
    let call: UpstreamCall
    let spec: ProviderSpec
    let dialect: OpenAIDialect

    private var envelope: RequestEnvelope { call.envelope }

    func decode(_ body: ByteBuffer) throws(UpstreamFailure) -> WholeAnswer {
        let bytes = body.readableBytesUInt8Span
        let facts: OpenAIFacts
        do throws(JSONScanError) {
            facts = try OpenAIFacts(bytes, end: bytes.count)
        } catch {
            if envelope.endpoint.mayAnswerInText, envelope.media.isPlainText { return text(body) }
            throw UpstreamFailure(kind: .malformed, detail: "the answer is no JSON object: \(error)")
        }
        let family = OpenAIAnswer(call: call, spec: spec, dialect: dialect)
        if facts.isError { throw family.failure(facts, bytes, hasContent: false) }
        var root = 0
        JSONScanner.skipWhitespace(bytes, &root)
        var progress = AnswerProgress()
        progress.absorb(facts, bytes, usage: nil)
        let share = try envelope.endpoint.media?.share(of: facts, bytes, root: root, &progress) ?? .nothing
        let usage = facts.usage.flatMap { body.value(of: $0) }
        let meta = JSONPath.member("meta", of: root, bytes).flatMap { body.value(of: $0) }
        let duration = JSONPath.member("duration", of: root, bytes).flatMap { body.value(of: $0) }
        let told = MediaUsage.Told(usage: usage, meta: meta, milliseconds: MediaUsage.milliseconds(duration), share: share)
        let reading = MediaUsage(call: call, dialect: dialect).read(told, progress: progress)
        progress.usage = reading.usage
        progress.isUsageEstimated = reading.isEstimated
        progress.hasContent = true
        progress.isDone = true
        var splice = BodySplice()
        family.edit(facts, bytes, reading.usage, base: 0, &splice)
        return WholeAnswer(body: splice.applied(to: body), progress: progress)
    }

    /// A transcription as text or subtitles: nothing is told about its length.
    private func text(_ body: ByteBuffer) -> WholeAnswer {
        var progress = AnswerProgress()
        progress.count(String(buffer: body))
        progress.hasContent = true
        progress.isDone = true
        let reading = MediaUsage(call: call, dialect: dialect).read(MediaUsage.Told(), progress: progress)
        progress.usage = reading.usage
        progress.isUsageEstimated = reading.isEstimated
        var answer = WholeAnswer(body: body, progress: progress)
        answer.contentType = "text/plain; charset=utf-8"
        return answer
    }
}

extension ByteBuffer {
    /// The value of a member of the JSON that this is. Only this part becomes a tree: pictures beside it have many megabytes.
    func value(of member: JSONMember) -> JSONValue? {
        getSlice(at: readerIndex + member.value.lowerBound, length: member.value.count).flatMap { try? JSONValue(parsing: $0) }
    }
}

extension AnswerProgress {
    /// Text that was delivered, for an estimate.
    mutating func count(_ text: String) {
        delivered.add(Array(text.utf8).span)
    }
}
