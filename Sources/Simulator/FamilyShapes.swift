import NIOCore
import RouterCore

/// Vendors of other families, with the same echo model behind them: Anthropic's Messages under `/anthropic/v1`, Gemini's generateContent
/// under `/gemini/v1beta`, Cohere's v2 chat under `/cohere/v2`, Bedrock's Converse under `/bedrock`.
///
/// Sources: https://docs.anthropic.com/en/api/messages, https://ai.google.dev/api/generate-content,
/// https://docs.cohere.com/v2/reference/chat.
enum SimulatedFamily: Sendable {
    case anthropic, gemini, cohere, bedrock

    /// Parses a path: the family, and for Gemini the model and whether the call streams.
    static func route(_ path: String) -> (family: SimulatedFamily, model: String?, isStream: Bool)? {
        if path == "/anthropic/v1/messages" { return (.anthropic, nil, false) }
        if path == "/cohere/v2/chat" { return (.cohere, nil, false) }
        if let bedrock = bedrock(path) { return bedrock }
        let prefix = "/gemini/v1beta/models/"
        guard path.hasPrefix(prefix), let colon = path.lastIndex(of: ":") else { return nil }
        let model = String(path[path.index(path.startIndex, offsetBy: prefix.utf8.count)..<colon])
        switch path[path.index(after: colon)...] {
        case "generateContent": return (.gemini, model, false)
        case "streamGenerateContent": return (.gemini, model, true)
        default: return nil
        }
    }

    /// The request in the form that the echo model reads: OpenAI's messages, tools and limits.
    func canonical(_ request: JSONValue) -> JSONValue {
        var members: [JSONValue.Member] = []
        if let n = request["generationConfig"]?["candidateCount"] { members.append(.init("n", n)) }
        let limit = request["max_tokens"] ?? request["generationConfig"]?["maxOutputTokens"] ?? request["inferenceConfig"]?["maxTokens"]
        if let limit { members.append(.init("max_tokens", limit)) }
        var messages: [JSONValue] = []
        let system = request["system"] ?? request["systemInstruction"]?["parts"]
        if let system { messages.append(["role": "system", "content": .string(Self.text(system))]) }
        for turn in (request["messages"] ?? request["contents"])?.arrayValue ?? [] {
            let role = turn["role"]?.stringValue ?? "user"
            let content = turn["content"] ?? turn["parts"] ?? .null
            messages += Self.toolResults(content).map { ["role": "tool", "content": .string($0)] }
            if messages.last?["role"]?.stringValue == "tool", Self.text(content).isEmpty { continue }
            messages.append(["role": .string(role), "content": .string(Self.text(content))])
        }
        members.append(.init("messages", .array(messages)))
        let tools = Self.functions(request)
        if !tools.isEmpty { members.append(.init("tools", .array(tools))) }
        let schema =
            request["output_config"]?["format"]?["schema"] ?? request["generationConfig"]?["responseJsonSchema"]
            ?? request["generationConfig"]?["responseSchema"] ?? request["response_format"]?["json_schema"]
        if let schema { members.append(.init("response_format", ["json_schema": ["schema": Self.lowered(schema)]])) }
        return .object(members)
    }

    private static func text(_ content: JSONValue) -> String { AgentTurn.text(content) }

    /// The texts of the results of tools in one turn: Anthropic's `tool_result`, Gemini's `functionResponse`, Bedrock's `toolResult`.
    private static func toolResults(_ content: JSONValue) -> [String] {
        (content.arrayValue ?? []).compactMap { part in
            if part["type"]?.stringValue == "tool_result" { return text(part["content"] ?? "") }
            if let result = part["toolResult"] {
                return (result["content"]?.arrayValue ?? []).map { $0["text"]?.stringValue ?? $0["json"]?.text ?? "" }.joined()
            }
            guard let response = (part["functionResponse"] ?? part["function_response"])?["response"] else { return nil }
            return (response["output"] ?? response["result"])?.stringValue ?? response.text
        }
    }

