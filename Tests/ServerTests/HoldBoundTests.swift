import NIOCore
import RouterCore
import Testing

@testable import Config
@testable import Gateway
@testable import GatewayState
@testable import Server

/// The hold that follows from the worst cases of the candidates.
@Suite struct HoldBoundTests {
    private func bound(_ model: String, beyond: Int64, isStrict: Bool) throws -> HoldBound {
        var provider = ProviderSpec(name: "p", family: .openai, baseURL: "https://p.example")
        provider.billing.thinkingBeyondLimit = beyond
        let channel = Channel(id: 1, name: "c", provider: provider, keys: [], models: [Channel.Model(pattern: "m", upstream: model)])
        let price = ModelPrice(rates: ModelPrice.Rates(input: .zero, output: FemtoUSD(femtos: 1_000_000)))
        let candidate = PricedCandidate(
            route: RouteCandidate(channel: SharedChannel(channel), keyIndex: -1, model: "m", upstreamModel: model),
            quote: PriceQuote(price: price, ratio: .one, version: 1), maxOutputTokens: nil, contextLength: nil)
        let body = ByteBuffer(string: #"{"model":"m","max_tokens":100,"messages":[{"role":"user","content":"a"}]}"#)
        let envelope = try RequestEnvelope(body: body, endpoint: .chat)
        return HoldBound(
            candidates: [candidate], envelope: envelope, metering: GatewayConfiguration.Metering(),
            strict: isStrict ? try StrictBound(envelope) : nil)
    }

    @Test("audit 1: thoughts that the vendor's max_tokens does not bound are held in strict admission")
    func thoughtsBeyondLimit() throws {
        #expect(try bound("deepseek-ai/DeepSeek-R1", beyond: 32_768, isStrict: true).amount(output: 100).nanos == 32_868)
        #expect(try bound("deepseek-ai/DeepSeek-R1", beyond: 0, isStrict: true).amount(output: 100).nanos == 100)
        #expect(try bound("Qwen/Qwen2.5-7B-Instruct", beyond: 32_768, isStrict: true).amount(output: 100).nanos == 100)
        #expect(try bound("deepseek-ai/DeepSeek-R1", beyond: 32_768, isStrict: false).amount(output: nil).nanos == 100)
        // The answer gets what the balance leaves after the reasoning.
        let strict = try bound("deepseek-ai/DeepSeek-R1", beyond: 32_768, isStrict: true)
        #expect(try strict.output(affordableWith: NanoUSD(nanos: 32_800), below: 100) == 32)
        #expect(try strict.output(affordableWith: NanoUSD(nanos: 32_000), below: 100) == nil)
    }
}
