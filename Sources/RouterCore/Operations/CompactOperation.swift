import NIOCore

/// A conversation made shorter (`/responses/compact`): the vendor reads all of it and writes what is needed to go on
/// (https://platform.openai.com/docs/api-reference/responses/compact).
public enum CompactOperation: Operation {
    /// The request cannot bound what is written.
    static var boundsTokens: Bool { false }

    /// Tokens that a compacted conversation probably has.
    private static let usualTokens: Int64 = 4_096

    static func read(_ request: inout RequestEnvelope, _ bytes: Span<UInt8>) throws(RequestEnvelope.Rejection) {
        request.isStream = false
    }

    static func strictShape(_ dialect: Dialect) -> StrictRequestShape { StrictRequestShape(body: StrictResponses.body) }

    static func complete(_ bound: inout UsageBound, of request: RequestEnvelope, isStrict: Bool) { bound.outputTokens = usualTokens }

    static func estimatedUsage(
        of request: RequestEnvelope, _ progress: AnswerProgress, price: ModelPrice, share: AnswerShare, vocabulary: BPEVocabulary?
    ) -> Usage {
        textUsage(of: request, progress, by: vocabulary)
    }
}
