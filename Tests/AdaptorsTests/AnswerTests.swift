import NIOCore
import RouterCore
import Testing

@testable import Adaptors

@Suite struct AnswerTests {
    private func decode(
        _ body: String, family: AdaptorID = .openai, endpoint: Endpoint = .chat, upstream: String? = nil
    ) throws -> WholeAnswer {
        let spec = Fixture.spec(family)
        let call = try Fixture.call(#"{"model":"public"}"#, spec: spec, endpoint: endpoint, upstream: upstream, price: Fixture.partedPrice)
        return try Fixture.provider(spec).decode(ByteBuffer(string: body), for: call)
    }

    private func error(_ body: String, family: AdaptorID = .openrouter, errors: [ErrorRule] = []) throws -> UpstreamFailure {
        let spec = Fixture.spec(family, errors: errors)
        let call = try Fixture.call(#"{"model":"public"}"#, spec: spec, price: Fixture.partedPrice)
        let provider = Fixture.provider(spec)
        return try #require(
            failure { () throws(UpstreamFailure) in _ = try provider.decode(ByteBuffer(string: body), for: call) })
    }

    @Test func `only the model and the cost change`() throws {
        let before =
            #"{"id":"chatcmpl-1", "x":1.0,"y":[1e3,0.10,12345678901234567890123],"model":"theirs","choices":[{"index":0,"message":{"role":"assistant","content":"h\u00e9\n"},"finish_reason":"stop"}],"#
        let answer = try decode(before + #""usage":{"prompt_tokens":10,"completion_tokens":5},"z":"é"}"#, upstream: "theirs")
        let after = before.replacing(#""theirs""#, with: #""public""#)
        #expect(String(buffer: answer.body) == after + #""usage":{"prompt_tokens":10,"completion_tokens":5,"cost":0.00002},"z":"é"}"#)
        #expect(answer.progress.generationID == "chatcmpl-1")
        #expect(answer.progress.servedModel == "theirs")
        #expect(answer.progress.hasContent && answer.progress.hasFinishReason && answer.progress.isDone)
        // The vendor has counted, so nobody else does.
        #expect(answer.progress.deliveredASCII == 0 && answer.progress.deliveredOther == 0)
        for usage in ["", #","usage":{"prompt_tokens":"many"}"#] {
            let silent = try decode(before.dropLast() + usage + "}", upstream: "theirs")
            #expect(silent.progress.usage == nil, "\(usage)")
            #expect(silent.progress.deliveredASCII == 2 && silent.progress.deliveredOther == 1, "\(usage)")
        }
    }

    @Test func `the model is mapped back only where the channel renamed it`() throws {
        // OpenAI answers with a dated name: that is news for the client, not a name of ours.
        let body = #"{"model":"public-2026-01-01","choices":[]}"#
        #expect(String(buffer: try decode(body).body) == body)
        #expect(String(buffer: try decode(body, upstream: "dep-7").body) == #"{"model":"public","choices":[]}"#)
    }

    @Test(arguments: [
        (#""content":"hi""#, true, 2 as Int64, 0 as Int64), (#""content":"""#, false, 0, 0), (#""content":null"#, false, 0, 0),
        (#""content":"\u0041\u00e9\ud83d\ude00\n\"""#, true, 3, 2), (#""content":"é😀a""#, true, 1, 2),
        (#""refusal":"no""#, true, 2, 0), (#""reasoning":"think""#, true, 5, 0),
        (#""reasoning":"think","reasoning_content":"think","reasoning_details":[{"type":"t","text":"think"}]"#, true, 5, 0),
        (#""reasoning_details":[{"type":"reasoning.text","text":"abc","signature":"xxxxxxxx"}]"#, true, 3, 0),
        (#""reasoning_details":[]"#, false, 0, 0),
        (#""tool_calls":[{"index":0,"id":"call_123","type":"function","function":{"name":"f","arguments":"{\"a\":1}"}}]"#, true, 8, 0),
        (#""tool_calls":[]"#, false, 0, 0), (#""tool_calls":null"#, false, 0, 0),
        (#""function_call":{"name":"ab","arguments":""}"#, true, 2, 0),
        (#""content":[{"type":"text","text":"abcd"}]"#, true, 4, 0),
        (#""audio":{"id":"a","data":"UklGRg==","transcript":"hey"}"#, true, 3, 0), (#""role":"assistant""#, false, 0, 0),
    ])
    func `content is told from its wrapping`(_ message: String, _ hasContent: Bool, _ ascii: Int64, _ other: Int64) throws {
        let progress = try decode(#"{"choices":[{"message":{\#(message)}}]}"#).progress
        #expect(progress.hasContent == hasContent)
        #expect(progress.deliveredASCII == ascii)
        #expect(progress.deliveredOther == other)
    }

    @Test func `legacy completions and embeddings`() throws {
        let text = try decode(#"{"choices":[{"text":"abc","finish_reason":"length"}]}"#, endpoint: .completions).progress
        #expect(text.hasContent && text.hasFinishReason && text.deliveredASCII == 3)
        let data = #"{"data":[{"embedding":[0.1]}],"usage":{"prompt_tokens":8,"total_tokens":8}}"#
        let embeddings = try decode(data, endpoint: .embeddings).progress
        #expect(embeddings.hasContent)
        #expect(embeddings.usage == Usage(uncachedInput: 8))
        #expect(try decode(#"{"data":[ ]}"#, endpoint: .embeddings).progress.hasContent == false)
    }

    @Test(arguments: ["", "<html>", "[]", "5", #"{"a":1} x"#, #"{"a":"#, "null"])
    func `what is no JSON object is malformed`(_ body: String) throws {
        let failure = try error(body)
        #expect(failure.kind == .malformed)
        #expect(failure.retry == .otherChannel)
    }

    @Test(arguments: [
        (#"{"error":{"code":429,"message":"slow"}}"#, FailureKind.rateLimit),
        (#"{"error":{"code":"503","message":"busy"},"choices":[]}"#, .overloaded),
        (#"{"error":"it broke"}"#, .server), (#"{"error":{"code":"server_error","message":"x"}}"#, .server),
        (#"{"error":{"code":"rate_limit_exceeded"}}"#, .rateLimit), (#"{"error":{"code":401}}"#, .credentialRefused),
        (#"{"error":{"code":402,"message":"requires more credits, or fewer max_tokens"}}"#, .unaffordable),
        (#"{"error":{"message":"m","type":"invalid_request_error","code":"context_length_exceeded"}}"#, .contextLength),
        (#"{"choices":[{"message":{"content":"half"},"finish_reason":"error","error":{"code":502,"message":"host"}}]}"#, .server),
        (#"{"choices":[{"message":{"content":"half"},"finish_reason":"error"}]}"#, .server),
        (#"{"choices":[{"error":{"code":429}}]}"#, .rateLimit),
        (#"{"error":{"http_status":529,"error_type":"provider_overloaded"}}"#, .overloaded),
    ])
    func `errors inside a 200 are found`(_ body: String, _ kind: FailureKind) throws {
        #expect(try error(body).kind == kind)
        #expect(try error(body, family: .openai).kind == kind)
    }

    @Test func `a null error is none`() throws {
        #expect(try decode(#"{"error":null,"choices":[{"message":{"content":"a"},"error":null}]}"#).progress.hasContent)
    }

    @Test func `rules of the file come first inside a 200 as well`() throws {
        let rules = [ErrorRule(bodyContains: "QUOTA gone", kind: .credentialExhausted)]
        #expect(try error(#"{"error":{"code":400,"message":"quota Gone"}}"#, errors: rules).kind == .credentialExhausted)
    }
}
