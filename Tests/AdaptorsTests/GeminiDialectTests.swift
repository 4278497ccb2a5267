import HTTPTypes
import NIOCore
import RouterCore
import Testing

@testable import Adaptors

private func part(_ json: String) -> String { #""contents":[{"parts":[\#(json)]}]"# }
private func setting(_ json: String) -> String { #""generationConfig":{\#(json)}"# }
private let tool = #""tools":[{"functionDeclarations":[{"name":"f"}]}]"#
private let all: [AdaptorID] = [.openai, .anthropic, .cohere, .bedrock]

private let losses: [LossCase] = [
    LossCase(.gemini, setting(#""candidateCount":2"#), "generationConfig.candidateCount", [.anthropic, .cohere, .bedrock]),
    LossCase(.gemini, setting(#""seed":1"#), "generationConfig.seed", [.anthropic, .bedrock]),
    LossCase(.gemini, setting(#""responseLogprobs":true"#), "generationConfig.responseLogprobs", [.anthropic, .cohere, .bedrock]),
    LossCase(.gemini, setting(#""frequency_penalty":0.5"#), "generationConfig.frequencyPenalty", [.anthropic, .bedrock]),
    LossCase(.gemini, setting(#""topK":5"#), "generationConfig.topK", [.openai]),
    LossCase(.gemini, setting(#""responseMimeType":"application/json""#), "generationConfig.responseMimeType", [.anthropic, .bedrock]),
    LossCase(.gemini, setting(#""responseMimeType":"text/x.enum""#), "generationConfig.responseMimeType", all),
    LossCase(.gemini, setting(#""responseModalities":["IMAGE"]"#), "generationConfig.responseModalities", all),
    LossCase(.gemini, setting(#""speechConfig":{"languageCode":"de"}"#), "generationConfig.speechConfig", all),
    LossCase(.gemini, setting(#""thinking_config":{"odd":1}"#), "generationConfig.thinkingConfig.odd", all),
    LossCase(.gemini, #""cachedContent":"cachedContents/1""#, "cachedContent", all),
    LossCase(
        .gemini, #""safety_settings":[{"category":"HARM_CATEGORY_HARASSMENT","threshold":"BLOCK_LOW_AND_ABOVE"}]"#,
        "safetySettings[0].threshold",
        all),
    LossCase(.gemini, #""tools":[{"googleSearch":{}}]"#, "tools[0].googleSearch", all),
    LossCase(.gemini, #""tools":[{"codeExecution":{}}]"#, "tools[0].codeExecution", all),
    LossCase(.gemini, tool + #","toolConfig":{"retrievalConfig":{"languageCode":"de"}}"#, "toolConfig.retrievalConfig", all),
    LossCase(
        .gemini, tool + #","toolConfig":{"functionCallingConfig":{"mode":"VALIDATED"}}"#, "toolConfig.functionCallingConfig.mode", all),
    LossCase(
        .gemini, tool + #","toolConfig":{"functionCallingConfig":{"mode":"NONE"}}"#, "toolConfig.functionCallingConfig.mode", [.bedrock]),
    LossCase(.gemini, part(#"{"inlineData":{"mimeType":"video/mp4","data":"AA"}}"#), "contents[0].parts[0].inlineData.mimeType", all),
    LossCase(
        .gemini, part(#"{"inlineData":{"mimeType":"audio/mpeg","data":"AA"}}"#), "contents.parts.inlineData",
        [.anthropic, .cohere, .bedrock]),
    LossCase(.gemini, part(#"{"fileData":{"fileUri":"gs://b/c.png"}}"#), "contents[0].parts[0].fileData.fileUri", all),
    LossCase(.gemini, part(#"{"executableCode":{"code":"1"}}"#), "contents[0].parts[0].executableCode", all),
    LossCase(.gemini, part(#"{"text":"x","videoMetadata":{"fps":1}}"#), "contents[0].parts[0].videoMetadata", all),
    // These break the rules of the dialect.
    LossCase(.gemini, #""contents":[]"#, "contents", all, .no),
    LossCase(.gemini, #""contents":[{"role":"judge","parts":[{"text":"x"}]}]"#, "contents[0].role", all, .no),
    LossCase(.gemini, part(#"{"functionResponse":{"name":"f","response":{}}}"#), "contents[0].parts[0].functionResponse.name", all, .no),
    LossCase(.gemini, part(#"{"inlineData":{"data":"AA"}}"#), "contents[0].parts[0].inlineData.mimeType", all, .no),
    LossCase(.gemini, setting(#""temperature":"hot""#), "generationConfig.temperature", all, .no),
    LossCase(.gemini, setting(#""topK":1.5"#), "generationConfig.topK", all, .no),
]

@Suite struct GeminiDialect {
    private func call(
        _ json: String, _ family: AdaptorID = .gemini, upstream: String? = nil, isStream: Bool = false, rules: RequestRules = RequestRules()
    ) throws
        -> UpstreamCall
    {
        var call = try Fixture.call(json, spec: Fixture.spec(family, request: rules), endpoint: .gemini, upstream: upstream)
        call.envelope = try RequestEnvelope(gemini: ByteBuffer(string: json), model: "pub", isStream: isStream)
        return call
    }

    private func body(_ json: String, _ family: AdaptorID, rules: RequestRules = RequestRules()) throws -> JSONValue {
        let call = try call(json, family, rules: rules)
        return try JSONValue(parsing: #require(Fixture.provider(call.channel.provider).request(for: call).body))
    }

    // MARK: The same dialect

    @Test func `bytes to Gemini stay, and the model stands in the path`() throws {
        let json =
            #"{ "contents":[{"parts":[{"text":"x","odd":1.50}]}], "model":"models/other","provider":{"a":1}, "generation_config":{"max_output_tokens":1e2} }"#
        for (isStream, method) in [(false, "generateContent"), (true, "streamGenerateContent?alt=sse")] {
            let call = try call(json, upstream: "up", isStream: isStream)
            let request = try Fixture.provider(call.channel.provider).request(for: call)
            #expect(String(buffer: try #require(request.body)) == json)
            #expect(request.url == "https://api.vendor.test/v1/models/up:\(method)")
        }
        let rules = RequestRules(drop: ["safetySettings"], set: [.init(name: "labels", json: "{}")])
        #expect(try body(#"{"contents":[],"safetySettings":[]}"#, .gemini, rules: rules).text == #"{"labels":{},"contents":[]}"#)
    }

    @Test func `an answer of Gemini stays but for the name of a renamed model`() throws {
        let text = try Golden.input("answer.gemini.json")
        for upstream in [nil, "up"] {
            let call = try call("{}", upstream: upstream)
            let answer = try Fixture.provider(call.channel.provider).decode(ByteBuffer(string: text), for: call)
            #expect(String(buffer: answer.body) == (upstream == nil ? text : text.replacingOnce("up-2025", "pub")))
        }
    }

    @Test func `a stream of Gemini stays, and its last event waits for the books`() throws {
        let text = try Golden.input("stream.gemini.sse")
        let outcome = StreamOutcome([Array(text.utf8)], call: try call("{}", isStream: true))
        #expect(outcome.out + outcome.trailer == text && outcome.failure == nil)
        #expect(outcome.trailer.contains("\"finishReason\":\"STOP\"") && !outcome.out.contains("finishReason"))
        // Cut behind the finish reason, but before the connection has closed: the end was never shown.
        var decoder = Fixture.provider(Fixture.spec(.gemini)).streamDecoder(for: try call("{}", isStream: true))
        var out = ByteBuffer()
        try decoder.push(ByteBuffer(string: text), into: &out)
        #expect(!String(buffer: out).contains("finishReason") && decoder.trailer.readableBytes == 0)
    }

    /// Google runs its own search where a client of this dialect asks for it, and bills it.
    @Test(arguments: [("gemini-2.5-pro", 1), ("gemini-3-pro-preview", 2)]) func `searches count`(model: String, count: Int64) throws {
        let candidate = #"{"content":{"parts":[{"text":"x"}]},"finishReason":"STOP","groundingMetadata":{"webSearchQueries":["a","b"]}}"#
        let usage = #""usageMetadata":{"promptTokenCount":10,"candidatesTokenCount":5}"#
        let json = "{\"candidates\":[\(candidate)],\"modelVersion\":\"\(model)\",\(usage)}"
        for dialect in [Endpoint.gemini, .chat] {
            let call = try Fixture.call(#"{"model":"pub","contents":[]}"#, spec: Fixture.spec(.gemini), endpoint: dialect)
            let answer = try Fixture.provider(call.channel.provider).decode(ByteBuffer(string: json), for: call)
            #expect(answer.progress.usage == Usage(uncachedInput: 10, output: 5, searches: count))
            // Whether they are told before the figures or behind them.
            let alone = "{\"candidates\":[\(candidate)],\"modelVersion\":\"\(model)\"}"
            let figures = "{\"modelVersion\":\"\(model)\",\(usage)}"
            for events in [[json], [alone, figures], [figures, alone]] {
                let outcome = StreamOutcome([Array(events.map { "data: \($0)\n\n" }.joined().utf8)], call: call)
                #expect(outcome.progress.usage == Usage(uncachedInput: 10, output: 5, searches: count) && outcome.failure == nil)
            }
        }
    }

    // MARK: As one array

    @Test(arguments: [AdaptorID.gemini, .openai, .anthropic, .cohere]) func `a stream as a JSON array`(_ family: AdaptorID) throws {
        var source = try Golden.input("stream.\(family).sse")
        // An event with nothing in it, which passes as it is among events and would be no element of an array.
        if family == .gemini { source = source.replacingOnce("\n\n", "\n\ndata: \n\n") }
        let text = Array(source.utf8)
        let call = try call("{}", family, isStream: true)
        let events = StreamOutcome([text], call: call)
        for size in [1, 7, text.count] {
            var decoder: any StreamDecoder = JSONArrayDecoder(Fixture.provider(call.channel.provider).streamDecoder(for: call))
            var out = ByteBuffer()
            for start in stride(from: 0, to: text.count, by: size) {
                try decoder.push(ByteBuffer(bytes: text[start..<min(start + size, text.count)]), into: &out)
            }
            try decoder.finish(into: &out)
            #expect(throws: JSONScanError.self) { try JSONValue(parsing: out) }
            out.writeImmutableBuffer(decoder.trailer)
            let elements = try #require(try JSONValue(parsing: out).arrayValue)
            let payloads = (events.out + events.trailer).split(separator: "\n").filter { $0.hasPrefix("data: ") }.compactMap {
                JSONText.parse(String($0.dropFirst("data: ".count)))
            }
            #expect(elements == payloads && decoder.progress == events.progress, "\(family) in pieces of \(size)")
        }
    }

    // MARK: Conversion

    @Test(arguments: losses) func `what cannot be said is refused by name`(_ sample: LossCase) throws {
        for family in all {
            let call = try call(sample.body(), family)
            let refusal = failure { () throws(UpstreamFailure) in _ = try Fixture.provider(call.channel.provider).request(for: call) }
            guard sample.families.contains(family) else {
                #expect(refusal == nil, "\(family)")
                continue
            }
            #expect(refusal?.source == .gateway && refusal?.status == 400 && refusal?.retry == sample.retry, "\(family)")
            let error = refusal?.clientError?.json
            #expect(error?["param"]?.stringValue == sample.field, "\(family)")
            #expect(error?["message"]?.stringValue?.contains("'\(sample.field)'") == true, "\(family): \(error?.text ?? "")")
        }
    }

    @Test func `a setting is dropped only where the provider file says so, under either name`() throws {
        for name in ["seed", "top_k", "topK", "n"] {
            let json = #"{"contents":[{"parts":[{"text":"x"}]}],"generationConfig":{"seed":1,"topK":2.0,"candidateCount":2}}"#
            let rest = ["seed", "top_k", "n"].filter { $0 != name && !(name == "topK" && $0 == "top_k") }
            let dropped = try body(json, .anthropic, rules: RequestRules(drop: [name] + rest))
            #expect(dropped["messages"]?.text == #"[{"role":"user","content":"x"}]"#)
        }
        #expect(
            try body(#"{"contents":[{"parts":[{"text":"x"}]}],"generationConfig":{"topK":40.0}}"#, .anthropic)["top_k"]?.numberText == "40")
    }

    @Test func `calls without ids are found by name and order`() throws {
        let json =
            #"{"contents":[{"role":"user","parts":[{"text":"x"}]},{"role":"model","parts":[{"functionCall":{"name":"f","args":{"a":1}}},{"functionCall":{"name":"g"}},{"functionCall":{"name":"f","args":{"a":2}}}]},{"role":"function","parts":[{"functionResponse":{"name":"g","response":{"output":"G"}}},{"functionResponse":{"name":"f","response":{"result":{"b":1}}}},{"functionResponse":{"name":"f","response":{"c":[1]}}}]}]}"#
        let messages = try #require(try body(json, .openai)["messages"]?.arrayValue)
        #expect(messages[1]["tool_calls"]?.arrayValue?.map { $0["id"]?.stringValue } == ["call_0", "call_1", "call_2"])
        #expect(
            messages[2...].map(\.text) == [
                #"{"role":"tool","tool_call_id":"call_1","content":"G"}"#,
                #"{"role":"tool","tool_call_id":"call_0","content":"{\"b\":1}"}"#,
                #"{"role":"tool","tool_call_id":"call_2","content":"{\"c\":[1]}"}"#,
            ])
    }

    @Test func `some functions may be called and one must be`() throws {
        let json =
            #"{"contents":[{"parts":[{"text":"x"}]}],"tools":[{"function_declarations":[{"name":"a"},{"name":"b"}]},{"functionDeclarations":[{"name":"c"}]}],"tool_config":{"function_calling_config":{"mode":"ANY","allowed_function_names":["a","c"]}}}"#
        let sent = try body(json, .openai)
        #expect(
            sent["tools"]?.arrayValue?.compactMap { $0["function"]?["name"]?.stringValue } == ["a", "c"]
                && sent["tool_choice"] == "required")
    }

    @Test func `Google's schema becomes JSON Schema`() throws {
        let schema =
            #"{"type":"OBJECT","properties":{"type":{"type":"STRING","enum":["a"],"nullable":true},"list":{"type":"ARRAY","minItems":"1","items":{"anyOf":[{"type":"NUMBER"},{"type":"OBJECT","properties":{}}]}}},"propertyOrdering":["list","type"],"required":["type"]}"#
        #expect(
            GeminiSchema.json(try #require(JSONText.parse(schema))).text
                == #"{"type":"object","properties":{"type":{"type":["string","null"],"enum":["a",null]},"list":{"type":"array","minItems":1,"items":{"anyOf":[{"type":"number"},{"type":"object","properties":{},"additionalProperties":false}]}}},"required":["type"],"additionalProperties":false}"#
        )
    }

    // MARK: Thoughts

    private func anthropicAnswer(_ json: String) throws -> String {
        let call = try call(json, .anthropic)
        let answer = try Fixture.provider(call.channel.provider).decode(
            ByteBuffer(string: Golden.input("answer.anthropic.json")), for: call)
        return try #require(try JSONValue(parsing: answer.body)["candidates"]?.arrayValue?[0]["content"]?.text)
    }

    @Test func `thoughts are shown to those who ask, and come back either way`() throws {
        let silent = try anthropicAnswer("{}")
        let shown = try anthropicAnswer(#"{"generation_config":{"thinking_config":{"include_thoughts":true}}}"#)
        #expect(!silent.contains("\"thought\"") && shown.contains(#"{"text":"Think.","thought":true}"#))
        for content in [silent, shown] {
            let next = #"{"contents":[{"role":"user","parts":[{"text":"x"}]},\#(content)]}"#
            #expect(
                try body(next, .anthropic)["messages"]?.arrayValue?[1]["content"]?.text
                    == #"[{"type":"thinking","thinking":"Think.","signature":"c2ln"},{"type":"redacted_thinking","data":"cmVk"},{"type":"text","text":"Grüezi"},{"type":"tool_use","id":"toolu_1","name":"weather","input":{"city":"Oslo"}},{"type":"tool_use","id":"toolu_2","name":"now","input":{}}]"#
            )
            // Gemini would refuse another vendor's signature and has a word for it.
            let own = try body(next, .gemini)
            #expect(
                own["contents"]?.arrayValue?[1]["parts"]?.arrayValue?.contains {
                    $0["thoughtSignature"] == "skip_thought_signature_validator"
                } == true)
            #expect(!own.text.contains(Base64.encode(Array("apirouter:1:".utf8))))
        }
    }

    @Test func `a conversation kept as it streamed becomes whole again`() throws {
        let outcome = StreamOutcome(
            [Array(try Golden.input("stream.anthropic.sse").utf8)], call: try call("{}", .anthropic, isStream: true))
        let pieces = (outcome.out + outcome.trailer).split(separator: "\n").compactMap { line in
            JSONText.parse(String(line.dropFirst("data: ".count)))?["candidates"]?.arrayValue?[0]["content"]?.text
        }
        let next = #"{"contents":[{"role":"user","parts":[{"text":"x"}]},\#(pieces.joined(separator: ","))]}"#
        #expect(
            try body(next, .anthropic)["messages"]?.arrayValue?[1]["content"]?.text
                == #"[{"type":"thinking","thinking":"Think.","signature":"c2ln"},{"type":"redacted_thinking","data":"cmVk"},{"type":"text","text":"Grüezi 日本"},{"type":"tool_use","id":"toolu_1","name":"weather","input":{"city":"Oslo"}},{"type":"tool_use","id":"toolu_2","name":"now","input":{}}]"#
        )
    }

    @Test func `base64 in both alphabets, with and without padding`() {
        for (text, encoded) in [
            ("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg=="), ("fooba", "Zm9vYmE="), ("foobar", "Zm9vYmFy"),
        ] {
            #expect(Base64.encode(Array(text.utf8)) == encoded)
            #expect(Base64.decode(encoded) == Array(text.utf8) && Base64.decode(encoded.filter { $0 != "=" }) == Array(text.utf8))
        }
        #expect(Base64.decode("_-8=") == [0xFF, 0xEF] && Base64.standard("_-8") == "/+8=" && Base64.standard("/+8=") == "/+8=")
        #expect(Base64.decode("A") == nil && Base64.decode("A*==") == nil && Base64.standard("no base64!") == "no base64!")
    }

    // MARK: Embeddings

    private func embed(_ json: String, isBatch: Bool = true) throws(RequestEnvelope.Rejection) -> String {
        String(buffer: try GeminiEmbeddings.request(ByteBuffer(string: json), model: "e", isBatch: isBatch))
    }

    @Test func `embeddings go as OpenAI's and come back as Google's`() throws {
        #expect(
            try embed(#"{"content":{"parts":[{"text":"a"},{"text":"b"}]}}"#, isBatch: false)
                == #"{"model":"e","input":["a\nb"],"encoding_format":"float"}"#)
        #expect(
            try embed(
                #"{"requests":[{"model":"models/e","content":{"role":"user","parts":[{"text":"a"}]},"output_dimensionality":3},{"content":{"parts":[{"text":"b"}]},"outputDimensionality":3}]}"#
            )
                == #"{"model":"e","input":["a","b"],"dimensions":3,"encoding_format":"float"}"#)
        let answer = ByteBuffer(string: #"{"data":[{"index":1,"embedding":[2.50]},{"index":0,"embedding":[1e-3]}],"usage":{}}"#)
        #expect(
            GeminiEmbeddings.answer(answer, status: 200, isBatch: true).map { String(buffer: $0) }
                == #"{"embeddings":[{"values":[1e-3]},{"values":[2.50]}]}"#)
        #expect(
            GeminiEmbeddings.answer(answer, status: 200, isBatch: false).map { String(buffer: $0) } == #"{"embedding":{"values":[1e-3]}}"#)
        let error = ByteBuffer(string: #"{"error":{"message":"m","type":"t","param":null,"code":null}}"#)
        #expect(
            GeminiEmbeddings.answer(error, status: 404, isBatch: true).map { String(buffer: $0) }
                == #"{"error":{"code":404,"message":"m","status":"NOT_FOUND"}}"#)
    }

    @Test(arguments: [
        (#"{"requests":[]}"#, "requests"),
        (#"{"requests":[{"content":{"parts":[{"text":"a"}]},"taskType":"RETRIEVAL_QUERY"}]}"#, "requests[0].taskType"),
        (#"{"requests":[{}]}"#, "requests[0].content"), (#"{"requests":[{"content":{"parts":[]}}]}"#, "requests[0].content.parts"),
        (
            #"{"requests":[{"content":{"parts":[{"text":"a"}]}},{"content":{"parts":[{"text":"a"}]},"outputDimensionality":3}]}"#,
            "requests[1].outputDimensionality"
        ),
        ("[", "body"),
    ]) func `what an embedding cannot say is refused by name`(json: String, field: String) {
        do throws(RequestEnvelope.Rejection) {
            _ = try embed(json)
            Issue.record("accepted")
        } catch {
            #expect(error.param == field && error.message.contains("'\(field)'"))
        }
    }

    // MARK: Errors

    @Test func `errors in Google's shape`() throws {
        #expect(
            String(
                buffer: DialectError.body(
                    .gemini, status: 404, message: "no such model", type: "x", code: "model_not_found", param: "model"))
                == #"{"error":{"code":404,"message":"no such model","status":"NOT_FOUND","details":[{"@type":"type.googleapis.com/google.rpc.BadRequest","fieldViolations":[{"field":"model","description":"no such model"}]},{"@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":"MODEL_NOT_FOUND","domain":"apirouter"}]}}"#
        )
        #expect(
            String(buffer: DialectError.body(.gemini, status: 400, clientError: ErrorObject(message: "m", type: "t")))
                == #"{"error":{"code":400,"message":"m","status":"INVALID_ARGUMENT"}}"#)
        #expect(
            String(buffer: DialectError.event(.gemini, status: 502, message: "m", type: "t"))
                == "data: {\"error\":{\"code\":502,\"message\":\"m\",\"status\":\"UNAVAILABLE\"}}\n\n")
    }
}
