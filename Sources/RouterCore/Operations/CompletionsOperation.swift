import NIOCore

/// A text that is written on (`/completions`, https://platform.openai.com/docs/api-reference/completions).
public enum CompletionsOperation: Operation {
    static var hasOutputBound: Bool { true }
    static var smallestRequest: [JSONValue.Member]? {
        [.init("prompt", "hi"), .init("max_tokens", .integer(16)), .init("stream", true)]
    }

    static func read(_ request: inout RequestEnvelope, _ bytes: Span<UInt8>) throws(RequestEnvelope.Rejection) {
        try request.countCompletions(bytes)
    }

    static func strictShape(_ dialect: Dialect) -> StrictRequestShape { strict }

    private static let strict = StrictRequestShape(
        body: StrictFields.merged(
            StrictFields.sampling, StrictFields.gateway,
            StrictFields.named(["best_of", "echo", "suffix", "max_completion_tokens"], .scalar), ["prompt": .prompts]))

    static func estimatedUsage(
        of request: RequestEnvelope, _ progress: AnswerProgress, price: ModelPrice, share: AnswerShare, vocabulary: BPEVocabulary?
    ) -> Usage {
        textUsage(of: request, progress, by: vocabulary)
    }
}
