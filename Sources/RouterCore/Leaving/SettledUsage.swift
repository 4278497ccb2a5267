extension RequestEnvelope {
    /// The usage that an answer is charged for: the vendor's figures, or else our own count. For a stream that ended early, content after
    /// the vendor's last figures is added: a client that leaves before the final usage must not get the answer at the price of its
    /// beginning.
    /// - Parameter vocabulary: counts the text; nil = the text is estimated.
    public func settledUsage(
        _ progress: AnswerProgress, price: ModelPrice, vocabulary: BPEVocabulary? = nil
    ) -> (usage: Usage, source: UsageSource) {
        guard var usage = progress.usage else {
            return (estimatedUsage(progress, price: price, vocabulary: vocabulary), .estimated)
        }
        let source = progress.isUsageEstimated ? UsageSource.estimated : .upstream
        guard isStream, endpoint.hasOutputBound, !progress.isDone else { return (usage, source) }
        let more = progress.tokensSinceUsage(by: vocabulary)
        guard more > 0 else { return (usage, source) }
        let (output, overflowed) = usage.output.addingReportingOverflow(more)
        if !overflowed { usage.output = output }
        return (usage, .estimated)
    }
}
