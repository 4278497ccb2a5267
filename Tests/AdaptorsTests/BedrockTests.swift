import HTTPTypes
import NIOCore
import RouterCore
import Testing

@testable import Adaptors

@Suite struct Bedrock {
    private func call(_ json: String, _ dialect: Endpoint, key: String = "AKID:SECRET") throws -> UpstreamCall {
        var call = try Fixture.call(
            json, spec: Fixture.spec(.bedrock), endpoint: dialect, model: "pub", upstream: "anthropic.claude-v2:0",
            baseURL: "https://bedrock-runtime.us-east-1.amazonaws.com", key: Secret(key))
        call.startedAt = 1_440_938_160
        call.answerID = "req-1"
        return call
    }

    // MARK: Signatures

    /// `get-vanilla` of AWS's own test suite for signers.
    @Test func `the published signature`() {
        let signer = SignatureV4(
            accessKey: "AKIDEXAMPLE", secret: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", region: "us-east-1", service: "service")
        let value = signer.authorization(
            method: "GET", path: "/", headers: [("host", "example.amazonaws.com"), ("x-amz-date", "20150830T123600Z")], body: [],
            seconds: 1_440_938_160)
        #expect(
            value == "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, "
                + "SignedHeaders=host;x-amz-date, Signature=5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31")
    }

