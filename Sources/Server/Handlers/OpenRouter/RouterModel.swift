import RouterCore

/// A model as OpenRouter's clients see it, for the keys of one group.
struct RouterModel: Sendable {
    /// A provider that serves the model.
    struct Host: Sendable {
        /// The name that `provider.only` and the like take.
        var tag: String
        var name: String
        var price: ModelPrice
        /// Tokens.
        var contextLength: Int64?
        var maxOutputTokens: Int64?
    }

    /// Public name.
    var id: String
    var displayName: String
    var description: String
    /// Unix seconds; 0 = unknown.
    var created: Int64
    /// Input and output modalities, in OpenRouter's words.
    var takes: [String]
    var gives: [String]
    /// As a vendor's list has them, and what provider files say of the model.
    var facts: ModelFacts
    /// Never empty; the first is the one that is tried first.
    var hosts: [Host]

    /// The part of the name before the first slash, by which models can be filtered; nil = none.
    var author: Substring? {
        let parts = id.split(separator: "/", maxSplits: 1)
        return parts.count == 2 ? parts[0] : nil
    }

    // MARK: Modalities

    /// Modalities that follow from the endpoints at which a model answers, where no list tells them.
    /// - Parameter isBound: whether the provider's file binds the model to these endpoints; where it does not, a model of a provider of
    ///   conversations is taken for one that converses.
    static func modalities(of endpoints: Set<Endpoint>, isBound: Bool) -> (takes: [String], gives: [String]) {
        let converses = endpoints.contains { $0.isConversation || $0 == .completions }
        var (takes, gives): ([String], [String]) = converses ? (["text"], ["text"]) : ([], [])
        if converses, !isBound { return (takes, gives) }
        for endpoint in Endpoint.allCases where endpoints.contains(endpoint) {
            guard let (input, output) = media(endpoint) else { continue }
            if !takes.contains(input) { takes.append(input) }
            if let output, !gives.contains(output) { gives.append(output) }
        }
        return (takes, gives)
    }

    /// https://openrouter.ai/docs/api-reference/list-available-models has no word for a verdict on a text.
    private static func media(_ endpoint: Endpoint) -> (input: String, output: String?)? {
        switch endpoint {
        case .embeddings: ("text", "embeddings")
        case .images: ("text", "image")
        case .imageEdits: ("image", "image")
        case .speech: ("text", "speech")
        case .transcriptions, .translations: ("audio", "transcription")
        case .rerank: ("text", "rerank")
        case .moderations: ("text", nil)
        case .chat, .completions, .models, .responses, .compact, .messages, .gemini: nil
        }
    }
}
