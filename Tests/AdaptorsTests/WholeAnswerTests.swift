import NIOCore
import RouterCore
import Testing

@Suite struct WholeAnswers {
    private func decode(
        _ body: String, family: AdaptorID = .openai, upstream: String? = nil, endpoint: Endpoint = .chat
    ) throws -> (text: String, progress: AnswerProgress) {
        let spec = Fixture.spec(family)
        let call = try Fixture.call(#"{"model":"pub"}"#, spec: spec, endpoint: endpoint, upstream: upstream)
        let answer = try Fixture.provider(spec).decode(ByteBuffer(string: body), for: call)
        return (String(buffer: answer.body), answer.progress)
    }

    private func failure(_ body: String, family: AdaptorID = .openai) throws -> UpstreamFailure? {
        do {
            _ = try decode(body, family: family)
            return nil
        } catch let failure as UpstreamFailure {
            return failure
        }
    }

    /// Odd white space, number text, escapes and unknown fields: all of it must survive.
    private static let chat = """
        { "id":"chatcmpl-9",\t"model" : "up-1", "created": 1.70e9, "system_fingerprint":null,
          "choices":[ {"index":0,"message":{"role":"assistant","content":"h\\u00e9 \\"model\\"","x":-0.0},
          "finish_reason":"stop","logprobs":null}],
          "usage":{"prompt_tokens":10,"completion_tokens":5,"total_tokens":15 }, "service_tier":"default" }

        """

    /// 10 × 2,000 + 5 × 8,000 = 60,000 nano-dollars.
    private func priced(_ body: String) -> String {
        body.replacingOnce(#""total_tokens":15 }"#, #""total_tokens":15 ,"cost":0.00006}"#)
    }

    @Test func `nothing but the cost changes without a rename`() throws {
        let (text, progress) = try decode(Self.chat)
        #expect(text == priced(Self.chat))
        #expect(progress.hasContent && progress.hasFinishReason && progress.isDone)
        #expect(progress.generationID == "chatcmpl-9" && progress.servedModel == "up-1")
        // The vendor has counted, so nobody else does.
        #expect(progress.deliveredASCII == 0 && progress.deliveredOther == 0)
    }

    @Test func `the public model name comes back, and only at the top`() throws {
        let body = Self.chat.replacingOnce(#""x":-0.0"#, #""model":"up-1""#)
        let (text, progress) = try decode(body, upstream: "up-1")
        #expect(text == priced(body.replacingOnce(#""model" : "up-1""#, #""model" : "pub""#)))
        #expect(progress.servedModel == "up-1")
    }

    @Test(arguments: [
        #"{"choices":[]}"#, " {\n} ", #"{"usage":null,"model":"x"}"#, #"{"usage":[],"choices":null}"#, #"{"usage":{}}"#,
        #"{"model":7,"id":[],"error":null,"choices":[{"message":{"content":"a"},"finish_reason":"stop"}]}"#,
        #"{"usage":{"prompt_tokens":-1,"completion_tokens":1}}"#,
    ])
    func `without usage and rename the bytes are the vendor's`(_ body: String) throws {
        let (text, progress) = try decode(body)
        #expect(text == body)
        #expect(progress.usage == nil && progress.isDone)
    }

    @Test(arguments: [
        (#"{"cost":0.5,P}"#, #"{"cost":0.00006,P}"#), (#"{"cost": "1" ,P}"#, #"{"cost": 0.00006 ,P}"#),
        (#"{P,"cost":null}"#, #"{P,"cost":0.00006}"#), (#"{P,"cost":{"a":[1]}}"#, #"{P,"cost":0.00006}"#),
        (#"{P,"cost_details":{"cost":1}}"#, #"{P,"cost_details":{"cost":1},"cost":0.00006}"#),
        (#"{"prompt_tokens":0,"completion_tokens":0}"#, #"{"prompt_tokens":0,"completion_tokens":0,"cost":0}"#),
        // Figures that cannot be true: the vendor's cost must not stand in for ours.
        (#"{"prompt_tokens":-1,"cost":0.5}"#, #"{"prompt_tokens":-1,"cost":null}"#),
    ])
    func `the cost is ours, replaced in place or added at the end`(_ vendor: String, _ ours: String) throws {
        func body(_ usage: String) -> String {
            #"{"a":1.0,"usage":\#(usage.replacingOnce("P", #""prompt_tokens":10,"completion_tokens":5"#)),"z":[1e3]}"#
        }
        #expect(try decode(body(vendor)).text == body(ours))
        #expect(try decode(body(vendor), family: .openrouter).text == body(ours))
    }

    @Test(arguments: [
        #"{"message":{"content":"a"}}"#, #"{"message":{"content":null,"refusal":"a"}}"#, #"{"text":"a"}"#,
        #"{"message":{"content":null,"tool_calls":[{"function":{"name":"f","arguments":"{}"}}]}}"#,
        #"{"message":{"function_call":{"name":"f","arguments":""}}}"#, #"{"message":{"reasoning":"a"}}"#,
        #"{"message":{"reasoning_content":"a"}}"#, #"{"message":{"audio":{"id":"x","data":"AAAA"}}}"#,
        #"{"message":{"content":[{"type":"text","text":"a"}]}}"#,
    ])
    func `each kind of content is content`(_ choice: String) throws {
        #expect(try decode(#"{"choices":[\#(choice)]}"#).progress.hasContent)
    }

    @Test(arguments: [
        #"{"message":{"content":""}}"#, #"{"message":{"content":null,"tool_calls":[],"refusal":null}}"#, "null", "7",
        #"{"message":{"role":"assistant"}}"#, #"{"text":""}"#, #"{"message":null}"#,
    ])
    func `nothing delivered is no content`(_ choice: String) throws {
        #expect(try !decode(#"{"choices":[\#(choice)]}"#).progress.hasContent)
    }

    @Test func `an embeddings answer has its data as content`() throws {
        let body = #"{"data":[{"embedding":[0.10,1e-3]}],"model":"up","usage":{"prompt_tokens":8,"total_tokens":8}}"#
        // 8 × 2,000 = 16,000 nano-dollars.
        let expected = body.replacingOnce(#""model":"up""#, #""model":"pub""#)
            .replacingOnce(":8}", #":8,"cost":0.000016}"#)
        let (text, progress) = try decode(body, upstream: "up", endpoint: .embeddings)
        #expect(text == expected)
        #expect(progress.hasContent)
        #expect(try !decode(#"{"data":[ ]}"#, endpoint: .embeddings).progress.hasContent)
    }

    @Test func `an id that is not fit for a URL is not kept`() throws {
        #expect(try decode(#"{"id":"a/../b?c"}"#).progress.generationID == nil)
        #expect(try decode(#"{"id":"gen-1_Z"}"#).progress.generationID == "gen-1_Z")
    }

    // MARK: Failures inside a 200

    @Test(arguments: [
        (#"{"error":{"code":429,"message":"m"}}"#, FailureKind.rateLimit),
        (#"{"error":{"code":"401","message":"m"}}"#, .credentialRefused),
        (#"{"error":{"code":402,"message":"m"},"choices":[]}"#, .credentialExhausted),
        (#"{"error":{"code":404,"message":"m"}}"#, .modelUnavailable),
        (#"{"error":{"code":400,"message":"m"}}"#, .invalidRequest),
        (#"{"error":{"code":403,"message":"m","metadata":{"reasons":["x"]}}}"#, .contentFilter),
        (#"{"error":{"code":503,"message":"m"}}"#, .overloaded), (#"{"error":{"code":504}}"#, .timeout),
        (#"{"error":{"message":"no code"}}"#, .server), (#"{"error":"text"}"#, .server), (#"{"error":{}}"#, .server),
        (#"{"choices":[{"message":{"content":""},"error":{"code":502,"message":"m"}}]}"#, .server),
        (#"{"choices":[{"message":{"content":"half"},"finish_reason":"error"}]}"#, .server),
    ])
    func `an error in a 200 is a failure like its status`(_ body: String, _ kind: FailureKind) throws {
        let failure = try #require(try failure(body, family: .openrouter))
        #expect(failure.kind == kind)
        #expect(failure.source == .upstream && !failure.isBillable)
        #expect(failure.retry == kind.next)
        #expect((failure.clientError != nil) == (kind.next == .no || kind.next == .otherModel))
    }

    @Test(arguments: [
        "", "<html>busy</html>", "[]", "null", "7", #"{"choices":"#, #"{"a":1}{"b":2}"#, #"{"a":1,}"#,
        "{\"a\":\"\u{1}\"}",
    ])
    func `what is no JSON object is malformed and moves on`(_ body: String) throws {
        let failure = try #require(try failure(body))
        #expect(failure.kind == .malformed)
        #expect(failure.retry == .otherChannel)
    }
}
