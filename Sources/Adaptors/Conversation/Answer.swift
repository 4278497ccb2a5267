import RouterCore

/// A whole answer between two dialects.
struct Answer: Sendable, Hashable {
    /// The vendor's id; empty when it told none.
    var id = ""
    var model = ""
    /// Unix seconds; nil when the vendor tells none.
    var created: Int64?
    var choices: [Choice] = []
    var usage: Usage?

    struct Choice: Sendable, Hashable {
        var parts: [Conversation.Part] = []
        var finish: FinishReason?
        /// Which stop sequence ended it.
        var stopSequence: String?
        /// OpenAI's `logprobs` object.
        var logprobs: JSONValue?
        /// In the order of their places.
        var citations: [Citation] = []

        /// The places that a citation can name: all text parts in a row.
        var text: Range<Int> {
            0..<parts.reduce(0) { sum, part in
                if case .text(let text, _) = part { sum + text.unicodeScalars.count } else { sum }
            }
        }
    }
}

enum FinishReason: Sendable, Hashable {
    case stop, length, toolCalls, contentFilter, refusal
    /// The vendor paused a long turn; the client is to send it back and go on.
    case pause

    var normalized: AnswerFinish {
        switch self {
        case .stop, .pause: .stop
        case .length: .length
        case .toolCalls: .toolCalls
        case .contentFilter, .refusal: .contentFilter
        }
    }

    /// OpenAI's `finish_reason`.
    var chat: String { normalized.rawValue }

    /// Anthropic's `stop_reason`.
    func messages(stopSequence: String?) -> String {
        switch self {
        case .stop: stopSequence == nil ? "end_turn" : "stop_sequence"
        case .length: "max_tokens"
        case .toolCalls: "tool_use"
        case .contentFilter, .refusal: "refusal"
        case .pause: "pause_turn"
        }
    }

    init?(chat text: String) {
        switch text {
        case "stop": self = .stop
        case "length": self = .length
        case "tool_calls", "function_call": self = .toolCalls
        case "content_filter": self = .contentFilter
        case "": return nil
        default: self = .stop
        }
    }

    /// https://docs.anthropic.com/en/api/handling-stop-reasons
    init?(messages text: String) {
        switch text {
        case "end_turn", "stop_sequence": self = .stop
        case "max_tokens", "model_context_window_exceeded": self = .length
        case "tool_use": self = .toolCalls
        case "refusal": self = .refusal
        case "pause_turn": self = .pause
        case "": return nil
        default: self = .stop
        }
    }
}

/// One step of a streamed answer.
struct AnswerEvent: Sendable, Hashable {
    /// Index of the choice; above 0 only where the client asked for several.
    var choice = 0
    var kind: Kind

    init(_ kind: Kind, choice: Int = 0) {
        self.kind = kind
        self.choice = choice
    }

    enum Kind: Sendable, Hashable {
        /// Comes first, once.
        case start(id: String, model: String, created: Int64?)
        case text(String)
        case refusal(String)
        case thinking(String)
        /// Ends the thinking before it.
        case signature(String)
        case redactedThinking(String)
        /// A picture, whole.
        case image(Conversation.Media)
        /// `index` counts the tool calls of the choice from 0.
        case toolBegin(index: Int, id: String, name: String)
        case toolArguments(index: Int, String)
        case logprobs(JSONValue)
        /// Sources of words that have come.
        case citation(Citation)
        case finish(FinishReason, stopSequence: String?)
        /// Cumulative: the last one counts.
        case usage(Usage)
        /// The vendor's end marker.
        case end
    }
}

extension AnswerProgress {
    mutating func absorb(_ event: AnswerEvent) {
        switch event.kind {
        case .start(let id, let model, _):
            if generationID == nil, OpenAIDialect.isGenerationID(id) { generationID = id }
            if servedModel == nil, !model.isEmpty { servedModel = model }
        case .text(let text), .refusal(let text), .toolArguments(_, let text): delivered(text)
        case .thinking(let text):
            let before = estimatedOutputTokens
            delivered(text)
            deliveredThoughts += estimatedOutputTokens - before
        case .toolBegin(_, _, let name):
            hasContent = true
            delivered(name)
        case .redactedThinking, .image: hasContent = true
        case .usage(let usage): self.usage = usage
        case .finish(let reason, _):
            hasFinishReason = true
            finish = reason.normalized
        case .signature, .logprobs, .citation, .end: break
        }
    }

    mutating func absorb(_ answer: Answer) {
        absorb(AnswerEvent(.start(id: answer.id, model: answer.model, created: nil)))
        for choice in answer.choices {
            for part in choice.parts {
                switch part {
                case .text(let text, _), .refusal(let text): delivered(text)
                case .thinking(let thinking):
                    delivered(thinking.text)
                    if thinking.redacted != nil { hasContent = true }
                case .toolCall(let call):
                    hasContent = true
                    delivered(call.name)
                    delivered(call.arguments)
                default: hasContent = true
                }
            }
            if let reason = choice.finish { absorb(AnswerEvent(.finish(reason, stopSequence: nil))) }
        }
        if let usage = answer.usage { self.usage = usage }
    }

    private mutating func delivered(_ text: String) {
        guard !text.isEmpty else { return }
        hasContent = true
        delivered.add(Array(text.utf8).span)
    }
}
