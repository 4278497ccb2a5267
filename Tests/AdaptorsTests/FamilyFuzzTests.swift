import NIOCore
import RouterCore
import Testing

@testable import Adaptors

/// Bytes that nobody promised, for every family and dialect. Seeds as in ``Fuzz``.
@Suite struct FamilyFuzz {
    @Test(arguments: Matrix.dialects, Matrix.families)
    func `a broken stream neither crashes the decoder nor depends on the cuts`(_ dialect: Endpoint, _ family: AdaptorID) throws {
        var random = SplitMix64(seed: Fuzz.seed &+ 11)
        let streams = try ["stream", "citations"].map { Array(try Golden.input("\($0).\(family).sse").utf8) }
        for round in 0..<100 {
            let call = try Fixture.call(
                #"{"model":"pub","stream":true}"#, spec: Fixture.spec(family), endpoint: dialect, upstream: round % 2 == 0 ? "up" : nil)
            let bytes = Fuzz.mutated(streams[round % streams.count], &random)
            let whole = StreamOutcome([bytes], call: call)
            let cut = StreamOutcome(Fuzz.pieces(bytes, &random), call: call)
            guard cut == whole else {
                Issue.record("seed \(Fuzz.seed), round \(round), \(bytes): \(cut) instead of \(whole)")
                return
            }
            #expect(whole.progress.isDone == (whole.failure == nil), "seed \(Fuzz.seed), round \(round), \(bytes)")
            var array: any StreamDecoder = JSONArrayDecoder(Fixture.provider(call.channel.provider).streamDecoder(for: call))
            var out = ByteBuffer()
            guard whole.failure == nil else { continue }
            try array.push(ByteBuffer(bytes: bytes), into: &out)
            try array.finish(into: &out)
            out.writeImmutableBuffer(array.trailer)
            if dialect == .gemini {
                #expect((try? JSONValue(parsing: out))?.arrayValue != nil, "seed \(Fuzz.seed), round \(round), \(bytes)")
            }
        }
    }

    /// One value somewhere in the tree becomes another, goes away or comes twice.
    private static func mutated(_ value: JSONValue, _ random: inout SplitMix64) -> JSONValue {
        let odd: [JSONValue] = [
            .null, true, "", "x", .number("-1"), .number("1e99"), [], [:], [["type": "text"]], .object([.init("text", .null)]),
        ]
        switch value {
        case .object(var members) where !members.isEmpty && Int.random(in: 0..<8, using: &random) > 0:
            let index = Int.random(in: 0..<members.count, using: &random)
            switch Int.random(in: 0..<10, using: &random) {
            case 0: members.remove(at: index)
            case 1: members.append(members[index])
            default: members[index].value = mutated(members[index].value, &random)
            }
            return .object(members)
        case .array(var elements) where !elements.isEmpty && Int.random(in: 0..<8, using: &random) > 0:
            let index = Int.random(in: 0..<elements.count, using: &random)
            switch Int.random(in: 0..<10, using: &random) {
            case 0: elements.remove(at: index)
            case 1: elements.append(elements[index])
            default: elements[index] = mutated(elements[index], &random)
            }
            return .array(elements)
        default: return odd[Int.random(in: 0..<odd.count, using: &random)]
        }
    }

    @Test(arguments: Matrix.dialects, Matrix.families)
    func `a broken request is refused or becomes valid JSON, a broken answer too`(_ dialect: Endpoint, _ family: AdaptorID) throws {
        var random = SplitMix64(seed: Fuzz.seed &+ 12)
        let request = try Golden.input("request.\(dialect.rawValue).json")
        let tree = try JSONValue(parsing: ByteBuffer(string: request))
        let answers = try ["answer", "citations"].map { Array(try Golden.input("\($0).\(family).json").utf8) }
        var accepted = 0
        for round in 0..<150 {
            // Every other time it is JSON, with something odd in it.
            let text =
                round % 2 == 0
                ? Self.mutated(tree, &random).text : String(decoding: Fuzz.mutated(Array(request.utf8), &random), as: UTF8.self)
            if let call = try? Fixture.call(text, spec: Fixture.spec(family), endpoint: dialect),
                let body = try? Fixture.provider(call.channel.provider).request(for: call).body
            {
                accepted += 1
                #expect((try? JSONValue(parsing: body)) != nil, "seed \(Fuzz.seed), round \(round), \(text)")
            }
            let call = try Fixture.call(#"{"model":"pub"}"#, spec: Fixture.spec(family), endpoint: dialect)
            let answer = Fuzz.mutated(answers[round % answers.count], &random)
            if let decoded = try? Fixture.provider(call.channel.provider).decode(ByteBuffer(bytes: answer), for: call) {
                #expect((try? JSONValue(parsing: decoded.body)) != nil, "seed \(Fuzz.seed), round \(round), \(answer)")
            }
        }
        #expect(accepted > 5, "mutations must leave something to convert, or this tests nothing")
    }
}
