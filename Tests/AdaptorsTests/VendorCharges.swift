import RouterCore
import Testing

/// One answer of a vendor as its documentation shows it, the price row of the model, and what it costs.
///
/// The arithmetic in the comments is in nano-dollars: a price of 1 USD per million tokens is 1,000 of them per token.
struct VendorCharge: Sendable, CustomTestStringConvertible {
    var name: String
    /// nil: the price cannot be worked out from this answer.
    var nanos: Int64?
    var answer: String
    var price: ModelPrice
    var family = AdaptorID.openai
    var endpoint = Endpoint.chat
    var request = #"{"model":"m"}"#
    var rules = UsageRules()
    /// The service tier that was asked for.
    var asked: String?
    var ratio = PriceRatio.one

    var testDescription: String { name }
}

// MARK: - Price rows

private func perMillion(_ text: String) -> FemtoUSD { (try? FemtoUSD.parse(usdPerMillion: text).price) ?? FemtoUSD(femtos: .max) }
private func usd(_ text: String) -> FemtoUSD { (try? FemtoUSD.parse(usdPerUnit: text).price) ?? FemtoUSD(femtos: .max) }

/// USD per million tokens, as in the provider files.
private func rates(
    _ input: String, _ output: String, read: String? = nil, write: String? = nil, write1h: String? = nil, reasoning: String? = nil,
    audioIn: String? = nil, audioOut: String? = nil
) -> ModelPrice.Rates {
    ModelPrice.Rates(
        input: perMillion(input), output: perMillion(output), cacheRead: read.map(perMillion), cacheWrite5m: write.map(perMillion),
        cacheWrite1h: write1h.map(perMillion), reasoning: reasoning.map(perMillion), audioInput: audioIn.map(perMillion),
        audioOutput: audioOut.map(perMillion))
}

private let gpt5 = ModelPrice(
    rates: rates("1.25", "10", read: "0.125"),
    serviceTiers: [
        .init(name: "flex", rates: rates("0.625", "5", read: "0.0625")),
        .init(name: "priority", rates: rates("2.5", "20", read: "0.25")),
    ])
private let gpt41 = ModelPrice(
    rates: rates("2", "8", read: "0.5"),
    serviceTiers: [
        .init(name: "batch", rates: rates("1", "4", read: "0.25")), .init(name: "priority", rates: rates("3.5", "14", read: "0.875")),
    ])
private let sonnet = ModelPrice(
    rates: rates("3", "15", read: "0.3", write: "3.75", write1h: "6"),
    tiers: [.init(abovePromptTokens: 200_000, rates: rates("6", "22.5", read: "0.6", write: "7.5", write1h: "12"))],
    serviceTiers: [
        .init(
            name: "batch", rates: rates("1.5", "7.5", read: "0.15", write: "1.875", write1h: "3"),
            tiers: [.init(abovePromptTokens: 200_000, rates: rates("3", "11.25", read: "0.3", write: "3.75", write1h: "6"))])
    ], search: usd("0.01"))
private let gemini3 = ModelPrice(
    rates: rates("2", "12", read: "0.2"), tiers: [.init(abovePromptTokens: 200_000, rates: rates("4", "18", read: "0.4"))],
    serviceTiers: [.init(name: "flex", rates: rates("1", "6", read: "0.1"))])
private let flash = ModelPrice(rates: rates("0.3", "2.5", read: "0.03", audioIn: "1"))
private let nova = ModelPrice(
    rates: rates("0.8", "3.2", read: "0.2", write: "1"), serviceTiers: [.init(name: "priority", rates: rates("1.4", "5.6", read: "0.35"))])

// MARK: - Answers

