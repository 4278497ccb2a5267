import HTTPTypes
import NIOCore
import RouterCore
import Testing

/// One client body and what the vendor must get, byte for byte.
struct SpliceCase: Sendable, CustomTestStringConvertible {
    var body: String
    var expected: String
    var upstream: String?
    var family: AdaptorID
    var endpoint: Endpoint
    var request: RequestRules
    var usage: UsageRules

    var testDescription: String { body + " → " + expected }

    init(
        _ body: String, _ expected: String, upstream: String? = nil, family: AdaptorID = .openai,
        endpoint: Endpoint = .chat, request: RequestRules = RequestRules(), usage: UsageRules = UsageRules()
    ) {
        self.body = body
        self.expected = expected
        self.upstream = upstream
        self.family = family
        self.endpoint = endpoint
        self.request = request
        self.usage = usage
    }
}

private func same(_ body: String) -> SpliceCase { SpliceCase(body, body) }
private let both = RequestRules.Rename(from: "old", to: "new")
private let rename = RequestRules(rename: [both])
private func drop(_ names: String...) -> RequestRules { RequestRules(drop: names) }
private func set(_ name: String, _ json: String) -> RequestRules { RequestRules(set: [.init(name: name, json: json)]) }
private let fallback = RequestRules(defaults: [.init(name: "a", json: "0.10")])
private let setA = set("a", "[1e3]")

