import NIOCore
import RouterCore
import Testing

/// A vendor's `usage` object, what it means, and what it costs.
struct ChargeCase: Sendable, CustomTestStringConvertible {
    var name: String
    var json: String
    /// nil: the figures are not to be believed.
    var usage: Usage?
    /// nil: no charge can be worked out.
    var nanos: Int64?
    var family = AdaptorID.openai
    var rules = UsageRules()
    var price = ChargeCase.prices
    var ratio = PriceRatio.one

    var testDescription: String { name }

    /// In nano-dollars per token: input 2,000; output 8,000; cache read 500; cache write 2,500; reasoning 10,000;
    /// audio in 40,000; audio out 80,000. A request costs 7 nano-dollars, a search 1,000.
    static let prices = ModelPrice(
        rates: .init(
            input: FemtoUSD(femtos: 2_000_000_000), output: FemtoUSD(femtos: 8_000_000_000),
            cacheRead: FemtoUSD(femtos: 500_000_000), cacheWrite5m: FemtoUSD(femtos: 2_500_000_000),
            reasoning: FemtoUSD(femtos: 10_000_000_000), audioInput: FemtoUSD(femtos: 40_000_000_000),
            audioOutput: FemtoUSD(femtos: 80_000_000_000)),
        request: FemtoUSD(femtos: 7_000_000), search: FemtoUSD(femtos: 1_000_000_000))

    /// Input at 0.5 nano-dollars per token, output at 0.499999.
    static let halves = ModelPrice(rates: .init(input: FemtoUSD(femtos: 500_000), output: FemtoUSD(femtos: 499_999)))
}

