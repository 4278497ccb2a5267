import NIOCore
import RouterCore
import Testing

@testable import Adaptors

@Suite struct UsageTests {
    struct Case: CustomTestStringConvertible {
        var usage: String
        var expected: Usage
        /// Nano-dollars.
        var charge: Int64
        var rules = UsageRules()
        var testDescription: String { usage }
    }

    private func decode(
        _ usage: String, family: AdaptorID = .openai, rules: UsageRules = UsageRules(), price: ModelPrice = Fixture.partedPrice,
        ratio: PriceRatio = .one
    ) throws -> WholeAnswer {
        let spec = Fixture.spec(family, usage: rules)
        let call = try Fixture.call(#"{"model":"a"}"#, spec: spec, price: price, ratio: ratio)
        return try Fixture.provider(spec).decode(ByteBuffer(string: #"{"usage":\#(usage)}"#), for: call)
    }

    @Test(arguments: [
        Case(
            usage: #"{"prompt_tokens":10,"completion_tokens":5,"total_tokens":15}"#,
            expected: Usage(uncachedInput: 10, output: 5), charge: 20_000),
        Case(
            usage: #"{"prompt_tokens":10,"completion_tokens":5,"prompt_tokens_details":{"cached_tokens":4}}"#,
            expected: Usage(uncachedInput: 6, cacheRead: 4, output: 5), charge: 16_400),
        Case(
            usage:
                #"{"prompt_tokens":10,"completion_tokens":5,"prompt_tokens_details":{"cached_tokens":4,"cache_write_tokens":3,"audio_tokens":2}}"#,
            expected: Usage(uncachedInput: 1, cacheRead: 4, cacheWrite5m: 3, output: 5, audioInput: 2), charge: 25_150),
        Case(
            usage: #"{"prompt_tokens":10,"completion_tokens":5,"completion_tokens_details":{"reasoning_tokens":3,"audio_tokens":1}}"#,
            expected: Usage(uncachedInput: 10, output: 4, reasoning: 3, audioOutput: 1), charge: 28_000),
        // Parts over the whole are not believed; the sum stays the prompt.
        Case(
            usage: #"{"prompt_tokens":10,"completion_tokens":5,"prompt_tokens_details":{"cached_tokens":40}}"#,
            expected: Usage(uncachedInput: 10, output: 5), charge: 20_000),
        Case(
            usage: #"{"prompt_tokens":10,"completion_tokens":5,"prompt_tokens_details":{"cached_tokens":8,"audio_tokens":5}}"#,
            expected: Usage(uncachedInput: 2, cacheRead: 8, output: 5), charge: 12_800),
        Case(
            usage: #"{"prompt_tokens":10,"completion_tokens":5,"completion_tokens_details":{"reasoning_tokens":9}}"#,
            expected: Usage(uncachedInput: 10, output: 5, reasoning: 5), charge: 20_000),
        Case(usage: #"{"prompt_tokens":0,"completion_tokens":0}"#, expected: Usage(), charge: 0),
        Case(usage: #"{"total_tokens":7}"#, expected: Usage(uncachedInput: 7), charge: 7_000),
        Case(
            usage: #"{"completion_tokens":5,"total_tokens":15}"#, expected: Usage(uncachedInput: 10, output: 5), charge: 20_000),
        Case(usage: #"{"prompt_tokens":1e1,"completion_tokens":5.0}"#, expected: Usage(uncachedInput: 10, output: 5), charge: 20_000),
        Case(
            usage:
                #"{"prompt_tokens":10,"completion_tokens":5,"prompt_tokens_details":null,"completion_tokens_details":{"reasoning_tokens":null}}"#,
            expected: Usage(uncachedInput: 10, output: 5), charge: 20_000),
        Case(
            usage: #"{"prompt_tokens":10,"completion_tokens":5,"server_tool_use":{"web_search_requests":2}}"#,
            expected: Usage(uncachedInput: 10, output: 5, searches: 2), charge: 20_020_000),
        Case(
            usage:
                #"{"prompt_tokens":10,"completion_tokens":5,"server_tool_use_details":{"web_search_requests":2},"server_tool_use":{"web_search_requests":2}}"#,
            expected: Usage(uncachedInput: 10, output: 5, searches: 2), charge: 20_020_000),
        // DeepSeek's own name for cached tokens.
        Case(
            usage: #"{"prompt_tokens":10,"completion_tokens":5,"prompt_cache_hit_tokens":4,"prompt_cache_miss_tokens":6}"#,
            expected: Usage(uncachedInput: 6, cacheRead: 4, output: 5), charge: 16_400,
            rules: UsageRules(cachedTokens: "usage.prompt_cache_hit_tokens")),
        Case(
            usage: #"{"prompt_tokens":10,"completion_tokens":5,"prompt_tokens_details":{"cached_tokens":40}}"#,
            expected: Usage(uncachedInput: 10, cacheRead: 40, output: 5), charge: 24_000,
            rules: UsageRules(cachedInsidePrompt: false)),
        Case(
            usage: #"{"prompt_tokens":10,"completion_tokens":5,"r":{"n":2},"w":3}"#,
            expected: Usage(uncachedInput: 7, cacheWrite5m: 3, output: 5, reasoning: 2), charge: 20_750,
            rules: UsageRules(cacheWriteTokens: "usage.w", reasoningTokens: "usage.r.n")),
    ])
    func `figures become usage and charge`(_ test: Case) throws {
        let answer = try decode(test.usage, rules: test.rules)
        #expect(answer.progress.usage == test.expected)
        let quote = PriceQuote(price: Fixture.partedPrice, ratio: .one, version: 1)
        #expect(try quote.charge(for: #require(answer.progress.usage)) == NanoUSD(nanos: test.charge))
        #expect(String(buffer: answer.body).contains(#""cost":\#(NanoUSD(nanos: test.charge).usdText)}"#))
    }

    @Test(arguments: [
        "{}", "null", "[]", "7", #"{"prompt_tokens":null}"#, #"{"prompt_tokens":-1,"completion_tokens":5}"#,
        #"{"prompt_tokens":10,"completion_tokens":1e30}"#, #"{"prompt_tokens":10,"completion_tokens":1000000001}"#,
        #"{"prompt_tokens":"12","completion_tokens":5}"#, #"{"prompt_tokens":1.5,"completion_tokens":5}"#,
        #"{"prompt_tokens":10,"completion_tokens":5,"prompt_tokens_details":{"cached_tokens":-4}}"#,
    ])
    func `figures that cannot be true are no usage`(_ usage: String) throws {
        let answer = try decode(usage)
        #expect(answer.progress.usage == nil)
        #expect(String(buffer: answer.body) == #"{"usage":\#(usage)}"#)
    }

    @Test(arguments: [
        (#""cost":0.00042"#, 420_000_000_000 as Int64?), (#""cost":4.2e-4"#, 420_000_000_000), (#""cost":"1e-05""#, 10_000_000_000),
        (#""cost":0"#, 0), (#""cost":null"#, nil), (#""cost":-1"#, nil), (#""cost":"free""#, nil), (#""x":1"#, nil),
        (#""cost":0.00001,"is_byok":true,"cost_details":{"upstream_inference_cost":0.0002}"#, 210_000_000_000),
        (#""cost":0.00001,"is_byok":true,"cost_details":{"upstream_inference_cost":null}"#, 10_000_000_000),
        (#""cost":0.00001,"is_byok":false,"cost_details":{"upstream_inference_cost":0.0002}"#, 10_000_000_000),
    ])
    func `OpenRouter reports its cost`(_ members: String, _ femtos: Int64?) throws {
        let usage = #"{"prompt_tokens":10,"completion_tokens":5,\#(members)}"#
        #expect(try decode(usage, family: .openrouter).progress.usage?.upstreamCost == femtos.map { FemtoUSD(femtos: $0) })
        #expect(try decode(usage, family: .openai).progress.usage?.upstreamCost == nil)
    }

    @Test func `the client sees our charge, not the vendor's`() throws {
        func shown(
            _ usage: String, _ family: AdaptorID = .openrouter, price: ModelPrice = Fixture.partedPrice, ratio: PriceRatio = .one
        ) throws -> String {
            String(buffer: try decode(usage, family: family, price: price, ratio: ratio).body)
        }
        #expect(
            try shown(#"{"cost" : 0.5 ,"prompt_tokens":10,"completion_tokens":5}"#)
                == #"{"usage":{"cost" : 0.00002 ,"prompt_tokens":10,"completion_tokens":5}}"#)
        #expect(
            try shown(#"{"prompt_tokens":10,"completion_tokens":5 }"#, .openai)
                == #"{"usage":{"prompt_tokens":10,"completion_tokens":5 ,"cost":0.00002}}"#)
        #expect(
            try shown(#"{"prompt_tokens":10,"completion_tokens":5,"cost":null}"#, ratio: PriceRatio(text: "1.5"))
                == #"{"usage":{"prompt_tokens":10,"completion_tokens":5,"cost":0.00003}}"#)
        // Charged by the vendor's cost: that cost times the ratio.
        #expect(
            try shown(#"{"prompt_tokens":10,"completion_tokens":5,"cost":0.5}"#, price: .upstreamCost, ratio: PriceRatio(text: "1.1"))
                == #"{"usage":{"prompt_tokens":10,"completion_tokens":5,"cost":0.55}}"#)
        // What cannot be charged from the figures is not passed off as our charge.
        #expect(
            try shown(#"{"prompt_tokens":-10,"completion_tokens":5,"cost":0.5}"#)
                == #"{"usage":{"prompt_tokens":-10,"completion_tokens":5,"cost":null}}"#)
    }
}
