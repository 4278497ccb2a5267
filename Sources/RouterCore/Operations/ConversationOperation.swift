import NIOCore

/// A turn of a conversation, in any of the dialects.
public enum ConversationOperation: Operation {
    static var hasOutputBound: Bool { true }
    /// In chat, which every family speaks or is reached from.
    static var smallestRequest: [JSONValue.Member]? {
        [.init("messages", [["role": "user", "content": "hi"]]), .init("max_tokens", .integer(16)), .init("stream", true)]
    }

    static func strictShape(_ dialect: Dialect) -> StrictRequestShape { dialect.request.strictShape }

    static func estimatedUsage(
        of request: RequestEnvelope, _ progress: AnswerProgress, price: ModelPrice, share: AnswerShare, vocabulary: BPEVocabulary?
    ) -> Usage {
        textUsage(of: request, progress, by: vocabulary)
    }
}