private let untouched: [SpliceCase] = [
    same(#"{"model":"m"}"#), same(#" { "model" : "m" } "#),
    same("{\n\t\"model\": \"m\",\r\n \"x\": [ 1.0 , 1e3,0.10, -0, 123456789012345678901234567890, 1E+2 ]\n}\n"),
    same(#"{"model":"m","temperature":1.0,"seed":9007199254740993,"unknown":{"a":[{}],"é":"\u00e9\/"}}"#),
    same(#"{"messages":[{"role":"user","content":"{\"model\":\"no\"}"}],"model":"m","stream":false}"#),
    same(#"{"model":"m","x":1,"x":2}"#),
]

private let modelNames: [SpliceCase] = [
    SpliceCase(#"{"model":"m","a":1.0}"#, #"{"model":"vendor/m:free","a":1.0}"#, upstream: "vendor/m:free"),
    SpliceCase(#"{"a":1e3, "model" : "m" ,"b":0.10}"#, #"{"a":1e3, "model" : "v" ,"b":0.10}"#, upstream: "v"),
    SpliceCase(#"{"a":{"model":"m"},"model":"m"}"#, #"{"a":{"model":"m"},"model":"q\"\\é"}"#, upstream: #"q"\é"#),
    SpliceCase(#"{"model":"\u006d"}"#, #"{"model":"v"}"#, upstream: "v"),
]

private let asked = #"{"model":"m","stream":true,"stream_options":{"include_usage":true}}"#
private let askedInFront = #"{"stream_options":{"include_usage":true},"model":"m","stream":true}"#
private let includeUsage: [SpliceCase] = [
    // Absent.
    SpliceCase(#"{"model":"m","stream":true}"#, askedInFront),
    SpliceCase(#"{"model":"m","stream":true}"#, askedInFront, endpoint: .completions),
    SpliceCase(
        " \n{ \"model\":\"m\",\"stream\":true}",
        " \n{\"stream_options\":{\"include_usage\":true}, \"model\":\"m\",\"stream\":true}"),
    // Empty: first, middle, last.
    SpliceCase(#"{"stream_options":{},"model":"m","stream":true}"#, askedInFront),
    SpliceCase(
        #"{"model":"m","stream_options":{ },"stream":true}"#,
        #"{"model":"m","stream_options":{"include_usage":true },"stream":true}"#),
    SpliceCase(#"{"model":"m","stream":true,"stream_options":{}}"#, asked),
    // Other keys, false, null, true; null for the whole.
    SpliceCase(
        #"{"model":"m","stream":true,"stream_options":{"include_obfuscation":false}}"#,
        #"{"model":"m","stream":true,"stream_options":{"include_usage":true,"include_obfuscation":false}}"#),
    SpliceCase(
        #"{"model":"m","stream":true,"stream_options":{"include_usage":false,"a":1.0}}"#,
        #"{"model":"m","stream":true,"stream_options":{"include_usage":true,"a":1.0}}"#),
    SpliceCase(
        #"{"model":"m","stream":true,"stream_options":{"a":1, "include_usage" : null , "b":2}}"#,
        #"{"model":"m","stream":true,"stream_options":{"a":1, "include_usage" : true , "b":2}}"#),
    same(asked), SpliceCase(#"{"model":"m","stream":true,"stream_options":null}"#, asked),
    // Not a stream, not a streaming endpoint, not wanted by the vendor.
    same(#"{"model":"m","stream":null,"stream_options":{}}"#),
    SpliceCase(#"{"model":"m","stream":true}"#, #"{"model":"m","stream":true}"#, endpoint: .embeddings),
    SpliceCase(
        #"{"model":"m","stream":true,"stream_options":{}}"#, #"{"model":"m","stream":true,"stream_options":{}}"#,
        usage: UsageRules(streamUsageOption: false)),
    SpliceCase(asked, #"{"model":"m","stream":true}"#, request: drop("stream_options")),
    SpliceCase(#"{"model":"m","stream":true}"#, #"{"model":"m","stream":true}"#, request: drop("stream_options")),
    // The file has the last word, and says it once.
    SpliceCase(
        #"{"model":"m","stream":true}"#, #"{"stream_options":{"b":1},"model":"m","stream":true}"#,
        request: set("stream_options", #"{"b":1}"#)),
]

private let renames: [SpliceCase] = [
    SpliceCase(#"{"old":1.0,"model":"m"}"#, #"{"new":1.0,"model":"m"}"#, request: rename),
    SpliceCase(#"{"model":"m", "old" : 5 ,"b":2}"#, #"{"model":"m", "new" : 5 ,"b":2}"#, request: rename),
    SpliceCase(#"{"model":"m","old":5}"#, #"{"model":"m","new":5}"#, request: rename),
    SpliceCase(#"{"model":"m"}"#, #"{"model":"m"}"#, request: rename),
    // The new name wins, wherever it stands.
    SpliceCase(#"{"old":1,"model":"m","new":2}"#, #"{"model":"m","new":2}"#, request: rename),
    SpliceCase(#"{"new":2,"model":"m","old":1}"#, #"{"new":2,"model":"m"}"#, request: rename),
    // Inner fields are not meant; an escaped name is the same name.
    SpliceCase(#"{"model":"m","x":{"old":1}}"#, #"{"model":"m","x":{"old":1}}"#, request: rename),
    SpliceCase(#"{"model":"m","\u006fld":1}"#, #"{"model":"m","new":1}"#, request: rename),
    // The order is rename, drop, default, set.
    SpliceCase(#"{"old":1,"model":"m"}"#, #"{"model":"m"}"#, request: RequestRules(rename: [both], drop: ["new"])),
    SpliceCase(
        #"{"old":1,"model":"m"}"#, #"{"new":9,"model":"m"}"#,
        request: RequestRules(rename: [both], set: [.init(name: "new", json: "9")])),
    SpliceCase(
        #"{"old":1,"model":"m"}"#, #"{"new":1,"model":"m"}"#,
        request: RequestRules(rename: [both], defaults: [.init(name: "new", json: "9")])),
    SpliceCase(
        #"{"a":1,"model":"m"}"#, #"{"a":7,"model":"m"}"#,
        request: RequestRules(
            drop: ["a"], defaults: [.init(name: "a", json: "8")], set: [.init(name: "a", json: "7")])),
]

private let drops: [SpliceCase] = [
    SpliceCase(#"{"a":1,"model":"m"}"#, #"{"model":"m"}"#, request: drop("a")),
    SpliceCase(#"{ "a" : [1,{"b":2}] , "model":"m"}"#, #"{ "model":"m"}"#, request: drop("a")),
    SpliceCase(#"{"model":"m","a":1,"c":3}"#, #"{"model":"m","c":3}"#, request: drop("a")),
    SpliceCase(#"{"model":"m" , "a":1 }"#, #"{"model":"m" }"#, request: drop("a")),
    SpliceCase(#"{"a":1,"b":2,"model":"m","a":3,"c":4,"b":5,"a":6}"#, #"{"model":"m","c":4}"#, request: drop("a", "b")),
    SpliceCase(#"{"model":"m"}"#, #"{}"#, request: drop("model")),
    SpliceCase(#"{"a":1,"model":"m","b":2}"#, #"{}"#, request: drop("a", "model", "b")),
]

private let additions: [SpliceCase] = [
    SpliceCase(#"{"model":"m","z":1}"#, #"{"a":0.10,"model":"m","z":1}"#, request: fallback),
    SpliceCase(#"{"a":null,"model":"m"}"#, #"{"a":null,"model":"m"}"#, request: fallback),
    SpliceCase(#"{"model":"m","a":2}"#, #"{"model":"m","a":2}"#, request: fallback),
    SpliceCase(#"{"model":"m"}"#, #"{"a":[1e3],"model":"m"}"#, request: setA),
    SpliceCase(#"{"a":7,"model":"m"}"#, #"{"a":[1e3],"model":"m"}"#, request: setA),
    SpliceCase(#"{"model":"m", "a" : 7 ,"b":1}"#, #"{"model":"m", "a" : [1e3] ,"b":1}"#, request: setA),
    SpliceCase(#"{"model":"m","a":7}"#, #"{"model":"m","a":[1e3]}"#, request: setA),
    SpliceCase(#"{"model":"m"}"#, #"{"model":"x"}"#, upstream: "v", request: set("model", #""x""#)),
    // All at once.
    SpliceCase(
        #"{"old":5,"model":"m","stream":true,"bias":{},"top_k":1.0}"#,
        #"{"stream_options":{"include_usage":true},"d":1,"new":5,"model":"v","stream":true,"top_k":2}"#, upstream: "v",
        request: RequestRules(
            rename: [both], drop: ["bias"], defaults: [.init(name: "d", json: "1")],
            set: [.init(name: "top_k", json: "2")])),
    // The client's own word for its end user goes on, and none is made up.
    SpliceCase(#"{"model":"m","user":"o"}"#, #"{"model":"m","user":"o"}"#, family: .openrouter),
    SpliceCase(#"{"model":"m"}"#, #"{"model":"m"}"#, family: .openrouter),
]

private let gatewayFields: [SpliceCase] = [
    SpliceCase(
        #"{"models":["a","b"],"model":"m","provider":{"order":["x"]},"temperature":1.0,"session_id":"s"}"#,
        #"{"model":"m","temperature":1.0}"#),
    SpliceCase(#"{"model":"m","models":[],"provider":{}}"#, #"{"model":"m"}"#),
    SpliceCase(
        #"{"models":["a"],"model":"m","provider":{},"session_id":"s"}"#,
        #"{"model":"m","provider":{},"session_id":"s"}"#, family: .openrouter),
]

@Suite struct Splices {
    @Test(arguments: [untouched, modelNames, includeUsage, renames, drops, additions, gatewayFields].flatMap { $0 })
    func `the vendor gets exactly these bytes`(_ sample: SpliceCase) throws {
        let spec = Fixture.spec(sample.family, request: sample.request, usage: sample.usage)
        let call = try Fixture.call(
            sample.body, spec: spec, endpoint: sample.endpoint, upstream: sample.upstream)
        let request = try Fixture.provider(spec).request(for: call)
        let body = String(buffer: try #require(request.body))
        #expect(body == sample.expected)
        #expect(body.utf8.elementsEqual(sample.expected.utf8))
        #expect(String(buffer: call.envelope.body) == sample.body, "the client's own bytes are not changed")
    }

    @Test(arguments: [
        (Endpoint.chat, "/chat/completions"), (.completions, "/completions"), (.embeddings, "/embeddings"),
    ])
    func `the family's paths follow the base URL`(_ endpoint: Endpoint, _ path: String) throws {
        let spec = Fixture.spec()
        let call = try Fixture.call(#"{"model":"m"}"#, spec: spec, endpoint: endpoint)
        let request = try Fixture.provider(spec).request(for: call)
        #expect(request.url == "https://api.vendor.test/v1" + path)
        #expect(request.method == .post)
        #expect(request.headers[.contentType] == "application/json" && request.headers[.accept] == "application/json")
        let stream = try Fixture.call(#"{"model":"m","stream":true}"#, spec: spec, endpoint: endpoint)
        #expect(try Fixture.provider(spec).request(for: stream).headers[.accept] == "text/event-stream")
    }

    @Test func `the file's path and the channel's base URL win`() throws {
        let spec = Fixture.spec(endpoints: [.chat: "/compat/chat?v=2", .embeddings: nil])
        let call = try Fixture.call(#"{"model":"m"}"#, spec: spec, baseURL: "http://127.0.0.1:9/x")
        #expect(try Fixture.provider(spec).request(for: call).url == "http://127.0.0.1:9/x/compat/chat?v=2")
        #expect(Fixture.provider(spec).capabilities == [.chat, .embeddings, .messages, .responses, .gemini])
    }

    private func request(_ auth: AuthStyle, key: String?, path: String? = nil) throws -> UpstreamRequest {
        let spec = Fixture.spec(auth: auth, endpoints: [.chat: path])
        return try Fixture.provider(spec).request(
            for: try Fixture.call(#"{"model":"m"}"#, spec: spec, key: key.map { Secret($0) }))
    }

    @Test func `each auth style puts the key into one place only`() throws {
        let apiKey = try #require(HTTPField.Name("x-api-key"))
        let bearer = try request(.bearer, key: "k1")
        #expect(bearer.headers[.authorization] == "Bearer k1" && !bearer.url.contains("k1"))
        let header = try request(.header(name: "x-api-key", prefix: "Key "), key: "k1")
        #expect(header.headers[apiKey] == "Key k1" && header.headers[.authorization] == nil)
        let query = try request(.query(name: "key"), key: "k y/+&é")
        #expect(query.url == "https://api.vendor.test/v1/chat/completions?key=k%20y%2F%2B%26%C3%A9")
        #expect(query.headers[.authorization] == nil)
        #expect(try request(.query(name: "key"), key: "a-._~9", path: "/c?v=1").url.hasSuffix("/c?v=1&key=a-._~9"))
        let none = try request(.none, key: "k1")
        #expect(none.headers[.authorization] == nil && !none.url.contains("k1"))
        #expect(try request(.bearer, key: nil).headers[.authorization] == nil)
        #expect(throws: UpstreamFailure.self) { try request(.bearer, key: "k1\r\nX: y") }
    }

    @Test func `the channel's headers win over the file's`() throws {
        let title = try #require(HTTPField.Name("X-Title"))
        let extra = try #require(HTTPField.Name("X-Extra"))
        let spec = Fixture.spec(headers: [
            StaticHeader(name: "X-Title", value: Secret("file")), StaticHeader(name: "X-Extra", value: Secret("e")),
        ])
        let call = try Fixture.call(
            #"{"model":"m"}"#, spec: spec, channelHeaders: [StaticHeader(name: "x-title", value: Secret("channel"))])
        let headers = try Fixture.provider(spec).request(for: call).headers
        #expect(headers[values: title] == ["channel"] && headers[extra] == "e")
        #expect(headers[.authorization] == "Bearer \(Fixture.secretKey)")
    }

    @Test func `calls beside the traffic are GETs with the credential`() throws {
        let router = Fixture.provider(Fixture.spec(.openrouter))
        let key = Secret("k1")
        let generation = try #require(router.call(.generation(id: "gen-1_A"), baseURL: nil, key: key))
        #expect(generation.url == "https://api.vendor.test/v1/generation?id=gen-1_A")
        #expect(generation.method == .get && generation.body == nil)
        #expect(generation.headers[.authorization] == "Bearer k1")
        #expect(router.call(.activity, baseURL: "http://b", key: key)?.url == "http://b/activity")
        #expect(router.call(.listModels, baseURL: nil, key: nil)?.url == "https://api.vendor.test/v1/models")
        for hostile in ["", "a&b=c", "../x", "a b", "é", String(repeating: "a", count: 129)] {
            #expect(router.call(.generation(id: hostile), baseURL: nil, key: key) == nil, "\(hostile)")
        }
        let plain = Fixture.provider(Fixture.spec())
        #expect(plain.call(.activity, baseURL: nil, key: key) == nil)
        #expect(plain.call(.generation(id: "a"), baseURL: nil, key: key) == nil)
    }

    @Test func `Azure's calls name a version, and its list is asked of the resource`() throws {
        var spec = Fixture.spec(.azureOpenAI, auth: .header(name: "api-key", prefix: ""))
        spec.baseURL = "https://name.openai.azure.com"
        let azure = Fixture.provider(spec)
        let list = try #require(azure.call(.listModels, baseURL: nil, key: Secret("k1")))
        #expect(list.url == "https://name.openai.azure.com/openai/models?api-version=2024-10-21" && list.method == .get)
        #expect(list.headers[try #require(HTTPField.Name("api-key"))] == "k1" && list.headers[.authorization] == nil)
        #expect(azure.call(.listModels, baseURL: "http://b", key: nil)?.url == "http://b/openai/models?api-version=2024-10-21")
        #expect(azure.call(.generation(id: "a"), baseURL: nil, key: nil) == nil && azure.call(.activity, baseURL: nil, key: nil) == nil)
        let call = try Fixture.call(#"{"model":"m"}"#, spec: spec, upstream: "my-deployment")
        #expect(
            try azure.request(for: call).url
                == "https://name.openai.azure.com/openai/deployments/my-deployment/chat/completions?api-version=2024-10-21")
        spec.endpoints = [.chat: nil, .responses: nil, .models: "/openai/v1/models"]
        let other = Fixture.provider(spec)
        #expect(other.call(.listModels, baseURL: nil, key: nil)?.url == "https://name.openai.azure.com/openai/v1/models")
        // Azure's data plane has no Responses under these paths.
        #expect(other.capabilities == [.chat, .models, .messages, .gemini, .responses])
        #expect(!other.passesPreferencesOn && Fixture.provider(Fixture.spec(.openrouter)).passesPreferencesOn)
    }

    @Test func `the generation's id is taken from the head only when it is fit for a URL`() throws {
        let name = try #require(HTTPField.Name("X-Generation-Id"))
        let router = Fixture.provider(Fixture.spec(.openrouter))
        #expect(router.generationID(UpstreamHead(status: 200, headers: [name: "gen-9"])) == "gen-9")
        #expect(router.generationID(UpstreamHead(status: 200, headers: [name: "gen 9"])) == nil)
        #expect(router.generationID(UpstreamHead(status: 200, headers: [:])) == nil)
    }
}
