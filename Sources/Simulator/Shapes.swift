import NIOCore
import RouterCore

/// The vendor's JSON around an answer: OpenAI's under `/v1`, OpenRouter's under `/api/v1`.
struct Shapes: Sendable {
    let isOpenRouter: Bool
    let endpoint: Endpoint
    let id: String
    let answer: EchoAnswer
    let controls: Controls

    /// Fixed, because answers are deterministic.
    private static let created = "1700000000"

    // MARK: Counts

    func usage(completion: Int64) -> JSONValue {
        let total = (controls.count("completion_tokens") ?? completion) + controls.thinkTokens
        var members: [JSONValue.Member] = [
            .init("prompt_tokens", .integer(answer.promptTokens)), .init("completion_tokens", .integer(total)),
            .init("total_tokens", .integer(answer.promptTokens + total)),
        ]
        if endpoint == .embeddings { members.remove(at: 1) }
        let cached = controls.count("cached_tokens")
        let written = controls.count("cache_write_tokens")
        if cached != nil || written != nil || isOpenRouter {
            members.append(
                .init(
                    "prompt_tokens_details",
                    .object([
                        .init("cached_tokens", .integer(cached ?? 0)), .init("cache_write_tokens", .integer(written ?? 0)),
                    ])))
        }
        if let reasoning = reasoningTokens {
            members.append(
                .init("completion_tokens_details", .object([.init("reasoning_tokens", .integer(reasoning))])))
        }
        if isOpenRouter {
            members.append(.init("cost", .number(controls.text("cost") ?? "0.00042")))
            members.append(.init("is_byok", false))
            members.append(.init("cost_details", ["upstream_inference_cost": .null]))
        }
        return .object(members)
    }

    var reasoningTokens: Int64? {
        let told = controls.count("reasoning_tokens") ?? (answer.reasoning.isEmpty ? nil : Int64(answer.reasoning.count))
        return controls.thinkTokens > 0 ? (told ?? 0) + controls.thinkTokens : told
    }

    // MARK: Whole

    func whole() -> JSONValue {
        if case .embeddings(let vectors, let base64) = answer.content { return embeddings(vectors, base64) }
        let isChat = endpoint == .chat
        let choices = (0..<answer.choices).map { index -> JSONValue in
            var members: [JSONValue.Member] = [.init("index", .integer(index))]
            if isChat { members.append(.init("message", message)) } else { members.append(.init("text", .string(answer.text))) }
            members.append(.init("logprobs", .null))
            if controls.has("choice_error") {
                members.append(.init("finish_reason", "error"))
                members.append(.init("error", ["code": .number("502"), "message": "the host broke"]))
            } else {
                members.append(.init("finish_reason", .string(answer.finishReason)))
                if isOpenRouter { members.append(.init("native_finish_reason", .string(answer.finishReason))) }
            }
            return .object(members)
        }
        var members = head(isChat ? "chat.completion" : "text_completion")
        members.append(.init("choices", .array(choices)))
        if !controls.has("no_usage") { members.append(.init("usage", usage(completion: completionTokens))) }
        return .object(members)
    }

    /// Tokens of a whole answer over all choices, reasoning included.
    var completionTokens: Int64 { Int64(answer.pieces.count * answer.choices + answer.reasoning.count) }

    private var message: JSONValue {
        if case .tool(let name) = answer.content {
            return .object([
                .init("role", "assistant"), .init("content", .null),
                .init("tool_calls", .array([call(name: name, arguments: answer.text, withIndex: false)])),
            ])
        }
        var members: [JSONValue.Member] = [.init("role", "assistant"), .init("content", .string(answer.text))]
        if !answer.reasoning.isEmpty { members.append(.init("reasoning", .string(answer.reasoning.joined()))) }
        members.append(.init("refusal", .null))
        if let picture { members.append(.init("images", [picture])) }
        return .object(members)
    }

    /// The picture that `picture=TEXT` puts into an answer; the text is its base64.
    private var picture: JSONValue? {
        controls.text("picture").map {
            ["type": "image_url", "image_url": ["url": .string("data:image/png;base64,\($0)")], "index": .number("0")]
        }
    }

    /// The chunk that carries the picture, before the words.
    func pictureChunk(index: Int) -> JSONValue? { picture.map { chunk(delta: ["content": "", "images": [$0]], index: index) } }

    private func call(name: String?, arguments: String, withIndex: Bool) -> JSONValue {
        var members: [JSONValue.Member] = []
        if withIndex { members.append(.init("index", .number("0"))) }
        if let name {
            members.append(.init("id", .string("call_\(id)")))
            members.append(.init("type", "function"))
            members.append(.init("function", ["name": .string(name), "arguments": .string(arguments)]))
        } else {
            members.append(.init("function", ["arguments": .string(arguments)]))
        }
        return .object(members)
    }

