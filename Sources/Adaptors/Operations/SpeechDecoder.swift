import NIOCore
import RouterCore

/// Sound on its way: every byte goes through at once, and what it costs is known from the text that is spoken. Until the end has come,
/// only the part that was delivered counts: by the announced length, else by what that many bytes say.
struct SpeechDecoder: StreamDecoder {
    private(set) var progress = AnswerProgress()
    var trailer: ByteBuffer { ByteBuffer() }

    private let call: UpstreamCall
    private let dialect: OpenAIDialect
    /// Announced, in bytes.
    private let length: Int64?
    private var delivered: Int64 = 0

    init(call: UpstreamCall, dialect: OpenAIDialect, length: Int64?) {
        self.call = call
        self.dialect = dialect
        self.length = length
    }

    mutating func push(_ bytes: ByteBuffer, into out: inout ByteBuffer) throws(UpstreamFailure) {
        guard bytes.readableBytes > 0 else { return }
        delivered += Int64(bytes.readableBytes)
        progress.hasContent = true
        if out.readableBytes == 0 { out = bytes } else { out.writeImmutableBuffer(bytes) }
        progress.usage = heard(call.envelope.estimatedUsage(progress, price: call.quote.price, share: AnswerShare(characters: characters)))
        progress.isUsageEstimated = true
    }

    mutating func finish(into out: inout ByteBuffer) throws(UpstreamFailure) {
        guard progress.hasContent else { throw UpstreamFailure(kind: .malformed, detail: "the answer has no sound") }
        let whole = AnswerShare(characters: call.envelope.media.characters)
        let reading = MediaUsage(call: call, dialect: dialect).read(MediaUsage.Told(share: whole), progress: progress)
        progress.usage = heard(reading.usage)
        progress.isUsageEstimated = reading.isEstimated
        progress.isDone = true
    }

    /// Where tokens of sound are paid, what was heard counts if it is more than the text tells.
    private func heard(_ usage: Usage) -> Usage {
        guard call.quote.price.isTokenPriced else { return usage }
        var usage = usage
        usage.audioOutput = max(usage.audioOutput, MediaEstimate.spokenTokens(bytes: delivered, format: call.envelope.media.format))
        return usage
    }

    /// Characters of the text that what has been delivered has spoken.
    private var characters: Int64 {
        let media = call.envelope.media
        guard let length, length > 0, delivered <= length else {
            return MediaEstimate.spokenCharacters(bytes: delivered, format: media.format)
        }
        let (product, overflowed) = media.characters.multipliedReportingOverflow(by: delivered)
        return overflowed ? media.characters : product / length
    }
}
