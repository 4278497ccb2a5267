import RouterCore

/// Reads Cohere's answer and its stream (https://docs.cohere.com/reference/chat, https://docs.cohere.com/v2/docs/streaming).
/// What the model plans before it calls tools (`tool_plan`) counts as thinking.
struct CohereAnswerReader: AnswerEventReader {
    private var calls: [Int64: Int] = [:]
    private var length = 0

    /// `billed_units` is what is paid for; `tokens` counts Cohere's own additions to the prompt as well.
    static func usage(_ value: JSONValue?) -> Usage? {
        guard let value, case .object = value else { return nil }
        func count(_ value: JSONValue?) -> Int64? {
            guard let number = value?.integerValue, (0...1_000_000_000).contains(number) else { return nil }
            return number
        }
        let billed = value["billed_units"]
        let tokens = value["tokens"]
        let input = count(billed?["input_tokens"]) ?? count(tokens?["input_tokens"])
        let output = count(billed?["output_tokens"]) ?? count(tokens?["output_tokens"])
        guard input != nil || output != nil else { return nil }
        return Usage(uncachedInput: input ?? 0, output: output ?? 0, searches: count(billed?["search_units"]) ?? 0)
    }

    static func finish(_ word: String) -> FinishReason? {
        switch word {
        case "COMPLETE", "STOP_SEQUENCE": .stop
        case "MAX_TOKENS": .length
        case "TOOL_CALL": .toolCalls
        case "ERROR_TOXIC": .contentFilter
        default: nil
        }
    }

    func answer(_ tree: JSONValue) -> Answer {
        var choice = Answer.Choice(finish: tree["finish_reason"]?.stringValue.flatMap(Self.finish))
        let message = tree["message"]
        if let plan = message?["tool_plan"]?.stringValue, !plan.isEmpty { choice.parts.append(.thinking(Thinking(plan))) }
        for block in message?["content"]?.arrayValue ?? [] {
            if let text = block["thinking"]?.stringValue { choice.parts.append(.thinking(Thinking(text))) }
            if let text = block["text"]?.stringValue { choice.parts.append(.text(text, cache: nil)) }
        }
        choice.citations = (message?["citations"]?.arrayValue ?? []).prefix(Citation.maximum).flatMap {
            Self.citations($0, in: choice.text)
        }
        for (index, call) in (message?["tool_calls"]?.arrayValue ?? []).enumerated() {
            choice.parts.append(
                .toolCall(
                    ToolCall(
                        id: call["id"]?.stringValue ?? "call_\(index)", name: call["function"]?["name"]?.stringValue ?? "",
                        arguments: call["function"]?["arguments"]?.stringValue ?? "")))
        }
        return Answer(id: tree["id"]?.stringValue ?? "", choices: [choice], usage: Self.usage(tree["usage"]))
    }

    mutating func read(_ json: JSONValue, into events: inout [AnswerEvent]) {
        let message = json["delta"]?["message"]
        switch json["type"]?.stringValue {
        case "message-start": events.append(AnswerEvent(.start(id: json["id"]?.stringValue ?? "", model: "", created: nil)))
        case "content-start", "content-delta":
            if let text = message?["content"]?["thinking"]?.stringValue, !text.isEmpty { events.append(AnswerEvent(.thinking(text))) }
            if let text = message?["content"]?["text"]?.stringValue, !text.isEmpty {
                events.append(AnswerEvent(.text(text)))
                length += text.unicodeScalars.count
            }
        case "citation-start":
            guard let citation = message?["citations"] else { return }
            for citation in Self.citations(citation, in: 0..<length) { events.append(AnswerEvent(.citation(citation))) }
        case "tool-plan-delta":
            if let text = message?["tool_plan"]?.stringValue, !text.isEmpty { events.append(AnswerEvent(.thinking(text))) }
        case "tool-call-start":
            let call = message?["tool_calls"]
            let index = calls.count
            calls[json["index"]?.integerValue ?? Int64(index)] = index
            events.append(
                AnswerEvent(
                    .toolBegin(
                        index: index, id: call?["id"]?.stringValue ?? "call_\(index)", name: call?["function"]?["name"]?.stringValue ?? ""))
            )
            arguments(call, index: index, into: &events)
        case "tool-call-delta":
            guard let index = json["index"]?.integerValue.flatMap({ calls[$0] }) else { return }
            arguments(message?["tool_calls"], index: index, into: &events)
        case "message-end":
            if let usage = Self.usage(json["delta"]?["usage"]) { events.append(AnswerEvent(.usage(usage))) }
            if let reason = json["delta"]?["finish_reason"]?.stringValue.flatMap(Self.finish) {
                events.append(AnswerEvent(.finish(reason, stopSequence: nil)))
            }
            events.append(AnswerEvent(.end))
        default: break
        }
    }

    /// Documents that have a URL (https://docs.cohere.com/v2/docs/rag-citations).
    private static func citations(_ value: JSONValue, in bounds: Range<Int>) -> [Citation] {
        var range: Range<Int>?
        if let start = value["start"]?.integerValue.flatMap({ Int(exactly: $0) }),
            let end = value["end"]?.integerValue.flatMap({ Int(exactly: $0) }),
            start >= 0, start < end
        {
            range = start..<end
        }
        return (value["sources"]?.arrayValue ?? []).prefix(16).compactMap { source in
            let document = source["document"]
            return Citation(
                range, url: document?["url"]?.stringValue, title: document?["title"]?.stringValue, quote: document?["snippet"]?.stringValue,
                in: bounds)
        }
    }

    private func arguments(_ call: JSONValue?, index: Int, into events: inout [AnswerEvent]) {
        guard let text = call?["function"]?["arguments"]?.stringValue, !text.isEmpty else { return }
        events.append(AnswerEvent(.toolArguments(index: index, text)))
    }
}
