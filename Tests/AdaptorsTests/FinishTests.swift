import NIOCore
import RouterCore
import Testing

@testable import Adaptors

/// How an answer ended, in each vendor's words and each dialect's.
struct FinishCase: Sendable, CustomTestStringConvertible {
    var family: AdaptorID
    var word: String
    var chat: String
    var messages: String
    var responses: String

    init(_ family: AdaptorID, _ word: String, _ chat: String, _ messages: String, _ responses: String) {
        self.family = family
        self.word = word
        self.chat = chat
        self.messages = messages
        self.responses = responses
    }

    var testDescription: String { "\(family) \(word)" }

    var answer: String {
        switch family {
        case .anthropic: #"{"id":"i","content":[{"type":"text","text":"x"}],"stop_reason":"\#(word)"}"#
        case .gemini: #"{"candidates":[{"content":{"parts":[{"text":"x"}]},"finishReason":"\#(word)"}]}"#
        case .cohere: #"{"id":"i","message":{"content":[{"type":"text","text":"x"}]},"finish_reason":"\#(word)"}"#
        default: #"{"id":"i","choices":[{"index":0,"message":{"content":"x"},"finish_reason":"\#(word)"}]}"#
        }
    }
}

private let finishes: [FinishCase] = [
    .init(.openai, "stop", "stop", "end_turn", "completed"), .init(.openai, "length", "length", "max_tokens", "incomplete"),
    .init(.openai, "content_filter", "content_filter", "refusal", "incomplete"),
    .init(.openai, "function_call", "function_call", "tool_use", "completed"),
    .init(.anthropic, "end_turn", "stop", "end_turn", "completed"), .init(.anthropic, "max_tokens", "length", "max_tokens", "incomplete"),
    .init(.anthropic, "stop_sequence", "stop", "stop_sequence", "completed"),
    .init(.anthropic, "refusal", "content_filter", "refusal", "completed"),
    .init(.anthropic, "pause_turn", "stop", "pause_turn", "completed"),
    .init(.anthropic, "model_context_window_exceeded", "length", "model_context_window_exceeded", "incomplete"),
    .init(.gemini, "STOP", "stop", "end_turn", "completed"), .init(.gemini, "MAX_TOKENS", "length", "max_tokens", "incomplete"),
    .init(.gemini, "SAFETY", "content_filter", "refusal", "incomplete"),
    .init(.gemini, "RECITATION", "content_filter", "refusal", "incomplete"),
    .init(.cohere, "COMPLETE", "stop", "end_turn", "completed"), .init(.cohere, "MAX_TOKENS", "length", "max_tokens", "incomplete"),
    .init(.cohere, "TOOL_CALL", "tool_calls", "tool_use", "completed"),
]

