import NIOCore
import RouterCore
import Testing

@testable import Adaptors

/// Requests in the shape that coding agents send, before vendors of other dialects: Claude Code 2.1.332 and Codex 0.163.0, recorded in
/// November 2026, with other texts.
@Suite struct AgentShapeTests {
    private static let claudeCode = #"""
        {"model":"m","max_tokens":32000,"stream":true,
        "system":[{"type":"text","text":"You help with code.","cache_control":{"type":"ephemeral"}}],
        "messages":[{"role":"user","content":[{"type":"text","text":"list the files","cache_control":{"type":"ephemeral"}}]},
        {"role":"system","content":"Answer briefly."},
        {"role":"assistant","content":[{"type":"tool_use","id":"toolu_1","name":"Bash","input":{"command":"ls"},"caller":{"type":"direct"}}]},
        {"role":"user","content":[{"type":"tool_result","tool_use_id":"toolu_1","content":"a.swift"}]}],
        "tools":[{"name":"Bash","description":"Runs a command.","input_schema":{"type":"object","properties":{"command":{"type":"string"}}}},
        {"name":"Later","description":"d","input_schema":{"type":"object"},"defer_loading":true,"allowed_callers":["direct"]},
        {"type":"web_search_20250305","name":"web_search","max_uses":8}],
        "metadata":{"user_id":"{\"device\":\"x\"}"},
        "thinking":{"type":"enabled","budget_tokens":31999,"display":"omitted"},
        "context_management":{"edits":[{"type":"clear_thinking_20251015","keep":"all"}]}}
        """#

    private static let codex = #"""
        {"model":"m","stream":true,"store":false,"include":["reasoning.encrypted_content"],"prompt_cache_key":"k",
        "client_metadata":{"x":"y"},"parallel_tool_calls":true,"tool_choice":"auto","reasoning":{"summary":"auto","effort":"medium"},
        "text":{"verbosity":"low"},"instructions":"You write code.",
        "input":[{"type":"message","id":"i1","role":"developer","content":[{"type":"input_text","text":"be brief"}]},
        {"type":"message","role":"user","content":[{"type":"input_text","text":"patch it"}]},
        {"type":"function_call","call_id":"c1","namespace":"files","name":"read","arguments":"{\"path\":\"a\"}"},
        {"type":"function_call_output","call_id":"c1","output":"text of a"},
        {"type":"custom_tool_call","call_id":"c2","name":"apply_patch","input":"*** Begin"},
        {"type":"custom_tool_call_output","call_id":"c2","output":"done"}],
        "tools":[{"type":"function","name":"exec_command","description":"d","strict":false,"parameters":{"type":"object"}},
        {"type":"namespace","name":"files","description":"Files.","tools":[
        {"type":"function","name":"read","description":"Reads.","strict":false,"parameters":{"type":"object"}}]},
        {"type":"custom","name":"apply_patch","description":"Patches.","format":{"type":"grammar","syntax":"lark","definition":"start: any"}},
        {"type":"web_search","external_web_access":false}]}
        """#

    private func request(_ body: String, _ endpoint: Endpoint, _ family: AdaptorID, isLenient: Bool = true) throws -> UpstreamRequest {
        let spec = Fixture.spec(family)
        var call = try Fixture.call(body, spec: spec, endpoint: endpoint, key: family == .bedrock ? Secret("token") : Secret("sk-x"))
        call.isLenient = isLenient
        return try Fixture.provider(spec).request(for: call)
    }

    @Test(arguments: [AdaptorID.openai, .openrouter, .gemini, .cohere, .bedrock])
    func `Claude Code's request goes to every family, and what is left out is named`(family: AdaptorID) throws {
        // Cohere's and Bedrock's models are told of tools in forms that the Simulator checks; here it is enough that nothing is refused.
        let sent = try request(Self.claudeCode, .messages, family)
        #expect(
            sent.droppedFields == [
                "tools.defer_loading", "tools.allowed_callers", "tools.web_search_20250305", "thinking.display", "context_management",
            ])
        let body = String(buffer: try #require(sent.body))
        #expect(body.contains("Bash") && body.contains("Later") && body.contains("Answer briefly.") && !body.contains("context_management"))
        #expect(!body.contains("web_search") && !body.contains("defer_loading"))
    }

    @Test(arguments: [AdaptorID.openai, .anthropic, .gemini])
    func `Codex's request goes to every family that has no Responses`(family: AdaptorID) throws {
        let sent = try request(Self.codex, .responses, family)
        #expect(sent.droppedFields == ["tools.namespace.description", "tools.web_search", "text.verbosity", "client_metadata"])
        let body = String(buffer: try #require(sent.body))
        #expect(
            body.contains("files__read") && body.contains("apply_patch") && body.contains("start: any") && body.contains("exec_command"))
        #expect(!body.contains("client_metadata") && !body.contains("namespace"))
    }

    @Test func `strict conversion refuses what lenient conversion leaves out`() throws {
        for (body, endpoint) in [(Self.claudeCode, Endpoint.messages), (Self.codex, .responses)] {
            let refused = #expect(throws: UpstreamFailure.self) { try request(body, endpoint, .openai, isLenient: false) }
            #expect(refused?.status == 400 && refused?.clientError?.param?.hasPrefix("tools[1]") == true)
        }
    }

    @Test func `a choice of a tool that is left out is refused`() throws {
        let body = Self.codex.replacingOnce(#""tool_choice":"auto""#, #""tool_choice":{"type":"function","name":"web_search"}"#)
        #expect(throws: UpstreamFailure.self) { try request(body, .responses, .openai) }
        let only = #"{"model":"m","input":"x","tool_choice":"required","tools":[{"type":"web_search"}]}"#
        #expect(throws: UpstreamFailure.self) { try request(only, .responses, .openai) }
        let free = try request(only.replacingOnce("\"required\"", "\"auto\""), .responses, .openai)
        #expect(!String(buffer: try #require(free.body)).contains("tool_choice"))
    }

    @Test func `calls come back under the client's names, as functions, of namespaces and as custom tools`() throws {
        let spec = Fixture.spec(.openai)
        let call = try Fixture.call(Self.codex, spec: spec, endpoint: .responses)
        func chunk(_ delta: String, _ rest: String = "") -> String {
            #"data: {"id":"x","model":"m","choices":[{"index":0,"delta":\#(delta)\#(rest)}]}"# + "\n\n"
        }
        let stream =
            chunk(#"{"tool_calls":[{"index":0,"id":"c1","function":{"name":"files__read","arguments":"{\"path\":\"b\"}"}}]}"#)
            + chunk(#"{"tool_calls":[{"index":1,"id":"c2","function":{"name":"apply_patch","arguments":"{\"inp"}}]}"#)
            + chunk(#"{"tool_calls":[{"index":1,"function":{"arguments":"ut\":\"*** End\"}"}}]}"#)
            + chunk("{}", #","finish_reason":"tool_calls""#) + "data: [DONE]\n\n"
        let outcome = StreamOutcome(stream, call: call)
        #expect(outcome.failure == nil, "\(outcome)")
        #expect(outcome.out.contains(#""namespace":"files","name":"read""#), "\(outcome.out)")
        #expect(outcome.out.contains("response.custom_tool_call_input.done") && outcome.out.contains(#""input":"*** End""#))
        #expect(outcome.trailer.contains(#""type":"custom_tool_call""#) && outcome.trailer.contains(#""type":"function_call""#))
        #expect(!outcome.trailer.contains("files__read"))
    }

    @Test func `the local shell is a function elsewhere, and its calls come back as its own`() throws {
        let body = #"""
            {"model":"m","stream":true,"input":[{"role":"user","content":"list"},
            {"type":"local_shell_call","id":"l1","call_id":"c1","status":"completed","action":{"type":"exec","command":["ls"],"env":{}}},
            {"type":"local_shell_call_output","id":"c1","output":"a.swift"}],"tools":[{"type":"local_shell"}]}
            """#
        let sent = String(buffer: try #require(try request(body, .responses, .openai).body))
        #expect(sent.contains(#""name":"local_shell","arguments":"{\"command\":[\"ls\"]}""#), "\(sent)")
        #expect(sent.contains(#""tool_call_id":"c1""#) && sent.contains("Runs a command"), "\(sent)")
        let call = try Fixture.call(body, spec: Fixture.spec(.openai), endpoint: .responses)
        let stream =
            #"data: {"id":"x","choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"c2","function":{"name":"local_shell","#
            + #""arguments":"{\"command\":[\"pwd\"],\"timeout_ms\":5}"}}]},"finish_reason":"tool_calls"}]}"# + "\n\ndata: [DONE]\n\n"
        let outcome = StreamOutcome(stream, call: call)
        let item = #""call_id":"c2","action":{"type":"exec","command":["pwd"],"timeout_ms":5,"env":{}}"#
        #expect(outcome.trailer.contains(#""type":"local_shell_call""#) && outcome.trailer.contains(item), "\(outcome.trailer)")
    }

    @Test func `a chat request in the shape of Responses becomes a chat request`() throws {
        // As Cursor's agents send it.
        let body = #"""
            {"model":"m","stream":true,"stream_options":{"include_usage":true},"store":false,"include":["reasoning.encrypted_content"],
            "input":[{"role":"system","content":"You edit code."},{"role":"user","content":[{"type":"input_text","text":"go on"}]}],
            "tools":[{"type":"function","name":"read_file","description":"d","parameters":{"type":"object"},"strict":false},
            {"type":"custom","name":"ApplyPatch","format":{"type":"grammar","syntax":"lark","definition":"start: x"}}],
            "tool_choice":"auto","reasoning":{"effort":"medium"},"text":{"verbosity":"low"},"prompt_cache_key":"k"}
            """#
        let envelope = try RequestEnvelope(body: ByteBuffer(string: body), endpoint: .chat)
        #expect(ResponsesShapedChat.matches(envelope))
        let converted = try ResponsesShapedChat.converted(envelope)
        let chat = try RequestEnvelope(body: converted.body, endpoint: .chat)
        #expect(!ResponsesShapedChat.matches(chat) && chat.isStream && chat.wantsStreamUsage && chat.promptCacheKey == "k")
        #expect(converted.dropped == ["text.verbosity"])
        let text = String(buffer: converted.body)
        for part in [
            #""role":"system","content":"You edit code.""#, #""function":{"name":"read_file""#, "ApplyPatch",
            #""reasoning_effort":"medium""#,
        ] {
            #expect(text.contains(part), "\(text)")
        }
        let odd = try RequestEnvelope(
            body: ByteBuffer(string: #"{"model":"m","input":[{"type":"item_reference","id":"x"}]}"#), endpoint: .chat)
        let refused = #expect(throws: RequestEnvelope.Rejection.self) { try ResponsesShapedChat.converted(odd) }
        #expect(refused?.param == "input[0].type")
    }

    @Test func `a function that has the name of a namespace's tool is refused`() throws {
        let body = Self.codex.replacingOnce(#""name":"exec_command""#, #""name":"files__read""#)
        let refused = #expect(throws: UpstreamFailure.self) { try request(body, .responses, .openai) }
        #expect(refused?.clientError?.param == "tools" && refused?.retry == .no)
    }

    @Test func `joined names have at most 64 letters and stay apart`() {
        let long = String(repeating: "n", count: 60)
        let names = ["a", "b"].map { ResponsesTools.joined(long, "tool_\($0)") }
        #expect(names.allSatisfy { $0.utf8.count <= 64 } && names[0] != names[1])
        #expect(ResponsesTools.joined("files", "read") == "files__read" && ResponsesTools.joined(nil, "read") == "read")
    }
}
