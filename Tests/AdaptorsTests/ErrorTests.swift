import HTTPTypes
import NIOCore
import RouterCore
import Testing

/// A vendor's refusal and its name.
struct ErrorCase: Sendable, CustomTestStringConvertible {
    var status: Int
    var body: String
    var kind: FailureKind
    var family = AdaptorID.openai

    init(_ status: Int, _ body: String, _ kind: FailureKind, _ family: AdaptorID = .openai) {
        self.status = status
        self.body = body
        self.kind = kind
        self.family = family
    }

    var testDescription: String { "\(family) \(status) \(body)" }
}

private let statuses: [ErrorCase] = [
    ErrorCase(302, "", .malformed), ErrorCase(400, "", .invalidRequest), ErrorCase(401, "", .credentialRefused),
    ErrorCase(402, "", .credentialExhausted), ErrorCase(403, "", .credentialRefused),
    ErrorCase(404, "", .modelUnavailable), ErrorCase(408, "", .timeout), ErrorCase(409, "", .server),
    ErrorCase(413, "", .invalidRequest), ErrorCase(422, "", .invalidRequest), ErrorCase(425, "", .server),
    ErrorCase(429, "", .rateLimit), ErrorCase(499, "", .invalidRequest), ErrorCase(500, "", .server),
    ErrorCase(501, "", .server), ErrorCase(502, "", .server), ErrorCase(503, "", .overloaded),
    ErrorCase(504, "", .timeout), ErrorCase(524, "", .timeout), ErrorCase(529, "", .overloaded),
    ErrorCase(520, "<html>", .server),
]