private func usd(_ femtos: Int64) -> FemtoUSD { FemtoUSD(femtos: femtos) }
/// `prompt_tokens`, `completion_tokens` and more members.
private func figures(_ prompt: Int64, _ completion: Int64, _ more: String...) -> String {
    #"{"prompt_tokens":\#(prompt),"completion_tokens":\#(completion)\#(more.map { "," + $0 }.joined())}"#
}
private func prompt(_ inner: String) -> String { #""prompt_tokens_details":{\#(inner)}"# }
private func completion(_ inner: String) -> String { #""completion_tokens_details":{\#(inner)}"# }

private let openAI: [ChargeCase] = [
    // 10 × 2,000 + 5 × 8,000 + 7
    ChargeCase(name: "plain", json: figures(10, 5), usage: Usage(uncachedInput: 10, output: 5), nanos: 60_007),
    ChargeCase(
        name: "cached, audio and reasoning are parts of the whole",
        json: figures(
            1000, 500, prompt(#""cached_tokens":600,"audio_tokens":100"#),
            completion(#""reasoning_tokens":200,"audio_tokens":50"#)),
        usage: Usage(
            uncachedInput: 300, cacheRead: 600, output: 450, reasoning: 200, audioInput: 100, audioOutput: 50),
        // 300 × 2,000 + 600 × 500 + 100 × 40,000 + 250 × 8,000 + 200 × 10,000 + 50 × 80,000 + 7
        // = 600,000 + 300,000 + 4,000,000 + 2,000,000 + 2,000,000 + 4,000,000 + 7
        nanos: 12_900_007),
    ChargeCase(
        name: "the group's ratio applies to the sum", json: figures(1000, 500, prompt(#""cached_tokens":600"#)),
        usage: Usage(uncachedInput: 400, cacheRead: 600, output: 500),
        // (400 × 2,000 + 600 × 500 + 500 × 8,000 + 7) × 0.85 = 5,100,007 × 0.85 = 4,335,005.95
        nanos: 4_335_006, ratio: PriceRatio(millionths: 850_000)),
    ChargeCase(
        name: "cache writes", json: figures(1000, 0, prompt(#""cached_tokens":600,"cache_write_tokens":200"#)),
        // 200 × 2,000 + 600 × 500 + 200 × 2,500 + 7
        usage: Usage(uncachedInput: 200, cacheRead: 600, cacheWrite5m: 200), nanos: 1_200_007),
    ChargeCase(
        name: "embeddings have a prompt only", json: #"{"prompt_tokens":8,"total_tokens":8}"#,
        usage: Usage(uncachedInput: 8), nanos: 16_007),
    ChargeCase(
        name: "details that are null",
        json: figures(1, 1, #""prompt_tokens_details":null"#, completion(#""reasoning_tokens":null"#)),
        usage: Usage(uncachedInput: 1, output: 1), nanos: 10_007),
    ChargeCase(
        name: "exponents and fractions that are whole", json: #"{"prompt_tokens":1e1,"completion_tokens":5.0}"#,
        usage: Usage(uncachedInput: 10, output: 5), nanos: 60_007),
    ChargeCase(
        name: "half a nano-dollar is rounded up", json: figures(1, 0), usage: Usage(uncachedInput: 1), nanos: 1,
        price: ChargeCase.halves),
    ChargeCase(
        name: "less than half is rounded down", json: figures(0, 1), usage: Usage(output: 1), nanos: 0,
        price: ChargeCase.halves),
    ChargeCase(
        // 1.5 + 1.499997 = 2.999997
        name: "rounded once, not per kind", json: figures(3, 3), usage: Usage(uncachedInput: 3, output: 3), nanos: 3,
        price: ChargeCase.halves),
]

private let fileRules: [ChargeCase] = [
    ChargeCase(
        name: "DeepSeek's hits and misses",
        json: figures(1000, 100, #""prompt_cache_hit_tokens":640"#, #""prompt_cache_miss_tokens":360"#),
        usage: Usage(uncachedInput: 360, cacheRead: 640, output: 100),
        // 360 × 2,000 + 640 × 500 + 100 × 8,000 + 7
        nanos: 1_840_007, rules: UsageRules(cachedTokens: "usage.prompt_cache_hit_tokens")),
    ChargeCase(
        name: "the file's path wins", json: figures(100, 1, #""hits":40"#, prompt(#""cached_tokens":9"#)),
        // 60 × 2,000 + 40 × 500 + 1 × 8,000 + 7
        usage: Usage(uncachedInput: 60, cacheRead: 40, output: 1), nanos: 148_007,
        rules: UsageRules(cachedTokens: "usage.hits")),
    ChargeCase(
        name: "a path that leads nowhere", json: figures(100, 0, prompt(#""cached_tokens":9"#)),
        // 91 × 2,000 + 9 × 500 + 7
        usage: Usage(uncachedInput: 91, cacheRead: 9), nanos: 186_507, rules: UsageRules(cachedTokens: "usage.a.b")),
    ChargeCase(
        name: "cached tokens beside the prompt", json: figures(360, 0, prompt(#""cached_tokens":640"#)),
        // 360 × 2,000 + 640 × 500 + 7
        usage: Usage(uncachedInput: 360, cacheRead: 640), nanos: 1_040_007,
        rules: UsageRules(cachedInsidePrompt: false)),
    ChargeCase(
        name: "paths for writes and reasoning", json: figures(10, 10, #""w":{"n":4}"#, #""r":3"#),
        // 6 × 2,000 + 4 × 2,500 + 7 × 8,000 + 3 × 10,000 + 7
        usage: Usage(uncachedInput: 6, cacheWrite5m: 4, output: 10, reasoning: 3), nanos: 108_007,
        rules: UsageRules(cacheWriteTokens: "usage.w.n", reasoningTokens: "usage.r")),
]

private let openRouter: [ChargeCase] = [
    ChargeCase(
        name: "the vendor's cost does not change a metered charge", json: figures(10, 5, #""cost":0.00014"#),
        usage: Usage(uncachedInput: 10, output: 5, upstreamCost: usd(140_000_000_000)), nanos: 60_007,
        family: .openrouter),
    ChargeCase(
        // 140,000 nano-dollars × 2
        name: "charged by the vendor's cost", json: figures(10, 5, #""cost":1.4e-4"#, #""is_byok":false"#),
        usage: Usage(uncachedInput: 10, output: 5, upstreamCost: usd(140_000_000_000)), nanos: 280_000,
        family: .openrouter, price: .upstreamCost, ratio: PriceRatio(millionths: 2_000_000)),
    ChargeCase(
        // 100,000 + 2,000,000
        name: "own vendor key: fee and inference cost together",
        json: figures(
            1, 1, #""cost_details":{"upstream_inference_cost":0.002}"#, #""is_byok":true"#, #""cost":"0.0001""#),
        usage: Usage(uncachedInput: 1, output: 1, upstreamCost: usd(2_100_000_000_000)), nanos: 2_100_000,
        family: .openrouter, price: .upstreamCost),
    ChargeCase(
        name: "the inference cost is inside the cost otherwise",
        json: figures(1, 1, #""cost":0.002"#, #""cost_details":{"upstream_inference_cost":0.0019}"#),
        usage: Usage(uncachedInput: 1, output: 1, upstreamCost: usd(2_000_000_000_000)), nanos: 2_000_000,
        family: .openrouter, price: .upstreamCost),
    ChargeCase(
        name: "no cost where the cost is charged", json: figures(1, 1, #""cost":null"#),
        usage: Usage(uncachedInput: 1, output: 1), family: .openrouter, price: .upstreamCost),
    ChargeCase(
        name: "a negative cost is none", json: figures(1, 1, #""cost":-1"#),
        usage: Usage(uncachedInput: 1, output: 1), family: .openrouter, price: .upstreamCost),
    ChargeCase(
        name: "searches, told twice, count once",
        json: figures(
            0, 0, #""server_tool_use":{"web_search_requests":3}"#,
            #""server_tool_use_details":{"web_search_requests":3}"#),
        // 3 × 1,000 + 7
        usage: Usage(searches: 3), nanos: 3_007, family: .openrouter),
    ChargeCase(
        name: "a cost from others means nothing", json: figures(1, 0, #""cost":99"#), usage: Usage(uncachedInput: 1),
        nanos: 2_007),
]

private let doubtful: [ChargeCase] = [
    ChargeCase(name: "empty", json: "{}"), ChargeCase(name: "negative", json: figures(-1, 5)),
    ChargeCase(name: "negative part", json: figures(5, 5, prompt(#""cached_tokens":-3"#))),
    ChargeCase(name: "more than a thousand million", json: figures(1_000_000_001, 1)),
    ChargeCase(name: "beyond 64 bits", json: #"{"prompt_tokens":1e30,"completion_tokens":1}"#),
    ChargeCase(name: "text instead of numbers", json: #"{"prompt_tokens":"many","completion_tokens":null}"#),
    ChargeCase(
        name: "parts larger than the whole: the whole is believed",
        json: figures(10, 2, prompt(#""cached_tokens":11"#), completion(#""reasoning_tokens":9"#)),
        // 10 × 2,000 + 2 × 10,000 + 7
        usage: Usage(uncachedInput: 10, output: 2, reasoning: 2), nanos: 40_007),
    ChargeCase(
        name: "audio larger than the completion", json: figures(0, 2, completion(#""audio_tokens":3"#)),
        // 2 × 80,000 + 7
        usage: Usage(audioOutput: 2), nanos: 160_007),
    ChargeCase(name: "completion only", json: #"{"completion_tokens":3}"#, usage: Usage(output: 3), nanos: 24_007),
    ChargeCase(name: "total only", json: #"{"total_tokens":4}"#, usage: Usage(uncachedInput: 4), nanos: 8_007),
]

@Suite struct Charges {
    private func call(_ sample: ChargeCase, body: String) throws -> UpstreamCall {
        try Fixture.call(
            body, spec: Fixture.spec(sample.family, usage: sample.rules), price: sample.price, ratio: sample.ratio)
    }

    @Test(arguments: openAI + fileRules + openRouter + doubtful)
    func `figures and charge of a whole answer`(_ sample: ChargeCase) throws {
        let call = try call(sample, body: #"{"model":"m"}"#)
        let answer = try Fixture.provider(call.channel.provider).decode(
            ByteBuffer(string: #" {"choices":[],"usage":\#(sample.json)}"#), for: call)
        #expect(answer.progress.usage == sample.usage)
        #expect(answer.progress.usage.flatMap { try? call.quote.charge(for: $0) }?.nanos == sample.nanos)
    }

    @Test(arguments: openAI + fileRules + openRouter + doubtful)
    func `a stream's figures are the same`(_ sample: ChargeCase) throws {
        let call = try call(sample, body: #"{"model":"m","stream":true}"#)
        let input = "data: {\"choices\":[],\"usage\":\(sample.json)}\n\ndata: [DONE]\n\n"
        let result = StreamOutcome([Array(input.utf8)], call: call)
        #expect(result.failure == nil && result.out.isEmpty)
        #expect(result.progress.usage == sample.usage)
    }

    @Test(arguments: [(100 as Int64, 120 as Int64), (101, 353)])
    func `the rates of a tier apply to the whole request above its bound`(_ tokens: Int64, _ nanos: Int64) throws {
        // 1 and 2 nano-dollars up to 100 prompt tokens: 100 × 1 + 10 × 2; 3 and 5 above: 101 × 3 + 10 × 5.
        // Cached tokens are part of the prompt that the tier looks at.
        let upper = ModelPrice.Tier(abovePromptTokens: 100, rates: .init(input: usd(3_000_000), output: usd(5_000_000)))
        let price = ModelPrice(rates: .init(input: usd(1_000_000), output: usd(2_000_000)), tiers: [upper])
        let call = try Fixture.call(#"{"model":"m"}"#, spec: Fixture.spec(), price: price)
        let json = #"{"usage":\#(figures(tokens, 10, prompt(#""cached_tokens":50"#)))}"#
        let answer = try Fixture.provider(Fixture.spec()).decode(ByteBuffer(string: json), for: call)
        #expect(try call.quote.charge(for: try #require(answer.progress.usage)).nanos == nanos)
    }
}
