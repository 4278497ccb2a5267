import RouterCore

/// Chat Completions of OpenAI (https://platform.openai.com/docs/api-reference/chat/create) and of OpenRouter
/// (https://openrouter.ai/docs/api-reference/chat-completion), which knows more fields.
struct ChatRules {
    let isOpenRouter: Bool

    private static let fields: Set<String> = [
        "messages", "model", "audio", "frequency_penalty", "function_call", "functions", "logit_bias", "logprobs",
        "max_completion_tokens", "max_tokens", "metadata", "modalities", "n", "parallel_tool_calls", "prediction", "presence_penalty",
        "prompt_cache_key", "prompt_cache_retention", "reasoning_effort", "response_format", "safety_identifier", "seed", "service_tier",
        "stop", "store", "stream", "stream_options", "temperature", "tool_choice", "tools", "top_logprobs", "top_p", "user", "verbosity",
        "web_search_options",
    ]
    private static let openRouterFields: Set<String> = [
        "models", "provider", "plugins", "route", "reasoning", "usage", "transforms", "top_k", "top_a", "min_p", "repetition_penalty",
        "session_id", "image_config", "debug", "trace", "cache_control",
    ]

    func check(_ request: CheckedJSON) throws(VendorRefusal) {
        try request.members(isOpenRouter ? Self.fields.union(Self.openRouterFields) : Self.fields)
        for tool in try request.member("tools")?.elements() ?? [] { try check(tool: tool) }
        if let choice = request.member("tool_choice") {
            if choice.value.stringValue != nil { try choice.oneOf(["none", "auto", "required"]) }
            if request.member("tools") == nil { throw choice.refused("tools are missing") }
        }
        if let effort = request.member("reasoning_effort") {
            try effort.oneOf(["none", "minimal", "low", "medium", "high", "xhigh", "max"])
        }
        var open: Set<String> = []
        for message in try request.required("messages").elements() { try check(message: message, open: &open) }
        if !open.isEmpty { throw request.refused("calls without a result: \(open.sorted().joined(separator: ", "))") }
    }

    private func check(tool: CheckedJSON) throws(VendorRefusal) {
        if try tool.required("type").oneOf(["function", "custom"]) == "custom" { return }
        try tool.members(isOpenRouter ? ["type", "function", "cache_control"] : ["type", "function"])
        let function = try tool.required("function")
        try function.members(["name", "description", "parameters", "strict"])
        try function.required("name").toolName(64)
        try function.member("parameters")?.schema()
    }

    private func check(message: CheckedJSON, open: inout Set<String>) throws(VendorRefusal) {
        let role = try message.required("role").oneOf(["system", "developer", "user", "assistant", "tool"])
        if role != "tool", !open.isEmpty { throw message.refused("calls without a result: \(open.sorted().joined(separator: ", "))") }
        switch role {
        case "tool":
            try message.members(["role", "content", "tool_call_id", "name"])
            let id = try message.required("tool_call_id").string()
            guard open.remove(id) != nil else { throw message.refused("no call before has the id '\(id)'") }
        case "assistant":
            let more: Set<String> = isOpenRouter ? ["reasoning", "reasoning_details", "images"] : []
            try message.members(more.union(["role", "content", "name", "refusal", "audio", "tool_calls", "function_call", "annotations"]))
            for call in try message.member("tool_calls")?.elements() ?? [] {
                try call.members(["id", "type", "function", "custom", "index"])
                let function = try call.required("function")
                try function.required("name").toolName(64)
                _ = try function.required("arguments").string()
                open.insert(try call.required("id").string())
            }
            if message.member("content") == nil, open.isEmpty { throw message.refused("an answer without content or calls") }
        default: try message.members(["role", "content", "name"])
        }
        guard let content = message.member("content"), content.value.stringValue == nil else { return }
        for part in try content.elements() { try check(part: part) }
    }

    private func check(part: CheckedJSON) throws(VendorRefusal) {
        let kinds: Set<String> = ["text", "image_url", "input_audio", "file", "refusal"]
        let kind = try part.required("type").oneOf(isOpenRouter ? kinds.union(["video_url"]) : kinds)
        var known: Set<String> = ["type", kind]
        if isOpenRouter { known.insert("cache_control") }
        try part.members(known)
    }
}
