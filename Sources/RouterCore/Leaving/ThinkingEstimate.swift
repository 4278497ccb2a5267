/// What a model has thought in secret when its answer was given up: the time that it had for it × the speed that was
/// measured of it.
///
/// Time counts from the sending of the request to the first content, or to the end of the call when none came. Waiting
/// in the vendor's queue and reading the prompt are part of it, when it is measured as when it is applied.
public struct ThinkingEstimate: Sendable, Hashable {
    public var time: Duration
    public var tokensPerSecond: Int64
    /// Each thinks on its own.
    public var choices: Int64
    /// Bound of all that the model may write, thoughts included, per choice; nil = nobody has said.
    public var maximumOutput: Int64?

    public init(time: Duration, tokensPerSecond: Int64, choices: Int64 = 1, maximumOutput: Int64? = nil) {
        self.time = time
        self.tokensPerSecond = tokensPerSecond
        self.choices = choices
        self.maximumOutput = maximumOutput
    }

    /// Tokens of thought by time and speed, rounded up.
    public var tokens: Int64 {
        let product = Int128(max(0, time.wholeNanoseconds)) * Int128(max(0, tokensPerSecond))
        let each = Int64(clamping: (product + 999_999_999) / 1_000_000_000)
        return Int64(clamping: Int128(each) * Int128(max(1, choices)))
    }

    /// The usage with the thoughts that are not in it yet. Those that the vendor's figures tell and those that the
    /// client has seen are: of two counts of the same thoughts the larger one stands.
    /// - Parameter seen: tokens of thought that were delivered, which are part of the output already.
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
    /// What somebody pays who has left: the usage without thoughts in full, and with them at most what was held. A
    /// guess must not cost more than what the client was told to have; what it was sent and what the vendor has counted
    /// are no guesses.
    /// - Throws: ``MeteringError``, as ``bill(for:)`` does.
    public func bill(
        for usage: Usage, with thinking: ThinkingEstimate, seen: Int64, hold: NanoUSD
    ) throws(MeteringError) -> (usage: Usage, bill: Bill) {
        let plain = try bill(for: usage)
        let more = thinking.added(to: usage, seen: seen)
        guard more != usage, let full = try? bill(for: more), full.charge > plain.charge else { return (usage, plain) }
        // What a guess has beyond the hold is nobody's loss.
        let charge = max(plain.charge, min(full.charge, hold))
        return (more, Bill(charge: charge, uncharged: plain.uncharged, serviceTier: full.serviceTier))
    }
}

extension RequestEnvelope {
    /// What a vendor that has the request may bill although nothing of an answer has come: the prompt, and what is
    /// billed by what is asked for (text to be spoken, sound to be heard, documents, pictures).
    /// - Parameter vocabulary: counts the texts of conversations and embeddings; nil = they are estimated.
    public func handedOverUsage(price: ModelPrice, vocabulary: BPEVocabulary? = nil) -> Usage {
        estimatedUsage(AnswerProgress(), price: price, share: endpoint.operation.handedOver(self), vocabulary: vocabulary)
    }
}

/// How fast models think, by channel and model: tokens of thought for each second until the answer began. A bounded
/// table of moving averages.
public struct ThinkingRates: Sendable {
    private struct Key: Hashable {
        var channelID: Int64
        var model: String
    }
    private var rates: [Key: Int64] = [:]

    private static let maximumModels = 4_096
    /// Beyond what any machine writes: such a figure comes of thoughts that were not thought in that time.
    private static let fastest: Int64 = 10_000

    public init() {}

    /// nil = never measured.
    public func tokensPerSecond(channelID: Int64, model: String) -> Int64? {
        rates[Key(channelID: channelID, model: model)]
    }

    /// An answer that has come whole.
    /// - Parameters:
    ///   - tokens: thought, or written where thinking and writing cannot be told apart.
    ///   - time: that it took.
    public mutating func measured(channelID: Int64, model: String, tokens: Int64, time: Duration) {
        let milliseconds = time.wholeNanoseconds / 1_000_000
        // Short thoughts say nothing about speed.
        guard tokens >= 16, milliseconds >= 20 else { return }
        let sample = min(Int64(clamping: Int128(tokens) * 1_000 / Int128(milliseconds)), Self.fastest)
        let key = Key(channelID: channelID, model: model)
        if rates.count >= Self.maximumModels, rates[key] == nil { rates = [:] }
        // A fast answer counts at once, a slow one by an eighth: whoever has his own answers come slowly must not make
        // leaving cheap.
        rates[key] = rates[key].map { sample > $0 ? sample : $0 - ($0 - sample) / 8 } ?? sample
    }
}
