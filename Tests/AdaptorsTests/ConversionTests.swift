import NIOCore
import RouterCore
import Testing

@testable import Adaptors

/// A field, the families that cannot say it, and how the refusal names it.
struct LossCase: Sendable, CustomTestStringConvertible {
    var dialect: Endpoint
    /// Members beside model and messages.
    var json: String
    var field: String
    var families: [AdaptorID]
    var retry: UpstreamFailure.Retry = .otherChannel

    init(_ dialect: Endpoint, _ json: String, _ field: String, _ families: [AdaptorID], _ retry: UpstreamFailure.Retry = .otherChannel) {
        self.dialect = dialect
        self.json = json
        self.field = field
        self.families = families
        self.retry = retry
    }

    var testDescription: String { "\(dialect) \(json)" }

    func body() -> String {
        switch dialect {
        case .responses where json.contains("\"input\""): return "{\"model\":\"m\",\(json)}"
        case .responses: return "{\"model\":\"m\",\"input\":\"x\",\(json)}"
        case .gemini where json.contains("\"contents\""): return "{\(json)}"
        case .gemini: return "{\(json),\"contents\":[{\"parts\":[{\"text\":\"x\"}]}]}"
        case .messages where json.contains("\"max_tokens\""):
            return "{\"model\":\"m\",\(json),\"messages\":[{\"role\":\"user\",\"content\":\"x\"}]}"
        case .messages where json.contains("\"messages\""): return "{\"model\":\"m\",\"max_tokens\":10,\(json)}"
        case .messages: return "{\"model\":\"m\",\"max_tokens\":10,\(json),\"messages\":[{\"role\":\"user\",\"content\":\"x\"}]}"
        default:
            if json.contains("\"messages\"") { return "{\"model\":\"m\",\(json)}" }
            return "{\"model\":\"m\",\(json),\"messages\":[{\"role\":\"user\",\"content\":\"x\"}]}"
        }
    }
}

