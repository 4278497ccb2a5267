import NIOCore
import RouterCore

/// How answers are read that are not written token by token: pictures, sound, moderation, ranking, conversations made shorter.
protocol MediaOperation: Sendable {
    /// How much came, and that it is an answer at all: one that lacks its main part is the host's failure, not something to pay for.
    /// - Parameter root: where the answer's object begins.
    static func share(
        of facts: OpenAIFacts, _ bytes: Span<UInt8>, root: Int, _ progress: inout AnswerProgress
    ) throws(UpstreamFailure) -> AnswerShare

    /// Adds what is counted in other units than tokens: as the vendor told it, else by our own count where the price asks for it.
    static func complete(_ reading: inout MediaUsage.Reading, from told: MediaUsage.Told, own: Usage, price: ModelPrice)

    /// All that is written is sound.
    static var writesSound: Bool { get }

    /// A streamed answer has begun.
    static func begin(_ share: inout AnswerShare)

    /// An event has told the usage. - Returns: whether the answer is complete.
    static func end(_ share: inout AnswerShare, of request: RequestEnvelope) -> Bool
}

extension MediaOperation {
    static var writesSound: Bool { false }

    static func complete(_ reading: inout MediaUsage.Reading, from told: MediaUsage.Told, own: Usage, price: ModelPrice) {}

    static func begin(_ share: inout AnswerShare) {}

    static func end(_ share: inout AnswerShare, of request: RequestEnvelope) -> Bool { true }

    static func missing(_ name: String) -> UpstreamFailure {
        UpstreamFailure(kind: .malformed, detail: "the answer has no '\(name)'")
    }
}

extension Endpoint {
    /// nil where answers are texts, which the family reads.
    var media: (any MediaOperation.Type)? {
        switch self {
        case .images: ImagesOperation.self
        case .imageEdits: ImageEditsOperation.self
        case .speech: SpeechOperation.self
        case .transcriptions, .translations: TranscriptionsOperation.self
        case .moderations: ModerationsOperation.self
        case .rerank: RerankOperation.self
        case .compact: CompactOperation.self
        case .chat, .completions, .embeddings, .models, .responses, .messages, .gemini: nil
        }
    }
}
