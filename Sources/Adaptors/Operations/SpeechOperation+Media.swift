import NIOCore
import RouterCore

extension SpeechOperation: MediaOperation {
    static var writesSound: Bool { true }

    static func share(
        of facts: OpenAIFacts, _ bytes: Span<UInt8>, root: Int, _ progress: inout AnswerProgress
    ) throws(UpstreamFailure) -> AnswerShare {
        throw UpstreamFailure(kind: .malformed, detail: "sound was asked for, JSON came")
    }

    /// Known from the request: no guess.
    static func complete(_ reading: inout MediaUsage.Reading, from told: MediaUsage.Told, own: Usage, price: ModelPrice) {
        reading.usage.characters = told.share.characters
    }
}
