extension RequestEnvelope {
    /// What this request may use at most (`strict`) or will probably use, for its hold.
    /// - Parameters:
    ///   - strict: what bounds it; nil = it is estimated.
    ///   - outputTokens: per choice, for endpoints that write tokens.
    ///   - contextLength: the most tokens that the model reads; nil = not known.
    ///   - searches: those that the request asks of the vendor.
    ///   - model: the vendor's name of it.
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

    /// What has been used by our own count, where the vendor tells nothing. What the price does not ask for is not counted.
    /// - Parameters:
    ///   - share: how much of the answer there is, for what is measured by its length.
    ///   - vocabulary: counts the texts of conversations and embeddings; nil = they are estimated.
    public func estimatedUsage(
        _ progress: AnswerProgress, price: ModelPrice, share: AnswerShare = .nothing, vocabulary: BPEVocabulary? = nil
    ) -> Usage {
        endpoint.operation.estimatedUsage(of: self, progress, price: price, share: share, vocabulary: vocabulary)
    }
}
