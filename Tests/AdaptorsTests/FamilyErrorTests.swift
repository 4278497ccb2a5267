import HTTPTypes
import NIOCore
import RouterCore
import Testing

@testable import Adaptors

private func anthropic(_ type: String, _ message: String = "m") -> String {
    #"{"type":"error","error":{"type":"\#(type)","message":"\#(message)"},"request_id":"req_1"}"#
}
private func google(_ code: Int, _ status: String, _ message: String = "m", details: String = "[]") -> String {
    #"{"error":{"code":\#(code),"message":"\#(message)","status":"\#(status)","details":\#(details)}}"#
}

private let refusals: [ErrorCase] = [
    ErrorCase(400, anthropic("invalid_request_error"), .invalidRequest, .anthropic),
    ErrorCase(400, anthropic("invalid_request_error", "prompt is too long: 208310 tokens > 200000 maximum"), .contextLength, .anthropic),
    ErrorCase(
        400, anthropic("invalid_request_error", "Your credit balance is too low to access the API"), .credentialExhausted, .anthropic),
    ErrorCase(401, anthropic("authentication_error"), .credentialRefused, .anthropic),
    ErrorCase(402, anthropic("billing_error"), .credentialExhausted, .anthropic),
    ErrorCase(403, anthropic("permission_error"), .credentialRefused, .anthropic),
    ErrorCase(404, anthropic("not_found_error", "model: x"), .modelUnavailable, .anthropic),
    ErrorCase(413, anthropic("request_too_large"), .invalidRequest, .anthropic),
    ErrorCase(429, anthropic("rate_limit_error"), .rateLimit, .anthropic),
    ErrorCase(500, anthropic("api_error"), .server, .anthropic),
    ErrorCase(504, anthropic("timeout_error"), .timeout, .anthropic),
    ErrorCase(529, anthropic("overloaded_error"), .overloaded, .anthropic),
    ErrorCase(400, google(400, "INVALID_ARGUMENT"), .invalidRequest, .gemini),
    ErrorCase(400, google(400, "INVALID_ARGUMENT", "API key not valid. Please pass a valid API key."), .credentialRefused, .gemini),
    ErrorCase(400, google(400, "FAILED_PRECONDITION", "Please enable billing"), .credentialExhausted, .gemini),
    ErrorCase(
        400, google(400, "INVALID_ARGUMENT", "The input token count (2) exceeds the maximum number of tokens allowed (1)."),
        .contextLength, .gemini),
    ErrorCase(403, google(403, "PERMISSION_DENIED"), .credentialRefused, .gemini),
    ErrorCase(404, google(404, "NOT_FOUND"), .modelUnavailable, .gemini),
    ErrorCase(429, google(429, "RESOURCE_EXHAUSTED"), .rateLimit, .gemini),
    ErrorCase(429, "[" + google(429, "RESOURCE_EXHAUSTED") + "]", .rateLimit, .gemini),
    ErrorCase(500, google(500, "INTERNAL"), .server, .gemini),
    ErrorCase(503, google(503, "UNAVAILABLE"), .overloaded, .gemini),
    ErrorCase(504, google(504, "DEADLINE_EXCEEDED"), .timeout, .gemini),
    ErrorCase(400, #"{"message":"invalid request: bad tool"}"#, .invalidRequest, .cohere),
    ErrorCase(400, #"{"message":"too many tokens: size limit exceeded by 10 tokens"}"#, .contextLength, .cohere),
    ErrorCase(401, #"{"message":"invalid api token"}"#, .credentialRefused, .cohere),
    ErrorCase(404, #"{"message":"model 'x' not found"}"#, .modelUnavailable, .cohere),
    ErrorCase(429, #"{"message":"You are using a Trial key"}"#, .rateLimit, .cohere),
    ErrorCase(498, #"{"message":"invalid token"}"#, .credentialRefused, .cohere),
]

@Suite struct FamilyErrors {
    private func classify(_ sample: ErrorCase, headers: HTTPFields = [:]) -> UpstreamFailure {
        Fixture.provider(Fixture.spec(sample.family)).classify(
            UpstreamHead(status: sample.status, headers: headers), body: ByteBuffer(string: sample.body), now: 0)
    }

    @Test(arguments: refusals) func `each refusal has its name`(_ sample: ErrorCase) {
        let failure = classify(sample)
        #expect(failure.kind == sample.kind)
        #expect(failure.status == sample.status && failure.retry == sample.kind.next)
        let isClients = [.invalidRequest, .contextLength, .contentFilter].contains(sample.kind)
        #expect((failure.clientError != nil) == isClients)
        // In OpenAI's shape, whatever the vendor's.
        if isClients { #expect(failure.clientError?.json.text.contains(#""type":"invalid_request_error","param":null"#) == true) }
    }

    @Test func `waiting times`() throws {
        let info = #"[{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"34.074824224s"}]"#
        #expect(
            classify(ErrorCase(429, google(429, "RESOURCE_EXHAUSTED", details: info), .rateLimit, .gemini)).retryAfter
                == .milliseconds(34_074))
        let headers = HTTPFields([HTTPField(name: try #require(HTTPField.Name("retry-after")), value: "7")])
        #expect(classify(ErrorCase(429, anthropic("rate_limit_error"), .rateLimit, .anthropic), headers: headers).retryAfter == .seconds(7))
    }

    @Test(arguments: Matrix.dialects) func `an error inside a stream of Anthropic`(_ dialect: Endpoint) throws {
        let call = try Fixture.call(#"{"model":"m","stream":true}"#, spec: Fixture.spec(.anthropic), endpoint: dialect)
        let error = "event: error\ndata: " + anthropic("overloaded_error") + "\n\n"
        let before = StreamOutcome([Array(error.utf8)], call: call)
        #expect(before.failure == .overloaded && before.isBillable == false && before.out.isEmpty && before.trailer.isEmpty)
        let text = try Golden.input("stream.anthropic.sse")
        let cut = try #require(text.firstRange(of: "event: message_delta"))
        let after = StreamOutcome([Array((text[..<cut.lowerBound] + error).utf8)], call: call)
        #expect(after.failure == .midStream && after.isBillable == true && after.trailer.isEmpty && after.progress.hasContent)
    }

    @Test(arguments: Matrix.dialects) func `errors inside answers of Gemini`(_ dialect: Endpoint) throws {
        let spec = Fixture.spec(.gemini)
        let call = try Fixture.call(#"{"model":"m"}"#, spec: spec, endpoint: dialect)
        func kind(_ json: String) -> FailureKind? {
            failure { () throws(UpstreamFailure) in _ = try Fixture.provider(spec).decode(ByteBuffer(string: json), for: call) }?.kind
        }
        #expect(kind(#"{"promptFeedback":{"blockReason":"SAFETY"}}"#) == .contentFilter)
        #expect(kind(google(503, "UNAVAILABLE")) == .overloaded)
        #expect(kind(#"{"candidates":[{"finishReason":"MALFORMED_FUNCTION_CALL"}]}"#) == .malformed)
        #expect(kind("[]") == .malformed)
        #expect(kind("{") == .malformed)
    }

    @Test func `errors inside answers of Cohere`() throws {
        let spec = Fixture.spec(.cohere)
        let call = try Fixture.call(#"{"model":"m","stream":true}"#, spec: spec)
        #expect(
            failure { () throws(UpstreamFailure) in
                _ = try Fixture.provider(spec).decode(ByteBuffer(string: #"{"finish_reason":"ERROR","message":{}}"#), for: call)
            }?.kind == .server)
        let stream = "data: {\"type\":\"message-end\",\"delta\":{\"finish_reason\":\"TIMEOUT\"}}\n\n"
        #expect(StreamOutcome([Array(stream.utf8)], call: call).failure == .timeout)
    }

    @Test func `audit 20: errors under OpenRouter's path have its shape`() throws {
        func read(_ buffer: ByteBuffer) throws -> JSONValue { try JSONValue(parsing: buffer) }
        let own = DialectError.body(
            .chat, style: .openRouter, status: 404, message: "no m", type: "invalid_request_error", code: "model_not_found", param: "model")
        #expect(
            String(buffer: own) == #"{"error":{"code":404,"message":"no m","metadata":{"error_type":"not_found","#
                + #""type":"invalid_request_error","code":"model_not_found","param":"model"}}}"#)
        let theirs = ErrorObject(
            message: "bad", type: "t", code: "7", metadata: [.init("raw", "r"), .init("error_type", "invalid_prompt")])
        let passed = DialectError.body(.responses, style: .openRouter, status: 400, clientError: theirs)
        #expect(
            String(buffer: passed)
                == #"{"error":{"code":400,"message":"bad","metadata":{"raw":"r","error_type":"invalid_prompt","type":"t","code":"7"}}}"#)
        let event = String(
            buffer: DialectError.event(.chat, style: .openRouter, status: 502, message: "m", type: "upstream_error", code: "server"))
        #expect(event.hasPrefix("data: ") && event.hasSuffix("\n\n"))
        let json = try read(ByteBuffer(string: String(event.dropFirst(6))))
        #expect(json["error"]?["code"]?.integerValue == 502 && json["error"]?["message"] == "m")
        #expect(json["choices"]?.arrayValue?.first?["finish_reason"] == "error")
        // Anthropic's and Google's clients keep theirs, whatever the path.
        let messages = DialectError.body(.messages, style: .openRouter, status: 404, message: "m", type: "x")
        #expect(String(buffer: messages) == #"{"type":"error","error":{"type":"not_found_error","message":"m"}}"#)
    }

    @Test func `errors have the shape of the dialect`() {
        let chat = DialectError.body(.chat, status: 404, message: "no \"m\"", type: "invalid_request_error", code: "model_not_found")
        #expect(
            String(buffer: chat)
                == #"{"error":{"message":"no \"m\"","type":"invalid_request_error","param":null,"code":"model_not_found"}}"#)
        let types = [
            400: "invalid_request_error", 401: "authentication_error", 402: "billing_error", 403: "permission_error",
            404: "not_found_error",
            413: "request_too_large", 429: "rate_limit_error", 500: "api_error", 502: "api_error", 503: "overloaded_error",
            504: "timeout_error",
        ]
        for (status, type) in types {
            let body = DialectError.body(.messages, status: status, message: "m", type: "x", requestID: "r")
            #expect(String(buffer: body) == #"{"type":"error","error":{"type":"\#(type)","message":"m"},"request_id":"r"}"#)
        }
        let refused = DialectError.body(.messages, status: 400, clientError: ErrorObject(message: "'n' cannot"))
        #expect(String(buffer: refused) == #"{"type":"error","error":{"type":"invalid_request_error","message":"'n' cannot"}}"#)
        #expect(
            String(buffer: DialectError.body(.responses, status: 400, clientError: ErrorObject(openAI: [:])))
                == #"{"error":{"message":"the request was refused","type":"invalid_request_error","param":null,"code":null}}"#)
        #expect(
            String(buffer: DialectError.event(.messages, status: 502, message: "m", type: "upstream_error"))
                == "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"api_error\",\"message\":\"m\"}}\n\n")
        #expect(
            String(buffer: DialectError.event(.responses, status: 502, message: "m", type: "upstream_error"))
                == "event: error\ndata: {\"type\":\"error\",\"sequence_number\":0,\"code\":\"upstream_error\",\"message\":\"m\",\"param\":null}\n\n"
        )
        #expect(
            String(buffer: DialectError.event(.chat, status: 502, message: "m", type: "upstream_error"))
                == "data: {\"error\":{\"message\":\"m\",\"type\":\"upstream_error\",\"param\":null,\"code\":null}}\n\n")
    }
}
