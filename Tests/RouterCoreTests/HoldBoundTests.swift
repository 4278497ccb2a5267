import NIOCore
import RouterCore
import Testing

/// Strict admission rests on this: whatever a vendor counts within the bound, the charge is not more than the hold.
@Suite struct HoldBoundTests {
    private func price(_ rng: inout SplitMix64) -> FemtoUSD { FemtoUSD(femtos: Int64(rng.below(60_000_000_000))) }

    private func optionalPrice(_ rng: inout SplitMix64) -> FemtoUSD? { rng.below(2) == 0 ? nil : price(&rng) }

    private func rates(_ rng: inout SplitMix64) -> ModelPrice.Rates {
        ModelPrice.Rates(
            input: price(&rng), output: price(&rng), cacheRead: optionalPrice(&rng), cacheWrite5m: optionalPrice(&rng),
            cacheWrite1h: optionalPrice(&rng), reasoning: optionalPrice(&rng), audioInput: optionalPrice(&rng),
            audioOutput: optionalPrice(&rng))
    }

    /// Some split of at most `total` into parts.
    private func parts(_ total: Int64, _ count: Int, _ rng: inout SplitMix64) -> [Int64] {
        var left = total
        return (0..<count).map { _ in
            let part = Int64(rng.below(UInt64(left + 1)))
            left -= part
            return part
        }
    }

    @Test func `no usage within the bound costs more than the hold`() throws {
        for seed in 0..<3_000 as Range<UInt64> {
            var rng = SplitMix64(seed: seed)
            let tiers = (0..<Int(rng.below(3))).map { _ in
                ModelPrice.Tier(abovePromptTokens: Int64(rng.below(200_000)), rates: rates(&rng))
            }
            let services = ["flex", "priority", "batch"].map { ModelPrice.ServiceTier(name: $0, rates: rates(&rng), tiers: tiers) }
            let model = ModelPrice(
                rates: rates(&rng), tiers: tiers, serviceTiers: services, image: price(&rng), request: price(&rng), search: .zero)
            let asked = [nil, "auto", "flex", "priority"][Int(rng.below(4))]
            let quote = PriceQuote(
                price: model, ratio: try PriceRatio(text: ["0", "0.5", "1.0", "1.234567", "40"][Int(rng.below(5))]), version: 1,
                askedTier: asked)
            // What may serve it: the usual, what was asked for, or with auto any but a batch.
            let served = asked == "auto" ? [nil, "default", "flex", "priority"] : [nil, "default", asked]
            let bound = UsageBound(
                promptTokens: Int64(rng.below(300_000)), outputTokens: Int64(rng.below(20_000)), choices: Int64(rng.below(8)) + 1,
                images: Int64(rng.below(4)))
            let hold = try quote.worstCase(bound, upstreamCostFallback: .zero)
            for _ in 0..<8 {
                let input = parts(bound.promptTokens, 5, &rng)
                let output = parts(bound.outputTokens * bound.choices, 2, &rng)
                let usage = Usage(
                    uncachedInput: input[0], cacheRead: input[1], cacheWrite5m: input[2], cacheWrite1h: input[3], output: output[0],
                    reasoning: Int64(rng.below(UInt64(output[0] + 1))), audioInput: input[4], audioOutput: output[1],
                    images: Int64(rng.below(UInt64(bound.images + 1))), requests: 1,
                    serviceTier: served[Int(rng.below(UInt64(served.count)))])
                let charge = try quote.charge(for: usage)
                #expect(charge <= hold, "seed \(seed): \(usage) costs \(charge), held \(hold)")
            }
        }
    }

    @Test(arguments: [
        (#"{"model":"m","messages":[]}"#, #"{"max_tokens":7,"model":"m","messages":[]}"#),
        (#"{"model":"m","max_tokens": 900 ,"x":1}"#, #"{"model":"m","max_tokens": 7 ,"x":1}"#),
        (#" { "max_completion_tokens":1e3,"model":"m"}"#, #" { "max_completion_tokens":7,"model":"m"}"#),
        (#"{"max_completion_tokens":12,"model":"m","max_tokens":null}"#, #"{"max_completion_tokens":7,"model":"m","max_tokens":7}"#),
    ])
    func `a bound is told in the field that the client used`(_ body: String, _ expected: String) throws {
        let limited = try RequestEnvelope(body: ByteBuffer(string: body), endpoint: .chat).limitingOutput(to: 7)
        #expect(String(buffer: limited.body) == expected)
        #expect(limited.maxOutputTokens == 7)
    }
}
