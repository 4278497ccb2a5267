import HTTPTypes
import NIOCore
import RouterCore
import Testing

@testable import Adaptors

@Suite struct RequestTests {
    struct Case: CustomTestStringConvertible {
        var name: String
        var body: String
        var expected: String
        var family = AdaptorID.openai
        var model: String?
        var upstream: String?
        var rules = RequestRules()
        var usage = UsageRules()
        var endpoint = Endpoint.chat
        var testDescription: String { name }
    }

    private func body(_ test: Case) throws -> String {
        let spec = Fixture.spec(test.family, request: test.rules, usage: test.usage)
        let call = try Fixture.call(
            test.body, spec: spec, endpoint: test.endpoint, model: test.model, upstream: test.upstream ?? test.model,
            price: Fixture.partedPrice)
        return String(buffer: try #require(try Fixture.provider(spec).request(for: call).body))
    }

    @Test(arguments: [
        Case(name: "nothing to do", body: #" {"model" : "a" , "x":[ 1.0,1e3 ]} "#, expected: #" {"model" : "a" , "x":[ 1.0,1e3 ]} "#),
        Case(name: "model renamed", body: #"{"n":1,"model": "a" }"#, expected: #"{"n":1,"model": "x\"y" }"#, upstream: #"x"y"#),
        Case(name: "fallback model", body: #"{"model":"a"}"#, expected: #"{"model":"b"}"#, model: "b"),
        Case(name: "fallback list first", body: #"{"models":["b"], "model":"a"}"#, expected: #"{"model":"a"}"#),
        Case(name: "fallback list in the middle", body: #"{"model":"a", "models":["b"], "n":1}"#, expected: #"{"model":"a", "n":1}"#),
        Case(name: "fallback list last", body: #"{"model":"a" , "models":["b"] }"#, expected: #"{"model":"a" }"#),
        Case(
            name: "a run of ours", body: #"{"provider":{},"models":[],"session_id":"s","model":"a"}"#,
            expected: #"{"model":"a"}"#),
        Case(name: "ours at both ends", body: #"{"models":[],"model":"a","provider":{"only":[]}}"#, expected: #"{"model":"a"}"#),
        Case(
            name: "OpenRouter keeps provider and session",
            body: #"{"provider":{"only":["x"]},"models":[],"session_id":"s","model":"a"}"#,
            expected: #"{"provider":{"only":["x"],"max_price":{"prompt":1,"completion":2,"request":0}},"session_id":"s","model":"a"}"#,
            family: .openrouter),
        Case(
            name: "audit 6: whoever chooses hosts is held to the list's price",
            body: #"{"provider":{"sort":"throughput","max_price":{"prompt":"0.5","completion":9,"image":1}},"model":"a"}"#,
            expected: #"{"provider":{"sort":"throughput","max_price":{"prompt":"0.5","completion":2,"request":0,"image":1}},"model":"a"}"#,
            family: .openrouter),
        Case(
            name: "the client's own user stays", body: #"{"model":"a","user":"me"}"#, expected: #"{"model":"a","user":"me"}"#,
            family: .openrouter),
    ])
    func `our own fields are handled`(_ test: Case) throws { #expect(try body(test) == test.expected) }

    @Test(arguments: [
        Case(
            name: "added", body: #"{ "model":"a","stream":true}"#,
            expected: #"{"stream_options":{"include_usage":true}, "model":"a","stream":true}"#),
        Case(
            name: "into an empty object", body: #"{"model":"a","stream":true,"stream_options":{ }}"#,
            expected: #"{"model":"a","stream":true,"stream_options":{"include_usage":true }}"#),
        Case(
            name: "into an object", body: #"{"model":"a","stream":true,"stream_options":{ "x":0.10}}"#,
            expected: #"{"model":"a","stream":true,"stream_options":{"include_usage":true, "x":0.10}}"#),
        Case(
            name: "false becomes true", body: #"{"model":"a","stream":true,"stream_options":{"include_usage": false}}"#,
            expected: #"{"model":"a","stream":true,"stream_options":{"include_usage": true}}"#),
        Case(
            name: "null becomes true", body: #"{"model":"a","stream":true,"stream_options":{"include_usage":null,"x":1}}"#,
            expected: #"{"model":"a","stream":true,"stream_options":{"include_usage":true,"x":1}}"#),
        Case(
            name: "null object", body: #"{"stream_options":null,"model":"a","stream":true}"#,
            expected: #"{"stream_options":{"include_usage":true},"model":"a","stream":true}"#),
        Case(
            name: "there already", body: #"{"model":"a","stream":true,"stream_options":{"include_usage":true}}"#,
            expected: #"{"model":"a","stream":true,"stream_options":{"include_usage":true}}"#),
        Case(
            name: "legacy completions too", body: #"{"model":"a","stream":true}"#,
            expected: #"{"stream_options":{"include_usage":true},"model":"a","stream":true}"#, endpoint: .completions),
        Case(name: "not streamed", body: #"{"model":"a","stream":false}"#, expected: #"{"model":"a","stream":false}"#),
        Case(
            name: "vendor refuses the option", body: #"{"model":"a","stream":true}"#,
            expected: #"{"model":"a","stream":true}"#, usage: UsageRules(streamUsageOption: false)),
        Case(
            name: "dropped by the file", body: #"{"model":"a","stream":true}"#, expected: #"{"model":"a","stream":true}"#,
            rules: RequestRules(drop: ["stream_options"])),
        Case(
            name: "set by the file, once", body: #"{"model":"a","stream":true}"#,
            expected: #"{"stream_options":{"y":1},"model":"a","stream":true}"#,
            rules: RequestRules(set: [.init(name: "stream_options", json: #"{"y":1}"#)])),
    ])
    func `usage is asked for in streams`(_ test: Case) throws { #expect(try body(test) == test.expected) }

    @Test(arguments: [
        Case(
            name: "rename", body: #"{"model":"a","max_completion_tokens" : 5 }"#, expected: #"{"model":"a","max_tokens" : 5 }"#,
            rules: RequestRules(rename: [.init(from: "max_completion_tokens", to: "max_tokens")])),
        Case(
            name: "the new name wins", body: #"{"max_tokens":1,"max_completion_tokens":5,"model":"a"}"#,
            expected: #"{"max_tokens":1,"model":"a"}"#,
            rules: RequestRules(rename: [.init(from: "max_completion_tokens", to: "max_tokens")])),
        Case(
            name: "two old names become one field", body: #"{"model":"a","p":1,"q":2}"#, expected: #"{"model":"a","r":1}"#,
            rules: RequestRules(rename: [.init(from: "p", to: "r"), .init(from: "q", to: "r")])),
        Case(
            name: "drop first", body: #"{ "x" : 1 , "model":"a"}"#, expected: #"{ "model":"a"}"#,
            rules: RequestRules(drop: ["x"])),
        Case(
            name: "drop in the middle", body: #"{"model":"a" , "x":1 , "y":2}"#, expected: #"{"model":"a" , "y":2}"#,
            rules: RequestRules(drop: ["x"])),
        Case(
            name: "drop last", body: #"{"model":"a" , "x":1 }"#, expected: #"{"model":"a" }"#, rules: RequestRules(drop: ["x"])),
        Case(
            name: "drop the only member", body: #"{ "model":"a" }"#, expected: #"{  }"#, rules: RequestRules(drop: ["model"])),
        Case(
            name: "drop the only member, add another", body: #"{"model":"a"}"#, expected: #"{"t":1.0}"#,
            rules: RequestRules(drop: ["model"], set: [.init(name: "t", json: "1.0")])),
        Case(
            name: "drop a renamed field", body: #"{"model":"a","p":1}"#, expected: #"{"model":"a"}"#,
            rules: RequestRules(rename: [.init(from: "p", to: "q")], drop: ["q"])),
        Case(
            name: "default when absent", body: #"{"model":"a"}"#, expected: #"{"t":1e0,"model":"a"}"#,
            rules: RequestRules(defaults: [.init(name: "t", json: "1e0")])),
        Case(
            name: "no default when present", body: #"{"model":"a","t":null}"#, expected: #"{"model":"a","t":null}"#,
            rules: RequestRules(defaults: [.init(name: "t", json: "1")])),
        Case(
            name: "default for a dropped field", body: #"{"t":5,"model":"a"}"#, expected: #"{"t":1,"model":"a"}"#,
            rules: RequestRules(drop: ["t"], defaults: [.init(name: "t", json: "1")])),
        Case(
            name: "set in place", body: #"{"t" : 5,"model":"a"}"#, expected: #"{"t" : 7,"model":"a"}"#,
            rules: RequestRules(set: [.init(name: "t", json: "7")])),
        Case(
            name: "set over a renamed field", body: #"{"model":"a","p":5}"#, expected: #"{"model":"a","t":7}"#,
            rules: RequestRules(rename: [.init(from: "p", to: "t")], set: [.init(name: "t", json: "7")])),
        Case(
            name: "several added", body: #"{"model":"a"}"#, expected: #"{"t":1,"u":"x","model":"a"}"#,
            rules: RequestRules(defaults: [.init(name: "t", json: "1")], set: [.init(name: "u", json: #""x""#)])),
    ])
    func `the rules of a provider file apply`(_ test: Case) throws { #expect(try body(test) == test.expected) }

    @Test func `unknown fields and the text of numbers survive`() throws {
        let rest = #""a":1.0,"b":1e3,"c":0.10,"d":123456789012345678901234567890,"é":"\u00e9\ud83d\ude00 😀","f":{"models":[1]}"#
        let test = Case(
            name: "", body: #"{"model":"m",\#(rest),"models":["z"]}"#, expected: #"{"model":"up",\#(rest)}"#, upstream: "up")
        #expect(try body(test) == test.expected)
    }

    @Test func `an untouched body is not copied`() throws {
        let call = try Fixture.call(#"{"model":"a","messages":[]}"#)
        let sent = try #require(try OpenAIProvider(spec: Fixture.spec()).request(for: call).body)
        let (old, new) = (call.envelope.body, sent)
        #expect(old.withUnsafeReadableBytes { $0.baseAddress } == new.withUnsafeReadableBytes { $0.baseAddress })
    }

    // MARK: URL, headers, credentials

    @Test func `bearer, content type, static headers in order`() throws {
        let spec = Fixture.spec(headers: [
            StaticHeader(name: "X-A", value: Secret("1")), StaticHeader(name: "X-B", value: Secret("2")),
        ])
        let call = try Fixture.call(#"{"model":"a"}"#, spec: spec, channelHeaders: [StaticHeader(name: "x-b", value: Secret("3"))])
        let request = try OpenAIProvider(spec: spec).request(for: call)
        #expect(request.url == "https://api.vendor.test/v1/chat/completions")
        #expect(request.method == .post)
        #expect(request.headers[.authorization] == "Bearer \(Fixture.secretKey)")
        #expect(request.headers[.contentType] == "application/json")
        #expect(request.headers[.accept] == "application/json")
        #expect(request.headers[try #require(HTTPField.Name("X-A"))] == "1")
        #expect(request.headers[try #require(HTTPField.Name("X-B"))] == "3")
        #expect(request.headers.count == 5)
    }

    @Test func `streams accept events`() throws {
        let request = try OpenAIProvider(spec: Fixture.spec()).request(for: Fixture.call(#"{"model":"a","stream":true}"#))
        #expect(request.headers[.accept] == "text/event-stream")
    }

    @Test func `the other ways of a credential`() throws {
        func request(_ auth: AuthStyle, key: String = "k +/é") throws -> UpstreamRequest {
            let spec = Fixture.spec(auth: auth)
            return try OpenAIProvider(spec: spec).request(for: Fixture.call(#"{"model":"a"}"#, spec: spec, key: Secret(key)))
        }
        #expect(try request(.query(name: "key")).url == "https://api.vendor.test/v1/chat/completions?key=k%20%2B%2F%C3%A9")
        #expect(try request(.query(name: "key")).headers[.authorization] == nil)
        let header = try request(.header(name: "api-key", prefix: "Token "), key: "abc")
        #expect(header.headers[try #require(HTTPField.Name("api-key"))] == "Token abc")
        #expect(try request(.none).headers[.authorization] == nil)
        #expect(try request(.none).url == "https://api.vendor.test/v1/chat/completions")
    }

    @Test func `a path of the file wins`() throws {
        var spec = Fixture.spec()
        spec.endpoints = [.chat: "/other/chat", .models: "/list"]
        #expect(
            try OpenAIProvider(spec: spec).request(for: Fixture.call(#"{"model":"a"}"#, spec: spec)).url
                == "https://api.vendor.test/v1/other/chat"
        )
        #expect(OpenAIProvider(spec: spec).call(.listModels, baseURL: nil, key: nil)?.url == "https://api.vendor.test/v1/list")
        let embeddings = try Fixture.call(#"{"model":"a","input":"x"}"#, endpoint: .embeddings)
        #expect(try OpenAIProvider(spec: Fixture.spec()).request(for: embeddings).url == "https://api.vendor.test/v1/embeddings")
    }

    @Test(arguments: ["a\r\nX-Evil: 1", "a\nb", "a\u{0}b"])
    func `a header value with a line break is refused, not altered`(_ value: String) throws {
        let spec = Fixture.spec(headers: [StaticHeader(name: "X-A", value: Secret(value))])
        let call = try Fixture.call(#"{"model":"a"}"#, spec: spec)
        let error = failure { () throws(UpstreamFailure) in _ = try OpenAIProvider(spec: spec).request(for: call) }
        #expect(error?.source == .gateway)
        #expect(error?.detail.contains("Evil") == false)
        let badKey = try Fixture.call(#"{"model":"a"}"#, key: Secret(value))
        #expect(failure { () throws(UpstreamFailure) in _ = try OpenAIProvider(spec: Fixture.spec()).request(for: badKey) } != nil)
    }

    // MARK: Registry and side calls

    @Test func `families are found by name`() throws {
        #expect(AdaptorRegistry.provider(for: Fixture.spec(.openai)) is OpenAIProvider)
        #expect(AdaptorRegistry.provider(for: Fixture.spec(.gemini)) is GeminiProvider)
        #expect(AdaptorRegistry.provider(for: Fixture.spec(AdaptorID(rawValue: "nobody"))) == nil)
        let named: Set<AdaptorID> = [.openai, .openrouter, .anthropic, .gemini, .cohere, .bedrock, .azureOpenAI]
        #expect(Set(AdaptorRegistry.families.keys) == named)
    }

    @Test func `side calls are data`() throws {
        let openai = Fixture.provider(Fixture.spec(.openai))
        let openrouter = Fixture.provider(Fixture.spec(.openrouter))
        let models = try #require(openai.call(.listModels, baseURL: "https://b.test", key: Secret("k")))
        #expect(models.url == "https://b.test/models")
        #expect(models.method == .get)
        #expect(models.headers[.authorization] == "Bearer k")
        #expect(openai.call(.generation(id: "gen-1"), baseURL: nil, key: nil) == nil)
        #expect(openrouter.call(.listModels, baseURL: nil, key: nil)?.url == "https://api.vendor.test/v1/models")
        #expect(
            openrouter.call(.generation(id: "gen-1_B"), baseURL: nil, key: nil)?.url == "https://api.vendor.test/v1/generation?id=gen-1_B")
        #expect(openrouter.call(.generation(id: "a&b=c"), baseURL: nil, key: nil) == nil)
    }

    @Test func `the generation id comes from the head, checked`() throws {
        let name = try #require(HTTPField.Name("X-Generation-Id"))
        func id(_ family: AdaptorID, _ value: String) throws -> String? {
            Fixture.provider(Fixture.spec(family)).generationID(UpstreamHead(status: 200, headers: [name: value]))
        }
        #expect(try id(.openrouter, "gen-1_Z") == "gen-1_Z")
        #expect(try id(.openrouter, "gen 1") == nil)
        #expect(try id(.openrouter, String(repeating: "a", count: 128)) != nil)
        #expect(try id(.openrouter, String(repeating: "a", count: 129)) == nil)
        #expect(try id(.openai, "gen-1") == nil)
    }
}
