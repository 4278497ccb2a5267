import NIOCore
import RouterCore
import Testing

@testable import Adaptors

@Suite struct VendorCharges {
    private func call(_ sample: VendorCharge, stream: Bool = false) throws -> UpstreamCall {
        var spec = Fixture.spec(sample.family, usage: sample.rules)
        spec.endpoints = Dictionary(uniqueKeysWithValues: Endpoint.allCases.map { ($0, String?.none) })
        let body = stream ? sample.request.replacingOnce("{", #"{"stream":true,"#) : sample.request
        var call = try Fixture.call(body, spec: spec, endpoint: sample.endpoint, price: sample.price, ratio: sample.ratio)
        call.quote.askedTier = sample.asked
        return call
    }

    private func nanos(_ progress: AnswerProgress, _ call: UpstreamCall) -> Int64? {
        progress.usage.flatMap { try? call.quote.charge(for: $0) }?.nanos
    }

    @Test(arguments: VendorCharge.all) func `an answer and its charge`(_ sample: VendorCharge) throws {
        let call = try call(sample)
        let answer = try Fixture.provider(call.channel.provider).decode(ByteBuffer(string: sample.answer), for: call)
        #expect(nanos(answer.progress, call) == sample.nanos)
        #expect(!answer.progress.isUsageEstimated)
        if sample.endpoint == .chat, let nanos = sample.nanos {
            // What the client reads is what is charged.
            let shown = try JSONValue(parsing: answer.body)["usage"]?["cost"]?.numberText
            #expect(shown == NanoUSD(nanos: nanos).usdText)
        }
    }

    /// Chunks name the tier; the last one has the usage.
    @Test(arguments: ["default", "flex", "priority"]) func `a stream names its tier`(_ tier: String) throws {
        let call = try call(
            VendorCharge(name: "", nanos: 0, answer: "", price: VendorCharge.serviceTiers[0].price, asked: "auto"), stream: true)
        let usage = #""usage":{"prompt_tokens":100,"completion_tokens":10}"#
        for service in [#""service_tier":"\#(tier)","#, ""] {
            let text =
                "data: {\"service_tier\":\"\(tier)\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"x\"},\"finish_reason\":\"stop\"}]}\n\n"
                + "data: {\(service)\"choices\":[],\(usage)}\n\ndata: [DONE]\n\n"
            let outcome = StreamOutcome([Array(text.utf8)], call: call)
            // 100 × 1,250 + 10 × 10,000; half of it; twice
            #expect(nanos(outcome.progress, call) == ["default": 225_000, "flex": 112_500, "priority": 450_000][tier])
            #expect(outcome.progress.serviceTier == tier)
        }
    }

    @Test func `a stream of Responses names its tier with its usage`() throws {
        let call = try call(
            VendorCharge(name: "", nanos: 0, answer: "", price: VendorCharge.serviceTiers[0].price, endpoint: .responses), stream: true)
        let text = """
            data: {"type":"response.created","response":{"id":"r","service_tier":"auto"}}

            data: {"type":"response.output_text.delta","delta":"x"}

            data: {"type":"response.completed","response":{"id":"r","service_tier":"priority","usage":{"input_tokens":100,"output_tokens":10}}}


            """
        let outcome = StreamOutcome([Array(text.utf8)], call: call)
        #expect(nanos(outcome.progress, call) == 450_000)
    }

    /// The hold covers the dearest tier that the request allows: 100 × 1,250 + 10 × 10,000, twice as much with priority.
    @Test(
        arguments: [
            (nil, 225_000), ("default", 225_000), ("flex", 225_000), ("priority", 450_000), ("auto", 450_000), ("nonsense", 225_000),
        ] as [(String?, Int64)])
    func `the hold is for the dearest tier that may serve`(_ asked: String?, _ nanos: Int64) throws {
        let quote = PriceQuote(price: VendorCharge.serviceTiers[0].price, ratio: .one, version: 1, askedTier: asked)
        let bound = UsageBound(promptTokens: 100, outputTokens: 10)
        #expect(try quote.worstCase(bound, upstreamCostFallback: .zero).nanos == nanos)
    }

    @Test func `a batch is never a reason for a higher hold`() throws {
        var price = VendorCharge.serviceTiers[0].price
        price.serviceTiers = [.init(name: "batch", rates: .init(input: FemtoUSD(femtos: .max), output: FemtoUSD(femtos: .max)))]
        let quote = PriceQuote(price: price, ratio: .one, version: 1, askedTier: "auto")
        #expect(try quote.worstCase(UsageBound(promptTokens: 100, outputTokens: 10), upstreamCostFallback: .zero).nanos == 225_000)
    }

    @Test func `which tier a vendor is asked for`() throws {
        func asked(_ body: String) throws -> String? { try RequestEnvelope(body: ByteBuffer(string: body), endpoint: .chat).serviceTier }
        #expect(try asked(#"{"model":"m","service_tier":"flex"}"#) == "flex")
        #expect(try asked(#"{"model":"m","service_tier":null}"#) == nil)
        #expect(throws: RequestEnvelope.Rejection.self) { try asked(#"{"model":"m","service_tier":7}"#) }
        #expect(throws: RequestEnvelope.Rejection.self) { try asked(#"{"model":"m","service_t\u0069er":"flex"}"#) }
        let tier = RequestRules.Field(name: "service_tier", json: "\"priority\"")
        #expect(RequestRules().serviceTier(asked: "flex") == "flex")
        #expect(RequestRules(drop: ["service_tier"]).serviceTier(asked: "flex") == nil)
        #expect(RequestRules(defaults: [tier]).serviceTier(asked: "flex") == "flex")
        #expect(RequestRules(defaults: [tier]).serviceTier(asked: nil) == "priority")
        #expect(RequestRules(set: [tier]).serviceTier(asked: "flex") == "priority")
    }
}
