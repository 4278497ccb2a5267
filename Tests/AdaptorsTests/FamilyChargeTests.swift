import NIOCore
import RouterCore
import Testing

@testable import Adaptors

/// A vendor's usage in its own family, what it means and what it costs.
struct FamilyCharge: Sendable, CustomTestStringConvertible {
    var name: String
    var family: AdaptorID
    var json: String
    var usage: Usage?
    /// Nano-dollars.
    var nanos: Int64?
    var rules = UsageRules()
    var price = FamilyCharge.prices

    init(
        _ name: String, _ family: AdaptorID, _ json: String, _ usage: Usage?, _ nanos: Int64?, rules: UsageRules = UsageRules(),
        price: ModelPrice = FamilyCharge.prices
    ) {
        self.name = name
        self.family = family
        self.json = json
        self.usage = usage
        self.nanos = nanos
        self.rules = rules
        self.price = price
    }

    var testDescription: String { "\(family) \(name)" }

    /// In nano-dollars per token: input 3,000; output 15,000; cache read 300; written for five minutes 3,750, for an hour 6,000; audio in
    /// 10,000, audio out 60,000. A search costs 10,000,000.
    static let prices = ModelPrice(
        rates: .init(
            input: FemtoUSD(femtos: 3_000_000_000), output: FemtoUSD(femtos: 15_000_000_000), cacheRead: FemtoUSD(femtos: 300_000_000),
            cacheWrite5m: FemtoUSD(femtos: 3_750_000_000), cacheWrite1h: FemtoUSD(femtos: 6_000_000_000),
            audioInput: FemtoUSD(femtos: 10_000_000_000), audioOutput: FemtoUSD(femtos: 60_000_000_000)),
        search: FemtoUSD(femtos: 10_000_000_000_000))

    /// The same, and above 200,000 prompt tokens input 6,000, output 22,500 and cache read 600 for the whole request.
    static let tiered = ModelPrice(
        rates: prices.rates,
        tiers: [
            .init(
                abovePromptTokens: 200_000,
                rates: .init(
                    input: FemtoUSD(femtos: 6_000_000_000), output: FemtoUSD(femtos: 22_500_000_000),
                    cacheRead: FemtoUSD(femtos: 600_000_000)))
        ])

    /// The whole answer around it.
    var answer: String {
        switch family {
        case .anthropic: "{\"content\":[{\"type\":\"text\",\"text\":\"x\"}],\"stop_reason\":\"end_turn\",\"usage\":\(json)}"
        case .gemini:
            "{\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"x\"}]},\"finishReason\":\"STOP\"}],\"usageMetadata\":\(json)}"
        case .cohere: "{\"message\":{\"content\":[{\"type\":\"text\",\"text\":\"x\"}]},\"finish_reason\":\"COMPLETE\",\"usage\":\(json)}"
        default: "{\"choices\":[{\"index\":0,\"message\":{\"content\":\"x\"},\"finish_reason\":\"stop\"}],\"usage\":\(json)}"
        }
    }
}

