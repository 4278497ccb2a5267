import RouterCore

/// Reads Converse's answer and the events of its stream
/// (https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ConverseStream.html).
struct ConverseAnswerReader {
    private var tools: [Int64: (index: Int, hasArguments: Bool)] = [:]
    private var sources = BlockCitations()
    private var textBlock: Int64?

    /// Cached tokens stand beside the input, as with Anthropic.
    /// - Parameter root: the answer or the metadata event: its `serviceTier` stands beside the `usage`.
    static func usage(_ root: JSONValue) -> Usage? {
        guard let value = root["usage"], case .object = value else { return nil }
        var figures: [String: Int64] = [:]
        for name in ["inputTokens", "outputTokens", "cacheReadInputTokens", "cacheWriteInputTokens"] {
            guard let member = value[name], !member.isNull else { continue }
            guard let number = member.integerValue, (0...1_000_000_000).contains(number) else { return nil }
            figures[name] = number
        }
        guard figures["inputTokens"] != nil || figures["outputTokens"] != nil else { return nil }
        let written = figures["cacheWriteInputTokens"] ?? 0
        let hour = (value["cacheDetails"]?.arrayValue ?? []).filter { $0["ttl"] == "1h" }.compactMap { $0["inputTokens"]?.integerValue }
            .filter { (0...written).contains($0) }.reduce(0, +)
        return Usage(
            uncachedInput: figures["inputTokens"] ?? 0, cacheRead: figures["cacheReadInputTokens"] ?? 0,
            cacheWrite5m: max(0, written - hour), cacheWrite1h: min(hour, written), output: figures["outputTokens"] ?? 0,
            serviceTier: root["serviceTier"]?["type"]?.stringValue)
    }

    static func finish(_ word: String) -> FinishReason? {
        switch word {
        case "guardrail_intervened", "content_filtered": .contentFilter
        default: FinishReason(messages: word)
        }
    }

    static func answer(_ tree: JSONValue) -> Answer {
        var choice = Answer.Choice(finish: tree["stopReason"]?.stringValue.flatMap(finish))
        var sources = BlockCitations()
        for block in tree["output"]?["message"]?["content"]?.arrayValue ?? [] {
            // A block with citations has its text one level deeper.
            let cited = block["citationsContent"]
            let pieces = (cited?["content"]?.arrayValue ?? []).compactMap { $0["text"]?.stringValue }
            if let text = block["text"]?.stringValue ?? (cited == nil ? nil : pieces.joined()) {
                sources.begin()
                sources.append(text)
                for citation in cited?["citations"]?.arrayValue ?? [] { Self.cite(citation, &sources) }
                choice.citations += sources.end()
                choice.parts.append(.text(text, cache: nil))
            }
            if let call = block["toolUse"] {
                choice.parts.append(
                    .toolCall(
                        ToolCall(
                            id: call["toolUseId"]?.stringValue ?? "", name: call["name"]?.stringValue ?? "",
                            arguments: (call["input"] ?? .object([])).text)))
            }
            if let thought = block["reasoningContent"] {
                let text = thought["reasoningText"]
                choice.parts.append(
                    .thinking(
                        Thinking(
                            text?["text"]?.stringValue ?? "", signature: text?["signature"]?.stringValue,
                            redacted: thought["redactedContent"]?.stringValue)))
            }
        }
        return Answer(choices: [choice], usage: usage(tree))
    }

    /// - Parameter type: `:event-type` of the message.
    mutating func read(_ type: String, _ json: JSONValue, into events: inout [AnswerEvent]) {
        let block = json["contentBlockIndex"]?.integerValue ?? 0
        switch type {
        case "messageStart": events.append(AnswerEvent(.start(id: "", model: "", created: nil)))
        case "contentBlockStart":
            guard let call = json["start"]?["toolUse"] else { return }
            let index = tools.count
            tools[block] = (index, false)
            events.append(
                AnswerEvent(
                    .toolBegin(
                        index: index, id: call["toolUseId"]?.stringValue ?? "", name: call["name"]?.stringValue ?? "")))
        case "contentBlockDelta":
            let delta = json["delta"]
            let thought = delta?["reasoningContent"]
            if let text = delta?["text"]?.stringValue {
                if textBlock != block { sources.begin() }
                textBlock = block
                sources.append(text)
            }
            append(delta?["text"], to: &events) { .text($0) }
            if let citation = delta?["citation"] { Self.cite(citation, &sources) }
            append(thought?["text"], to: &events) { .thinking($0) }
            append(thought?["signature"], to: &events) { .signature($0) }
            append(thought?["redactedContent"], to: &events) { .redactedThinking($0) }
            if let tool = tools[block], let text = delta?["toolUse"]?["input"]?.stringValue, !text.isEmpty {
                tools[block]?.hasArguments = true
                events.append(AnswerEvent(.toolArguments(index: tool.index, text)))
            }
        case "contentBlockStop":
            for citation in sources.end() { events.append(AnswerEvent(.citation(citation))) }
            if let tool = tools[block], !tool.hasArguments { events.append(AnswerEvent(.toolArguments(index: tool.index, "{}"))) }
        case "messageStop":
            if let reason = json["stopReason"]?.stringValue.flatMap(Self.finish) {
                events.append(AnswerEvent(.finish(reason, stopSequence: nil)))
            }
        case "metadata":
            // The last event.
            if let usage = Self.usage(json) { events.append(AnswerEvent(.usage(usage))) }
            events.append(AnswerEvent(.end))
        default: break
        }
    }

    /// A citation of a web page (https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Citation.html).
    private static func cite(_ value: JSONValue, _ sources: inout BlockCitations) {
        sources.cite(
            url: value["location"]?["web"]?["url"]?.stringValue, title: value["title"]?.stringValue,
            quote: (value["sourceContent"]?.arrayValue ?? []).compactMap { $0["text"]?.stringValue }.joined())
    }

    private func append(_ value: JSONValue?, to events: inout [AnswerEvent], _ kind: (String) -> AnswerEvent.Kind) {
        if let text = value?.stringValue, !text.isEmpty { events.append(AnswerEvent(kind(text))) }
    }
}
