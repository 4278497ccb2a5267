import RouterCore

extension ResponsesRequestReader {
    /// Adds a tool, or the tools of a namespace. One that only its vendor can run is left out.
    static func append(
        tool given: Fields, namespace: String?, _ result: inout Conversation, _ dropped: DroppedFields
    ) throws(UpstreamFailure) {
        var fields = given
        let type = try fields.requiredText("type")
        switch type {
        case "function":
            let tool = Conversation.Tool(
                name: ResponsesTools.joined(namespace, try fields.requiredText("name")), description: try fields.text("description"),
                schema: fields.take("parameters"), strict: try fields.flag("strict"))
            fields.drop("defer_loading", in: "tools", noting: dropped)
            try fields.done()
            result.tools.append(tool)
        case "custom": result.tools.append(try custom(&fields, namespace, dropped))
        case ResponsesTools.localShell where namespace == nil:
            try fields.done()
            result.tools.append(localShell)
        case "namespace" where namespace == nil:
            let name = try fields.requiredText("name")
            // Words about all of the tools; each has its own.
            fields.drop("description", in: "tools.namespace", noting: dropped)
            for (index, tool) in (try fields.array("tools") ?? []).enumerated() {
                try append(tool: Fields(tool, at: fields.path("tools[\(index)]")), namespace: name, &result, dropped)
            }
            try fields.done()
        default:
            guard dropped.isLenient, VendorTool(type: type).isRunByVendor else {
                throw .inexpressible(fields.path("type"), "'\(type)' is a tool that only its vendor can run")
            }
            dropped.add("tools.\(type)")
        }
    }

    /// The shell of the client's own machine, which only some models know without a description
    /// (https://platform.openai.com/docs/guides/tools-local-shell).
    private static var localShell: Conversation.Tool {
        let text: JSONValue = ["type": "string"]
        let schema: JSONValue = [
            "type": "object",
            "properties": [
                "command": ["type": "array", "items": text, "description": "The program and its arguments."],
                "working_directory": text, "timeout_ms": ["type": "integer"],
            ], "required": ["command"],
        ]
        return Conversation.Tool(
            name: ResponsesTools.localShell, description: "Runs a command on the user's machine and returns what it prints.", schema: schema
        )
    }

    /// A tool whose input is a text is a function with one argument elsewhere; a grammar of that text becomes a part of its description.
    private static func custom(
        _ fields: inout Fields, _ namespace: String?, _ dropped: DroppedFields
    ) throws(UpstreamFailure) -> Conversation.Tool {
        let name = ResponsesTools.joined(namespace, try fields.requiredText("name"))
        var description = try fields.text("description") ?? ""
        if var format = try fields.object("format") {
            if try format.requiredText("type") == "grammar" {
                let syntax = try format.text("syntax") ?? "unknown"
                description += "\n\nThe input must match this \(syntax) grammar:\n\(try format.requiredText("definition"))"
            }
            try format.done()
        }
        fields.drop("defer_loading", in: "tools", noting: dropped)
        try fields.done()
        let schema: JSONValue = [
            "type": "object",
            "properties": .object([.init(ResponsesTools.input, ["type": "string", "description": "The whole input of the tool."])]),
            "required": .array([.string(ResponsesTools.input)]), "additionalProperties": false,
        ]
        return Conversation.Tool(name: name, description: description.isEmpty ? nil : description, schema: schema)
    }

    static func toolChoice(_ value: JSONValue) throws(UpstreamFailure) -> Conversation.ToolChoice {
        guard let type = value["type"]?.stringValue, ["function", "custom", ResponsesTools.localShell].contains(type),
            let name = value["name"]?.stringValue ?? (type == ResponsesTools.localShell ? type : nil)
        else {
            return try ChatRequestReader.toolChoice(value)
        }
        return .function(ResponsesTools.joined(value["namespace"]?.stringValue, name))
    }
}

extension Conversation {
    /// A choice among tools that were left out cannot be made; a free one means nothing without tools.
    mutating func checkToolChoice() throws(UpstreamFailure) {
        switch toolChoice {
        case .function(let name) where !tools.contains { $0.name == name }:
            throw .inexpressible("tool_choice", "demands '\(name)', which is none of the tools that this model's vendor can be told of")
        case .required where tools.isEmpty:
            throw .inexpressible("tool_choice", "demands a tool, and there is none that this model's vendor can be told of")
        case .auto? where tools.isEmpty, Conversation.ToolChoice.none? where tools.isEmpty: toolChoice = nil
        default: break
        }
    }
}
