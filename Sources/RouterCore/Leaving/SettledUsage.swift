extension RequestEnvelope {
    /// What an answer is charged by: the vendor's figures, else our count. What a stream that ended early has delivered
    /// after the vendor's last figures is counted on top: a client that leaves before the final ones must not get the
    /// answer for those of its beginning.
    /// - Parameter vocabulary: nil = texts are estimated.
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
