import NIOCore
import RouterCore
import Testing

@testable import Adaptors

/// A client that leaves at every event of the recorded streams of every family, in every dialect: what it is charged
/// never falls below what the vendor bills by its own rules.
@Suite struct LeavingProperty {
    private static let dialects: [Endpoint] = [.chat, .responses, .messages, .gemini]
    private static let families: [AdaptorID] = [.openai, .anthropic, .gemini, .cohere, .bedrock]
    private static let hold = NanoUSD(nanos: .max)

    /// The stream in its events.
    private static func events(_ family: AdaptorID) throws -> [[UInt8]] {
        if family == .bedrock { return try Bedrock.messages() }
        var events: [[UInt8]] = [[]]
        for byte in try Golden.input("stream.\(family).sse").utf8 {
            events[events.count - 1].append(byte)
            if events[events.count - 1].suffix(2) == [10, 10] { events.append([]) }
        }
        return events.filter { !$0.isEmpty }
    }

    private static func call(_ dialect: Endpoint, _ family: AdaptorID) throws -> UpstreamCall {
        let text = try Golden.input("request.\(dialect.rawValue).json")
        let price = ModelPrice(
            rates: .init(
                input: FemtoUSD(femtos: 2_000_000_000), output: FemtoUSD(femtos: 8_000_000_000),
                cacheRead: FemtoUSD(femtos: 200_000_000),
                cacheWrite5m: FemtoUSD(femtos: 2_500_000_000), cacheWrite1h: FemtoUSD(femtos: 4_000_000_000)))
        var spec = Fixture.spec(family)
        if family == .bedrock { spec.baseURL = "https://bedrock-runtime.eu-west-1.amazonaws.com" }
        return try Fixture.call(text, spec: spec, endpoint: dialect, upstream: "up", price: price)
    }

    /// What the gateway charges somebody who leaves now and whose call is cut now.
    private static func charge(
        _ progress: AnswerProgress, _ call: UpstreamCall, _ thinking: ThinkingEstimate, hold: NanoUSD = hold
    ) throws -> NanoUSD {
        let envelope = call.envelope
        let usage =
            progress.hasContent
            ? envelope.settledUsage(progress, price: call.quote.price).usage
            : progress.usage ?? envelope.handedOverUsage(price: call.quote.price)
        guard !progress.isDone else { return try call.quote.charge(for: usage) }
        return try call.quote.bill(for: usage, with: thinking, seen: progress.deliveredThoughts, hold: hold).bill.charge
    }

    /// What the vendor bills where closing the connection ends it: the prompt, what was written, and what was thought
    /// until then. It counts texts as we do, so that what differs is what we do not know of.
    private static func bill(_ progress: AnswerProgress, _ call: UpstreamCall, thought: Int64) throws -> NanoUSD {
        var usage = progress.usage ?? call.envelope.handedOverUsage(price: call.quote.price)
        let words = progress.estimatedOutputTokens - progress.deliveredThoughts
        let thoughts = max(thought, progress.deliveredThoughts)
        if thoughts + words > usage.output {
            usage.output = thoughts + words
            usage.reasoning = max(usage.reasoning, thoughts)
        }
        return try call.quote.charge(for: usage)
    }

    @Test("audit 2: leaving at every event never costs less than the vendor bills", arguments: dialects, families)
    func cut(_ dialect: Endpoint, _ family: AdaptorID) throws {
        let call = try Self.call(dialect, family)
        var seed = SplitMix64(seed: 0x2_2026)
        for event in 0...(try Self.events(family).count) {
            var decoder = Fixture.provider(call.channel.provider).streamDecoder(for: call)
            var out = ByteBuffer()
            for bytes in try Self.events(family).prefix(event) where !decoder.isDone {
                try decoder.push(ByteBuffer(bytes: bytes), into: &out)
            }
            let progress = decoder.progress
            for _ in 0..<20 {
                // The model thinks for some time at some speed; what was measured of it is that speed, or more.
                let speed = Int64.random(in: 1...5_000, using: &seed)
                let time = Duration.milliseconds(Int64.random(in: 0...60_000, using: &seed))
                let thinking = ThinkingEstimate(
                    time: time, tokensPerSecond: speed + Int64.random(in: 0...100, using: &seed))
                let thought = Int64(time / .milliseconds(1)) * speed / 1_000
                guard !progress.isDone else { break }
                let charged = try Self.charge(progress, call, thinking)
                let billed = try Self.bill(progress, call, thought: thought)
                #expect(
                    charged >= billed,
                    "\(dialect) \(family), event \(event), \(thought) tokens of thought: \(charged) for \(billed)")
                // A guess is bounded by the hold, and takes nothing away from what is known.
                let small = NanoUSD(nanos: billed.nanos / 2)
                let known = try Self.charge(progress, call, ThinkingEstimate(time: .zero, tokensPerSecond: 0))
                #expect(try Self.charge(progress, call, thinking, hold: small) == max(known, min(small, charged)))
            }
        }
    }

    @Test(
        "audit 2: a stream that is drained costs what the vendor bills of the whole, wherever the client has left",
        arguments: dialects, families)
    func drained(_ dialect: Endpoint, _ family: AdaptorID) throws {
        let call = try Self.call(dialect, family)
        let outcome = StreamOutcome(try Self.events(family), call: call)
        #expect(outcome.failure == nil && outcome.progress.isDone)
        let whole = try call.quote.charge(for: try #require(outcome.progress.usage))
        // The estimate of thoughts has no part in it.
        #expect(
            try Self.charge(outcome.progress, call, ThinkingEstimate(time: .seconds(600), tokensPerSecond: 10_000))
                == whole)
    }

    @Test(
        "audit 2: thoughts that the client sees are told apart from the answer",
        arguments: [
            (AdaptorID.openai, #"{"choices":[{"index":0,"delta":{"reasoning_content":"one two three four"}}]}"#),
            (
                .openrouter,
                #"{"choices":[{"index":0,"delta":{"reasoning":"one two three four","reasoning_details":[{"text":"one two three four"}]}}]}"#
            ),
            (
                .anthropic,
                #"{"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta","thinking":"one two three four"}}"#
            ),
            (.gemini, #"{"candidates":[{"content":{"parts":[{"text":"one two three four","thought":true}]}}]}"#),
        ])
    func seen(_ family: AdaptorID, _ event: String) throws {
        let spec = Fixture.spec(family)
        var decoder = try Fixture.provider(spec).streamDecoder(
            for: Fixture.call(#"{"model":"pub","stream":true,"messages":[]}"#, spec: spec))
        var out = ByteBuffer()
        if family == .anthropic {
            let start =
                #"{"type":"content_block_start","index":0,"content_block":{"type":"thinking","thinking":"","signature":""}}"#
            try decoder.push(ByteBuffer(string: "data: \(start)\n\n"), into: &out)
        }
        try decoder.push(ByteBuffer(string: "data: \(event)\n\n"), into: &out)
        #expect(
            decoder.progress.deliveredThoughts == decoder.progress.estimatedOutputTokens
                && decoder.progress.deliveredThoughts >= 4)
    }
}