private func chat(_ usage: String, tier: String? = nil) -> String {
    let service = tier.map { #""service_tier":"\#($0)","# } ?? ""
    return
        #"{"id":"c","model":"m","choices":[{"index":0,"message":{"content":"x"},"finish_reason":"stop"}],\#(service)"usage":{\#(usage)}}"#
}
private func response(_ usage: String, tier: String) -> String {
    let output = #"[{"type":"message","role":"assistant","content":[{"type":"output_text","text":"x"}]}]"#
    return
        #"{"id":"r","object":"response","status":"completed","model":"m","output":\#(output),"service_tier":"\#(tier)","usage":{\#(usage)}}"#
}
private func message(_ usage: String) -> String {
    #"{"type":"message","role":"assistant","content":[{"type":"text","text":"x"}],"stop_reason":"end_turn","usage":{\#(usage)}}"#
}
private func candidate(_ usage: String) -> String {
    #"{"candidates":[{"content":{"parts":[{"text":"x"}]},"finishReason":"STOP"}],"usageMetadata":{\#(usage)}}"#
}
private func converse(_ usage: String, _ more: String = "") -> String {
    #"{"output":{"message":{"role":"assistant","content":[{"text":"x"}]}},"stopReason":"end_turn","usage":{\#(usage)}\#(more)}"#
}
private func cohere(_ usage: String) -> String {
    #"{"id":"c","message":{"role":"assistant","content":[{"type":"text","text":"x"}]},"finish_reason":"COMPLETE","usage":{\#(usage)}}"#
}

// MARK: - The table

extension VendorCharge {
    private static let thousand = #""prompt_tokens":1000,"completion_tokens":100,"prompt_tokens_details":{"cached_tokens":400}"#

    static let serviceTiers: [VendorCharge] = [
        // 600 × 1,250 + 400 × 125 + 100 × 10,000 = 750,000 + 50,000 + 1,000,000
        VendorCharge(name: "gpt-5, default", nanos: 1_800_000, answer: chat(thousand, tier: "default"), price: gpt5),
        // 600 × 625 + 400 × 62.5 + 100 × 5,000 = 375,000 + 25,000 + 500,000
        VendorCharge(name: "gpt-5, flex", nanos: 900_000, answer: chat(thousand, tier: "flex"), price: gpt5, asked: "flex"),
        // 600 × 2,500 + 400 × 250 + 100 × 20,000 = 1,500,000 + 100,000 + 2,000,000
        VendorCharge(name: "gpt-5, priority", nanos: 3_600_000, answer: chat(thousand, tier: "priority"), price: gpt5, asked: "priority"),
        // As default: the answer says so, whatever was asked.
        VendorCharge(
            name: "gpt-5, priority asked and default given", nanos: 1_800_000, answer: chat(thousand, tier: "default"), price: gpt5,
            asked: "priority"),
        // As priority: the vendor's project settings made it so.
        VendorCharge(name: "gpt-5, priority unasked", nanos: 3_600_000, answer: chat(thousand, tier: "priority"), price: gpt5),
        // As default: the answer names none, so the dearer of those that may have served it counts.
        VendorCharge(name: "gpt-5, flex asked, no word", nanos: 1_800_000, answer: chat(thousand), price: gpt5, asked: "flex"),
        // As priority: auto leaves the choice to the vendor.
        VendorCharge(name: "gpt-5, auto asked, no word", nanos: 3_600_000, answer: chat(thousand), price: gpt5, asked: "auto"),
        // The row has no price of scale.
        VendorCharge(name: "gpt-5, scale", nanos: 1_800_000, answer: chat(thousand, tier: "scale"), price: gpt5),
        // 900,000 × 0.9
        VendorCharge(
            name: "gpt-5, flex for a group with a discount", nanos: 810_000, answer: chat(thousand, tier: "flex"), price: gpt5,
            ratio: PriceRatio(millionths: 900_000)),
        VendorCharge(
            name: "gpt-5 by Responses, flex", nanos: 900_000,
            answer: response(
                #""input_tokens":1000,"input_tokens_details":{"cached_tokens":400},"output_tokens":100,"output_tokens_details":{"reasoning_tokens":64}"#,
                tier: "flex"), price: gpt5, endpoint: .responses),
        VendorCharge(
            name: "gpt-5 by Responses, default", nanos: 1_800_000,
            answer: response(#""input_tokens":1000,"input_tokens_details":{"cached_tokens":400},"output_tokens":100"#, tier: "default"),
            price: gpt5, endpoint: .responses, asked: "priority"),
        // 600 × 3,500 + 400 × 875 + 100 × 14,000 = 2,100,000 + 350,000 + 1,400,000
        VendorCharge(name: "gpt-4.1, priority", nanos: 3_850_000, answer: chat(thousand, tier: "priority"), price: gpt41),
        // A batch's line of results: 600 × 1,000 + 400 × 250 + 100 × 4,000
        VendorCharge(name: "gpt-4.1, batch", nanos: 1_100_000, answer: chat(thousand, tier: "batch"), price: gpt41),
        // Groq's flex costs what on_demand does, so the row has no tiers: 1,000 × 590 + 100 × 790
        VendorCharge(
            name: "llama-3.3-70b on Groq, flex", nanos: 669_000,
            answer: chat(
                #""queue_time":0.1,"prompt_tokens":1000,"completion_tokens":100,"total_tokens":1100,"total_time":0.4"#, tier: "flex"),
            price: ModelPrice(rates: rates("0.59", "0.79")), asked: "auto"),
        // 100 × 1,500 + 10 × 7,500
        VendorCharge(
            name: "Sonnet, batch", nanos: 225_000, answer: message(#""input_tokens":100,"output_tokens":10,"service_tier":"batch""#),
            price: sonnet, family: .anthropic),
        // 1 × 3,000 + 200,000 × 300 + 2 × 11,250: the batch's own tier of size
        VendorCharge(
            name: "Sonnet, batch above 200,000 tokens", nanos: 60_025_500,
            answer: message(#""input_tokens":1,"cache_read_input_tokens":200000,"output_tokens":2,"service_tier":"batch""#),
            price: sonnet, family: .anthropic),
        // The commitment is paid for elsewhere; the row has no price of its own for it: 100 × 3,000 + 10 × 15,000
        VendorCharge(
            name: "Sonnet, priority", nanos: 450_000, answer: message(#""input_tokens":100,"output_tokens":10,"service_tier":"priority""#),
            price: sonnet, family: .anthropic, asked: "auto"),
        // 100 × 1,000 + 10 × 6,000
        VendorCharge(
            name: "Gemini on Vertex, flex", nanos: 160_000,
            answer: candidate(#""promptTokenCount":100,"candidatesTokenCount":10,"trafficType":"ON_DEMAND_FLEX""#), price: gemini3,
            family: .gemini),
        // 100 × 2,000 + 10 × 12,000
        VendorCharge(
            name: "Gemini on Vertex, on demand", nanos: 320_000,
            answer: candidate(#""promptTokenCount":100,"candidatesTokenCount":10,"trafficType":"ON_DEMAND""#), price: gemini3,
            family: .gemini),
        // 100 × 1,400 + 10 × 5,600
        VendorCharge(
            name: "Nova, priority", nanos: 196_000,
            answer: converse(#""inputTokens":100,"outputTokens":10,"totalTokens":110"#, #","serviceTier":{"type":"priority"}"#),
            price: nova,
            family: .bedrock),
    ]

    static let caches: [VendorCharge] = [
        // 1 × 3,000 + 9 × 3,750 + 5 × 6,000 + 7 × 300 + 2 × 15,000 = 3,000 + 33,750 + 30,000 + 2,100 + 30,000
        VendorCharge(
            name: "Sonnet, everything that a cache can do", nanos: 98_850,
            answer: message(
                #""input_tokens":1,"cache_creation_input_tokens":14,"cache_read_input_tokens":7,"cache_creation":{"ephemeral_5m_input_tokens":9,"ephemeral_1h_input_tokens":5},"output_tokens":2"#
            ),
            price: sonnet, family: .anthropic),
        // 200,001 tokens are above: 1 × 6,000 + 100,000 × 7,500 + 100,000 × 12,000 + 4 × 22,500
        VendorCharge(
            name: "Sonnet, writes count for the tier", nanos: 1_950_096_000,
            answer: message(
                #""input_tokens":1,"cache_creation_input_tokens":200000,"cache_creation":{"ephemeral_5m_input_tokens":100000,"ephemeral_1h_input_tokens":100000},"output_tokens":4"#
            ),
            price: sonnet, family: .anthropic),
        // 100 × 3,000 + 20 × 15,000 + 2 × 10,000,000
        VendorCharge(
            name: "Sonnet, two searches", nanos: 20_600_000,
            answer: message(#""input_tokens":100,"output_tokens":20,"server_tool_use":{"web_search_requests":2,"web_fetch_requests":1}"#),
            price: sonnet, family: .anthropic),
        // 360 × 280 + 640 × 28 + 100 × 420 = 100,800 + 17,920 + 42,000
        VendorCharge(
            name: "DeepSeek, hits and misses", nanos: 160_720,
            answer: chat(#""prompt_tokens":1000,"completion_tokens":100,"prompt_cache_hit_tokens":640,"prompt_cache_miss_tokens":360"#),
            price: ModelPrice(rates: rates("0.28", "0.42", read: "0.028")), rules: UsageRules(cachedTokens: "usage.prompt_cache_hit_tokens")
        ),
        // 744 × 600 + 256 × 150 + 10 × 2,500 = 446,400 + 38,400 + 25,000
        VendorCharge(
            name: "Moonshot, cached tokens at the top", nanos: 509_800,
            answer: chat(#""prompt_tokens":1000,"completion_tokens":10,"cached_tokens":256"#),
            price: ModelPrice(rates: rates("0.6", "2.5", read: "0.15")), rules: UsageRules(cachedTokens: "usage.cached_tokens")),
        // Input without a price of cached tokens: 1,000 × 600 + 10 × 2,200
        VendorCharge(
            name: "a row without a price of cached tokens", nanos: 622_000,
            answer: chat(#""prompt_tokens":1000,"completion_tokens":10,"prompt_tokens_details":{"cached_tokens":512}"#),
            price: ModelPrice(rates: rates("0.6", "2.2"))),
        // 1,000,000 × 0 + …: a free model
        VendorCharge(
            name: "a free model", nanos: 0, answer: chat(#""prompt_tokens":1000000,"completion_tokens":1000"#), price: .free),
        // Nova: 100 × 800 + 50 × 200 + 30 × 1,000 + 10 × 3,200 = 80,000 + 10,000 + 30,000 + 32,000
        VendorCharge(
            name: "Nova, cached tokens beside the input", nanos: 152_000,
            answer: converse(
                #""inputTokens":100,"outputTokens":10,"totalTokens":190,"cacheReadInputTokens":50,"cacheWriteInputTokens":30"#),
            price: nova,
            family: .bedrock),
        // Claude on Bedrock: 10 × 3,000 + 20 × 3,750 + 10 × 6,000 + 1 × 15,000 = 30,000 + 75,000 + 60,000 + 15,000
        VendorCharge(
            name: "Claude on Bedrock, writes for an hour", nanos: 180_000,
            answer: converse(
                #""inputTokens":10,"outputTokens":1,"cacheWriteInputTokens":30,"cacheDetails":[{"ttl":"5m","inputTokens":20},{"ttl":"1h","inputTokens":10}]"#
            ),
            price: sonnet, family: .bedrock),
        // Gemini: 400 × 2,000 + 600 × 200 + (50 + 150) × 12,000 = 800,000 + 120,000 + 2,400,000
        VendorCharge(
            name: "Gemini, cached and thinking", nanos: 3_320_000,
            answer: candidate(
                #""promptTokenCount":1000,"cachedContentTokenCount":600,"candidatesTokenCount":50,"thoughtsTokenCount":150,"totalTokenCount":1200"#
            ),
            price: gemini3, family: .gemini),
        // 200,001 × 4,000 + 10 × 18,000
        VendorCharge(
            name: "Gemini above 200,000 tokens", nanos: 800_184_000,
            answer: candidate(#""promptTokenCount":200001,"candidatesTokenCount":10"#), price: gemini3, family: .gemini),
        // 200,000 × 2,000 + 10 × 12,000
        VendorCharge(
            name: "Gemini at 200,000 tokens", nanos: 400_120_000,
            answer: candidate(#""promptTokenCount":200000,"candidatesTokenCount":10"#), price: gemini3, family: .gemini),
    ]

    static let kinds: [VendorCharge] = [
        // Reasoning inside the completion, at a price of its own: 20 × 2,000 + 60 × 8,000 + 40 × 3,000 = 40,000 + 480,000 + 120,000
        VendorCharge(
            name: "reasoning inside the completion, priced apart", nanos: 640_000,
            answer: chat(#""prompt_tokens":20,"completion_tokens":100,"completion_tokens_details":{"reasoning_tokens":40}"#),
            price: ModelPrice(rates: rates("2", "8", reasoning: "3"))),
        // xAI tells reasoning beside the completion: 20 × 3,000 + (9 + 231) × 15,000
        VendorCharge(
            name: "Grok, reasoning beside the completion", nanos: 3_660_000,
            answer: chat(
                #""prompt_tokens":20,"completion_tokens":9,"total_tokens":260,"completion_tokens_details":{"reasoning_tokens":231}"#),
            price: ModelPrice(rates: rates("3", "15")), rules: UsageRules(reasoningInsideCompletion: false)),
        // Perplexity: 26 × 1,000 + 832 × 1,000 + 5,000,000 for the request
        VendorCharge(
            name: "Sonar, a price per request", nanos: 5_858_000,
            answer: chat(#""prompt_tokens":26,"completion_tokens":832,"total_tokens":858,"search_context_size":"low""#),
            price: ModelPrice(rates: rates("1", "1"), request: usd("0.005"))),
        // 10 × 2,500 + 500 × 40,000 + 20 × 10,000 + 300 × 80,000 = 25,000 + 20,000,000 + 200,000 + 24,000,000
        VendorCharge(
            name: "gpt-4o-audio, sound in and out", nanos: 44_225_000,
            answer: chat(
                #""prompt_tokens":510,"completion_tokens":320,"prompt_tokens_details":{"text_tokens":10,"audio_tokens":500},"completion_tokens_details":{"text_tokens":20,"audio_tokens":300}"#
            ),
            price: ModelPrice(rates: rates("2.5", "10", audioIn: "40", audioOut: "80"))),
        // 40 × 300 + 60 × 1,000 + 10 × 2,500
        VendorCharge(
            name: "Gemini Flash, sound in", nanos: 97_000,
            answer: candidate(
                #""promptTokenCount":100,"promptTokensDetails":[{"modality":"TEXT","tokenCount":40},{"modality":"AUDIO","tokenCount":60}],"candidatesTokenCount":10"#
            ),
            price: flash, family: .gemini),
        // Pictures are inside the prompt's tokens: 1,358 × 300 + 10 × 2,500
        VendorCharge(
            name: "Gemini Flash, a picture in", nanos: 432_400,
            answer: candidate(
                #""promptTokenCount":1358,"promptTokensDetails":[{"modality":"TEXT","tokenCount":68},{"modality":"IMAGE","tokenCount":1290}],"candidatesTokenCount":10"#
            ),
            price: flash, family: .gemini),
        // Command A: 2,500 × 100 + 10,000 × 10
        VendorCharge(
            name: "Command A by its billed units", nanos: 350_000,
            answer: cohere(#""billed_units":{"input_tokens":100,"output_tokens":10},"tokens":{"input_tokens":560,"output_tokens":12}"#),
            price: ModelPrice(rates: rates("2.5", "10")), family: .cohere),
        // 2.5 × 1,000 nano-dollars make one token; a third of a million tokens at 0.075: 333,333 × 75 + 1 × 300
        VendorCharge(
            name: "Mistral, a price below a dime", nanos: 25_000_275,
            answer: chat(#""prompt_tokens":333333,"completion_tokens":1,"total_tokens":333334"#),
            price: ModelPrice(rates: rates("0.075", "0.3"))),
        // 0.0375 USD per million is 37.5 a token: 3 × 37.5 = 112.5, and 1 × 150: 262.5, half up
        VendorCharge(
            name: "half a nano-dollar of a real price", nanos: 263, answer: chat(#""prompt_tokens":3,"completion_tokens":1"#),
            price: ModelPrice(rates: rates("0.0375", "0.15"))),
        // OpenRouter's cost of 0.00014 USD, and no token counts
        VendorCharge(
            name: "OpenRouter's own cost", nanos: 140_000,
            answer: chat(#""prompt_tokens":10,"completion_tokens":5,"cost":0.00014,"cost_details":{"upstream_inference_cost":null}"#),
            price: .upstreamCost, family: .openrouter),
        // 0.95 + 19 USD per million on 5 % of a fee: (0.0002 + 0.004) × 1
        VendorCharge(
            name: "OpenRouter with the account's own vendor key", nanos: 4_200_000,
            answer: chat(
                #""prompt_tokens":10,"completion_tokens":5,"cost":0.0002,"is_byok":true,"cost_details":{"upstream_inference_cost":0.004}"#),
            price: .upstreamCost, family: .openrouter),
        VendorCharge(
            name: "a router that tells no cost", nanos: nil, answer: chat(#""prompt_tokens":10,"completion_tokens":5"#),
            price: .upstreamCost,
            family: .openrouter),
        // Qwen's sizes: 32,001 × 1,200 + 10 × 6,000 above 32,000; the last tier that applies wins
        VendorCharge(
            name: "Qwen, the middle one of three sizes", nanos: 38_461_200,
            answer: chat(#""prompt_tokens":32001,"completion_tokens":10"#),
            price: ModelPrice(
                rates: rates("0.6", "3"),
                tiers: [
                    .init(abovePromptTokens: 128_000, rates: rates("3", "15")), .init(abovePromptTokens: 32_000, rates: rates("1.2", "6")),
                ])),
        // 128,001 × 3,000 + 10 × 15,000
        VendorCharge(
            name: "Qwen, the last of three sizes", nanos: 384_153_000,
            answer: chat(#""prompt_tokens":128001,"completion_tokens":10"#),
            price: ModelPrice(
                rates: rates("0.6", "3"),
                tiers: [
                    .init(abovePromptTokens: 32_000, rates: rates("1.2", "6")), .init(abovePromptTokens: 128_000, rates: rates("3", "15")),
                ])),
    ]

    static let endpoints: [VendorCharge] = [
        // 8 × 20
        VendorCharge(
            name: "embeddings", nanos: 160,
            answer: #"{"object":"list","data":[{"embedding":[0.1],"index":0}],"usage":{"prompt_tokens":8,"total_tokens":8}}"#,
            price: ModelPrice(rates: rates("0.02", "0")), endpoint: .embeddings, request: #"{"model":"m","input":"x"}"#),
        // 2 × 40,000,000
        VendorCharge(
            name: "two pictures by the piece", nanos: 80_000_000, answer: #"{"created":1,"data":[{"b64_json":"AA"},{"b64_json":"AA"}]}"#,
            price: ModelPrice(rates: rates("0", "0"), image: usd("0.04")), endpoint: .images, request: #"{"model":"m","prompt":"p","n":2}"#),
        // 13 × 5,000 + 4,160 × 40,000
        VendorCharge(
            name: "a picture by its tokens", nanos: 166_465_000,
            answer: #"{"data":[{"b64_json":"AA"}],"usage":{"input_tokens":13,"output_tokens":4160,"total_tokens":4173}}"#,
            price: ModelPrice(rates: rates("5", "40")), endpoint: .images, request: #"{"model":"m","prompt":"p"}"#),
        // 1 search unit at 0.002 USD
        VendorCharge(
            name: "a rerank by search units", nanos: 2_000_000,
            answer: #"{"results":[{"index":0,"relevance_score":0.9}],"meta":{"billed_units":{"search_units":1}}}"#,
            price: ModelPrice(rates: rates("0", "0"), search: usd("0.002")), endpoint: .rerank,
            request: #"{"model":"m","query":"q","documents":["d"]}"#),
        // 79 × 50
        VendorCharge(
            name: "a rerank by tokens", nanos: 3_950,
            answer: #"{"results":[{"index":0,"relevance_score":0.9}],"usage":{"total_tokens":79}}"#,
            price: ModelPrice(rates: rates("0.05", "0")), endpoint: .rerank, request: #"{"model":"m","query":"q","documents":["d"]}"#),
        VendorCharge(
            name: "moderation is free", nanos: 0, answer: #"{"id":"m","model":"m","results":[{"flagged":false}]}"#, price: .free,
            endpoint: .moderations, request: #"{"model":"m","input":"x"}"#),
    ]

    static let all = serviceTiers + caches + kinds + endpoints
}
