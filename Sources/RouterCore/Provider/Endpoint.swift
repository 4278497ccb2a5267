/// What a client can ask for, independent of any vendor.
public enum Endpoint: String, Sendable, Hashable, CaseIterable {
    case chat
    case completions
    case embeddings
    case models
    /// OpenAI's Responses.
    case responses
    /// A conversation made shorter by its vendor, in the Responses dialect (`/responses/compact`).
    case compact
    /// Anthropic's Messages.
    case messages
    /// Google's generateContent: the model and whether it streams stand in the path.
    case gemini
    /// Pictures from words (`/images/generations`).
    case images
    /// Pictures from pictures and words: the request is a form with files (`/images/edits`).
    case imageEdits = "image_edits"
    /// Words to sound: the answer is binary audio (`/audio/speech`).
    case speech
    /// Sound to words: the request is a form with a file (`/audio/transcriptions`).
    case transcriptions
    /// Sound to English words: the request is a form with a file (`/audio/translations`).
    case translations
    case moderations
    /// Documents ordered by relevance (Cohere's and Jina's shape).
    case rerank

    /// A turn of a conversation, in one of its four dialects: what serves one can serve all of them by conversion.
    public var isConversation: Bool { self == .chat || self == .responses || self == .messages || self == .gemini }

    /// Whether a model that is bound to these endpoints (nil: to none) answers here: one that converses does so in every dialect that its
    /// channel can convert. Nothing is converted to Responses, so a model that has only those has no other dialect.
    public func isServed(within bound: Set<Endpoint>?) -> Bool {
        guard let bound, !bound.contains(self) else { return true }
        if self == .compact { return bound.contains(where: \.isConversation) }
        return isConversation && bound.contains { $0.isConversation && $0 != .responses }
    }
}