private let codes: [ErrorCase] = [
    ErrorCase(400, #"{"error":{"message":"m","code":"context_length_exceeded"}}"#, .contextLength),
    ErrorCase(400, #"{"error":{"message":"This model's Maximum context length is 8192 tokens"}}"#, .contextLength),
    ErrorCase(400, #"{"error":{"message":"m","code":"content_filter"}}"#, .contentFilter),
    ErrorCase(400, #"{"error":{"message":"m","code":"content_policy_violation"}}"#, .contentFilter),
    ErrorCase(400, #"{"error":{"message":"m","code":"model_not_found"}}"#, .modelUnavailable),
    ErrorCase(400, #"{"error":{"message":"insufficient_quota is only mentioned"}}"#, .invalidRequest),
    ErrorCase(429, #"{"error":{"message":"m","code":"insufficient_quota"}}"#, .credentialExhausted),
    ErrorCase(429, #"{"error":{"message":"m","type":"insufficient_quota","code":null}}"#, .credentialExhausted),
    ErrorCase(429, #"{"error":{"message":"insufficient_quota is only mentioned"}}"#, .rateLimit),
    ErrorCase(429, #"{"error":{"message":"m","code":"context_length_exceeded"}}"#, .rateLimit),
    ErrorCase(500, #"{"error":{"message":"m","code":"insufficient_quota"}}"#, .server),
    // The key is well; it is this model that it may not use here.
    ErrorCase(
        403,
        #"{"error":{"message":"You are not allowed to generate embeddings from this model","type":"invalid_request_error","param":null,"code":null}}"#,
        .modelUnavailable),
    // 403 is moderation only where the vendor says so.
    ErrorCase(403, #"{"error":{"message":"m","metadata":{"reasons":["violence"]}}}"#, .contentFilter, .openrouter),
    ErrorCase(403, #"{"error":{"message":"m","metadata":{"flagged_input":"x"}}}"#, .contentFilter, .openrouter),
    ErrorCase(403, #"{"error":{"message":"Your input was flagged"}}"#, .contentFilter, .openrouter),
    ErrorCase(403, #"{"error":{"message":"key disabled"}}"#, .credentialRefused, .openrouter),
    ErrorCase(403, #"{"error":{"message":"m","metadata":{"reasons":["x"]}}}"#, .credentialRefused),
]

private let now: Int64 = 784_111_777  // Sun, 06 Nov 1994 08:49:37 GMT (RFC 9110, section 5.6.7)

@Suite struct Refusals {
    private func classify(
        _ status: Int, _ body: String, headers: [(String, String)] = [], family: AdaptorID = .openai,
        rules: [ErrorRule] = [], at time: Int64 = now
    ) throws -> UpstreamFailure {
        var fields = HTTPFields()
        for (name, value) in headers { fields[try #require(HTTPField.Name(name))] = value }
        return Fixture.provider(Fixture.spec(family, errors: rules)).classify(
            UpstreamHead(status: status, headers: fields), body: ByteBuffer(string: body), now: time)
    }

    @Test(arguments: statuses + codes)
    func `each refusal has its name`(_ sample: ErrorCase) throws {
        let failure = try classify(sample.status, sample.body, family: sample.family)
        #expect(failure.kind == sample.kind)
        #expect(failure.status == sample.status)
        #expect(failure.source == .upstream)
        #expect(!failure.isBillable)
        #expect(failure.retry == sample.kind.next)
        // The client sees the vendor's words only where its own request is at fault.
        #expect((failure.clientError != nil) == [.invalidRequest, .contextLength, .contentFilter].contains(sample.kind))
    }

    // MARK: Rules of the provider file

    @Test func `the file's rules come before the family's and the first one wins`() throws {
        let rules = [
            ErrorRule(status: 429, bodyContains: "Daily Limit", kind: .credentialExhausted),
            ErrorRule(status: 429, kind: .overloaded), ErrorRule(code: "1113", kind: .credentialExhausted),
            ErrorRule(status: 400, code: "sensitive", kind: .contentFilter),
        ]
        #expect(try classify(429, "your DAILY limit is used", rules: rules).kind == .credentialExhausted)
        #expect(try classify(429, #"{"error":{"code":"insufficient_quota"}}"#, rules: rules).kind == .overloaded)
        #expect(try classify(500, #"{"error":{"code":"1113"}}"#, rules: rules).kind == .credentialExhausted)
        #expect(try classify(500, #"{"error":{"code":1113}}"#, rules: rules).kind == .credentialExhausted)
        #expect(try classify(400, #"{"error":{"type":"sensitive"}}"#, rules: rules).kind == .contentFilter)
        // All conditions of a rule must hold.
        #expect(try classify(422, #"{"error":{"type":"sensitive"}}"#, rules: rules).kind == .invalidRequest)
        #expect(try classify(500, "daily limit", rules: rules).kind == .server)
        #expect(try classify(500, #"{"error":{"message":"1113"}}"#, rules: rules).kind == .server)
    }

    @Test func `the file's rules hold inside a 200 too`() throws {
        let spec = Fixture.spec(errors: [ErrorRule(code: "busy", kind: .overloaded)])
        let call = try Fixture.call(#"{"model":"m"}"#, spec: spec)
        #expect {
            _ = try Fixture.provider(spec).decode(ByteBuffer(string: #"{"error":{"code":"busy"}}"#), for: call)
        } throws: {
            ($0 as? UpstreamFailure)?.kind == .overloaded
        }
    }

    // MARK: How long to wait

    @Test(arguments: [
        ("retry-after", "3", Duration.seconds(3)), ("Retry-After", "0", .zero),
        ("retry-after", "0.5", .milliseconds(500)),
        ("retry-after", "1.25", .milliseconds(1_250)), ("retry-after", "2.0019", .milliseconds(2_001)),
        ("retry-after", "999999999", .seconds(86_400)), ("retry-after-ms", "1500", .milliseconds(1_500)),
        ("retry-after-ms", "99999999999", .seconds(86_400)),
    ])
    func `a wait in figures`(_ name: String, _ value: String, _ wait: Duration) throws {
        #expect(try classify(429, "", headers: [(name, value)]).retryAfter == wait)
        #expect(try classify(503, "", headers: [(name, value)]).retryAfter == wait)
    }

    @Test(arguments: [
        "Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994",
    ])
    func `a wait as an HTTP date`(_ date: String) throws {
        func wait(_ time: Int64) throws -> Duration? {
            try classify(429, "", headers: [("retry-after", date)], at: time).retryAfter
        }
        #expect(try wait(now - 90) == .seconds(90))
        #expect(try wait(now) == .zero)
        #expect(try wait(now + 5) == .zero)
        #expect(try wait(now - 1_000_000) == .seconds(86_400))
    }

    @Test func `leap days and the turn of a year are counted`() throws {
        // 29 February 2028 is day 21,243 after 1 January 1970: 58 years × 365 + 14 leap days + 59.
        for (date, seconds) in [
            ("Tue, 29 Feb 2028 00:00:10 GMT", 21_243 * 86_400 + 10), ("Wed, 01 Mar 2028 00:00:00 GMT", 21_244 * 86_400),
            // 2000-01-01 is day 10,957.
            ("Fri, 31 Dec 1999 23:59:59 GMT", 10_957 * 86_400 - 1),
        ] as [(String, Int64)] {
            let failure = try classify(429, "", headers: [("retry-after", date)], at: seconds - 7)
            #expect(failure.retryAfter == .seconds(7), "\(date)")
        }
    }

    @Test(arguments: [
        "", "soon", "-1", "1.", ".5", "1.x", "1,5", "0x10", "Sun, 06 Nov", "Sun, 32 Nov 1994 08:49:37 GMT",
        "Sun, 06 Nix 1994 08:49:37 GMT", "Sun, 06 Nov 1994 25:49:37 GMT", "Sun, 06 Nov 1994 08:49 GMT",
    ])
    func `nonsense is no wait`(_ value: String) throws {
        #expect(try classify(429, "", headers: [("retry-after", value)]).retryAfter == nil)
    }

    @Test func `the finest wish wins and nothing is invented`() throws {
        let both = [("retry-after", "9"), ("retry-after-ms", "250")]
        #expect(try classify(429, "", headers: both).retryAfter == .milliseconds(250))
        let broken = [("retry-after", "9"), ("retry-after-ms", "x")]
        #expect(try classify(429, "", headers: broken).retryAfter == .seconds(9))
        #expect(try classify(429, "").retryAfter == nil)
    }

    @Test func `OpenRouter's reset time is in Unix milliseconds`() throws {
        let time: Int64 = 1_741_305_600
        func wait(_ value: String) throws -> Duration? {
            try classify(429, "", headers: [("X-RateLimit-Reset", value)], family: .openrouter, at: time).retryAfter
        }
        #expect(try wait("1741305612500") == .milliseconds(12_500))
        #expect(try wait("1741305599000") == .zero)
        #expect(try wait("1999999999999") == .seconds(86_400))
        #expect(try wait("60") == nil)
    }

    // MARK: Words

    @Test(arguments: [
        (
            #"{"message":"bad \"x\"","type":"t","param":"p","code":1.0,"extra":[1e3]}"#,
            #"{"message":"bad \"x\"","type":"t","param":"p","code":"1.0","metadata":{"extra":[1e3]}}"#
        ),
        (
            #"{"code":400,"message":"m","metadata":{"raw":"r","error_type":"e"},"error_type":"other","http_status":400}"#,
            #"{"message":"m","type":"invalid_request_error","param":null,"code":"400","metadata":{"raw":"r","error_type":"e","error_error_type":"other","http_status":400}}"#
        ),
        (
            #"{"message":"m","type":"","param":["a"],"code":null,"metadata":"text"}"#,
            #"{"message":"m","type":"invalid_request_error","param":null,"code":null,"metadata":{"metadata":"text","param":["a"]}}"#
        ),
        (#"{"message":"m","type":"t","param":null,"code":"c"}"#, #"{"message":"m","type":"t","param":null,"code":"c"}"#),
        (#"{"message":"m"}"#, #"{"message":"m","type":"invalid_request_error","param":null,"code":null}"#),
    ])
    func `audit 20: a vendor's error object gets OpenAI's shape, and loses nothing`(_ error: String, _ shown: String) throws {
        #expect(try classify(400, #"{"error":\#(error),"user_id":"u"}"#).clientError?.json.text == shown)
        let spec = Fixture.spec()
        let call = try Fixture.call(#"{"model":"m","stream":true}"#, spec: spec)
        let coded = error.replacingOnce("\"message\"", "\"http_status\":400,\"message\"")
        var failure: UpstreamFailure?
        do throws(UpstreamFailure) { _ = try Fixture.provider(spec).decode(ByteBuffer(string: "{\"error\":\(coded)}"), for: call) } catch {
            failure = error
        }
        let inBand = try #require(failure?.clientError).json
        #expect(inBand["type"]?.stringValue?.isEmpty == false && (inBand["code"]?.isNull ?? true || inBand["code"]?.stringValue != nil))
        #expect(inBand["metadata"]?["http_status"]?.integerValue == 400)
    }

    @Test(arguments: [
        (#"{"message":"top"}"#, "top"), (#"{"detail":"why"}"#, "why"), (#"{"error":"words"}"#, "words"),
    ])
    func `other shapes become OpenAI's`(_ body: String, _ words: String) throws {
        let error = try #require(try classify(422, body).clientError)
        #expect(error.json["message"]?.stringValue == words)
    }

    @Test func `without words the client still gets an error object`() throws {
        for body in ["", "<html>", "[]", "{}", #"{"error":{}}"#, #"{"error":null}"#, "{\"error\":"] {
            let error = try #require(try classify(400, body).clientError).json
            #expect(error["message"]?.stringValue?.isEmpty == false, "\(body)")
            #expect(error["type"] == "invalid_request_error")
        }
    }

    @Test func `no key gets into the log or to the client`() throws {
        let key = "sk-proj-AbCdEf0123456789"
        for status in [400, 401, 403, 429, 500] {
            for body in [
                #"{"error":{"message":"Incorrect API key provided: \#(key). See help."}}"#, "key=\(key)",
                #"{"x":"\#(key)"}"#,
                #"{"error":{"message":"(\#(key))"}}"#, String(repeating: "a", count: 290) + " " + key,
            ] {
                let failure = try classify(status, body)
                #expect(!failure.detail.contains("AbCdEf"), "\(failure.detail)")
                #expect(failure.detail.hasPrefix("\(status) "))
                #expect(failure.detail.utf8.count < 1_000)
            }
        }
    }

    @Test func `the key of the call does not come back from inside a 200`() throws {
        let spec = Fixture.spec()
        let call = try Fixture.call(#"{"model":"m"}"#, spec: spec)
        for code in [400, 401, 500] {
            let body = #"{"error":{"code":\#(code),"message":"your key '\#(Fixture.secretKey)' is odd"}}"#
            #expect {
                _ = try Fixture.provider(spec).decode(ByteBuffer(string: body), for: call)
            } throws: {
                guard let failure = $0 as? UpstreamFailure else { return false }
                return !failure.detail.contains("0123456789") && failure.clientError?.json.text.contains("0123456789") != true
            }
        }
    }

    @Test func `nor does it from what stands beside the message`() throws {
        let spec = Fixture.spec()
        let key = "20260101"
        let call = try Fixture.call(#"{"model":"m"}"#, spec: spec, key: Secret(key))
        let body =
            #"{"error":{"code":"c-\#(key)","http_status":400,"message":"m","type":"t","a-\#(key)":[{"\#(key)":\#(key)},"x\#(key)y"]}}"#
        let failed = failure { () throws(UpstreamFailure) in
            _ = try Fixture.provider(spec).decode(ByteBuffer(string: body), for: call)
        }
        #expect(
            failed?.clientError?.json.text
                == #"{"message":"m","type":"t","param":null,"code":"c-<redacted>","metadata":{"http_status":400,"#
                + #""a-<redacted>":[{"<redacted>":"<redacted>"},"x<redacted>y"]}}"#)
    }
}