private let tool = #""tools":[{"type":"function","function":{"name":"f"}}]"#
private func user(_ part: String) -> String { #""messages":[{"role":"user","content":[\#(part)]}]"# }
private let audio = user(#"{"type":"input_audio","input_audio":{"data":"AA","format":"wav"}}"#)
private func picture(_ url: String) -> String { user(#"{"type":"image_url","image_url":{"url":"\#(url)"}}"#) }
private let pdf = user(#"{"type":"file","file":{"filename":"a.pdf","file_data":"data:application/pdf;base64,AA"}}"#)

private let losses: [LossCase] = [
    LossCase(.chat, #""n":2"#, "n", [.anthropic, .cohere]),
    // Gemini would find a film, a document or what it holds itself under the name of a picture.
    LossCase(.chat, picture("https://www.youtube.com/watch?v=1"), "image", [.gemini, .bedrock]),
    LossCase(.chat, picture("https://a@www.YouTube.com.:443/watch?v=1"), "image", [.gemini, .bedrock]),
    LossCase(.chat, picture("https://a.test/b.pdf"), "image", [.gemini, .bedrock]),
    LossCase(.chat, picture("https://generativelanguage.googleapis.com/v1beta/files/1"), "image", [.gemini, .bedrock]),
    LossCase(.chat, #""seed":1"#, "seed", [.anthropic]),
    LossCase(.chat, #""logprobs":true"#, "logprobs", [.anthropic, .cohere]),
    LossCase(.chat, #""frequency_penalty":0.5"#, "frequency_penalty", [.anthropic]),
    LossCase(.chat, #""presence_penalty":-1"#, "presence_penalty", [.anthropic]),
    LossCase(.chat, #""response_format":{"type":"json_object"}"#, "response_format", [.anthropic]),
    LossCase(.chat, #""logit_bias":{"1":5}"#, "logit_bias", [.anthropic, .gemini, .cohere]),
    LossCase(.chat, #""modalities":["text","audio"]"#, "modalities", [.anthropic, .gemini, .cohere]),
    LossCase(.chat, #""web_search_options":{"a":1}"#, "web_search_options", [.anthropic, .gemini, .cohere]),
    LossCase(.chat, #""store":true"#, "store", [.anthropic, .gemini, .cohere]),
    LossCase(.chat, tool + #","parallel_tool_calls":false"#, "parallel_tool_calls", [.gemini, .cohere]),
    LossCase(.chat, audio, "input_audio", [.anthropic, .cohere]),
    LossCase(.chat, pdf, "document", [.cohere]),
    LossCase(.chat, #""messages":[{"role":"user","name":"Ann","content":"x"}]"#, "messages.name", [.anthropic, .gemini, .cohere]),
    LossCase(.chat, #""messages":[{"role":"user","content":"x","odd":1}]"#, "messages[0].odd", [.anthropic, .gemini, .cohere]),
    LossCase(.chat, user(#"{"type":"video_url","video_url":{}}"#), "messages[0].content[0].type", [.anthropic, .gemini, .cohere]),
    LossCase(.chat, #""tools":[{"type":"custom","custom":{}}]"#, "tools[0].type", [.anthropic, .gemini, .cohere]),
    LossCase(.chat, #""reasoning_effort":"high","max_tokens":1000"#, "reasoning_effort", [.anthropic]),
    LossCase(.messages, #""top_k":5"#, "top_k", [.openai]),
    LossCase(.messages, #""tools":[{"type":"bash_20250124","name":"bash"}]"#, "tools[0].type", [.openai, .gemini, .cohere]),
    LossCase(.messages, #""mcp_servers":[{"url":"x"}]"#, "mcp_servers", [.openai, .gemini, .cohere]),
    LossCase(
        .messages, #""messages":[{"role":"user","content":[{"type":"search_result","title":"x"}]}]"#,
        "messages[0].content[0].type", [.openai, .gemini, .cohere]),
    LossCase(
        .messages, #""messages":[{"role":"user","content":[{"type":"document","source":{"type":"url","url":"https://a.test/b.pdf"}}]}]"#,
        "document", [.openai, .cohere]),
    LossCase(.responses, #""include":["file_search_call.results"]"#, "include[0]", [.openai, .anthropic, .gemini, .cohere]),
    LossCase(.responses, #""tools":[{"type":"computer"}]"#, "tools[0].type", [.openai, .anthropic, .gemini, .cohere]),
    LossCase(.responses, #""background":true"#, "background", [.openai, .anthropic, .gemini, .cohere]),
    LossCase(.responses, #""max_tool_calls":3"#, "max_tool_calls", [.openai, .anthropic, .gemini, .cohere]),
    LossCase(.responses, #""input":[{"type":"item_reference","id":"x"}]"#, "input[0].type", [.openai, .anthropic, .gemini, .cohere]),
    // These break the rules of their own dialect, so that no other channel would do better.
    LossCase(.chat, #""messages":[]"#, "messages", [.anthropic, .gemini], .no),
    LossCase(.chat, #""messages":[{"content":"x"}]"#, "messages[0].role", [.anthropic, .gemini], .no),
    LossCase(.chat, #""temperature":"hot""#, "temperature", [.anthropic, .gemini], .no),
    LossCase(
        .chat, #""messages":[{"role":"tool","tool_call_id":"t","content":"x"}]"#, "tool_call_id", [.gemini], .no),
    LossCase(.responses, #""previous_response_id":"r""#, "previous_response_id", [.openai, .gemini], .no),
    LossCase(.messages, #""max_tokens":null"#, "max_tokens", [.openai, .gemini], .no),
    LossCase(.messages, #""messages":[{"role":"tool","content":"x"}]"#, "messages[0].role", [.openai, .gemini], .no),
]

@Suite struct Conversions {
    private func body(_ json: String, _ family: AdaptorID, _ endpoint: Endpoint, rules: RequestRules = RequestRules()) throws -> JSONValue {
        let call = try Fixture.call(json, spec: Fixture.spec(family, request: rules), endpoint: endpoint)
        return try JSONValue(parsing: #require(Fixture.provider(call.channel.provider).request(for: call).body))
    }

    @Test(arguments: losses) func `what cannot be said is refused by name`(_ sample: LossCase) throws {
        for family in Matrix.families {
            let call = try Fixture.call(sample.body(), spec: Fixture.spec(family), endpoint: sample.dialect)
            let refusal = failure { () throws(UpstreamFailure) in _ = try Fixture.provider(call.channel.provider).request(for: call) }
            if sample.families.contains(family) {
                #expect(refusal?.source == .gateway && refusal?.kind == .invalidRequest && refusal?.status == 400, "\(family)")
                #expect(refusal?.retry == sample.retry, "\(family)")
                let error = refusal?.clientError?.json
                #expect(error?["param"]?.stringValue == sample.field, "\(family)")
                #expect(error?["message"]?.stringValue?.contains("'\(sample.field)'") == true)
            } else if sample.retry == .otherChannel {
                #expect(refusal == nil, "\(family)")
            }
        }
    }

    @Test func `a field is dropped only where the provider file says so`() throws {
        let json = #"{"model":"m","seed":1,"messages":[{"role":"user","content":"x"}]}"#
        let dropped = try body(json, .anthropic, .chat, rules: RequestRules(drop: ["seed"]))
        #expect(dropped["seed"] == nil && dropped["max_tokens"]?.integerValue == 4_096)
    }

    @Test func `operations of the file see the vendor's own fields`() throws {
        let rules = RequestRules(
            rename: [.init(from: "max_completion_tokens", to: "max_tokens")], defaults: [.init(name: "top_k", json: "40")],
            set: [.init(name: "safe", json: "true")])
        let result = try body(
            #"{"model":"m","max_tokens":5,"top_k":7,"messages":[{"role":"user","content":"x"}]}"#, .openai, .messages, rules: rules)
        #expect(result["max_tokens"]?.numberText == "5" && result["max_completion_tokens"] == nil)
        #expect(result["top_k"]?.numberText == "7" && result["safe"] == true)
    }

    @Test func `documents and audio arrive where they are understood`() throws {
        #expect(
            try body("{\"model\":\"m\",\(pdf)}", .anthropic, .chat)["messages"]?.text
                == #"[{"role":"user","content":[{"type":"document","source":{"type":"base64","media_type":"application/pdf","data":"AA"},"title":"a.pdf"}]}]"#
        )
        #expect(
            try body("{\"model\":\"m\",\(pdf)}", .gemini, .chat)["contents"]?.text
                == #"[{"role":"user","parts":[{"inlineData":{"mimeType":"application/pdf","data":"AA"}}]}]"#)
        #expect(
            try body("{\"model\":\"m\",\(audio)}", .gemini, .chat)["contents"]?.text
                == #"[{"role":"user","parts":[{"inlineData":{"mimeType":"audio/wav","data":"AA"}}]}]"#)
        let document =
            #"{"model":"m","max_tokens":9,"messages":[{"role":"user","content":[{"type":"document","source":{"type":"base64","media_type":"application/pdf","data":"AA"}}]}]}"#
        #expect(
            try body(document, .openai, .messages)["messages"]?.text
                == #"[{"role":"user","content":[{"type":"file","file":{"filename":"document.pdf","file_data":"data:application/pdf;base64,AA"}}]}]"#
        )
    }

    @Test(arguments: [
        ("none", #"{"type":"disabled"}"#, #"{"thinkingBudget":0,"includeThoughts":false}"#),
        ("low", #"{"type":"enabled","budget_tokens":2000}"#, #"{"thinkingBudget":1024,"includeThoughts":true}"#),
        ("medium", #"{"type":"enabled","budget_tokens":5000}"#, #"{"thinkingBudget":8192,"includeThoughts":true}"#),
        ("high", #"{"type":"enabled","budget_tokens":8000}"#, #"{"thinkingBudget":24576,"includeThoughts":true}"#),
        ("xhigh", #"{"type":"enabled","budget_tokens":9500}"#, #"{"thinkingBudget":24576,"includeThoughts":true}"#),
    ]) func `effort becomes a budget`(word: String, anthropic: String, gemini: String) throws {
        let json = #"{"model":"m","max_tokens":10000,"reasoning_effort":"\#(word)","messages":[{"role":"user","content":"x"}]}"#
        #expect(try body(json, .anthropic, .chat)["thinking"]?.text == anthropic)
        #expect(try body(json, .gemini, .chat)["generationConfig"]?["thinkingConfig"]?.text == gemini)
    }

    @Test(arguments: [
        (#""auto""#, #"{"type":"auto"}"#, #"{"mode":"AUTO"}"#), (#""none""#, #"{"type":"none"}"#, #"{"mode":"NONE"}"#),
        (#""required""#, #"{"type":"any"}"#, #"{"mode":"ANY"}"#),
    ]) func `tool choices`(choice: String, anthropic: String, gemini: String) throws {
        let json = #"{"model":"m",\#(tool),"tool_choice":\#(choice),"messages":[{"role":"user","content":"x"}]}"#
        #expect(try body(json, .anthropic, .chat)["tool_choice"]?.text == anthropic)
        #expect(try body(json, .gemini, .chat)["toolConfig"]?["functionCallingConfig"]?.text == gemini)
    }

    @Test func `an aggregator keeps its preferences and thoughts`() throws {
        let json =
            #"{"model":"m","max_tokens":9,"provider":{"order":["x"]},"session_id":"s","models":["m"],"top_k":3,"messages":[{"role":"user","content":"x"},{"role":"assistant","content":[{"type":"thinking","thinking":"t","signature":"c2ln"},{"type":"text","text":"y","cache_control":{"type":"ephemeral"}}]}]}"#
        let spec = Fixture.spec(.openrouter)
        var call = try Fixture.call(json, spec: spec, endpoint: .messages)
        call.hostPreferences = .replaced(#"{"only":["y"]}"#)
        let body = try JSONValue(parsing: #require(Fixture.provider(spec).request(for: call).body))
        #expect(body["provider"]?["only"]?.text == #"["y"]"# && body["session_id"] == "s" && body["models"] == nil)
        #expect(body["provider"]?["max_price"]?["prompt"] != nil)
        #expect(body["user"] == nil && body["top_k"]?.numberText == "3")
        #expect(
            body["messages"]?.arrayValue?[1].text
                == #"{"role":"assistant","content":[{"type":"text","text":"y","cache_control":{"type":"ephemeral"}}],"reasoning_details":[{"type":"reasoning.text","text":"t","signature":"c2ln","index":0}]}"#
        )
        let plain = try self.body(json, .openai, .messages, rules: RequestRules(drop: ["top_k"]))
        #expect(plain["provider"] == nil && plain["session_id"] == nil && plain["user"] == nil)
    }

    @Test func `one call at a time`() throws {
        let json = #"{"model":"m",\#(tool),"parallel_tool_calls":false,"messages":[{"role":"user","content":"x"}]}"#
        #expect(try body(json, .anthropic, .chat)["tool_choice"]?.text == #"{"type":"auto","disable_parallel_tool_use":true}"#)
        let back =
            #"{"model":"m","max_tokens":9,"tools":[{"name":"f","input_schema":{}}],"tool_choice":{"type":"any","disable_parallel_tool_use":true},"messages":[{"role":"user","content":"x"}]}"#
        let chat = try body(back, .openai, .messages)
        #expect(chat["tool_choice"] == "required" && chat["parallel_tool_calls"] == false)
    }

    /// What a model thought comes back to it on the next turn, through whatever dialect the client speaks.
    @Test(arguments: Matrix.dialects, [AdaptorID.anthropic, .gemini])
    func `thoughts and signatures survive a turn`(_ dialect: Endpoint, _ family: AdaptorID) throws {
        let call = try Fixture.call(try Golden.input("request.\(dialect.rawValue).json"), spec: Fixture.spec(family), endpoint: dialect)
        // Anthropic's own dialect passes through and has nothing to convert.
        let answer = try Fixture.provider(call.channel.provider).decode(
            ByteBuffer(string: try Golden.input("answer.\(family).json")), for: call)
        let tree = try JSONValue(parsing: answer.body)
        let next: String
        switch dialect {
        case .chat:
            next = #"{"model":"m","messages":[{"role":"user","content":"x"},\#(tree["choices"]?.arrayValue?[0]["message"]?.text ?? "")]}"#
        case .messages:
            next =
                #"{"model":"m","max_tokens":9,"messages":[{"role":"user","content":"x"},{"role":"assistant","content":\#(tree["content"]?.text ?? "")}]}"#
        case .gemini:
            next = #"{"contents":[{"role":"user","parts":[{"text":"x"}]},\#(tree["candidates"]?.arrayValue?[0]["content"]?.text ?? "")]}"#
        default:
            let items = (tree["output"]?.arrayValue ?? []).map(\.text).joined(separator: ",")
            next = #"{"model":"m","input":[{"role":"user","content":"x"},\#(items)]}"#
        }
        let sent = try body(next, family, dialect)
        if family == .anthropic {
            #expect(
                sent["messages"]?.arrayValue?[1]["content"]?.text
                    == #"[{"type":"thinking","thinking":"Think.","signature":"c2ln"},{"type":"redacted_thinking","data":"cmVk"},{"type":"text","text":"Grüezi"},{"type":"tool_use","id":"toolu_1","name":"weather","input":{"city":"Oslo"}},{"type":"tool_use","id":"toolu_2","name":"now","input":{}}]"#
            )
        } else {
            let parts = try #require(sent["contents"]?.arrayValue?[1]["parts"]?.arrayValue)
            #expect(parts.contains { $0["thoughtSignature"] == "Z3NpZw==" })
            // Chat keeps thoughts apart from the calls, so there the signature goes to the first part.
            if dialect != .chat, dialect != .gemini {
                #expect(parts[1]["thoughtSignature"] == "Z3NpZw==" && parts[1]["functionCall"]?["name"] == "weather")
            }
            #expect(parts.last?.text == #"{"functionCall":{"name":"now","args":{}}}"#)
        }
        // No other family gets a signature that is not its own.
        let other = try body(next, family == .anthropic ? .gemini : .anthropic, dialect)
        if !(family == .gemini && dialect == .messages) { #expect(!other.text.contains("c2ln") && !other.text.contains("Z3NpZw==")) }
    }

    @Test func `a call without a signature is excused to Gemini 3 only`() throws {
        let json =
            #"{"model":"m","messages":[{"role":"user","content":"x"},{"role":"assistant","tool_calls":[{"id":"a","type":"function","function":{"name":"f","arguments":"{}"}},{"id":"b","type":"function","function":{"name":"f","arguments":"{}"}}]}]}"#
        let two = try body(json, .gemini, .chat)
        #expect(!two.text.contains("thoughtSignature"))
        let three = try body(json.replacingOnce("\"m\"", "\"gemini-3-pro\""), .gemini, .chat)["contents"]?.arrayValue?[1]["parts"]?.text
        #expect(
            three
                == #"[{"functionCall":{"name":"f","args":{}},"thoughtSignature":"skip_thought_signature_validator"},{"functionCall":{"name":"f","args":{}}}]"#
        )
    }
}
