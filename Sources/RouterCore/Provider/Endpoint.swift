/// What a client can ask for, independent of any vendor.
public enum Endpoint: String, Sendable, Hashable, CaseIterable {
    case chat
    case completions
    case embeddings
    case models
    /// OpenAI's Responses, stateless.
    case responses
    /// Anthropic's Messages.
    case messages
    /// Google's generateContent: the model and whether it streams stand in the path.
    case gemini
    /// Pictures from words (`/images/generations`).
    case images
    /// Words to sound: the answer is binary audio (`/audio/speech`).
    case speech
    /// Sound to words: the request is a form with a file (`/audio/transcriptions`).
    case transcriptions
    case moderations
    /// Documents ordered by relevance (Cohere's and Jina's shape).
    case rerank

    /// A turn of a conversation, in one of its four dialects: what serves one can serve all of them by conversion.
    public var isConversation: Bool { self == .chat || self == .responses || self == .messages || self == .gemini }

    /// Whether a model that is bound to these endpoints (nil: to none) answers here: one that converses does so in every dialect that its
    /// channel can convert.
    public func isServed(within bound: Set<Endpoint>?) -> Bool {
        guard let bound, !bound.contains(self) else { return true }
        return isConversation && bound.contains(where: \.isConversation)
    }

    /// Its answers are written token by token, so that a bound on tokens can be told to the vendor.
    public var hasOutputBound: Bool { isConversation || self == .completions }

    /// The request is `multipart/form-data`.
    public var takesForm: Bool { self == .transcriptions }
}

/// The name of a protocol family, as `adaptor:` in a provider file.
public struct AdaptorID: RawRepresentable, Sendable, Hashable, CustomStringConvertible {
    public var rawValue: String
    public init(rawValue: String) { self.rawValue = rawValue }
    public var description: String { rawValue }

    public static let openai = AdaptorID(rawValue: "openai")
    public static let openrouter = AdaptorID(rawValue: "openrouter")
    public static let anthropic = AdaptorID(rawValue: "anthropic")
    public static let gemini = AdaptorID(rawValue: "gemini")
    public static let cohere = AdaptorID(rawValue: "cohere")
    public static let bedrock = AdaptorID(rawValue: "bedrock")
    public static let azureOpenAI = AdaptorID(rawValue: "azure-openai")
}
