import RouterCore

/// Anthropic's Messages (https://docs.anthropic.com/en/api/messages, and the beta features that Claude Code uses).
enum AnthropicRules {
    private static let fields: Set<String> = [
        "model", "messages", "max_tokens", "system", "metadata", "stop_sequences", "stream", "temperature", "top_k", "top_p", "tools",
        "tool_choice", "thinking", "service_tier", "container", "context_management", "mcp_servers", "output_config", "cache_control",
        "inference_geo", "speed",
    ]
    private static let blocks: [String: Set<String>] = [
        "text": ["text", "citations"], "image": ["source"], "document": ["source", "title", "context", "citations"],
        "thinking": ["thinking", "signature"], "redacted_thinking": ["data"], "tool_use": ["id", "name", "input", "caller"],
        "tool_result": ["tool_use_id", "content", "is_error"], "server_tool_use": ["id", "name", "input", "caller"],
        "web_search_tool_result": ["tool_use_id", "content", "caller"], "tool_reference": ["tool_name"],
        "search_result": ["source", "title", "content", "citations"],
    ]

    static func check(_ request: CheckedJSON) throws(VendorRefusal) {
        try request.members(fields)
        let limit = try request.required("max_tokens").number()
        var marks = 0
        if let system = request.member("system"), system.value.stringValue == nil {
            for block in try system.elements() { try check(block: block, marks: &marks, kinds: ["text"]) }
        }
        for tool in try request.member("tools")?.elements() ?? [] { try check(tool: tool, marks: &marks) }
        if let thinking = request.member("thinking") {
            let kind = try thinking.required("type").oneOf(["enabled", "disabled", "adaptive"])
            try thinking.members(["type", "budget_tokens", "display"])
            if kind == "enabled" {
                let budget = try thinking.required("budget_tokens").number()
                guard budget >= 1_024, budget < limit else { throw thinking.refused("1024 ≤ budget_tokens < max_tokens") }
            }
        }
        var open: Set<String> = []
        for message in try request.required("messages").elements() { try check(message: message, open: &open, marks: &marks) }
        if !open.isEmpty { throw request.refused("tool_use without tool_result: \(open.sorted().joined(separator: ", "))") }
        if marks > 4 { throw request.refused("a maximum of 4 blocks with cache_control may be provided; found \(marks)") }
    }

    private static func check(tool: CheckedJSON, marks: inout Int) throws(VendorRefusal) {
        if tool.member("cache_control") != nil { marks += 1 }
        // Tools that Anthropic itself runs have a dated type and fields of their own.
        if let type = tool.member("type"), try type.string() != "custom" { return }
        try tool.members([
            "type", "name", "description", "input_schema", "cache_control", "defer_loading", "allowed_callers", "input_examples", "strict",
            "eager_input_streaming",
        ])
        try tool.required("name").toolName(128)
        let schema = try tool.required("input_schema")
        try schema.schema()
        guard schema.value["type"]?.stringValue == "object" else { throw schema.refused("'type' is missing") }
    }

    private static func check(message: CheckedJSON, open: inout Set<String>, marks: inout Int) throws(VendorRefusal) {
        try message.members(["role", "content"])
        let role = try message.required("role").oneOf(["user", "assistant", "system"])
        let content = try message.required("content")
        var calls: Set<String> = []
        if let text = content.value.stringValue {
            guard !text.isEmpty else { throw content.refused("text content blocks must be non-empty") }
        } else {
            let parts = try content.elements()
            guard !parts.isEmpty else { throw content.refused("content must not be empty") }
            for part in parts {
                let kind = try check(block: part, marks: &marks, kinds: Set(blocks.keys))
                if kind == "tool_use" {
                    guard role == "assistant" else { throw part.refused("only an assistant calls tools") }
                    calls.insert(try part.required("id").string())
                } else if kind == "tool_result" {
                    let id = try part.required("tool_use_id").string()
                    guard open.remove(id) != nil else { throw part.refused("no tool_use in the message before has the id '\(id)'") }
                }
            }
        }
        guard open.isEmpty else { throw message.refused("tool_use without tool_result: \(open.sorted().joined(separator: ", "))") }
        open = calls
    }

    @discardableResult
    private static func check(block: CheckedJSON, marks: inout Int, kinds: Set<String>) throws(VendorRefusal) -> String {
        let kind = try block.required("type").oneOf(kinds)
        try block.members((blocks[kind] ?? []).union(["type", "cache_control"]))
        if block.member("cache_control") != nil {
            marks += 1
            if kind == "thinking" { throw block.refused("thinking cannot be cached directly") }
        }
        switch kind {
        case "text": if try block.required("text").string().isEmpty { throw block.refused("text content blocks must be non-empty") }
        case "thinking": _ = try block.required("signature").string()
        case "tool_use": try block.required("name").toolName(128)
        default: break
        }
        return kind
    }
}