@Suite struct Finishes {
    private func decode(_ json: String, _ family: AdaptorID, _ dialect: Endpoint) throws -> JSONValue {
        let spec = Fixture.spec(family)
        let call = try Fixture.call(#"{"model":"m"}"#, spec: spec, endpoint: dialect)
        return try JSONValue(parsing: Fixture.provider(spec).decode(ByteBuffer(string: json), for: call).body)
    }

    @Test(arguments: finishes) func `every ending has its word`(_ sample: FinishCase) throws {
        #expect(try decode(sample.answer, sample.family, .chat)["choices"]?.arrayValue?[0]["finish_reason"]?.stringValue == sample.chat)
        #expect(try decode(sample.answer, sample.family, .messages)["stop_reason"]?.stringValue == sample.messages)
        #expect(try decode(sample.answer, sample.family, .responses)["status"]?.stringValue == sample.responses)
    }

    /// The log keeps it, whatever the family and whether it streams.
    @Test(arguments: [
        ("stop", AnswerFinish.stop), ("length", .length), ("tool_calls", .toolCalls), ("function_call", .toolCalls),
        ("content_filter", .contentFilter), ("eos_token", .stop),
    ])
    func `the end of an answer is known by a common word`(_ word: String, _ expected: AnswerFinish) throws {
        let spec = Fixture.spec(.openai)
        let json = "{\"id\":\"i\",\"choices\":[{\"index\":0,\"message\":{\"content\":\"a\"},\"finish_reason\":\"\(word)\"}]}"
        let call = try Fixture.call(#"{"model":"m"}"#, spec: spec)
        #expect(try Fixture.provider(spec).decode(ByteBuffer(string: json), for: call).progress.finish == expected)
        let open = "{\"id\":\"i\",\"choices\":[{\"index\":0,\"message\":{\"content\":\"a\"},\"finish_reason\":null}]}"
        #expect(try Fixture.provider(spec).decode(ByteBuffer(string: open), for: call).progress.finish == nil)
        let streamed = try Fixture.call(#"{"model":"m","stream":true}"#, spec: spec)
        var decoder = Fixture.provider(spec).streamDecoder(for: streamed)
        var out = ByteBuffer()
        let chunk = "data: {\"id\":\"i\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a\"},\"finish_reason\":null}]}\n\n"
        try decoder.push(ByteBuffer(string: chunk), into: &out)
        #expect(decoder.progress.finish == nil)
        try decoder.push(ByteBuffer(string: chunk.replacingOnce("null", "\"\(word)\"")), into: &out)
        #expect(decoder.progress.finish == expected)
    }

    @Test(arguments: Matrix.families) func `each family's stream tells how it ended`(_ family: AdaptorID) throws {
        let bytes = Array(try Golden.input("stream.\(family).sse").utf8)
        let call = try Fixture.call(#"{"model":"m","stream":true}"#, spec: Fixture.spec(family))
        #expect(StreamOutcome([bytes], call: call).progress.finish != nil)
    }

    @Test func `a refusal is said in each dialect`() throws {
        let json = #"{"id":"i","choices":[{"index":0,"message":{"content":null,"refusal":"No."},"finish_reason":"stop"}]}"#
        let messages = try decode(json, .openai, .messages)
        #expect(messages["stop_reason"] == "refusal" && messages["content"]?.text == #"[{"type":"text","text":"No."}]"#)
        let responses = try decode(json, .openai, .responses)
        #expect(responses["output"]?.arrayValue?[0]["content"]?.text == #"[{"type":"refusal","refusal":"No."}]"#)
    }

    @Test func `several candidates and log probabilities of Gemini`() throws {
        let json =
            #"{"responseId":"r","candidates":[{"index":0,"content":{"parts":[{"text":"a"}]},"finishReason":"STOP","logprobsResult":{"chosenCandidates":[{"token":"a","logProbability":-0.10}],"topCandidates":[{"candidates":[{"token":"a","logProbability":-0.10},{"token":"b","logProbability":-2}]}]}},{"index":1,"content":{"parts":[{"text":"b"},{"functionCall":{"name":"f","args":{}}}]},"finishReason":"STOP"}]}"#
        let choices = try #require(try decode(json, .gemini, .chat)["choices"]?.arrayValue)
        #expect(choices.map { $0["message"]?["content"]?.stringValue } == ["a", "b"])
        #expect(
            choices[0]["logprobs"]?["content"]?.text
                == #"[{"token":"a","logprob":-0.10,"bytes":null,"top_logprobs":[{"token":"a","logprob":-0.10,"bytes":null},{"token":"b","logprob":-2,"bytes":null}]}]"#
        )
        #expect(choices[1]["message"]?["tool_calls"]?.arrayValue?[0]["id"] == "call_r_1_0")
        let spec = Fixture.spec(.gemini)
        let call = try Fixture.call(#"{"model":"m","stream":true}"#, spec: spec)
        let outcome = StreamOutcome([Array("data: \(json)\n\n".utf8)], call: call)
        #expect(outcome.out.contains(#""index":1,"delta":{"content":"b"}"#) && outcome.failure == nil)
    }

    @Test func `calls that a vendor mixes stay apart`() throws {
        func chunk(_ index: Int, _ inner: String) -> String {
            "data: {\"id\":\"c\",\"choices\":[{\"index\":0,\"delta\":{\"tool_calls\":[{\"index\":\(index),\(inner)}]}}]}\n\n"
        }
        let stream =
            chunk(0, #""id":"a","function":{"name":"f","arguments":"{"}"#) + chunk(1, #""id":"b","function":{"name":"g","arguments":"{"}"#)
            + chunk(0, #""function":{"arguments":"}"}"#) + chunk(1, #""function":{"arguments":"}"}"#)
            + "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"tool_calls\"}]}\n\ndata: [DONE]\n\n"
        let messages = try Fixture.call(#"{"model":"m","stream":true}"#, spec: Fixture.spec(), endpoint: .messages)
        let outcome = StreamOutcome([Array(stream.utf8)], call: messages)
        let late = #"{"type":"content_block_delta","index":0,"delta":{"type":"input_json_delta","partial_json":"}"}}"#
        #expect(outcome.out.contains(late) && outcome.out.contains(late.replacingOnce("0", "1")))
        let responses = try Fixture.call(#"{"model":"m","stream":true}"#, spec: Fixture.spec(), endpoint: .responses)
        let end = StreamOutcome([Array(stream.utf8)], call: responses).trailer
        #expect(end.contains(#""call_id":"a","name":"f","arguments":"{}""#) && end.contains(#""call_id":"b","name":"g","arguments":"{}""#))
    }

    /// Damaged streams of every family: no crash, no trailer behind a failure, and nothing kept but one event.
    @Test(arguments: Matrix.families) func `damaged streams`(_ family: AdaptorID) throws {
        var random = SplitMix64(seed: 20_261_125)
        let bytes = Array(try Golden.input("stream.\(family).sse").utf8)
        for round in 0..<150 {
            var damaged = bytes
            for _ in 0..<Int.random(in: 1...6, using: &random) {
                let index = Int.random(in: 0..<damaged.count, using: &random)
                switch Int.random(in: 0..<3, using: &random) {
                case 0: damaged[index] = UInt8.random(in: 0...255, using: &random)
                case 1: damaged.remove(at: index)
                default: damaged.insert(UInt8.random(in: 0...255, using: &random), at: index)
                }
            }
            let dialect = Matrix.dialects[round % 3]
            let call = try Fixture.call(#"{"model":"m","stream":true}"#, spec: Fixture.spec(family), endpoint: dialect)
            let outcome = StreamOutcome([damaged], call: call)
            if outcome.failure != nil { #expect(outcome.trailer.isEmpty, "round \(round)") }
        }
    }

    @Test func `an endless event is refused in every dialect`() throws {
        for dialect in Matrix.dialects {
            let call = try Fixture.call(#"{"model":"m","stream":true}"#, spec: Fixture.spec(.gemini), endpoint: dialect)
            var decoder = Fixture.provider(call.channel.provider).streamDecoder(for: call)
            var out = ByteBuffer()
            let piece = ByteBuffer(repeating: UInt8(ascii: "x"), count: 1_024 * 1_024)
            let refusal = failure { () throws(UpstreamFailure) in
                for _ in 0..<17 { try decoder.push(piece, into: &out) }
            }
            #expect(refusal?.kind == .malformed)
        }
    }
}
