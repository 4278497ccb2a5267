import NIOCore
import RouterCore

/// Watches a stream of chat or completion chunks go by. Events are forwarded as their raw bytes unless one of the two
/// changes applies (``OpenAIAnswer``); the usage chunk that only we asked for is left out.
struct OpenAIStreamDecoder: StreamDecoder {
    /// One event may be this large: a 1 MB delta is legal, an endless line is not.
    static let maximumEventBytes = 16 * 1024 * 1024

    private(set) var progress = AnswerProgress()
    private(set) var trailer = ByteBuffer()
    private var parser = SSEParser()
    private let answer: OpenAIAnswer

    init(call: UpstreamCall, spec: ProviderSpec, dialect: OpenAIDialect) {
        answer = OpenAIAnswer(call: call, spec: spec, dialect: dialect)
    }

    mutating func push(_ bytes: ByteBuffer, into out: inout ByteBuffer) throws(UpstreamFailure) {
        guard !progress.isDone else { return }
        parser.append(bytes)
        while let raw = parser.next() {
            try handle(raw, into: &out)
            if progress.isDone { return }
        }
        if parser.pendingBytes > Self.maximumEventBytes {
            throw failure(.malformed, "one event is larger than \(Self.maximumEventBytes) bytes")
        }
    }

    mutating func finish(into out: inout ByteBuffer) throws(UpstreamFailure) {
        guard !progress.isDone else { return }
        // The last event may lack its blank line.
        if let raw = parser.rest() { try handle(raw, into: &out) }
        guard !progress.isDone else { return }
        guard progress.hasFinishReason else {
            throw UpstreamFailure(kind: .truncated, detail: "the upstream closed the stream before it was complete")
        }
        // Complete in all but the marker: some vendors do not send it.
        progress.isDone = true
        trailer = ByteBuffer(string: "data: [DONE]\n\n")
    }

    private func failure(_ kind: FailureKind, _ detail: String) -> UpstreamFailure {
        UpstreamFailure(kind: progress.hasContent ? .midStream : kind, detail: detail)
    }

    private mutating func handle(_ raw: ByteBuffer, into out: inout ByteBuffer) throws(UpstreamFailure) {
        let event = SSEEvent(raw)
        if let range = event.dataRange {
            try chunk(raw, range, isWholeEvent: false, into: &out)
        } else if let joined = event.joinedData {
            try chunk(joined, 0..<joined.readableBytes, isWholeEvent: true, raw: raw, into: &out)
        } else {
            // Comments, and fields that we do not know.
            out.writeImmutableBuffer(raw)
        }
    }

    /// - Parameters:
    ///   - buffer: holds the JSON at `range`.
    ///   - isWholeEvent: the buffer is the joined payload; an edited one is written as a new event.
    private mutating func chunk(
        _ buffer: ByteBuffer, _ range: Range<Int>, isWholeEvent: Bool, raw: ByteBuffer? = nil, into out: inout ByteBuffer
    ) throws(UpstreamFailure) {
        let original = raw ?? buffer
        guard let json = buffer.getSlice(at: buffer.readerIndex + range.lowerBound, length: range.count) else { return }
        let bytes = json.readableBytesUInt8Span
        if isDoneMarker(bytes) {
            progress.isDone = true
            trailer = original
            return
        }
        if isBlank(bytes) {
            out.writeImmutableBuffer(original)
            return
        }
        let facts: OpenAIFacts
        do throws(JSONScanError) {
            facts = try OpenAIFacts(bytes, end: bytes.count)
        } catch {
            throw failure(.malformed, "a chunk is no JSON object: \(error)")
        }
        if facts.error != nil || facts.choiceError != nil || facts.endedInError {
            let usage = answer.usage(facts, bytes)
            if let usage { progress.usage = usage }
            let errors = OpenAIErrors(spec: answer.spec, dialect: answer.dialect)
            throw errors.inBand(answer.raw(facts.error ?? facts.choiceError, bytes), hasContent: progress.hasContent)
        }
        let usage = answer.usage(facts, bytes)
        progress.absorb(facts, bytes, usage: usage)
        if facts.usage != nil, facts.isChoicesEmpty, !answer.call.envelope.wantsStreamUsage { return }
        var splice = BodySplice()
        answer.edit(facts, bytes, usage, base: isWholeEvent ? 0 : range.lowerBound, &splice)
        if splice.isEmpty {
            out.writeImmutableBuffer(original)
        } else if isWholeEvent {
            out.writeString("data: ")
            out.writeImmutableBuffer(splice.applied(to: buffer).withoutLineFeeds)
            out.writeString("\n\n")
        } else {
            out.writeImmutableBuffer(splice.applied(to: buffer))
        }
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

extension ByteBuffer {
    /// A payload of several lines as one: line feeds inside JSON are white space.
    fileprivate var withoutLineFeeds: ByteBuffer {
        ByteBuffer(bytes: readableBytesView.lazy.map { $0 == 0x0A || $0 == 0x0D ? 0x20 : $0 })
    }

}