    private func embeddings(_ vectors: [[Int]], _ base64: Bool) -> JSONValue {
        let data = vectors.enumerated().map { index, vector -> JSONValue in
            let value: JSONValue =
                base64
                ? .string(Base64.floats(vector.map { Float($0) / 512 }))
                : .array(vector.map { .number("\(Float($0) / 512)") })
            return .object([.init("object", "embedding"), .init("index", .integer(index)), .init("embedding", value)])
        }
        return .object([
            .init("object", "list"), .init("data", .array(data)), .init("model", .string(answer.model)),
            .init("usage", usage(completion: 0)),
        ])
    }

    private func head(_ object: String) -> [JSONValue.Member] {
        var members: [JSONValue.Member] = [.init("id", .string(id))]
        if isOpenRouter { members.append(.init("provider", "SimulatedHost")) }
        members += [
            .init("object", .string(object)), .init("created", .number(Self.created)), .init("model", .string(answer.model)),
        ]
        return members
    }

    // MARK: Streamed

    /// One chunk for one choice.
    func chunk(delta: JSONValue?, text: String? = nil, index: Int = 0, finish: String? = nil, usage: JSONValue? = nil) -> JSONValue {
        var members = head(endpoint == .chat ? "chat.completion.chunk" : "text_completion")
        var choice: [JSONValue.Member] = [.init("index", .integer(index))]
        if endpoint == .chat {
            choice.append(.init("delta", delta ?? .object([])))
        } else {
            choice.append(.init("text", .string(text ?? "")))
        }
        choice.append(.init("logprobs", .null))
        choice.append(.init("finish_reason", .optional(finish)))
        members.append(.init("choices", .array([.object(choice)])))
        if let usage { members.append(.init("usage", usage)) }
        return .object(members)
    }

    func pieceChunk(_ piece: String, number: Int, index: Int, usage: JSONValue?) -> JSONValue {
        if case .tool(let name) = answer.content {
            let call = call(name: number == 0 ? name : nil, arguments: piece, withIndex: true)
            return chunk(delta: .object([.init("tool_calls", .array([call]))]), index: index, usage: usage)
        }
        return chunk(delta: ["content": .string(piece)], text: piece, index: index, usage: usage)
    }

    func usageChunk(completion: Int64) -> JSONValue {
        var members = head(endpoint == .chat ? "chat.completion.chunk" : "text_completion")
        members.append(.init("choices", .array([])))
        members.append(.init("usage", usage(completion: completion)))
        return .object(members)
    }

    func errorChunk(withChoices: Bool) -> JSONValue {
        var members = head("chat.completion.chunk")
        members.append(.init("error", errorObject(status: 502, fallback: "the host disconnected")))
        let choice: JSONValue = ["index": .number("0"), "delta": ["content": ""], "finish_reason": "error"]
        members.append(.init("choices", .array(withChoices ? [choice] : [])))
        if controls.has("usage_in_error") { members.append(.init("usage", usage(completion: 0))) }
        return .object(members)
    }

    func errorObject(status: Int, fallback: String) -> JSONValue {
        let message = controls.text("message") ?? fallback
        if isOpenRouter {
            return .object([
                .init("code", .integer(status)), .init("message", .string(message)),
                .init("metadata", ["error_type": .string(controls.text("error_type") ?? "simulated")]),
            ])
        }
        return .object([
            .init("message", .string(message)), .init("type", .string(controls.text("error_type") ?? "simulated_error")),
            .init("param", .null), .init("code", .optional(controls.text("error_code"))),
        ])
    }
}

enum Base64 {
    /// Little-endian 32-bit floats, as the OpenAI SDK expects them.
    static func floats(_ values: [Float]) -> String {
        var bytes: [UInt8] = []
        for value in values {
            let bits = value.bitPattern
            bytes += [UInt8(bits & 255), UInt8(bits >> 8 & 255), UInt8(bits >> 16 & 255), UInt8(bits >> 24)]
        }
        let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)
        var output: [UInt8] = []
        for start in stride(from: 0, to: bytes.count, by: 3) {
            let group = (0..<3).map { start + $0 < bytes.count ? UInt32(bytes[start + $0]) : 0 }
            let value = group[0] << 16 | group[1] << 8 | group[2]
            for position in 0..<4 {
                let isPadding = start + position > bytes.count
                output.append(isPadding ? UInt8(ascii: "=") : alphabet[Int(value >> UInt32(18 - 6 * position) & 63)])
            }
        }
        return String(decoding: output, as: UTF8.self)
    }
}