    /// Every function that the request declares, in OpenAI's form.
    private static func functions(_ request: JSONValue) -> [JSONValue] {
        let declared = (request["tools"] ?? request["toolConfig"]?["tools"])?.arrayValue ?? []
        return declared.flatMap { tool -> [JSONValue] in
            if let list = (tool["functionDeclarations"] ?? tool["function_declarations"])?.arrayValue { return list }
            return [tool["function"] ?? tool["toolSpec"] ?? tool]
        }.compactMap { function in
            guard let name = function["name"] else { return nil }
            let schema =
                function["input_schema"] ?? function["inputSchema"]?["json"] ?? function["parametersJsonSchema"]
                ?? function["parameters_json_schema"] ?? function["parameters"] ?? .object([])
            return ["type": "function", "function": ["name": name, "parameters": lowered(schema)]]
        }
    }

    /// Converts Gemini's upper-case type names to lower case.
    private static func lowered(_ schema: JSONValue) -> JSONValue {
        switch schema {
        case .object(let members):
            return .object(
                members.map { member in
                    if member.name == "type", let text = member.value.stringValue { return .init("type", .string(text.lowercased())) }
                    return .init(member.name, lowered(member.value))
                })
        case .array(let items): return .array(items.map(lowered))
        default: return schema
        }
    }
}

/// The JSON of these vendors around an answer.
struct FamilyShapes: Sendable {
    let family: SimulatedFamily
    let id: String
    let answer: EchoAnswer
    let controls: Controls

    var completionTokens: Int64 {
        controls.count("completion_tokens") ?? Int64(answer.pieces.count * answer.choices + answer.reasoning.count)
    }
    var cached: Int64 { controls.count("cached_tokens") ?? 0 }
    var written: Int64 { controls.count("cache_write_tokens") ?? 0 }
    var tool: String? { if case .tool(let name) = answer.content { name } else { nil } }
    var isCut: Bool { answer.finishReason == "length" }

    // MARK: Usage

    /// - Parameter written: visible tokens; hidden reasoning is added.
    func usage(_ written: Int64) -> JSONValue {
        let completion = written + controls.thinkTokens
        switch family {
        case .anthropic:
            // Cached tokens are reported beside the input tokens, not as a part of them.
            return .object([
                .init("input_tokens", .integer(answer.promptTokens - cached - self.written)),
                .init("cache_creation_input_tokens", .integer(self.written)), .init("cache_read_input_tokens", .integer(cached)),
                .init("output_tokens", .integer(completion)),
            ])
        case .gemini:
            let thoughts = Int64(answer.reasoning.count) + controls.thinkTokens
            return .object([
                .init("promptTokenCount", .integer(answer.promptTokens)), .init("cachedContentTokenCount", .integer(cached)),
                .init("candidatesTokenCount", .integer(completion - thoughts)), .init("thoughtsTokenCount", .integer(thoughts)),
                .init("totalTokenCount", .integer(answer.promptTokens + completion)),
            ])
        case .cohere:
            let units: JSONValue = ["input_tokens": .integer(answer.promptTokens), "output_tokens": .integer(completion)]
            return ["billed_units": units, "tokens": units]
        case .bedrock: return bedrockUsage(written)
        }
    }

    // MARK: Whole

    func whole() -> JSONValue {
        switch family {
        case .anthropic:
            var content: [JSONValue] = []
            if !answer.reasoning.isEmpty {
                content.append(["type": "thinking", "thinking": .string(answer.reasoning.joined()), "signature": "c2lnbmF0dXJl"])
            }
            if let tool {
                content.append(["type": "tool_use", "id": .string("toolu_\(id)"), "name": .string(tool), "input": arguments])
            } else {
                content.append(["type": "text", "text": .string(answer.text)])
            }
            return .object([
                .init("id", .string(id)), .init("type", "message"), .init("role", "assistant"), .init("model", .string(answer.model)),
                .init("content", .array(content)), .init("stop_reason", .string(anthropicStop)), .init("stop_sequence", .null),
                .init("usage", usage(completionTokens)),
            ])
        case .gemini:
            return gemini(parts: (0..<answer.choices).map { _ in geminiParts }, finish: isCut ? "MAX_TOKENS" : "STOP", completionTokens)
        case .cohere:
            var message: [JSONValue.Member] = [.init("role", "assistant")]
            if let tool {
                message.append(.init("tool_calls", .array([cohereCall(tool, answer.text)])))
            } else {
                message.append(.init("content", .array([["type": "text", "text": .string(answer.text)]])))
            }
            return .object([
                .init("id", .string(id)), .init("finish_reason", .string(cohereFinish)), .init("message", .object(message)),
                .init("usage", usage(completionTokens)),
            ])
        case .bedrock: return bedrockWhole()
        }
    }

