import Foundation
import HTTPTypes
import NIOCore
import RouterCore
import Testing

@testable import Adaptors

/// Bytes that nobody promised. Every run prints its seed; `FUZZ_SEED=<n>` repeats it.
@Suite struct Fuzz {
    static let seed: UInt64 = {
        let given = ProcessInfo.processInfo.environment["FUZZ_SEED"].flatMap { UInt64($0) }
        let seed = given ?? UInt64.random(in: .min ... .max)
        print("fuzz seed \(seed)")
        return seed
    }()

    private static let streams = [
        [
            #": p"#, "\n\n", #"data: {"id":"g","model":"up","choices":[{"delta":{"content":"é\u00e9\""}}]}"#, "\n\n",
            #"data: {"choices":[{"delta":{"tool_calls":[{"function":{"name":"f","arguments":"{}"}}]}}]}"#, "\r\n\r\n",
            #"data: {"choices":[{"finish_reason":"stop"}],"#, "\n", #"data: "x":1e3}"#, "\n\n",
            #"data: {"choices":[],"usage":{"prompt_tokens":10,"completion_tokens":5,"cost":0.1}}"#, "\r\r",
            "data: [DONE]\n\n",
        ],
        [
            "\u{FEFF}", #"data: {"error":{"code":429,"message":"x","metadata":{"error_type":"y"}},"choices":[]}"#,
            "\n\n",
        ],
    ].map { Array($0.joined().utf8) }

    private static let requests = [
        #"{"model":"m","messages":[{"role":"user","content":"hé\u00e9"}],"stream":true,"stream_options":{"a":1}}"#,
        #" {"models":["a"],"old":1.0,"model":"m","provider":{},"stream_options":null,"stream":true,"drop":[1,{}]} "#,
    ].map { Array($0.utf8) }

    private static let answers = [
        [
            #"{"id":"c","model":"up","choices":[{"message":{"content":"a","reasoning_details":[{"text":"b"}]}}],"#,
            #""usage":{"prompt_tokens":10,"completion_tokens":5,"prompt_tokens_details":{"cached_tokens":1},"#,
            #""cost":1}}"#,
        ],
        [
            #"{"error":{"code":"x","message":"sk-1 é","type":"t","metadata":{"reasons":["a"]},"#,
            #""availability":{"retry_after":3}}}"#,
        ],
    ].map { Array($0.joined().utf8) }

    /// Flips, inserts, deletes, doubles and swaps; now and then nothing but noise.
    static func mutated(_ original: [UInt8], _ random: inout SplitMix64) -> [UInt8] {
        if Int.random(in: 0..<16, using: &random) == 0 {
            return (0..<Int.random(in: 0...200, using: &random)).map { _ in UInt8(truncatingIfNeeded: random.next()) }
        }
        let spice = Array("\"\\{}[],:\n\r \u{0}0-9eEu.data: null".utf8) + [0x80, 0xC3, 0xED, 0xF4, 0xFF]
        var bytes = original
        for _ in 0..<Int.random(in: 1...6, using: &random) where !bytes.isEmpty {
            let index = Int.random(in: 0..<bytes.count, using: &random)
            let end = min(bytes.count, index + Int.random(in: 1...12, using: &random))
            switch Int.random(in: 0..<6, using: &random) {
            case 0: bytes[index] ^= UInt8(1) << UInt8.random(in: 0..<8, using: &random)
            case 1: bytes[index] = spice[Int.random(in: 0..<spice.count, using: &random)]
            case 2: bytes.insert(spice[Int.random(in: 0..<spice.count, using: &random)], at: index)
            case 3: bytes.removeSubrange(index..<end)
            case 4: bytes.insert(contentsOf: bytes[index..<end], at: index)
            default: bytes.removeSubrange(index...)
            }
        }
        return bytes
    }

    static func pieces(_ bytes: [UInt8], _ random: inout SplitMix64) -> [[UInt8]] {
        var result: [[UInt8]] = []
        var index = 0
        while index < bytes.count {
            let end = min(bytes.count, index + Int.random(in: 1...40, using: &random))
            result.append(Array(bytes[index..<end]))
            index = end
        }
        return result
    }

