import NIOCore
import RouterCore
import Testing

@Suite struct WireTests {
    static let valid = [
        "{}", "[]", "null", "true", "false", "0", "-0", "1.5", "-1e10", "1E+2", "1e-2", "\"\"", "\"a\"", " { } ", "[1,2]", "[[],{}]",
        "{\"a\":1}", "{\"a\":{\"b\":[null]}}", "\"\\u00e9\\n\\\"\\\\\\/\"", "\"é你🙂\"", "\t[\r\n]\n", "{\"a\":1,\"a\":2}",
        "123456789012345678901234567890",
    ]
    static let invalid = [
        "", " ", "{", "}", "[", "]", "{]", "[}", "{\"a\"}", "{\"a\":}", "{\"a\":1,}", "{,}", "{a:1}", "{'a':1}", "[1,]", "[,1]", "[1 2]",
        "01", "-", "+1", "1.", ".5", "1e", "1e+", "0x1", "NaN", "tru", "nul", "True", "\"", "\"\\x\"", "\"\\u12\"", "\"\\u12g4\"", "\"\n\"",
        "{} {}", "1 1", "\"a\" b", "{\"a\":1}}", "// c\n1", "\u{FEFF}{}",
    ]

    private func scan(_ bytes: [UInt8]) -> JSONScanError? {
        let buffer = ByteBuffer(bytes: bytes)
        do {
            try JSONScanner.validate(buffer.readableBytesUInt8Span)
            return nil
        } catch { return error }
    }

