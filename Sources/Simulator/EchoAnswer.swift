import NIOCore
import RouterCore

/// The simulated model's answer to a request: deterministic, so that tests can predict text and counts.
struct EchoAnswer: Sendable {
    enum Content: Sendable {
        case text
        case tool(name: String)
        case embeddings([[Int]], base64: Bool)
    }

    var content = Content.text
    /// The answer in the pieces in which it is streamed; one piece is one token.
    var pieces: [String] = []
    var reasoning: [String] = []
    var choices = 1
    var finishReason = "stop"
    var promptTokens: Int64
    var model: String

    var text: String { pieces.joined() }

    /// Counts the prompt as three tokens plus its words plus 100 per image.
    init(request: JSONValue, model: String, endpoint: Endpoint, controls: Controls) {
        self.model = model
        let texts = Self.texts(request)
        promptTokens = Int64(3 + texts.words + 100 * texts.images)
        switch endpoint {
        case .embeddings: makeEmbeddings(request)
        default: makeText(request, last: texts.last, controls: controls)
        }
        if let override = controls.count("prompt_tokens") { promptTokens = override }
    }

    private mutating func makeText(_ request: JSONValue, last: String, controls: Controls) {
        choices = max(1, Int(request["n"]?.integerValue ?? 1))
        let turn = AgentTurn(request)
        let tool = request["tools"]?.arrayValue?.first?["function"]
        if case .call(let name, let arguments) = turn {
            content = .tool(name: name)
            pieces = Self.split(arguments, bytes: 8)
            finishReason = "tool_calls"
        } else if case .answer(let text) = turn {
            pieces = Self.words(text)
        } else if let tool, request["tool_choice"]?.stringValue != "none", !controls.has("text") {
            content = .tool(name: tool["name"]?.stringValue ?? "tool")
            let schema = tool["parameters"] ?? .object([])
            pieces = Self.split(Self.example(schema).text, bytes: 8)
            finishReason = "tool_calls"
        } else if let schema = request["response_format"]?["json_schema"]?["schema"] {
            pieces = Self.split(Self.example(schema).text, bytes: 8)
        } else {
            let reply = last.isEmpty ? "This is the simulated model of APIRouter." : last
            pieces = Self.words(reply)
        }
        if let size = controls.number("chunk_bytes") {
            let count = controls.number("chunks") ?? 1
            // A space and a word: a short piece is one token for any counter.
            pieces = Array(repeating: size > 1 ? " " + String(repeating: "x", count: size - 1) : "x", count: count)
        } else if let count = controls.number("chunks") {
            let words = pieces
            pieces = (0..<count).map { words[$0 % words.count] }
        }
        reasoning = (0..<(controls.number("reasoning") ?? 0)).map { "thought\($0) " }
        let limit = request["max_completion_tokens"]?.integerValue ?? request["max_tokens"]?.integerValue
        if let limit, Int(limit) < pieces.count {
            pieces = Array(pieces.prefix(Int(limit)))
            finishReason = "length"
        }
    }

    private mutating func makeEmbeddings(_ request: JSONValue) {
        let inputs = request["input"]?.arrayValue?.compactMap(\.stringValue) ?? [request["input"]?.stringValue ?? ""]
        let dimensions = Int(request["dimensions"]?.integerValue ?? 8)
        let vectors = inputs.map { text -> [Int] in
            var seed = text.utf8.reduce(UInt64(17)) { $0 &* 31 &+ UInt64($1) }
            return (0..<dimensions).map { _ in
                seed = seed &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
                return Int(seed >> 54) - 512
            }
        }
        content = .embeddings(vectors, base64: request["encoding_format"]?.stringValue == "base64")
    }

    // MARK: Reading the request

    private static func texts(_ request: JSONValue) -> (last: String, words: Int, images: Int) {
        var last = ""
        var words = 0
        var images = 0
        for message in request["messages"]?.arrayValue ?? [] {
            var text = message["content"]?.stringValue ?? ""
            for part in message["content"]?.arrayValue ?? [] {
                if let piece = part["text"]?.stringValue { text += piece }
                if part["type"]?.stringValue == "image_url" { images += 1 }
            }
            words += text.split(whereSeparator: \.isWhitespace).count
            if message["role"]?.stringValue == "user" { last = text }
        }
        if let prompt = request["prompt"] {
            last = prompt.stringValue ?? prompt.arrayValue?.first?.stringValue ?? ""
            words += last.split(whereSeparator: \.isWhitespace).count
        }
        for input in request["input"]?.arrayValue ?? [request["input"] ?? .null] {
            words += (input.stringValue ?? "").split(whereSeparator: \.isWhitespace).count
        }
        return (last, words, images)
    }

    /// Words with the white space after them; joined, they give the text.
    static func words(_ text: String) -> [String] {
        var pieces: [String] = []
        var current = ""
        var sawSpace = false
        for character in text {
            if sawSpace, !character.isWhitespace {
                pieces.append(current)
                current = ""
                sawSpace = false
            }
            current.append(character)
            if character.isWhitespace { sawSpace = true }
        }
        if !current.isEmpty { pieces.append(current) }
        return pieces.isEmpty ? [""] : pieces
    }

    static func split(_ text: String, bytes: Int) -> [String] {
        var pieces: [String] = []
        var current = ""
        for character in text {
            current.append(character)
            if current.utf8.count >= bytes {
                pieces.append(current)
                current = ""
            }
        }
        if !current.isEmpty || pieces.isEmpty { pieces.append(current) }
        return pieces
    }

    /// A value that fits a simple JSON schema.
    static func example(_ schema: JSONValue) -> JSONValue {
        if let choices = schema["enum"]?.arrayValue, let first = choices.first { return first }
        switch schema["type"]?.stringValue {
        case "string": return "text"
        case "number": return .number("1.5")
        case "integer": return .number("1")
        case "boolean": return true
        case "array": return .array([example(schema["items"] ?? .object([]))])
        case "null": return .null
        default:
            guard case .object(let properties) = schema["properties"] ?? .null else { return .object([]) }
            return .object(properties.map { JSONValue.Member($0.name, example($0.value)) })
        }
    }
}
