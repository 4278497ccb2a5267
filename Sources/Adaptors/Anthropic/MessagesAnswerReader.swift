import RouterCore

/// Anthropic's figures, which come in pieces: at the start, and cumulative at the end of a stream.
///
/// `input_tokens` is without the cached ones, which stand beside it, and `cache_creation` splits what was written
/// (https://docs.anthropic.com/en/docs/build-with-claude/prompt-caching).
struct AnthropicUsage: Sendable, Hashable {
    private var figures: [String: Int64] = [:]
    private var isAbsurd = false
    /// `standard`, `priority` or `batch` (https://docs.anthropic.com/en/api/service-tiers).
    private var serviceTier: String?

    mutating func absorb(_ usage: JSONValue?) {
        guard let usage, case .object = usage else { return }
        for name in ["input_tokens", "output_tokens", "cache_read_input_tokens", "cache_creation_input_tokens"] { take(name, usage[name]) }
        serviceTier = usage["service_tier"]?.stringValue ?? serviceTier
        let split = usage["cache_creation"]
        for name in ["ephemeral_5m_input_tokens", "ephemeral_1h_input_tokens"] { take(name, split?[name]) }
        take("web_search_requests", usage["server_tool_use"]?["web_search_requests"])
        take("thinking_tokens", usage["output_tokens_details"]?["thinking_tokens"])
    }

    private mutating func take(_ name: String, _ value: JSONValue?) {
        guard let value, !value.isNull else { return }
        guard let number = value.integerValue, (0...1_000_000_000).contains(number) else {
            isAbsurd = true
            return
        }
        figures[name] = number
    }

    /// nil when the vendor told nothing, or nothing that can be true.
    func usage(_ rules: UsageRules) -> Usage? {
        guard !isAbsurd, figures["input_tokens"] != nil || figures["output_tokens"] != nil else { return nil }
        let read = figures["cache_read_input_tokens"] ?? 0
        let hour = figures["ephemeral_1h_input_tokens"] ?? 0
        // The sum and its split tell the same; what the split does not cover was written for five minutes.
        let written = max(figures["cache_creation_input_tokens"] ?? 0, hour + (figures["ephemeral_5m_input_tokens"] ?? 0))
        var input = figures["input_tokens"] ?? 0
        if rules.cachedInsidePrompt == true, read + written <= input { input -= read + written }
        let output = figures["output_tokens"] ?? 0
        return Usage(
            uncachedInput: input, cacheRead: read, cacheWrite5m: written - hour, cacheWrite1h: hour, output: output,
            reasoning: min(figures["thinking_tokens"] ?? 0, output), searches: figures["web_search_requests"] ?? 0,
            serviceTier: serviceTier)
    }
}

/// Citations of blocks of text, which hold for the whole block
/// (https://docs.anthropic.com/en/docs/build-with-claude/citations): a page of the web, or a search result with a URL for its source.
struct BlockCitations: Sendable {
    private var length = 0
    private var start = 0
    private var sources: [(url: String?, title: String?, quote: String?)] = []
    private var count = 0

    mutating func begin() {
        start = length
        sources = []
    }

    mutating func append(_ text: String) { length += text.unicodeScalars.count }

    mutating func cite(_ value: JSONValue) {
        cite(
            url: value["url"]?.stringValue ?? value["source"]?.stringValue, title: value["title"]?.stringValue,
            quote: value["cited_text"]?.stringValue)
    }

    mutating func cite(url: String?, title: String?, quote: String?) {
        guard count < Citation.maximum else { return }
        count += 1
        sources.append((url, title, quote))
    }

    /// Those of the block that ends, if it is one of text.
    mutating func end() -> [Citation] {
        defer { sources = [] }
        let range = start..<length
        return sources.compactMap { Citation(range, url: $0.url, title: $0.title, quote: $0.quote, in: range) }
    }
}

/// Reads Anthropic's whole message and its stream (https://docs.anthropic.com/en/docs/build-with-claude/streaming).
struct MessagesAnswerReader: AnswerEventReader {
    private let rules: UsageRules
    private var usage = AnthropicUsage()
    /// The tool call of each content block, and whether it has had arguments.
    private var tools: [Int64: (index: Int, hasArguments: Bool)] = [:]
    private var sources = BlockCitations()

    init(rules: UsageRules) { self.rules = rules }

