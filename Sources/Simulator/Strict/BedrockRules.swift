import RouterCore

/// Bedrock's Converse (https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html).
enum BedrockRules {
    private static let blocks: Set<String> = [
        "text", "image", "document", "video", "toolUse", "toolResult", "reasoningContent", "cachePoint", "guardContent", "citationsContent",
        "searchResult",
    ]

    static func check(_ request: CheckedJSON) throws(VendorRefusal) {
        try request.members([
            "messages", "system", "inferenceConfig", "toolConfig", "guardrailConfig", "additionalModelRequestFields",
            "additionalModelResponseFieldPaths", "promptVariables", "requestMetadata", "performanceConfig", "serviceTier", "outputConfig",
        ])
        try request.member("inferenceConfig")?.members(["maxTokens", "temperature", "topP", "stopSequences"])
        for block in try request.member("system")?.elements() ?? [] {
            try block.members(["text", "cachePoint", "guardContent"])
            if let text = block.member("text"), try text.string().isEmpty { throw text.refused("must have length at least 1") }
        }
        var hasTools = false
        if let configuration = request.member("toolConfig") {
            try configuration.members(["tools", "toolChoice"])
            for tool in try configuration.required("tools").elements() {
                try tool.members(["toolSpec", "cachePoint", "systemTool"])
                guard let spec = tool.member("toolSpec") else { continue }
                hasTools = true
                try spec.members(["name", "description", "inputSchema", "strict"])
                try spec.required("name").toolName(64)
                if let description = spec.member("description"), try description.string().isEmpty {
                    throw description.refused("must have length at least 1")
                }
                try spec.required("inputSchema").required("json").schema()
            }
        }
        var open: Set<String> = []
        var last = "assistant"
        for message in try request.required("messages").elements() {
            try message.members(["role", "content"])
            let role = try message.required("role").oneOf(["user", "assistant"])
            // Converse takes a conversation that begins with a user and whose roles alternate.
            guard role != last else { throw message.refused("roles must alternate between user and assistant, beginning with user") }
            last = role
            try check(content: try message.required("content"), open: &open, hasTools: hasTools)
        }
        if !open.isEmpty { throw request.refused("toolUse without toolResult: \(open.sorted().joined(separator: ", "))") }
    }

    private static func check(content: CheckedJSON, open: inout Set<String>, hasTools: Bool) throws(VendorRefusal) {
        let parts = try content.elements()
        guard !parts.isEmpty else { throw content.refused("must have length at least 1") }
        var calls: Set<String> = []
        for part in parts {
            try part.members(blocks)
            if let text = part.member("text"), try text.string().isEmpty { throw text.refused("the text field is blank") }
            if let use = part.member("toolUse") {
                guard hasTools else { throw use.refused("toolConfig must be defined") }
                try use.members(["toolUseId", "name", "input", "type"])
                try use.required("name").toolName(64)
                calls.insert(try use.required("toolUseId").string())
            }
            if let result = part.member("toolResult") {
                try result.members(["toolUseId", "content", "status", "type"])
                let id = try result.required("toolUseId").string()
                guard open.remove(id) != nil else { throw result.refused("no toolUse in the message before has the id '\(id)'") }
            }
        }
        guard open.isEmpty else { throw content.refused("toolUse without toolResult: \(open.sorted().joined(separator: ", "))") }
        open = calls
    }
}
