import NIOCore
import RouterCore

/// Reads what a vendor counted for pictures, sound, moderation and ranking, and counts itself what the price asks for and the
/// vendor does not tell.
///
/// Sources: https://platform.openai.com/docs/api-reference/images (`usage` with `input_tokens` and `output_tokens`),
/// https://platform.openai.com/docs/api-reference/audio (`usage` of type `tokens` or `duration`, `duration` of `verbose_json`),
/// https://docs.cohere.com/reference/rerank (`meta.billed_units.search_units`), https://jina.ai/reranker (`usage.total_tokens`).
struct MediaUsage {
    let call: UpstreamCall
    let dialect: OpenAIDialect

    /// What is charged, and whether a part of it is our own count.
    struct Reading: Sendable, Hashable {
        var usage: Usage
        var isEstimated = false
    }

    private var envelope: RequestEnvelope { call.envelope }
    private var price: ModelPrice { call.quote.price }

    /// The figures that a vendor sends beside the answer.
    struct Told: Sendable {
        /// Its `usage`, when the answer has one.
        var usage: JSONValue?
        /// Cohere's `meta`.
        var meta: JSONValue?
        /// `duration` of a transcription.
        var milliseconds: Int64?
        /// How much of the answer has come.
        var share = AnswerShare.nothing
    }

    func read(_ told: Told, progress: AnswerProgress) -> Reading {
        let own = envelope.estimatedUsage(progress, price: price, share: told.share)
        var reading = Reading(usage: Usage())
        if dialect.reportsCost, let cost = told.usage?["cost"]?.numberText {
            reading.usage.upstreamCost = try? FemtoUSD.parse(usdPerUnit: cost).price
        }
        if !addTokens(told.usage, told.meta, to: &reading.usage), price.isTokenPriced {
            reading.usage.uncachedInput = own.uncachedInput
            reading.usage.audioInput = own.audioInput
            reading.usage.imageInput = own.imageInput
            reading.usage.output = own.output
            reading.usage.audioOutput = own.audioOutput
            reading.isEstimated = true
        }
        envelope.endpoint.media?.complete(&reading, from: told, own: own, price: price)
        return reading
    }

    /// - Returns: false when the vendor told no tokens that can be true.
    private func addTokens(_ value: JSONValue?, _ meta: JSONValue?, to usage: inout Usage) -> Bool {
        let billed = meta?["billed_units"]
        let tokens = meta?["tokens"]
        var input = Self.count(value?["input_tokens"]) ?? Self.count(value?["prompt_tokens"])
        let output =
            Self.count(value?["output_tokens"]) ?? Self.count(value?["completion_tokens"]) ?? Self.count(billed?["output_tokens"]) ?? 0
        input = input ?? Self.count(billed?["input_tokens"]) ?? Self.count(tokens?["input_tokens"])
        if input == nil, let total = Self.count(value?["total_tokens"]) ?? Self.count(billed?["total_tokens"]) {
            input = max(0, total - output)
        }
        guard let input else { return false }
        let details = value?["input_token_details"] ?? value?["input_tokens_details"] ?? value?["prompt_tokens_details"]
        let audio = min(Self.count(details?["audio_tokens"]) ?? 0, input)
        usage.audioInput = audio
        usage.cacheRead = min(Self.count(details?["cached_tokens"]) ?? 0, input - audio)
        // A picture has a price of its own only where one is edited.
        if envelope.media.pictureTokens > 0 {
            usage.imageInput = min(Self.count(details?["image_tokens"]) ?? 0, input - audio - usage.cacheRead)
        }
        usage.uncachedInput = input - audio - usage.cacheRead - usage.imageInput
        if envelope.endpoint.media?.writesSound == true { usage.audioOutput = output } else { usage.output = output }
        return true
    }

    /// A figure that can be true.
    static func count(_ value: JSONValue?) -> Int64? {
        guard let number = value?.integerValue, (0...1_000_000_000).contains(number) else { return nil }
        return number
    }

    /// Seconds as a vendor writes them (`8.470000267028809`, or as text), to the nearest millisecond; nil for what cannot be true.
    static func milliseconds(_ value: JSONValue?) -> Int64? {
        guard let text = value?.numberText ?? value?.stringValue, let decimal = try? DecimalText(text), !decimal.isNegative,
            let (scaled, _) = try? decimal.scaled(byPowerOfTen: 3), (0...1_000_000_000_000).contains(scaled)
        else { return nil }
        return Int64(scaled)
    }
}
