/// An estimate of the hidden reasoning of an answer that was abandoned: elapsed time × the measured speed of the model.
///
/// Time counts from sending the request to the first content, or to the end of the call if no content came. Queueing at the vendor and
/// reading the prompt are included, both when the speed is measured and when it is applied.
public struct ThinkingEstimate: Sendable, Hashable {
    public var time: Duration
    public var tokensPerSecond: Int64
    /// Number of choices; each reasons on its own.
    public var choices: Int64
    /// The bound on everything that the model may write per choice, reasoning included; nil = no bound is known.
    public var maximumOutput: Int64?

    public init(time: Duration, tokensPerSecond: Int64, choices: Int64 = 1, maximumOutput: Int64? = nil) {
        self.time = time
        self.tokensPerSecond = tokensPerSecond
        self.choices = choices
        self.maximumOutput = maximumOutput
    }

    /// Reasoning tokens from time and speed, rounded up.
    public var tokens: Int64 {
        let product = Int128(max(0, time.wholeNanoseconds)) * Int128(max(0, tokensPerSecond))
        let each = Int64(clamping: (product + 999_999_999) / 1_000_000_000)
        return Int64(clamping: Int128(each) * Int128(max(1, choices)))
    }

    /// Adds the reasoning that the usage does not contain yet. The vendor's figures and what the client has been shown are already known;
    /// of two counts of the same reasoning, the larger one is used.
    /// - Parameter seen: reasoning tokens that were delivered, which are already part of the output.
    public func added(to usage: Usage, seen: Int64) -> Usage {
        var usage = usage
        var missing = max(0, tokens - max(usage.reasoning, seen))
        if let maximumOutput {
            let bound = Int64(clamping: Int128(maximumOutput) * Int128(max(1, choices)))
            missing = min(missing, max(0, bound - max(0, usage.output)))
        }
        let (output, overflowed) = usage.output.addingReportingOverflow(missing)
        guard missing > 0, !overflowed else { return usage }
        usage.output = output
        usage.reasoning += missing
        return usage
    }
}

extension PriceQuote {
    /// The charge for a client that has left: the usage without estimated reasoning in full, and with it at most the hold. An estimate must
    /// not cost more than the balance that the client was required to have; delivered content and the vendor's own counts are not
    /// estimates.
    /// - Throws: ``MeteringError``, as ``bill(for:)`` does.
    public func bill(
        for usage: Usage, with thinking: ThinkingEstimate, seen: Int64, hold: NanoUSD
    ) throws(MeteringError) -> (usage: Usage, bill: Bill) {
        let plain = try bill(for: usage)
        let more = thinking.added(to: usage, seen: seen)
        guard more != usage, let full = try? bill(for: more), full.charge > plain.charge else { return (usage, plain) }
        // The part of an estimate beyond the hold is neither charged nor recorded as uncharged.
        let charge = max(plain.charge, min(full.charge, hold))
        return (more, Bill(charge: charge, uncharged: plain.uncharged, serviceTier: full.serviceTier))
    }
}

extension RequestEnvelope {
    /// The usage that a vendor may bill once it has the request, even if no answer has come: the prompt, and what is billed by what was
    /// asked for (text to speak, audio to transcribe, documents, images).
    /// - Parameter vocabulary: counts the text of conversations and embeddings; nil = it is estimated.
    public func handedOverUsage(price: ModelPrice, vocabulary: BPEVocabulary? = nil) -> Usage {
        estimatedUsage(AnswerProgress(), price: price, share: endpoint.operation.handedOver(self), vocabulary: vocabulary)
    }
}

/// How fast models reason, by channel and model: reasoning tokens per second until the answer began. A bounded table of moving averages.
public struct ThinkingRates: Sendable {
    private struct Key: Hashable {
        var channelID: Int64
        var model: String
    }
    private var rates: [Key: Int64] = [:]

    private static let maximumModels = 4_096
    /// Faster than any hardware writes (tokens per second): a higher figure means that the reasoning was not done in the measured time.
    private static let fastest: Int64 = 10_000

    public init() {}

    /// - Returns: nil when it was never measured.
    public func tokensPerSecond(channelID: Int64, model: String) -> Int64? {
        rates[Key(channelID: channelID, model: model)]
    }

    /// Records an answer that was received completely.
    /// - Parameters:
    ///   - tokens: reasoning tokens, or all output tokens where the two cannot be told apart.
    ///   - time: how long they took.
    public mutating func measured(channelID: Int64, model: String, tokens: Int64, time: Duration) {
        let milliseconds = time.wholeNanoseconds / 1_000_000
        // A short reasoning phase says nothing about speed.
        guard tokens >= 16, milliseconds >= 20 else { return }
        let sample = min(Int64(clamping: Int128(tokens) * 1_000 / Int128(milliseconds)), Self.fastest)
        let key = Key(channelID: channelID, model: model)
        if rates.count >= Self.maximumModels, rates[key] == nil { rates = [:] }
        // A faster sample replaces the rate at once, a slower one moves it by an eighth: a client that provokes slow answers must not make
        // leaving early cheap.
        rates[key] = rates[key].map { sample > $0 ? sample : $0 - ($0 - sample) / 8 } ?? sample
    }
}