    @Test(
        arguments: [
            (0, "19700101T000000Z"), (951_782_400, "20000229T000000Z"), (1_440_938_160, "20150830T123600Z"),
            (4_102_444_799, "20991231T235959Z"),
        ] as [(Int64, String)]) func `times`(seconds: Int64, text: String)
    { #expect(SignatureV4.time(seconds) == text) }

    @Test func `a key with a colon signs, another is a bearer`() throws {
        let json = #"{"model":"pub","messages":[{"role":"user","content":"x"}]}"#
        let provider = Fixture.provider(Fixture.spec(.bedrock))
        let signed = try provider.request(for: call(json, .chat, key: "AKID:SECRET:TOKEN"))
        #expect(signed.url == "https://bedrock-runtime.us-east-1.amazonaws.com/model/anthropic.claude-v2%3A0/converse")
        let authorization = try #require(signed.headers[.authorization])
        #expect(
            authorization.hasPrefix(
                "AWS4-HMAC-SHA256 Credential=AKID/20150830/us-east-1/bedrock/aws4_request, SignedHeaders=content-type;host;x-amz-date;x-amz-security-token, Signature="
            ))
        #expect(signed.headers[try #require(HTTPField.Name("x-amz-security-token"))] == "TOKEN")
        #expect(try provider.request(for: call(json, .chat, key: "bedrock-api-key")).headers[.authorization] == "Bearer bedrock-api-key")
        // Checked against botocore's signer.
        #expect(
            try provider.request(for: call(json, .chat)).headers[.authorization]?.suffix(64)
                == "7197274c1d79c1bcf520fdc56bfd1418313c1e13298e7125f287ac57780c5730")
    }

    // MARK: Conversion

    @Test(arguments: Matrix.dialects) func `a whole answer reaches the client`(_ dialect: Endpoint) throws {
        let call = try call(#"{"model":"pub"}"#, dialect)
        let answer = try Fixture.provider(call.channel.provider).decode(
            ByteBuffer(string: try Golden.input("answer.bedrock.json")), for: call)
        try Golden.check(Golden.pretty(answer.body), "answer.bedrock.\(dialect.rawValue).json")
        #expect(answer.progress.usage == Matrix.usage(.anthropic))
    }

    @Test func `a request`() throws {
        let json =
            #"{"model":"pub","max_tokens":4000,"temperature":0.70,"top_k":5,"stop_sequences":["END"],"thinking":{"type":"enabled","budget_tokens":1500},"system":[{"type":"text","text":"Be brief.","cache_control":{"type":"ephemeral"}}],"messages":[{"role":"user","content":[{"type":"text","text":"What?"},{"type":"image","source":{"type":"base64","media_type":"image/png","data":"AA"}},{"type":"document","title":"a.b","source":{"type":"base64","media_type":"application/pdf","data":"AA"}}]},{"role":"assistant","content":[{"type":"thinking","thinking":"t","signature":"c2ln"},{"type":"tool_use","id":"a","name":"f","input":{"x":1.50}}]},{"role":"user","content":[{"type":"tool_result","tool_use_id":"a","content":"no","is_error":true}]}],"tools":[{"name":"f","input_schema":{"type":"object"}}],"tool_choice":{"type":"any"}}"#
        let request = try Fixture.provider(Fixture.spec(.bedrock)).request(for: call(json, .messages))
        try Golden.check(Golden.pretty(try #require(request.body)), "request.messages.bedrock.txt")
    }

    static func message(_ type: String, _ json: String, kind: String = "event") -> [UInt8] {
        var headers = ByteBuffer()
        for (name, value) in [(":message-type", kind), (kind == "event" ? ":event-type" : ":exception-type", type)] {
            headers.writeInteger(UInt8(name.utf8.count))
            headers.writeString(name)
            headers.writeInteger(UInt8(7))
            headers.writeInteger(UInt16(value.utf8.count))
            headers.writeString(value)
        }
        var out = ByteBuffer()
        out.writeInteger(UInt32(16 + headers.readableBytes + json.utf8.count))
        out.writeInteger(UInt32(headers.readableBytes))
        out.writeInteger(CRC32.of(out, 0..<8))
        out.writeImmutableBuffer(headers)
        out.writeString(json)
        out.writeInteger(CRC32.of(out, 0..<out.writerIndex))
        return Array(out.readableBytesView)
    }

    static func messages() throws -> [[UInt8]] {
        try Golden.input("stream.bedrock.txt").split(separator: "\n").map { line in
            let parts = line.split(separator: " ", maxSplits: 1)
            return Self.message(String(parts[0]), String(parts[1]))
        }
    }

    @Test(arguments: Matrix.dialects) func `a stream reaches the client, cut at every byte`(_ dialect: Endpoint) throws {
        let call = try call(#"{"model":"pub","stream":true,"stream_options":{"include_usage":true}}"#, dialect)
        let pieces = try Self.messages()
        let whole = StreamOutcome([pieces.flatMap { $0 }], call: call)
        #expect(whole.failure == nil && whole.progress.usage == Matrix.usage(.anthropic) && whole.progress.isDone)
        try Golden.check(whole.out + "--- trailer\n" + whole.trailer, "stream.bedrock.\(dialect.rawValue).sse")
        #expect(StreamOutcome(pieces.flatMap { $0 }.map { [$0] }, call: call) == whole)
        var ends: [Int] = []
        for piece in pieces { ends.append((ends.last ?? 0) + piece.count) }
        try CutEverywhere.check(pieces.flatMap { $0 }, ends: ends, call)
        for count in 0..<pieces.count {
            let cut = StreamOutcome([pieces[..<count].flatMap { $0 }], call: call)
            #expect(cut.failure == .truncated && cut.trailer.isEmpty, "after \(count) messages")
        }
    }

    @Test func `failures of a stream`() throws {
        let call = try call(#"{"model":"pub","stream":true}"#, .chat)
        let pieces = try Self.messages()
        let throttled = Self.message("throttlingException", #"{"message":"slow down"}"#, kind: "exception")
        #expect(StreamOutcome([throttled], call: call).failure == .rateLimit)
        #expect(StreamOutcome([pieces[0] + pieces[1] + throttled], call: call).failure == .midStream)
        let refused = Self.message("validationException", #"{"message":"bad"}"#, kind: "exception")
        var decoder = Fixture.provider(Fixture.spec(.bedrock)).streamDecoder(for: call)
        var out = ByteBuffer()
        let refusal = failure { () throws(UpstreamFailure) in try decoder.push(ByteBuffer(bytes: refused), into: &out) }
        #expect(refusal?.kind == .invalidRequest && refusal?.clientError == ErrorObject(message: "bad", code: "400"))
        var damaged = pieces[0] + pieces[1] + pieces[2]
        damaged[damaged.count - 9] ^= 1
        let outcome = StreamOutcome([damaged], call: call)
        #expect(outcome.failure == .midStream && outcome.trailer.isEmpty)
        #expect(StreamOutcome([[UInt8](repeating: 0xFF, count: 64)], call: call).failure == .malformed)
    }

    @Test(
        arguments: [
            (429, "ThrottlingException", "slow", .rateLimit), (429, "ModelNotReadyException", "wait", .overloaded),
            (403, "AccessDeniedException", "You don't have access to the model with the specified model ID.", .modelUnavailable),
            (403, "UnrecognizedClientException", "The security token is invalid", .credentialRefused),
            (400, "ValidationException", "Input is too long for requested model.", .contextLength),
            (400, "ValidationException", "The provided model identifier is invalid.", .modelUnavailable),
            (400, "ValidationException", "bad", .invalidRequest), (424, "ModelErrorException", "m", .server),
            (503, "ServiceUnavailableException", "m", .overloaded), (404, "ResourceNotFoundException", "m", .modelUnavailable),
        ] as [(Int, String, String, FailureKind)]) func `refusals`(status: Int, type: String, message: String, kind: FailureKind) throws
    {
        let headers = HTTPFields([HTTPField(name: try #require(HTTPField.Name("x-amzn-errortype")), value: type + ":http://x/")])
        let failure = Fixture.provider(Fixture.spec(.bedrock)).classify(
            UpstreamHead(status: status, headers: headers), body: ByteBuffer(string: #"{"message":"\#(message)"}"#), now: 0)
        #expect(failure.kind == kind)
        if kind == .invalidRequest { #expect(failure.clientError == ErrorObject(message: message, code: type)) }
    }

    @Test func `what is no answer is a failure, and every document has a name`() throws {
        let provider = Fixture.provider(Fixture.spec(.bedrock))
        let json = #"{"model":"pub","messages":[{"role":"user","content":"x"}]}"#
        let call = try call(json, .chat)
        let body =
            #"{"output":{"message":{"role":"assistant","content":[{"text":"x"}]}},"stopReason":"malformed_tool_use","usage":{"inputTokens":1,"outputTokens":1}}"#
        let problem = failure { () throws(UpstreamFailure) in _ = try provider.decode(ByteBuffer(string: body), for: call) }
        #expect(problem?.kind == .malformed && problem?.detail.contains("malformed_tool_use") == true)
        let file = #"{"type":"file","file":{"filename":"合同.pdf","file_data":"data:application/pdf;base64,JVBERg=="}}"#
        let asked = try self.call(
            "{\"model\":\"pub\",\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"x\"},\(file)]}]}", .chat)
        let sent = try provider.request(for: asked).body.map { String(buffer: $0) } ?? ""
        #expect(sent.contains(#""name":"pdf""#) || sent.contains(#""name":"document""#), "\(sent)")
        #expect(!sent.contains(#""name":"""#))
    }
}
