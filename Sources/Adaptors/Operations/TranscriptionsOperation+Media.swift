import NIOCore
import RouterCore

extension TranscriptionsOperation: MediaOperation {
    static func share(
        of facts: OpenAIFacts, _ bytes: Span<UInt8>, root: Int, _ progress: inout AnswerProgress
    ) throws(UpstreamFailure) -> AnswerShare {
        guard let text = JSONPath.member("text", of: root, bytes), text.kind == .string else { throw missing("text") }
        progress.count(JSONText.string(bytes, value: text.value))
        return .nothing
    }

    static func complete(_ reading: inout MediaUsage.Reading, from told: MediaUsage.Told, own: Usage, price: ModelPrice) {
        // Mistral's `prompt_audio_seconds` (https://docs.mistral.ai/api/endpoint/audio/transcriptions).
        let seconds = told.usage?["seconds"] ?? told.usage?["prompt_audio_seconds"]
        if let known = MediaUsage.milliseconds(seconds) ?? told.milliseconds {
            reading.usage.audioMilliseconds = known
        } else if price.audioSecond > .zero {
            reading.usage.audioMilliseconds = own.audioMilliseconds
            reading.isEstimated = true
        }
    }

    /// Nothing has been heard until words say so.
    static func begin(_ share: inout AnswerShare) {
        if share.milliseconds == nil { share.milliseconds = 0 }
    }
}