    var arguments: JSONValue { (try? JSONValue(parsing: ByteBuffer(string: answer.text))) ?? .object([]) }
    private var anthropicStop: String { tool != nil ? "tool_use" : isCut ? "max_tokens" : "end_turn" }
    private var cohereFinish: String { tool != nil ? "TOOL_CALL" : isCut ? "MAX_TOKENS" : "COMPLETE" }

    private func cohereCall(_ name: String, _ arguments: String) -> JSONValue {
        ["id": .string("call_\(id)"), "type": "function", "function": ["name": .string(name), "arguments": .string(arguments)]]
    }

    private var geminiParts: [JSONValue] {
        var parts = answer.reasoning.map { thought -> JSONValue in ["text": .string(thought), "thought": true] }
        if let tool {
            parts.append(["functionCall": ["name": .string(tool), "args": arguments]])
        } else {
            parts += [picture, ["text": .string(answer.text)]].compactMap { $0 }
        }
        return parts
    }

    /// The picture that `picture=TEXT` puts into Gemini's answer; the text is its base64.
    private var picture: JSONValue? {
        controls.text("picture").map { ["inlineData": ["mimeType": "image/png", "data": .string($0)]] }
    }

    private func gemini(parts: [[JSONValue]], finish: String?, _ completion: Int64?) -> JSONValue {
        let candidates = parts.enumerated().map { index, parts -> JSONValue in
            var candidate: [JSONValue.Member] = [
                .init("content", ["role": "model", "parts": .array(parts)]), .init("index", .integer(index)),
            ]
            if let finish { candidate.append(.init("finishReason", .string(finish))) }
            return .object(candidate)
        }
        var members: [JSONValue.Member] = [
            .init("candidates", .array(candidates)), .init("modelVersion", .string(answer.model)), .init("responseId", .string(id)),
        ]
        if let completion, !controls.has("no_usage") { members.append(.init("usageMetadata", usage(completion))) }
        return .object(members)
    }

    // MARK: Streamed

    /// The events before the content, one event per piece, and the events after it; each with the tokens that it carries.
    func events() -> (head: [ByteBuffer], pieces: [ByteBuffer], tail: [ByteBuffer]) {
        switch family {
        case .anthropic: anthropicEvents()
        case .gemini: geminiEvents()
        case .cohere: cohereEvents()
        case .bedrock: bedrockEvents()
        }
    }

    private func event(_ json: JSONValue, named: Bool = true) -> ByteBuffer {
        let name = named ? "event: \(json["type"]?.stringValue ?? "")\n" : ""
        return ByteBuffer(string: "\(name)data: \(json.text)\n\n")
    }

    private func anthropicEvents() -> (head: [ByteBuffer], pieces: [ByteBuffer], tail: [ByteBuffer]) {
        // Usage at the beginning: no reasoning has taken place yet.
        var start = usage(1 - controls.thinkTokens)
        if controls.has("no_usage") { start = .object([]) }
        var head = [
            event([
                "type": "message_start",
                "message": .object([
                    .init("id", .string(id)), .init("type", "message"), .init("role", "assistant"), .init("model", .string(answer.model)),
                    .init("content", .array([])), .init("stop_reason", .null), .init("stop_sequence", .null), .init("usage", start),
                ]),
            ]),
            event(["type": "ping"]),
        ]
        var pieces: [ByteBuffer] = []
        var index = 0
        func delta(_ delta: JSONValue) -> ByteBuffer {
            event(["type": "content_block_delta", "index": .integer(index), "delta": delta])
        }
        if !answer.reasoning.isEmpty {
            head.append(
                event([
                    "type": "content_block_start", "index": .integer(0),
                    "content_block": ["type": "thinking", "thinking": "", "signature": ""],
                ]))
            pieces += answer.reasoning.map { delta(["type": "thinking_delta", "thinking": .string($0)]) }
            let last = pieces.removeLast()
            var closing = last
            closing.writeImmutableBuffer(delta(["type": "signature_delta", "signature": "c2lnbmF0dXJl"]))
            closing.writeImmutableBuffer(event(["type": "content_block_stop", "index": .integer(0)]))
            index = 1
            closing.writeImmutableBuffer(blockStart(index))
            pieces.append(closing)
        } else {
            head.append(blockStart(0))
        }
        pieces += answer.pieces.map { piece in
            tool == nil
                ? delta(["type": "text_delta", "text": .string(piece)])
                : delta(["type": "input_json_delta", "partial_json": .string(piece)])
        }
        let last: JSONValue = controls.has("no_usage") ? .object([]) : usage(completionTokens)
        let tail = [
            event(["type": "content_block_stop", "index": .integer(index)]),
            event([
                "type": "message_delta", "delta": ["stop_reason": .string(anthropicStop), "stop_sequence": .null], "usage": last,
            ]),
            event(["type": "message_stop"]),
        ]
        return (head, pieces, tail)
    }