    @Test(arguments: valid) func `valid JSON passes`(text: String) { #expect(scan(Array(text.utf8)) == nil) }
    @Test(arguments: invalid) func `invalid JSON does not`(text: String) { #expect(scan(Array(text.utf8)) != nil) }

    @Test(
        arguments: [
            [0x22, 0x80, 0x22], [0x22, 0xC0, 0x80, 0x22], [0x22, 0xED, 0xA0, 0x80, 0x22], [0x22, 0xF5, 0x80, 0x80, 0x80, 0x22],
            [0x22, 0xE2, 0x82],
            [0x22, 0xF0, 0x80, 0x80, 0x80, 0x22], [0x22, 0xFF, 0x22],
        ] as [[UInt8]]) func `bad UTF-8 is refused`(bytes: [UInt8])
    { #expect(scan(bytes) != nil) }

    @Test func `trees are bounded`() throws {
        let many = "[" + String(repeating: "1,", count: JSONValue.maximumValues) + "1]"
        let error = #expect(throws: JSONScanError.self) { try JSONValue(parsing: ByteBuffer(string: many)) }
        #expect(error?.problem == .tooManyValues)
        let fine = "[" + String(repeating: "1,", count: 1_000) + "1]"
        #expect(try JSONValue(parsing: ByteBuffer(string: fine)).arrayValue?.count == 1_001)
    }

    @Test func `nesting is bounded`() {
        let deep = String(repeating: "[", count: 100_000)
        #expect(scan(Array(deep.utf8))?.problem == .tooDeep)
        let fine = String(repeating: "[", count: 100) + String(repeating: "]", count: 100)
        #expect(scan(Array(fine.utf8)) == nil)
    }

    @Test(arguments: ["{\"a\":1.0,\"b\":[1e3,-0.10,123456789012345678901234567890],\"c\":null,\"a\":\"é\\\"\"}", "[]", "\"x\""])
    func `trees keep order, duplicates and number text`(text: String) throws {
        #expect(try JSONValue(parsing: ByteBuffer(string: text)).text == text)
    }

    @Test func `escapes decode`() throws {
        let value = try JSONValue(parsing: ByteBuffer(string: #""\u0041\ud83d\ude42\ud800x\t\/""#))
        #expect(value.stringValue == "A🙂\u{FFFD}x\t/")
    }

    @Test func `splices change only what they name`() {
        var splice = BodySplice()
        splice.replace(2..<4, with: "XYZ")
        splice.insert("<", at: 0)
        splice.insert(">", at: 6)
        splice.remove(4..<5)
        #expect(String(buffer: splice.applied(to: ByteBuffer(string: "abcdef"))) == "<abXYZf>")
        #expect(String(buffer: BodySplice().applied(to: ByteBuffer(string: "same"))) == "same")
    }

    // MARK: Envelope

    private func envelope(_ text: String) throws -> RequestEnvelope { try RequestEnvelope(body: ByteBuffer(string: text), endpoint: .chat) }

    @Test func `the envelope reads the fields that matter`() throws {
        let read = try envelope(
            """
            {"model":"m\\u002d1","stream":true,"stream_options":{"include_usage":true},"max_tokens":5,"max_completion_tokens":7,"n":2,
             "user":"u","models":["a","b"],"session_id":"s","x":{"deep":[1.0]},"messages":[{"content":"hello"}]}
            """)
        #expect(read.model == "m-1" && read.isStream && read.wantsStreamUsage && read.maxOutputTokens == 7 && read.choices == 2)
        #expect(read.user == "u" && read.fallbackModels == ["a", "b"] && read.sessionID == "s" && read.members.count == 11)
        let plain = try envelope(#"{"model":"m","stream":null,"max_tokens":null,"usage":{"include":true}}"#)
        #expect(!plain.isStream && plain.maxOutputTokens == nil && plain.wantsStreamUsage)
    }

    /// The vendor might take the other one, and the hold would be for the wrong one.
    @Test(arguments: ["max_tokens", "max_completion_tokens", "n", "stream"])
    func `what the price depends on is given once`(name: String) throws {
        for second in ["null", name == "stream" ? "false" : "5"] {
            let body = ByteBuffer(string: "{\"model\":\"m\",\"\(name)\":\(name == "stream" ? "true" : "1"),\"\(name)\":\(second)}")
            #expect(throws: RequestEnvelope.Rejection.self) { try RequestEnvelope(body: body, endpoint: .chat) }
        }
        for text in [#""max_tokens":7,"max_completion_tokens":1"#, #""max_completion_tokens":1,"max_tokens":7"#] {
            #expect(try RequestEnvelope(body: ByteBuffer(string: #"{"model":"m",\#(text)}"#), endpoint: .chat).maxOutputTokens == 7)
        }
    }

    @Test func `no number is too strange to be refused`() {
        for number in ["1e-9223372036854775808", "1e9223372036854775807", "1e-401", "1E+9223372036854775808"] {
            let body = ByteBuffer(string: #"{"model":"m","max_tokens":\#(number)}"#)
            #expect(throws: RequestEnvelope.Rejection.self) { try RequestEnvelope(body: body, endpoint: .chat) }
        }
    }

    /// It is stored with the request, in ledgers that cannot store everything.
    @Test(arguments: ["\"a\\u0000\"", "\"\"", "\"a b\"", "\"\(String(repeating: "x", count: 65))\"", "\"é\"", "3"])
    func `a service tier is a word`(json: String) {
        let body = ByteBuffer(string: #"{"model":"m","service_tier":\#(json)}"#)
        #expect(throws: RequestEnvelope.Rejection.self) { try RequestEnvelope(body: body, endpoint: .chat) }
    }

    @Test func `each dialect has its own bound of the answer`() throws {
        func read(_ text: String, _ endpoint: Endpoint) throws -> RequestEnvelope {
            try RequestEnvelope(body: ByteBuffer(string: text), endpoint: endpoint)
        }
        let json = #"{"model":"m","max_output_tokens":9,"max_tokens":5,"stream":true}"#
        #expect(try read(json, .responses).limitingOutput(to: 3).maxOutputTokens == 3)
        #expect(try read(json, .messages).maxOutputTokens == 5 && read(json, .messages).isStream)
        #expect(try read(#"{"model":"m","max_output_tokens":9}"#, .responses).maxOutputTokens == 9)
        #expect(try read(#"{"model":"m","max_output_tokens":9}"#, .chat).maxOutputTokens == nil)
        #expect(try read(#"{"model":"m","max_completion_tokens":1,"max_tokens":9}"#, .messages).maxOutputTokens == 9)
        let bounded = try read(#"{"model":"m"}"#, .responses).limitingOutput(to: 3)
        #expect(String(buffer: bounded.body) == #"{"max_output_tokens":3,"model":"m"}"#)
        #expect(
            String(buffer: try read(#"{"model":"m","max_tokens":8}"#, .messages).limitingOutput(to: 3).body)
                == #"{"model":"m","max_tokens":3}"#)
        #expect(
            throws: RequestEnvelope.Rejection("'max_output_tokens' must be a whole number from 0 to 1000000000", param: "max_output_tokens")
        ) {
            try read(#"{"model":"m","max_output_tokens":"9"}"#, .responses)
        }
    }

    @Test(
        arguments: [
            ("", "the request body is empty; a JSON object is expected", nil),
            ("[]", "the request body is not a valid JSON object: not a JSON object at byte 0", nil),
            ("{}", "you must provide a model parameter", "model"), (#"{"model":1}"#, "'model' must be a string", "model"),
            (#"{"model":""}"#, "'model' must not be empty", "model"),
            (#"{"model":"a b"}"#, "'model' must not contain spaces or control characters", "model"),
            (#"{"model":"a","model":"b"}"#, "field 'model' is given twice", "model"),
            (#"{"model":"a","stream":"yes"}"#, "'stream' must be a boolean", "stream"),
            (#"{"model":"a","n":0}"#, "'n' must be a whole number from 1 to 1000000000", "n"),
            (#"{"model":"a","n":1.5}"#, "'n' must be a whole number from 1 to 1000000000", "n"),
            (#"{"model":"a","max_tokens":"5"}"#, "'max_tokens' must be a whole number from 0 to 1000000000", "max_tokens"),
            (#"{"model":"a","stream_options":1}"#, "'stream_options' must be an object", "stream_options"),
            (#"{"model":"a","models":"b"}"#, "'models' must be an array of strings", "models"),
            (#"{"mod\u0065l":"a"}"#, "field 'model' must be written without escapes", "model"),
            (#"{"model":"a","Model":"b"}"#, "field 'model' must be written in small letters", "model"),
            (#"{"model":"a","MAX_TOKENS":5}"#, "field 'max_tokens' must be written in small letters", "max_tokens"),
            (#"{"model":"a","N":5}"#, "field 'n' must be written in small letters", "n"),
            (#"{"model":"a","meſſages":[]}"#, "field 'messages' must be written in small letters", "messages"),
            (#"{"model":"a","\u004Dodel":"b"}"#, "field 'Model' must be written without escapes", "Model"),
            (#"{"model":"a"} x"#, "the request body is not a valid JSON object: something after the end of the JSON value at byte 14", nil),
        ] as [(String, String, String?)]) func `bad bodies are refused with the reason`(text: String, message: String, param: String?)
    {
        #expect(throws: RequestEnvelope.Rejection(message, param: param)) {
            try RequestEnvelope(body: ByteBuffer(string: text), endpoint: .chat)
        }
    }

    @Test func `prompts are estimated`() throws {
        let english = try envelope(#"{"model":"m","messages":[{"role":"user","content":"The quick brown fox jumps over the lazy dog"}]}"#)
        #expect((15...35).contains(english.prompt.tokens))
        let chinese = try envelope(#"{"model":"m","messages":[{"content":"你好世界你好世界"}]}"#)
        #expect((8...20).contains(chinese.prompt.tokens))
        let base64 = String(repeating: "QUJD", count: 50_000)
        let image = try envelope(
            "{\"model\":\"m\",\"messages\":[{\"content\":[{\"type\":\"image_url\",\"image_url\":{\"url\":\"data:image/png;base64,\(base64)\"}}]}]}"
        )
        #expect(image.prompt.images == 1 && image.prompt.tokens < 1_200)
        #expect(english.prompt.upperBound >= english.prompt.tokens)
    }

    @Test func `random bytes never crash the envelope`() {
        var rng = SplitMix64(seed: 4)
        let seedText = Array(#"{"model":"m","stream":true,"messages":[{"content":"é\u00e9"}],"n":1}"#.utf8)
        for _ in 0..<20_000 {
            var bytes = seedText
            for _ in 0..<(1 + rng.below(4)) { bytes[Int(rng.below(UInt64(bytes.count)))] = UInt8(truncatingIfNeeded: rng.next()) }
            _ = try? RequestEnvelope(body: ByteBuffer(bytes: bytes.prefix(Int(rng.below(UInt64(bytes.count + 1))))), endpoint: .chat)
        }
    }

    @Test func `names in paths are checked`() {
        for fine in ["gpt-4o", "openai/gpt-4o:free", "a.b_c"] { #expect(ModelName.isSafeInPath(fine)) }
        for bad in ["", "../x", "a/../b", "a?b", "a#b", "a%2e", "/a", "a/", "a//b", "a\\b", "a b", "a\nb"] {
            #expect(!ModelName.isSafeInPath(bad))
        }
    }
}
