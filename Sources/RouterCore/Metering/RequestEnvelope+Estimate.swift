extension RequestEnvelope {
    /// The most that this request may use (`strict`) or what it will probably use, for its hold.
    /// - Parameters:
    ///   - strict: the request's bound; nil = the usage is estimated.
    ///   - outputTokens: per choice, for endpoints that write tokens.
    ///   - contextLength: the largest number of tokens that the model reads; nil = unknown.
    ///   - searches: those that the request asks of the vendor.
    ///   - model: the vendor's name of the model.
    public func bound(
        strict: StrictBound?, outputTokens: Int64, contextLength: Int64? = nil, searches: Int64 = 0, model: String = ""
    ) -> UsageBound {
        let promptTokens = strict?.promptTokens(of: model) ?? prompt.expectedTokens(contextLength: contextLength)
        var bound = UsageBound(
            promptTokens: promptTokens, outputTokens: outputTokens, choices: choices, images: strict?.images ?? prompt.images,
            searches: searches)
        if endpoint.hasOutputBound { return bound }
        bound.outputTokens = 0
        endpoint.operation.complete(&bound, of: self, isStrict: strict != nil)
        return bound
    }

    /// The usage by our own count, where the vendor reports none. Units that have no price are not counted.
    /// - Parameters:
    ///   - share: how much of the answer was delivered, for answers that are measured by their length.
    ///   - vocabulary: counts the text of conversations and embeddings; nil = it is estimated.
    public func estimatedUsage(
        _ progress: AnswerProgress, price: ModelPrice, share: AnswerShare = .nothing, vocabulary: BPEVocabulary? = nil
    ) -> Usage {
        endpoint.operation.estimatedUsage(of: self, progress, price: price, share: share, vocabulary: vocabulary)
    }
}
