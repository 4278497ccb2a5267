import RouterCore

/// Writes a conversation as Cohere's chat, version 2 (https://docs.cohere.com/reference/chat).
struct CohereRequestWriter {
    let model: String
    let rules: RequestRules

    func write(_ conversation: Conversation) throws(UpstreamFailure) -> JSONValue {
        if conversation.choices > 1 { throw .inexpressible("n") }
        if conversation.logprobs { throw .inexpressible("logprobs") }
        if conversation.messages.contains(where: { $0.name != nil }) { throw .inexpressible("messages.name") }
        if conversation.parallelToolCalls == false, !conversation.tools.isEmpty { throw .inexpressible("parallel_tool_calls") }
        var body = ObjectBuilder()
        body.add("model", .string(model))
        var messages: [JSONValue] = []
        for message in conversation.messages { try append(message, &messages) }
        body.add("messages", .array(messages))
        addTools(conversation, &body)
        if let format = conversation.format {
            var object = ObjectBuilder()
            object.add("type", "json_object")
            if case .schema(_, _, let schema, _) = format { object.add("json_schema", schema) }
            body.add("response_format", object.value)
        }
        body.add("max_tokens", integer: conversation.maxTokens)
        let sampling = conversation.sampling
        body.add("temperature", number: sampling[.temperature])
        body.add("p", number: sampling[.topP])
        body.add("k", number: sampling[.topK])
        body.add("seed", number: sampling[.seed])
        body.add("frequency_penalty", number: sampling[.frequencyPenalty])
        body.add("presence_penalty", number: sampling[.presencePenalty])
        if !conversation.stop.isEmpty { body.add("stop_sequences", .array(conversation.stop.map { .string($0) })) }
        body.add("thinking", thinking(conversation.reasoning))
        // The field has to be there, whatever its value.
        body.add("stream", .boolean(conversation.isStream))
        body.apply(rules)
        return body.value
    }

    private func thinking(_ reasoning: Conversation.Reasoning?) -> JSONValue? {
        switch reasoning {
        case nil: nil
        case .effort("none")?: ["type": "disabled"]
        case .effort?, .adaptive?: ["type": "enabled"]
        case .budget(let tokens)?: ["type": "enabled", "token_budget": .integer(tokens)]
        }
    }

    private func addTools(_ conversation: Conversation, _ body: inout ObjectBuilder) {
        guard !conversation.tools.isEmpty else { return }
        var tools = conversation.tools
        switch conversation.toolChoice {
        case .required?: body.add("tool_choice", "REQUIRED")
        case Conversation.ToolChoice.none?: body.add("tool_choice", "NONE")
        case .function(let name)?:
            // There is no choice by name: the one function alone, and required, says the same.
            tools = tools.filter { $0.name == name }
            body.add("tool_choice", "REQUIRED")
        case .auto?, nil: break
        }
        body.add(
            "tools",
            .array(
                tools.map { tool in
                    var function = ObjectBuilder()
                    function.add("name", .string(tool.name))
                    function.add("description", text: tool.description)
                    function.add("parameters", tool.schema ?? ["type": "object", "properties": [:]])
                    return ["type": "function", "function": function.value]
                }))
        if tools.contains(where: { $0.strict == true }) { body.add("strict_tools", true) }
    }

    private func append(_ message: Conversation.Message, _ out: inout [JSONValue]) throws(UpstreamFailure) {
        if message.role == .tool {
            for case .toolResult(let result) in message.parts {
                guard let text = result.text else {
                    throw .inexpressible("tool message content", "can only be text for this model's vendor")
                }
                out.append([
                    "role": "tool", "tool_call_id": .string(result.id), "content": .string(result.isError ? "Error: " + text : text),
                ])
            }
            return
        }
        var content: [JSONValue] = []
        var calls: [JSONValue] = []
        var thoughts: [String] = []
        for part in message.parts {
            switch part {
            case .text(let text, _), .refusal(let text): content.append(["type": "text", "text": .string(text)])
            case .image(.url(let url), let detail, _): content.append(image(url, detail))
            case .image(.base64(let type, let data), let detail, _): content.append(image(DataURL.text(type: type, data: data), detail))
            case .image: throw .inexpressible("image.file_id")
            case .document: throw .inexpressible("document")
            case .audio: throw .inexpressible("input_audio")
            // Signed thoughts are another vendor's.
            case .thinking(let thinking):
                if thinking.signature == nil, thinking.redacted == nil, !thinking.text.isEmpty { thoughts.append(thinking.text) }
            case .toolCall(let call): calls.append(ChatRequestWriter.toolCall(call))
            case .toolResult: throw .inexpressible("messages.content")
            }
        }
        var object = ObjectBuilder()
        object.add("role", .string(message.role == .developer ? "system" : message.role.rawValue))
        if content.count == 1, content[0]["type"] == "text", let text = content[0]["text"] {
            object.add("content", text)
        } else if !content.isEmpty {
            object.add("content", .array(content))
        }
        // A model's plan comes back with the calls that it made.
        if !calls.isEmpty {
            if !thoughts.isEmpty { object.add("tool_plan", .string(thoughts.joined(separator: "\n"))) }
            object.add("tool_calls", .array(calls))
        }
        out.append(object.value)
    }

    private func image(_ url: String, _ detail: String?) -> JSONValue {
        var image = ObjectBuilder()
        image.add("url", .string(url))
        image.add("detail", text: detail)
        return ["type": "image_url", "image_url": image.value]
    }
}