private let messages: [FamilyCharge] = [
    // 100 × 3,000 + 10 × 15,000
    .init("plain", .anthropic, #"{"input_tokens":100,"output_tokens":10}"#, Usage(uncachedInput: 100, output: 10), 450_000),
    .init(
        "cached tokens stand beside the input", .anthropic,
        #"{"input_tokens":100,"cache_read_input_tokens":1000,"cache_creation_input_tokens":200,"output_tokens":10}"#,
        // 100 × 3,000 + 1,000 × 300 + 200 × 3,750 + 10 × 15,000 = 300,000 + 300,000 + 750,000 + 150,000
        Usage(uncachedInput: 100, cacheRead: 1000, cacheWrite5m: 200, output: 10), 1_500_000),
    .init(
        "written for five minutes and for an hour", .anthropic,
        #"{"input_tokens":100,"cache_creation_input_tokens":200,"cache_creation":{"ephemeral_5m_input_tokens":50,"ephemeral_1h_input_tokens":150},"output_tokens":10}"#,
        // 100 × 3,000 + 50 × 3,750 + 150 × 6,000 + 10 × 15,000 = 300,000 + 187,500 + 900,000 + 150,000
        Usage(uncachedInput: 100, cacheWrite5m: 50, cacheWrite1h: 150, output: 10), 1_537_500),
    .init(
        "a split without its sum", .anthropic,
        #"{"input_tokens":1,"cache_creation":{"ephemeral_1h_input_tokens":2},"output_tokens":0}"#,
        // 3,000 + 2 × 6,000
        Usage(uncachedInput: 1, cacheWrite1h: 2), 15_000),
    .init(
        "searches", .anthropic, #"{"input_tokens":1,"output_tokens":1,"server_tool_use":{"web_search_requests":2}}"#,
        // 3,000 + 15,000 + 2 × 10,000,000
        Usage(uncachedInput: 1, output: 1, searches: 2), 20_018_000),
    .init(
        "nulls", .anthropic, #"{"input_tokens":1,"cache_read_input_tokens":null,"cache_creation":null,"output_tokens":1}"#,
        Usage(uncachedInput: 1, output: 1), 18_000),
    .init("a negative count is not believed", .anthropic, #"{"input_tokens":-1,"output_tokens":1}"#, nil, nil),
    .init("nor an absurd one", .anthropic, #"{"input_tokens":1,"output_tokens":1e18}"#, nil, nil),
    .init("nothing", .anthropic, "{}", nil, nil),
    .init(
        "a vendor that counts cached tokens inside", .anthropic,
        #"{"input_tokens":1000,"cache_read_input_tokens":600,"output_tokens":0}"#,
        // 400 × 3,000 + 600 × 300
        Usage(uncachedInput: 400, cacheRead: 600), 1_380_000, rules: UsageRules(cachedInsidePrompt: true)),
    .init(
        "cached tokens count for the tier", .anthropic, #"{"input_tokens":1,"cache_read_input_tokens":200000,"output_tokens":2}"#,
        // 200,001 tokens: 6,000 + 200,000 × 600 + 2 × 22,500 = 6,000 + 120,000,000 + 45,000
        Usage(uncachedInput: 1, cacheRead: 200_000, output: 2), 120_051_000, price: FamilyCharge.tiered),
    .init(
        "at the bound of the tier", .anthropic, #"{"input_tokens":0,"cache_read_input_tokens":200000,"output_tokens":2}"#,
        // 200,000 × 300 + 2 × 15,000
        Usage(cacheRead: 200_000, output: 2), 60_030_000, price: FamilyCharge.tiered),
]

private let others: [FamilyCharge] = [
    // 100 × 3,000 + 10 × 15,000
    .init(
        "plain", .gemini, #"{"promptTokenCount":100,"candidatesTokenCount":10,"totalTokenCount":110}"#,
        Usage(uncachedInput: 100, output: 10), 450_000),
    .init(
        "thoughts stand beside the answer", .gemini, #"{"promptTokenCount":100,"candidatesTokenCount":10,"thoughtsTokenCount":90}"#,
        // 100 × 3,000 + 100 × 15,000
        Usage(uncachedInput: 100, output: 100, reasoning: 90), 1_800_000),
    .init(
        "cached tokens are inside the prompt", .gemini,
        #"{"promptTokenCount":1000,"cachedContentTokenCount":600,"candidatesTokenCount":0}"#,
        // 400 × 3,000 + 600 × 300
        Usage(uncachedInput: 400, cacheRead: 600), 1_380_000),
    .init(
        "what tools add to the prompt stands beside it", .gemini,
        #"{"promptTokenCount":100,"toolUsePromptTokenCount":50,"candidatesTokenCount":1}"#,
        // 150 × 3,000 + 15,000
        Usage(uncachedInput: 150, output: 1), 465_000),
    .init(
        "audio has its own price", .gemini,
        #"{"promptTokenCount":100,"promptTokensDetails":[{"modality":"TEXT","tokenCount":40},{"modality":"AUDIO","tokenCount":60}],"candidatesTokenCount":30,"candidatesTokensDetails":[{"modality":"AUDIO","tokenCount":20}]}"#,
        // 40 × 3,000 + 60 × 10,000 + 10 × 15,000 + 20 × 60,000 = 120,000 + 600,000 + 150,000 + 1,200,000
        Usage(uncachedInput: 40, output: 10, audioInput: 60, audioOutput: 20), 2_070_000),
    .init("an answer without tokens", .gemini, #"{"promptTokenCount":7}"#, Usage(uncachedInput: 7), 21_000),
    .init("a negative count is not believed", .gemini, #"{"promptTokenCount":7,"candidatesTokenCount":-1}"#, nil, nil),
    .init(
        "the whole prompt counts for the tier", .gemini,
        #"{"promptTokenCount":200001,"cachedContentTokenCount":200000,"candidatesTokenCount":2}"#,
        // 6,000 + 200,000 × 600 + 2 × 22,500
        Usage(uncachedInput: 1, cacheRead: 200_000, output: 2), 120_051_000, price: FamilyCharge.tiered),
    .init(
        "billed units win", .cohere,
        #"{"billed_units":{"input_tokens":100,"output_tokens":10},"tokens":{"input_tokens":700,"output_tokens":12}}"#,
        Usage(uncachedInput: 100, output: 10), 450_000),
    .init(
        "tokens where nothing else is said", .cohere, #"{"tokens":{"input_tokens":100,"output_tokens":10}}"#,
        Usage(uncachedInput: 100, output: 10), 450_000),
    .init(
        "search units", .cohere, #"{"billed_units":{"input_tokens":1,"output_tokens":1,"search_units":1}}"#,
        // 3,000 + 15,000 + 10,000,000
        Usage(uncachedInput: 1, output: 1, searches: 1), 10_018_000),
    .init("nothing", .cohere, "{}", nil, nil),
    .init(
        "cached tokens are inside the prompt", .openai,
        #"{"prompt_tokens":1000,"completion_tokens":10,"prompt_tokens_details":{"cached_tokens":600},"completion_tokens_details":{"reasoning_tokens":4}}"#,
        // 400 × 3,000 + 600 × 300 + 10 × 15,000
        Usage(uncachedInput: 400, cacheRead: 600, output: 10, reasoning: 4), 1_530_000),
    .init(
        "a vendor's own place for cached tokens", .openai, #"{"prompt_tokens":1000,"completion_tokens":0,"prompt_cache_hit_tokens":600}"#,
        Usage(uncachedInput: 400, cacheRead: 600), 1_380_000, rules: UsageRules(cachedTokens: "usage.prompt_cache_hit_tokens")),
]

@Suite struct FamilyCharges {
    /// The figures are the same whatever dialect the client speaks, and so is the charge.
    @Test(arguments: messages + others, Matrix.dialects)
    func `usage and charge`(_ sample: FamilyCharge, _ dialect: Endpoint) throws {
        let spec = Fixture.spec(sample.family, usage: sample.rules)
        let call = try Fixture.call(#"{"model":"m"}"#, spec: spec, endpoint: dialect, price: sample.price)
        let answer = try Fixture.provider(spec).decode(ByteBuffer(string: sample.answer), for: call)
        #expect(answer.progress.usage == sample.usage)
        let charge = try sample.usage.map { try call.quote.charge(for: $0) }
        #expect(charge?.nanos == sample.nanos)
        let shown = try JSONValue(parsing: answer.body)[dialect == .gemini ? "usageMetadata" : "usage"]
        switch dialect {
        case .gemini:
            if let usage = sample.usage, sample.family != .gemini {
                #expect(shown?["cost"] == nil && shown?["promptTokenCount"]?.integerValue == usage.promptTokens)
                #expect(shown?["cachedContentTokenCount"]?.integerValue ?? 0 == usage.cacheRead)
                #expect(shown?["candidatesTokenCount"]?.integerValue == usage.completionTokens - usage.reasoning)
                #expect(shown?["thoughtsTokenCount"]?.integerValue ?? 0 == usage.reasoning)
            }
        case .messages:
            #expect(shown?["cost"] == nil)
            if let usage = sample.usage, sample.family != .anthropic {
                #expect(shown?["input_tokens"]?.integerValue == usage.uncachedInput + usage.audioInput)
                #expect(shown?["cache_read_input_tokens"]?.integerValue == usage.cacheRead)
                #expect(shown?["output_tokens"]?.integerValue == usage.completionTokens)
            }
        case .responses: #expect(shown?["cost"]?.numberText == charge?.usdText)
        default:
            #expect(shown?["cost"]?.numberText == charge?.usdText || sample.usage == nil)
            if let usage = sample.usage {
                #expect(shown?["prompt_tokens"]?.integerValue == usage.promptTokens)
                #expect(shown?["completion_tokens"]?.integerValue == usage.completionTokens)
            }
        }
    }

    @Test func `a stream's last figures win over its first`() throws {
        let call = try Fixture.call(#"{"model":"m","stream":true}"#, spec: Fixture.spec(.anthropic))
        let text = try Golden.input("stream.anthropic.sse").replacingOnce(
            #""usage":{"output_tokens":30}"#, #""usage":{"input_tokens":61,"output_tokens":31}"#)
        #expect(
            StreamOutcome([Array(text.utf8)], call: call).progress.usage
                == Usage(uncachedInput: 61, cacheRead: 40, cacheWrite5m: 5, cacheWrite1h: 15, output: 31))
    }
}
