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

    /// - Parameters:
    ///   - usage: the vendor's `usage`, when the answer has one.
    ///   - meta: Cohere's `meta`.
    ///   - milliseconds: `duration` of a transcription.
    func read(
        _ usage: JSONValue?, meta: JSONValue? = nil, milliseconds: Int64? = nil, progress: AnswerProgress, share: AnswerShare = .nothing
    ) -> Reading {
        let own = envelope.estimatedUsage(progress, price: price, share: share)
        var reading = Reading(usage: Usage())
        if dialect.reportsCost, let cost = usage?["cost"]?.numberText {
            reading.usage.upstreamCost = try? FemtoUSD.parse(usdPerUnit: cost).price
        }
        if !addTokens(usage, meta, to: &reading.usage), price.isTokenPriced {
            reading.usage.uncachedInput = own.uncachedInput
            reading.usage.audioInput = own.audioInput
            reading.usage.output = own.output
            reading.usage.audioOutput = own.audioOutput
            reading.isEstimated = true
        }
        switch envelope.endpoint {
        case .images: reading.usage.images = share.images
        case .speech:
            // Known from the request: no guess.
            reading.usage.characters = share.characters
        case .transcriptions:
            if let known = Self.milliseconds(usage?["seconds"]) ?? milliseconds {
                reading.usage.audioMilliseconds = known
            } else if price.audioSecond > .zero {
                reading.usage.audioMilliseconds = own.audioMilliseconds
                reading.isEstimated = true
            }
        case .rerank:
            if let units = count(meta?["billed_units"]?["search_units"]) ?? count(usage?["search_units"]) {
                reading.usage.searches = units
            } else if price.search > .zero {
                reading.usage.searches = own.searches
                reading.isEstimated = true
            }
        default: break
        }
        return reading
    }

    /// - Returns: false when the vendor told no tokens that can be true.
    private func addTokens(_ value: JSONValue?, _ meta: JSONValue?, to usage: inout Usage) -> Bool {
        let billed = meta?["billed_units"]
        let tokens = meta?["tokens"]
        var input = count(value?["input_tokens"]) ?? count(value?["prompt_tokens"])
        let output = count(value?["output_tokens"]) ?? count(value?["completion_tokens"]) ?? count(billed?["output_tokens"]) ?? 0
        input = input ?? count(billed?["input_tokens"]) ?? count(tokens?["input_tokens"])
        if input == nil, let total = count(value?["total_tokens"]) ?? count(billed?["total_tokens"]) { input = max(0, total - output) }
        guard let input else { return false }
        let details = value?["input_token_details"] ?? value?["input_tokens_details"] ?? value?["prompt_tokens_details"]
        let audio = min(count(details?["audio_tokens"]) ?? 0, input)
        usage.audioInput = audio
        usage.cacheRead = min(count(details?["cached_tokens"]) ?? 0, input - audio)
        usage.uncachedInput = input - audio - usage.cacheRead
        // All that a voice makes is sound.
        if envelope.endpoint == .speech { usage.audioOutput = output } else { usage.output = output }
        return true
    }

    private func count(_ value: JSONValue?) -> Int64? {
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