    func answer(_ tree: JSONValue) -> Answer {
        var usage = AnthropicUsage()
        usage.absorb(tree["usage"])
        var choice = Answer.Choice(
            finish: tree["stop_reason"]?.stringValue.flatMap { FinishReason(messages: $0) },
            stopSequence: tree["stop_sequence"]?.stringValue)
        var sources = BlockCitations()
        for block in tree["content"]?.arrayValue ?? [] {
            switch block["type"]?.stringValue {
            case "text":
                sources.begin()
                sources.append(block["text"]?.stringValue ?? "")
                for citation in block["citations"]?.arrayValue ?? [] { sources.cite(citation) }
                choice.citations += sources.end()
                choice.parts.append(.text(block["text"]?.stringValue ?? "", cache: nil))
            case "thinking":
                choice.parts.append(
                    .thinking(
                        Thinking(
                            block["thinking"]?.stringValue ?? "", signature: block["signature"]?.stringValue)))
            case "redacted_thinking": choice.parts.append(.thinking(Thinking(redacted: block["data"]?.stringValue)))
            case "tool_use":
                choice.parts.append(
                    .toolCall(
                        ToolCall(
                            id: block["id"]?.stringValue ?? "", name: block["name"]?.stringValue ?? "",
                            arguments: (block["input"] ?? .object([])).text)))
            default: break
            }
        }
        return Answer(
            id: tree["id"]?.stringValue ?? "", model: tree["model"]?.stringValue ?? "", choices: [choice],
            usage: usage.usage(rules))
    }

    mutating func read(_ json: JSONValue, into events: inout [AnswerEvent]) {
        switch json["type"]?.stringValue {
        case "message_start":
            let message = json["message"]
            events.append(
                AnswerEvent(
                    .start(
                        id: message?["id"]?.stringValue ?? "", model: message?["model"]?.stringValue ?? "", created: nil)))
            absorb(message?["usage"], &events)
        case "content_block_start": begin(json, &events)
        case "content_block_delta": delta(json, &events)
        case "content_block_stop":
            // A tool without arguments: the other dialects want an object all the same.
            if let tool = json["index"]?.integerValue.flatMap({ tools[$0] }), !tool.hasArguments {
                events.append(AnswerEvent(.toolArguments(index: tool.index, "{}")))
            }
            for citation in sources.end() { events.append(AnswerEvent(.citation(citation))) }
        case "message_delta":
            absorb(json["usage"], &events)
            if let word = json["delta"]?["stop_reason"]?.stringValue, let reason = FinishReason(messages: word) {
                events.append(AnswerEvent(.finish(reason, stopSequence: json["delta"]?["stop_sequence"]?.stringValue)))
            }
        case "message_stop": events.append(AnswerEvent(.end))
        default: break
        }
    }

    private mutating func absorb(_ value: JSONValue?, _ events: inout [AnswerEvent]) {
        guard value != nil else { return }
        usage.absorb(value)
        if let usage = usage.usage(rules) { events.append(AnswerEvent(.usage(usage))) }
    }

    private mutating func begin(_ json: JSONValue, _ events: inout [AnswerEvent]) {
        let block = json["content_block"]
        switch block?["type"]?.stringValue {
        case "text":
            sources.begin()
            sources.append(block?["text"]?.stringValue ?? "")
            for citation in block?["citations"]?.arrayValue ?? [] { sources.cite(citation) }
            append(block?["text"], to: &events) { .text($0) }
        case "thinking": append(block?["thinking"], to: &events) { .thinking($0) }
        case "redacted_thinking": append(block?["data"], to: &events) { .redactedThinking($0) }
        case "tool_use":
            let index = tools.count
            tools[json["index"]?.integerValue ?? 0] = (index, false)
            events.append(
                AnswerEvent(
                    .toolBegin(
                        index: index, id: block?["id"]?.stringValue ?? "", name: block?["name"]?.stringValue ?? "")))
        default: break
        }
    }

    private mutating func delta(_ json: JSONValue, _ events: inout [AnswerEvent]) {
        let delta = json["delta"]
        switch delta?["type"]?.stringValue {
        case "text_delta":
            sources.append(delta?["text"]?.stringValue ?? "")
            append(delta?["text"], to: &events) { .text($0) }
        case "citations_delta": if let citation = delta?["citation"] { sources.cite(citation) }
        case "thinking_delta": append(delta?["thinking"], to: &events) { .thinking($0) }
        case "signature_delta": append(delta?["signature"], to: &events) { .signature($0) }
        case "input_json_delta":
            let block = json["index"]?.integerValue ?? 0
            guard let tool = tools[block], let text = delta?["partial_json"]?.stringValue, !text.isEmpty else { return }
            tools[block]?.hasArguments = true
            events.append(AnswerEvent(.toolArguments(index: tool.index, text)))
        default: break
        }
    }

    private func append(_ value: JSONValue?, to events: inout [AnswerEvent], _ kind: (String) -> AnswerEvent.Kind) {
        if let text = value?.stringValue, !text.isEmpty { events.append(AnswerEvent(kind(text))) }
    }
}
