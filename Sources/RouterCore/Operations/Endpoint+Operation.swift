extension Endpoint {
    /// The operation, whatever the dialect.
    var operation: any Operation.Type {
        switch self {
        case .chat, .responses, .messages, .gemini: ConversationOperation.self
        case .completions: CompletionsOperation.self
        case .embeddings: EmbeddingsOperation.self
        case .models: ListOperation.self
        case .images: ImagesOperation.self
        case .imageEdits: ImageEditsOperation.self
        case .speech: SpeechOperation.self
        case .transcriptions, .translations: TranscriptionsOperation.self
        case .moderations: ModerationsOperation.self
        case .compact: CompactOperation.self
        case .rerank: RerankOperation.self
        }
    }

    /// The dialect that the client speaks at this endpoint.
    public var dialect: Dialect {
        switch self {
        case .responses, .compact: .responses
        case .messages: .messages
        case .gemini: .gemini
        case .chat, .completions, .embeddings, .models, .images, .imageEdits, .speech, .transcriptions, .translations, .moderations,
            .rerank:
            .chat
        }
    }

    /// Its answers are written token by token, so that a bound on tokens can be told to the vendor.
    public var hasOutputBound: Bool { operation.hasOutputBound }

    /// The request is `multipart/form-data`.
    public var takesForm: Bool { operation.takesForm }

    /// An answer may be plain text, and may come whole where a stream was asked for.
    public var mayAnswerInText: Bool { operation.mayAnswerInText }

    /// A vendor bills the whole answer although its client has left.
    public var isBilledToTheEnd: Bool { operation.isBilledToTheEnd }

    /// The tokens of an answer have a bound that strict admission can hold.
    public var boundsTokens: Bool { operation.boundsTokens }

    /// The model may be left out of a request.
    public var mayOmitModel: Bool { operation.mayOmitModel }

    /// The cheapest request that shows that a model works, without the model; nil where none is cheap.
    public var smallestRequest: [JSONValue.Member]? { operation.smallestRequest }

    /// Streams say what they cost only when they are asked to (`stream_options.include_usage`,
    /// https://platform.openai.com/docs/api-reference/chat/create).
    public var hasStreamOptions: Bool { dialect == .chat && hasOutputBound }
}
