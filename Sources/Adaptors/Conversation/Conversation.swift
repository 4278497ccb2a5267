import NIOCore
import RouterCore

/// A client's request between two dialects: what chat, responses, messages and the vendors' own formats can say, said once.
/// Numbers keep their text.
struct Conversation: Sendable, Hashable {
    /// System and developer messages stand among the others, where the dialect allows it.
    var messages: [Message] = []
    var tools: [Tool] = []
    var toolChoice: ToolChoice?
    var parallelToolCalls: Bool?
    var reasoning: Reasoning?
    var format: AnswerFormat?
    var maxTokens: Int64?
    /// The numbers of sampling by name, as JSON number text.
    var sampling: [Sampling: String] = [:]
    var stop: [String] = []
    var choices: Int64 = 1
    /// Log probabilities of the chosen tokens, and of so many alternatives.
    var logprobs = false
    var topLogprobs: Int64?
    var user: String?
    var isStream = false

    enum Sampling: String, Sendable, Hashable, CaseIterable {
        case temperature, topP, topK, seed, frequencyPenalty, presencePenalty
    }

    struct Message: Sendable, Hashable {
        var role: Role
        var parts: [Part]
        var name: String?
    }

    enum Role: String, Sendable, Hashable {
        case system, developer, user, assistant
        /// Answers of tools; its parts are ``Part/toolResult(_:)``.
        case tool
    }

    indirect enum Part: Sendable, Hashable {
        /// `isCached`: the prompt up to here is marked for the vendor's cache, with the mark as it came.
        case text(String, cache: JSONValue?)
        case image(Media, detail: String?, cache: JSONValue?)
        case document(Media, name: String?, cache: JSONValue?)
        case audio(data: String, format: String)
        case thinking(Thinking)
        case toolCall(ToolCall)
        case toolResult(ToolResult)
        case refusal(String)
    }

    enum Media: Sendable, Hashable {
        case url(String)
        case base64(type: String, data: String)
        /// An id in the vendor's own store.
        case file(String)
    }

    struct Tool: Sendable, Hashable {
        var name: String
        var description: String?
        /// JSON Schema of the arguments; nil = none.
        var schema: JSONValue?
        var strict: Bool?
        var cache: JSONValue?
    }

    enum ToolChoice: Sendable, Hashable {
        case auto, none, required
        case function(String)
    }

    enum AnswerFormat: Sendable, Hashable {
        case object
        case schema(name: String, description: String?, schema: JSONValue, strict: Bool?)
    }

    /// How much the model may think before it answers.
    enum Reasoning: Sendable, Hashable {
        /// OpenAI's words: none, minimal, low, medium, high, xhigh.
        case effort(String)
        /// Tokens.
        case budget(Int64)
        /// The model decides.
        case adaptive
    }
}

/// What a model thought, with what its vendor needs to believe it on the next turn.
struct Thinking: Sendable, Hashable {
    var text: String
    var signature: String?
    /// Anthropic's `redacted_thinking`: thoughts that only the vendor can read.
    var redacted: String?

    init(_ text: String = "", signature: String? = nil, redacted: String? = nil) {
        self.text = text
        self.signature = signature
        self.redacted = redacted
    }

    /// Signatures mean something to the family that made them only; those of other families than Anthropic carry its name, so that a
    /// conversation that changes channels does not send one vendor's signature to another.
    static let geminiMark = "gemini#"

    var geminiSignature: String? {
        guard let signature, signature.hasPrefix(Self.geminiMark) else { return nil }
        return String(signature.dropFirst(Self.geminiMark.count))
    }

    var anthropicSignature: String? {
        guard let signature, !signature.isEmpty, !signature.hasPrefix(Self.geminiMark) else { return nil }
        return signature
    }
}

struct ToolCall: Sendable, Hashable {
    var id: String
    var name: String
    /// JSON text of an object; empty = no arguments.
    var arguments: String

    /// The arguments as a tree; an empty object when there are none.
    var value: JSONValue? {
        arguments.allSatisfy(\.isWhitespace) ? JSONValue.object([]) : JSONText.parse(arguments)
    }
}

struct ToolResult: Sendable, Hashable {
    var id: String
    var parts: [Conversation.Part]
    var isError = false
    var cache: JSONValue?

    /// All of it as text; nil when it holds something else.
    var text: String? { Conversation.plainText(parts) }
}

extension Conversation {
    static func plainText(_ parts: [Part]) -> String? {
        var texts: [String] = []
        for part in parts {
            guard case .text(let text, _) = part else { return nil }
            texts.append(text)
        }
        return texts.joined(separator: "\n")
    }

    /// The names that tool calls gave the functions whose results follow, by the calls' ids; the first of an id counts.
    var functionNames: [String: String] {
        var names: [String: String] = [:]
        for message in messages {
            for case .toolCall(let call) in message.parts where names[call.id] == nil { names[call.id] = call.name }
        }
        return names
    }
}

extension JSONText {
    /// A JSON text as a tree; nil when it is not JSON.
    static func parse(_ text: String) -> JSONValue? { try? JSONValue(parsing: .init(string: text)) }
}
