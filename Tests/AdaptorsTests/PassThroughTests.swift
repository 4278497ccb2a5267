import HTTPTypes
import NIOCore
import RouterCore
import Testing

@testable import Adaptors

/// The same dialect in and out: bytes stay bytes.
@Suite struct PassThrough {
    private func body(
        _ json: String, _ family: AdaptorID, _ endpoint: Endpoint, upstream: String? = nil, spec: ProviderSpec? = nil
    ) throws -> String {
        let call = try Fixture.call(json, spec: spec ?? Fixture.spec(family), endpoint: endpoint, upstream: upstream)
        return String(buffer: try #require(Fixture.provider(call.channel.provider).request(for: call).body))
    }

    private var responsesSpec: ProviderSpec { Fixture.spec(endpoints: [.chat: nil, .responses: nil]) }

    @Test func `messages to Anthropic change in nothing but the model's name`() throws {
        let json =
            #"{ "model" : "pub", "max_tokens":1e2, "new_field":{"a":1.50}, "stream":true,"messages":[{"role":"user","content":"x","odd":1}]}"#
        #expect(try body(json, .anthropic, .messages) == json)
        #expect(try body(json, .anthropic, .messages, upstream: "up") == json.replacingOnce("\"pub\"", "\"up\""))
    }

    @Test func `betas that a client asks for go to Anthropic in its own dialect only`() throws {
        let name = try #require(HTTPField.Name("anthropic-beta"))
        for (family, endpoint, goes) in [
            (AdaptorID.anthropic, Endpoint.messages, true), (.anthropic, .chat, false), (.openai, .messages, false),
        ] {
            let json = #"{"model":"m","max_tokens":5,"messages":[{"role":"user","content":"x"}]}"#
            var call = try Fixture.call(json, spec: Fixture.spec(family), endpoint: endpoint)
            call.betas = "context-1m-2025-08-07"
            let request = try Fixture.provider(call.channel.provider).request(for: call)
            #expect(request.headers[name] == (goes ? "context-1m-2025-08-07" : nil), "\(family) \(endpoint)")
        }
    }

    @Test func `the provider file's operations apply`() throws {
        let rules = RequestRules(
            rename: [.init(from: "a", to: "b")], drop: ["c"], defaults: [.init(name: "d", json: "1")], set: [.init(name: "e", json: "2")])
        let json = #"{"model":"m","max_tokens":1,"messages":[],"a":1,"c":2,"models":["m"]}"#
        #expect(
            try body(json, .anthropic, .messages, spec: Fixture.spec(.anthropic, request: rules))
                == #"{"d":1,"e":2,"model":"m","max_tokens":1,"messages":[],"b":1}"#)
    }

    @Test func `an answer of Anthropic stays as it came`() throws {
        let json = try Golden.input("answer.anthropic.json")
        for upstream in [nil, "up"] {
            let call = try Fixture.call(#"{"model":"pub"}"#, spec: Fixture.spec(.anthropic), endpoint: .messages, upstream: upstream)
            let answer = try Fixture.provider(call.channel.provider).decode(ByteBuffer(string: json), for: call)
            #expect(String(buffer: answer.body) == (upstream == nil ? json : json.replacingOnce("up-2025", "pub")))
            #expect(answer.progress.usage == Matrix.usage(.anthropic))
            #expect(answer.progress.generationID == "msg_01" && answer.progress.servedModel == "up-2025")
        }
    }

    @Test func `a stream of Anthropic stays as it came, and its end waits`() throws {
        let text = try Golden.input("stream.anthropic.sse")
        let end = "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n"
        for upstream in [nil, "up"] {
            let call = try Fixture.call(
                #"{"model":"pub","stream":true}"#, spec: Fixture.spec(.anthropic), endpoint: .messages, upstream: upstream)
            let outcome = StreamOutcome([Array(text.utf8)], call: call)
            let expected = upstream == nil ? text : text.replacingOnce("up-2025", "pub")
            #expect(outcome.out + outcome.trailer == expected)
            #expect(outcome.trailer == end)
            // Thi, nk., Grü, ezi 日本, weather, {"city":"Oslo"}, now and {}: 3 + 3 + 2 + 4 + 7 + 15 + 3 + 2 ASCII characters and ü, 日, 本.
            #expect(outcome.progress.deliveredASCII == 39 && outcome.progress.deliveredOther == 3)
        }
    }

    @Test func `Responses pass through where the vendor has them`() throws {
        let json = #"{"model":"pub","input":"x","stream":true,"previous_response_id":"resp_1","tools":[{"type":"web_search"}]}"#
        #expect(try body(json, .openai, .responses, upstream: "up", spec: responsesSpec) == json.replacingOnce("pub", "up"))
        let call = try Fixture.call(json, spec: responsesSpec, endpoint: .responses)
        #expect(try Fixture.provider(responsesSpec).request(for: call).url == "https://api.vendor.test/v1/responses")
    }

    @Test func `an answer in Responses gets the public name and our charge`() throws {
        let call = try Fixture.call(#"{"model":"pub","input":"x"}"#, spec: responsesSpec, endpoint: .responses, upstream: "up")
        let json =
            #"{"id":"resp_1","model":"up","status":"completed","output":[{"type":"message","content":[{"type":"output_text","text":"hé"}]}],"usage":{"input_tokens":10,"input_tokens_details":{"cached_tokens":4},"output_tokens":5}}"#
        let answer = try Fixture.provider(responsesSpec).decode(ByteBuffer(string: json), for: call)
        // 6 × 2,000 + 4 × 2,000 + 5 × 8,000 = 60,000 nano-dollars.
        #expect(
            String(buffer: answer.body)
                == json.replacingOnce("\"model\":\"up\"", "\"model\":\"pub\"").replacingOnce(
                    "\"output_tokens\":5}", "\"output_tokens\":5,\"cost\":0.00006}"))
        #expect(answer.progress.usage == Usage(uncachedInput: 6, cacheRead: 4, output: 5))
        #expect(answer.progress.deliveredASCII == 1 && answer.progress.deliveredOther == 1)
        // A cost that the vendor tells gives way to our charge, as in chat.
        let costly = json.replacingOnce("\"output_tokens\":5", "\"output_tokens\":5,\"cost\":7")
        let ours = try Fixture.provider(responsesSpec).decode(ByteBuffer(string: costly), for: call)
        #expect(ours.body == answer.body)
    }

    @Test func `a stream in Responses ends with the completed response`() throws {
        let call = try Fixture.call(#"{"model":"pub","input":"x","stream":true}"#, spec: responsesSpec, endpoint: .responses)
        let delta = "event: response.output_text.delta\ndata: {\"type\":\"response.output_text.delta\",\"delta\":\"hi\"}\n\n"
        let end =
            "event: response.completed\ndata: {\"type\":\"response.completed\",\"response\":{\"id\":\"resp_1\",\"usage\":{\"input_tokens\":10,\"output_tokens\":5}}}\n\n"
        let outcome = StreamOutcome([Array((delta + end).utf8)], call: call)
        #expect(outcome.failure == nil && outcome.out == delta)
        #expect(outcome.trailer == end.replacingOnce("\"output_tokens\":5", "\"output_tokens\":5,\"cost\":0.00006"))
        #expect(outcome.progress.usage == Usage(uncachedInput: 10, output: 5))
        let cut = StreamOutcome([Array(delta.utf8)], call: call)
        #expect(cut.failure == .truncated && cut.trailer.isEmpty)
        let failed =
            delta
            + "data: {\"type\":\"response.failed\",\"response\":{\"status\":\"failed\",\"error\":{\"code\":\"server_error\",\"message\":\"m\"}}}\n\n"
        #expect(StreamOutcome([Array(failed.utf8)], call: call).failure == .midStream)
    }

    @Test func `Azure has the deployment in its path`() throws {
        let spec = Fixture.spec(.azureOpenAI, auth: .header(name: "api-key", prefix: ""))
        let call = try Fixture.call(#"{"model":"pub","messages":[{"role":"user","content":"x"}]}"#, spec: spec, upstream: "my-gpt")
        let request = try Fixture.provider(spec).request(for: call)
        #expect(request.url == "https://api.vendor.test/v1/openai/deployments/my-gpt/chat/completions?api-version=2024-10-21")
        #expect(request.headers[try #require(HTTPField.Name("api-key"))] == Fixture.secretKey)
        let evil = try Fixture.call(#"{"model":"pub"}"#, spec: spec, upstream: "../x?y")
        let refusal = failure { () throws(UpstreamFailure) in _ = try Fixture.provider(spec).request(for: evil) }
        #expect(refusal?.kind == .modelUnavailable && refusal?.source == .gateway)
    }

    @Test func `families serve every dialect of a conversation`() throws {
        for family in Matrix.families + [.azureOpenAI, .openrouter] {
            #expect(Fixture.provider(Fixture.spec(family)).capabilities.isSuperset(of: [.chat, .responses, .messages]), "\(family)")
        }
        let embedder = Fixture.spec(endpoints: [.embeddings: nil])
        #expect(Fixture.provider(embedder).capabilities == [.embeddings])
    }

    @Test func `Anthropic gets its version unless the file says another`() throws {
        let name = try #require(HTTPField.Name("anthropic-version"))
        let call = try Fixture.call(#"{"model":"m"}"#, spec: Fixture.spec(.anthropic), endpoint: .messages)
        #expect(try Fixture.provider(Fixture.spec(.anthropic)).request(for: call).headers[name] == "2023-06-01")
        let own = Fixture.spec(.anthropic, headers: [StaticHeader(name: "Anthropic-Version", value: Secret("2030-01-01"))])
        #expect(try Fixture.provider(own).request(for: call).headers[name] == "2030-01-01")
    }

    @Test func `a response that is made in the background is refused`() throws {
        func ask(_ value: String) throws -> UpstreamFailure? {
            let call = try Fixture.call(
                "{\"model\":\"pub\",\"input\":\"x\",\"background\":\(value)}", spec: responsesSpec, endpoint: .responses)
            let provider = Fixture.provider(responsesSpec)
            return failure { () throws(UpstreamFailure) in _ = try provider.request(for: call) }
        }
        let refused = try #require(try ask("true"))
        #expect(refused.status == 400 && refused.source == .gateway && refused.detail.contains("'background' is not supported"))
        #expect(try ask("false") == nil)
        #expect(try ask("null") == nil)
        // Somebody looks after it.
        var call = try Fixture.call(
            "{\"model\":\"pub\",\"input\":\"x\",\"background\":true}", spec: responsesSpec, endpoint: .responses)
        call.isBackground = true
        let body = try Fixture.provider(responsesSpec).request(for: call).body
        #expect(body.map { String(buffer: $0) }?.contains("\"background\":true") == true)
    }

    @Test func `searches of a response count`() throws {
        let call = try Fixture.call(#"{"model":"pub","input":"x"}"#, spec: responsesSpec, endpoint: .responses)
        let json =
            #"{"id":"resp_1","status":"completed","output":[{"type":"web_search_call"},{"type":"message","content":[]},"#
            + #"{"type":"web_search_call","action":{"type":"search","query":"q"}},{"type":"web_search_call","action":{"type":"open_page"}}],"#
            + #""usage":{"input_tokens":3,"output_tokens":2}}"#
        let answer = try Fixture.provider(responsesSpec).decode(ByteBuffer(string: json), for: call)
        #expect(answer.progress.usage == Usage(uncachedInput: 3, output: 2, searches: 2))
    }
}
