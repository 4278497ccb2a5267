import RouterCore

/// OpenAI's Responses (https://platform.openai.com/docs/api-reference/responses/create; `client_metadata` and namespaces as Codex sends
/// them).
enum ResponsesRules {
    private static let fields: Set<String> = [
        "model", "input", "instructions", "background", "context_management", "conversation", "include", "max_output_tokens",
        "max_tool_calls", "metadata", "parallel_tool_calls", "previous_response_id", "prompt", "prompt_cache_key", "prompt_cache_retention",
        "reasoning", "safety_identifier", "service_tier", "store", "stream", "stream_options", "temperature", "text", "tool_choice",
        "tools",
        "top_logprobs", "top_p", "truncation", "user", "client_metadata",
    ]
    private static let calls: Set<String> = ["function_call", "custom_tool_call", "local_shell_call"]
    private static let results: Set<String> = ["function_call_output", "custom_tool_call_output", "local_shell_call_output"]
    private static let others: Set<String> = ["message", "reasoning", "item_reference", "compaction", "web_search_call"]

    static func check(_ request: CheckedJSON) throws(VendorRefusal) {
        try request.members(fields)
        for tool in try request.member("tools")?.elements() ?? [] { try check(tool: tool) }
        guard let input = request.member("input"), input.value.stringValue == nil else { return }
        let isContinued = request.member("previous_response_id") != nil || request.member("conversation") != nil
        var open: Set<String> = []
        for item in try input.elements() {
            let type = try item.member("type")?.oneOf(calls.union(results).union(others)) ?? "message"
            if calls.contains(type) { open.insert(try item.required("call_id").string()) }
            if results.contains(type) {
                let id = try item.required("call_id").string()
                guard open.remove(id) != nil || isContinued else { throw item.refused("no tool call found for call_id '\(id)'") }
            }
            if type == "message" {
                try item.required("role").oneOf(["system", "developer", "user", "assistant"])
                _ = try item.required("content")
            }
        }
        if !open.isEmpty { throw request.refused("no tool output found for calls \(open.sorted().joined(separator: ", "))") }
    }

    private static func check(tool: CheckedJSON) throws(VendorRefusal) {
        switch try tool.required("type").string() {
        case "function":
            try tool.members(["type", "name", "description", "parameters", "strict", "defer_loading"])
            try tool.required("name").toolName(128)
            try tool.member("parameters")?.schema()
        case "custom":
            try tool.members(["type", "name", "description", "format", "defer_loading"])
            try tool.required("name").toolName(128)
        case "namespace":
            try tool.members(["type", "name", "description", "tools"])
            for inner in try tool.required("tools").elements() { try check(tool: inner) }
        default: break
        }
    }
}