    @Test(arguments: [AdaptorID.openai, .openrouter])
    func `a broken stream neither crashes the decoder nor depends on the cuts`(_ family: AdaptorID) throws {
        var random = SplitMix64(seed: Self.seed)
        let spec = Fixture.spec(family)
        for round in 0..<1_500 {
            let call = try Fixture.call(
                #"{"model":"pub","stream":true}"#, spec: spec, upstream: round % 2 == 0 ? "up" : nil)
            let bytes = Self.mutated(Self.streams[round % Self.streams.count], &random)
            let whole = StreamOutcome([bytes], call: call)
            let cut = StreamOutcome(Self.pieces(bytes, &random), call: call)
            guard cut == whole else {
                Issue.record("seed \(Self.seed), round \(round), \(bytes): \(cut) instead of \(whole)")
                return
            }
            #expect(whole.progress.isDone == (whole.failure == nil), "seed \(Self.seed), round \(round), \(bytes)")
        }
    }

    @Test func `the parser hands out every byte once and looks at none twice`() {
        var random = SplitMix64(seed: Self.seed &+ 1)
        for round in 0..<1_500 {
            let bytes = Self.mutated(Self.streams[0], &random)
            var parser = SSEParser()
            var handedOut: [UInt8] = []
            for piece in Self.pieces(bytes, &random) {
                parser.append(ByteBuffer(bytes: piece))
                while let range = parser.next() {
                    handedOut += parser.buffer.readableBytesView.dropFirst(range.lowerBound).prefix(range.count)
                }
            }
            let pending = parser.pendingBytes
            #expect(handedOut == Array(bytes.dropLast(pending)), "seed \(Self.seed), round \(round), \(bytes)")
            #expect(parser.examined <= bytes.count, "seed \(Self.seed), round \(round)")
        }
    }

    @Test func `a broken request is refused or spliced into valid JSON`() throws {
        var random = SplitMix64(seed: Self.seed &+ 2)
        var accepted = 0
        let rules = RequestRules(
            rename: [.init(from: "old", to: "new")], drop: ["drop"], defaults: [.init(name: "d", json: "1")],
            set: [.init(name: "s", json: "{}")])
        let spec = Fixture.spec(request: rules)
        let provider = Fixture.provider(spec)
        for round in 0..<2_000 {
            let bytes = Self.mutated(Self.requests[round % Self.requests.count], &random)
            guard let envelope = try? RequestEnvelope(body: ByteBuffer(bytes: bytes), endpoint: .chat) else { continue }
            accepted += 1
            var call = try Fixture.call(#"{"model":"m"}"#, spec: spec, upstream: "v")
            call.envelope = envelope
            let body = try #require(try provider.request(for: call).body)
            let value = try? JSONValue(parsing: body)
            #expect(value?["model"] == "v", "seed \(Self.seed), round \(round), \(bytes)")
            #expect(value?["s"] == .object([]) && value?["drop"] == nil && value?["old"] == nil)
            if envelope.isStream { #expect(value?["stream_options"]?["include_usage"] == true, "\(bytes)") }
        }
        #expect(accepted > 50, "mutations must leave something to splice, or this tests nothing")
    }

    @Test func `a broken answer is malformed, an error or valid JSON`() throws {
        var random = SplitMix64(seed: Self.seed &+ 3)
        let rules = UsageRules(cachedTokens: "usage.prompt_tokens_details.cached_tokens")
        let spec = Fixture.spec(.openrouter, usage: rules)
        let provider = Fixture.provider(spec)
        let call = try Fixture.call(#"{"model":"pub"}"#, spec: spec, upstream: "up")
        for round in 0..<2_000 {
            let bytes = Self.mutated(Self.answers[round % Self.answers.count], &random)
            let body = ByteBuffer(bytes: bytes)
            let status = Int.random(in: 300..<600, using: &random)
            let failure = provider.classify(UpstreamHead(status: status, headers: [:]), body: body, now: 0)
            #expect(failure.status == status)
            if let shown = failure.clientError {
                try JSONScanner.validate(ByteBuffer(string: shown.json.text).readableBytesUInt8Span)
            }
            let wasValid = (try? JSONScanner.validate(body.readableBytesUInt8Span)) != nil
            if let answer = try? provider.decode(body, for: call) {
                #expect(wasValid, "seed \(Self.seed), round \(round), \(bytes)")
                #expect((try? JSONScanner.validate(answer.body.readableBytesUInt8Span)) != nil, "\(bytes)")
            }
        }
    }
}