    private func blockStart(_ index: Int) -> ByteBuffer {
        let block: JSONValue =
            tool.map {
                ["type": "tool_use", "id": .string("toolu_\(id)"), "name": .string($0), "input": .object([])]
            } ?? ["type": "text", "text": ""]
        return event(["type": "content_block_start", "index": .integer(index), "content_block": block])
    }

    private func geminiEvents() -> (head: [ByteBuffer], pieces: [ByteBuffer], tail: [ByteBuffer]) {
        var pieces = answer.reasoning.map {
            event(gemini(parts: [[["text": .string($0), "thought": true]]], finish: nil, nil), named: false)
        }
        if tool != nil {
            pieces.append(event(gemini(parts: [geminiParts.suffix(1)], finish: nil, nil), named: false))
        } else {
            if let picture { pieces.append(event(gemini(parts: [[picture]], finish: nil, nil), named: false)) }
            pieces += answer.pieces.map { event(gemini(parts: [[["text": .string($0)]]], finish: nil, nil), named: false) }
        }
        let tail = [event(gemini(parts: [[["text": ""]]], finish: isCut ? "MAX_TOKENS" : "STOP", completionTokens), named: false)]
        return ([], pieces, tail)
    }

    private func cohereEvents() -> (head: [ByteBuffer], pieces: [ByteBuffer], tail: [ByteBuffer]) {
        var head = [event(["type": "message-start", "id": .string(id), "delta": ["message": ["role": "assistant"]]])]
        let pieces: [ByteBuffer]
        if let tool {
            head.append(
                event([
                    "type": "tool-call-start", "index": .integer(0), "delta": ["message": ["tool_calls": cohereCall(tool, "")]],
                ]))
            pieces = answer.pieces.map { piece in
                event([
                    "type": "tool-call-delta", "index": .integer(0),
                    "delta": ["message": ["tool_calls": ["function": ["arguments": .string(piece)]]]],
                ])
            }
        } else {
            head.append(
                event([
                    "type": "content-start", "index": .integer(0), "delta": ["message": ["content": ["type": "text", "text": ""]]],
                ]))
            pieces = answer.pieces.map { piece in
                event(["type": "content-delta", "index": .integer(0), "delta": ["message": ["content": ["text": .string(piece)]]]])
            }
        }
        var end: [JSONValue.Member] = [.init("finish_reason", .string(cohereFinish))]
        if !controls.has("no_usage") { end.append(.init("usage", usage(completionTokens))) }
        let tail = [
            event(["type": .string(tool == nil ? "content-end" : "tool-call-end"), "index": .integer(0)]),
            event(["type": "message-end", "delta": .object(end)]),
        ]
        return (head, pieces, tail)
    }

    // MARK: Errors

    func error(_ status: Int) -> JSONValue {
        let message = controls.text("message") ?? "simulated \(status)"
        switch family {
        case .anthropic:
            let type =
                status == 529
                ? "overloaded_error" : status == 429 ? "rate_limit_error" : status < 500 ? "invalid_request_error" : "api_error"
            return ["type": "error", "error": ["type": .string(controls.text("error_type") ?? type), "message": .string(message)]]
        case .gemini:
            let name = status == 429 ? "RESOURCE_EXHAUSTED" : status == 400 ? "INVALID_ARGUMENT" : "UNAVAILABLE"
            return [
                "error": ["code": .integer(status), "message": .string(message), "status": .string(controls.text("error_type") ?? name)]
            ]
        case .cohere: return ["id": .string(id), "message": .string(message)]
        case .bedrock: return ["message": .string(message)]
        }
    }
}
