import NIOCore
import RouterCore
import Testing

@testable import Simulator

/// The simulator's `strict` refuses what the vendors refuse.
@Suite struct VendorRulesTests {
    private func refusal(_ rules: VendorRules, _ body: String) throws -> String? {
        rules.refusal(of: try JSONValue(parsing: ByteBuffer(string: body)))
    }

    @Test(arguments: [
        (#"{"model":"m","messages":[{"role":"user","content":"x"}],"client_metadata":{}}"#, "unknown field 'client_metadata'"),
        (#"{"model":"m","messages":[{"role":"tool","tool_call_id":"a","content":"x"}]}"#, "messages[0]: no call before has the id 'a'"),
        (
            #"{"messages":[{"role":"assistant","content":null,"tool_calls":[{"id":"a","type":"function","function":{"name":"f","arguments":"{}"}}]},{"role":"user","content":"x"}]}"#,
            "messages[1]: calls without a result: a"
        ),
        (#"{"messages":[],"tools":[{"type":"namespace","name":"n"}]}"#, "'namespace' is not one of custom, function"),
        (#"{"messages":[],"tools":[{"type":"function","function":{"name":"a.b"}}]}"#, "'a.b' is not a name of a tool"),
        (#"{"messages":[{"role":"user","content":[{"type":"text","text":"x","cache_control":{}}]}]}"#, "unknown field 'cache_control'"),
    ])
    func `OpenAI's chat`(body: String, reason: String) throws {
        let refusal = try refusal(.openAIChat, body)
        #expect(refusal?.contains(reason) == true, "\(refusal ?? "accepted")")
    }

    @Test(arguments: [
        (#"{"messages":[],"max_tokens":5,"verbosity":"low"}"#, "unknown field 'verbosity'"),
        (#"{"max_tokens":5,"messages":[{"role":"user","content":[{"type":"text","text":""}]}]}"#, "must be non-empty"),
        (#"{"max_tokens":2000,"messages":[],"thinking":{"type":"enabled","budget_tokens":2000}}"#, "budget_tokens < max_tokens"),
        (
            #"{"max_tokens":5,"messages":[{"role":"user","content":[{"type":"tool_result","tool_use_id":"t","content":"x"}]}]}"#,
            "no tool_use in the message before has the id 't'"
        ),
        (
            #"{"max_tokens":5,"messages":[{"role":"assistant","content":[{"type":"tool_use","id":"t","name":"f","input":{}}]}]}"#,
            "tool_use without tool_result: t"
        ),
        (#"{"max_tokens":5,"messages":[],"tools":[{"name":"f","input_schema":{}}]}"#, "'type' is missing"),
    ])
    func `Anthropic's Messages`(body: String, reason: String) throws {
        let refusal = try refusal(.anthropic, body)
        #expect(refusal?.contains(reason) == true, "\(refusal ?? "accepted")")
    }

    @Test(arguments: [
        (#"{"contents":[{"role":"user","parts":[{"text":"x","signature":"y"}]}]}"#, "unknown field 'signature'"),
        (
            #"{"contents":[{"role":"model","parts":[{"functionCall":{"name":"f","args":{}}}]},{"role":"user","parts":[{"text":"x"}]}]}"#,
            "must equal the number of function call parts"
        ),
        (
            #"{"contents":[],"tools":[{"functionDeclarations":[{"name":"f","parameters":{"type":"OBJECT","additionalProperties":false}}]}]}"#,
            "unknown field 'additionalProperties'"
        ),
        (#"{"contents":[{"role":"assistant","parts":[{"text":"x"}]}]}"#, "'assistant' is not one of model, user"),
    ])
    func `Gemini's generateContent`(body: String, reason: String) throws {
        let refusal = try refusal(.gemini, body)
        #expect(refusal?.contains(reason) == true, "\(refusal ?? "accepted")")
    }

    @Test(arguments: [
        (#"{"messages":[{"role":"user","content":[{"text":"x"}]},{"role":"user","content":[{"text":"y"}]}]}"#, "roles must alternate"),
        (#"{"messages":[{"role":"user","content":[{"text":""}]}]}"#, "the text field is blank"),
        (
            #"{"messages":[{"role":"user","content":[{"text":"x"}]},{"role":"assistant","content":[{"toolUse":{"toolUseId":"t","name":"f","input":{}}}]}]}"#,
            "toolConfig must be defined"
        ),
        (
            #"{"messages":[],"toolConfig":{"tools":[{"toolSpec":{"name":"f","description":"","inputSchema":{"json":{}}}}]}}"#,
            "length at least 1"
        ),
    ])
    func `Bedrock's Converse`(body: String, reason: String) throws {
        let refusal = try refusal(.bedrock, body)
        #expect(refusal?.contains(reason) == true, "\(refusal ?? "accepted")")
    }

    @Test func `calls that a message asks for are made one after another`() throws {
        let asked: JSONValue = ["role": "user", "content": #"do [[call a {"x":[[1]]}]] and [[call b {}]]"#]
        let tools: JSONValue = [["type": "function", "function": ["name": "a"]], ["type": "function", "function": ["name": "n__b"]]]
        func turn(_ more: [JSONValue]) -> AgentTurn? { AgentTurn(["messages": .array([asked] + more), "tools": tools]) }
        guard case .call("a", #"{"x":[[1]]}"#)? = turn([]) else { Issue.record("\(String(describing: turn([])))"); return }
        let first: JSONValue = ["role": "tool", "content": "one"]
        guard case .call("n__b", "{}")? = turn([first]) else { Issue.record("\(String(describing: turn([first])))"); return }
        guard case .answer("The tool said: two")? = turn([first, ["role": "tool", "content": "two"]]) else {
            Issue.record("no answer")
            return
        }
        #expect(AgentTurn(["messages": [["role": "user", "content": "plain"]], "tools": tools]) == nil)
    }
}
