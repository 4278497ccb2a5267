import RouterCore

/// Reads `GenerateContentResponse`, which is also what each event of a stream holds (https://ai.google.dev/api/generate-content).
struct GeminiAnswerReader: AnswerEventReader {
    private var id = ""
    private var hasStarted = false
    private var calls: [Int: Int] = [:]
    private var rulers: [Int: TextRuler] = [:]
    private var cited: [Int: Set<Citation>] = [:]
    private var lastUsage: Usage?
    private var searches: Int64 = 0

    // MARK: Usage

    /// `promptTokenCount` contains the cached tokens; `thoughtsTokenCount` stands beside `candidatesTokenCount`, and so does what tools
    /// added to the prompt (https://ai.google.dev/api/generate-content#UsageMetadata).
    static func usage(_ value: JSONValue?) -> Usage? {
        guard let value, case .object = value else { return nil }
        var isAbsurd = false
        func count(_ name: String) -> Int64? {
            guard let member = value[name], !member.isNull else { return nil }
            guard let number = member.integerValue, (0...1_000_000_000).contains(number) else {
                isAbsurd = true
                return nil
            }
            return number
        }
        func audio(_ name: String) -> Int64 {
            (value[name]?.arrayValue ?? []).filter { $0["modality"] == "AUDIO" }.compactMap { $0["tokenCount"]?.integerValue }
                .filter { (0...1_000_000_000).contains($0) }.reduce(0, +)
        }
        let prompt = count("promptTokenCount")
        let added = count("toolUsePromptTokenCount") ?? 0
        let answer = count("candidatesTokenCount")
        let thoughts = count("thoughtsTokenCount") ?? 0
        let cached = min(count("cachedContentTokenCount") ?? 0, prompt ?? 0)
        guard !isAbsurd, prompt != nil || answer != nil else { return nil }
        let heard = min(audio("promptTokensDetails"), (prompt ?? 0) - cached)
        let spoken = min(audio("candidatesTokensDetails"), answer ?? 0)
        return Usage(
            uncachedInput: (prompt ?? 0) - cached - heard + added, cacheRead: cached, output: (answer ?? 0) - spoken + thoughts,
            reasoning: thoughts, audioInput: heard, audioOutput: spoken, serviceTier: serviceTier(value))
    }

    /// Vertex says what traffic a call was (`ON_DEMAND_PRIORITY`, `ON_DEMAND_FLEX`;
    /// https://cloud.google.com/vertex-ai/generative-ai/docs/reference/rest/v1/GenerateContentResponse#TrafficType).
    private static func serviceTier(_ usage: JSONValue) -> String? {
        switch usage["trafficType"]?.stringValue {
        case "ON_DEMAND": "default"
        case "ON_DEMAND_PRIORITY": "priority"
        case "ON_DEMAND_FLEX": "flex"
        default: nil
        }
    }

    // MARK: Whole

    func answer(_ tree: JSONValue) -> Answer {
        let id = tree["responseId"]?.stringValue ?? ""
        var answer = Answer(
            id: id, model: tree["modelVersion"]?.stringValue ?? "", usage: Self.usage(tree["usageMetadata"]))
        answer.usage?.searches = GeminiGrounding.searches(tree)
        for (position, candidate) in (tree["candidates"]?.arrayValue ?? []).enumerated() {
            var choice = Answer.Choice(logprobs: Self.logprobs(candidate["logprobsResult"]))
            var calls = 0
            var ruler = TextRuler()
            for part in candidate["content"]?["parts"]?.arrayValue ?? [] {
                let signature = part["thoughtSignature"]?.stringValue.map { Thinking.geminiMark + $0 }
                if let call = part["functionCall"] {
                    if let signature { Self.sign(&choice.parts, signature) }
                    choice.parts.append(.toolCall(Self.call(call, answerID: id, choice: position, index: calls)))
                    calls += 1
                } else if let text = part["text"]?.stringValue {
                    if part["thought"] == true {
                        choice.parts.append(.thinking(Thinking(text, signature: signature)))
                        continue
                    }
                    if let signature { Self.sign(&choice.parts, signature) }
                    if !text.isEmpty { choice.parts.append(.text(text, cache: nil)) }
                    ruler.append(text)
                } else if let media = Self.picture(part) {
                    if let signature { Self.sign(&choice.parts, signature) }
                    choice.parts.append(.image(media, detail: nil, cache: nil))
                }
            }
            choice.citations = GeminiGrounding.citations(candidate, ruler)
            choice.finish = candidate["finishReason"]?.stringValue.flatMap { Self.finish($0, hasCalls: calls > 0) }
            answer.choices.append(choice)
        }
        return answer
    }

    /// A picture of the answer (https://ai.google.dev/gemini-api/docs/image-generation); those that belong to a thought are drafts.
    private static func picture(_ part: JSONValue) -> Conversation.Media? {
        guard part["thought"] != true, let data = part["inlineData"] ?? part["inline_data"],
            let type = (data["mimeType"] ?? data["mime_type"])?.stringValue, type.hasPrefix("image/"), let text = data["data"]?.stringValue
        else { return nil }
        return .base64(type: type, data: text)
    }

    /// A signature goes with the thought before it; without one it is a thought of its own, without words.
    private static func sign(_ parts: inout [Conversation.Part], _ signature: String) {
        if case .thinking(var thinking)? = parts.last, thinking.signature == nil {
            thinking.signature = signature
            parts[parts.count - 1] = .thinking(thinking)
        } else {
            parts.append(.thinking(Thinking(signature: signature)))
        }
    }

    /// Gemini gives its calls no ids as a rule; the other dialects need one that is unique in the conversation.
    private static func call(_ call: JSONValue, answerID: String, choice: Int, index: Int) -> ToolCall {
        let made = choice == 0 ? "call_\(answerID)_\(index)" : "call_\(answerID)_\(choice)_\(index)"
        return ToolCall(
            id: call["id"]?.stringValue ?? made, name: call["name"]?.stringValue ?? "", arguments: (call["args"] ?? .object([])).text)
    }

    static func finish(_ word: String, hasCalls: Bool) -> FinishReason? {
        switch word {
        case "", "FINISH_REASON_UNSPECIFIED": nil
        case "MAX_TOKENS": .length
        case "SAFETY", "RECITATION", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII", "IMAGE_SAFETY", "LANGUAGE": .contentFilter
        default: hasCalls ? .toolCalls : .stop
        }
    }

    /// As OpenAI's `logprobs` object.
    private static func logprobs(_ result: JSONValue?) -> JSONValue? {
        guard let chosen = result?["chosenCandidates"]?.arrayValue else { return nil }
        let top = result?["topCandidates"]?.arrayValue ?? []
        func entry(_ value: JSONValue) -> [JSONValue.Member] {
            [.init("token", value["token"] ?? ""), .init("logprob", value["logProbability"] ?? .null), .init("bytes", .null)]
        }
        var content: [JSONValue] = []
        for (index, token) in chosen.enumerated() {
            let others = index < top.count ? top[index]["candidates"]?.arrayValue ?? [] : []
            content.append(.object(entry(token) + [.init("top_logprobs", .array(others.map { .object(entry($0)) }))]))
        }
        return ["content": .array(content), "refusal": .null]
    }

    // MARK: Stream

    mutating func read(_ json: JSONValue, into events: inout [AnswerEvent]) {
        if !hasStarted {
            hasStarted = true
            id = json["responseId"]?.stringValue ?? ""
            events.append(AnswerEvent(.start(id: id, model: json["modelVersion"]?.stringValue ?? "", created: nil)))
        }
        for (position, candidate) in (json["candidates"]?.arrayValue ?? []).enumerated() {
            let choice = candidate["index"]?.integerValue.flatMap { Int(exactly: $0) } ?? position
            for part in candidate["content"]?["parts"]?.arrayValue ?? [] { read(part, choice: choice, into: &events) }
            if let logprobs = Self.logprobs(candidate["logprobsResult"]) { events.append(AnswerEvent(.logprobs(logprobs), choice: choice)) }
            // Each event may repeat what the ones before have told.
            for citation in GeminiGrounding.citations(candidate, rulers[choice] ?? TextRuler())
            where cited[choice, default: []].count < Citation.maximum && cited[choice, default: []].insert(citation).inserted {
                events.append(AnswerEvent(.citation(citation), choice: choice))
            }
            if let word = candidate["finishReason"]?.stringValue, let reason = Self.finish(word, hasCalls: calls[choice] != nil) {
                events.append(AnswerEvent(.finish(reason, stopSequence: nil), choice: choice))
            }
        }
        let usage = Self.usage(json["usageMetadata"])
        let found = GeminiGrounding.searches(json)
        guard usage != nil || found > searches else { return }
        searches = max(searches, found)
        lastUsage = usage ?? lastUsage
        lastUsage?.searches = searches
        if let lastUsage { events.append(AnswerEvent(.usage(lastUsage))) }
    }

    private mutating func read(_ part: JSONValue, choice: Int, into events: inout [AnswerEvent]) {
        let text = part["text"]?.stringValue ?? ""
        let isThought = part["thought"] == true
        if isThought, !text.isEmpty { events.append(AnswerEvent(.thinking(text), choice: choice)) }
        if let signature = part["thoughtSignature"]?.stringValue {
            events.append(AnswerEvent(.signature(Thinking.geminiMark + signature), choice: choice))
        }
        if let call = part["functionCall"] {
            let index = calls[choice] ?? 0
            calls[choice] = index + 1
            let call = Self.call(call, answerID: id, choice: choice, index: index)
            events.append(AnswerEvent(.toolBegin(index: index, id: call.id, name: call.name), choice: choice))
            events.append(AnswerEvent(.toolArguments(index: index, call.arguments), choice: choice))
        } else if let media = Self.picture(part) {
            events.append(AnswerEvent(.image(media), choice: choice))
        } else if !isThought, !text.isEmpty {
            events.append(AnswerEvent(.text(text), choice: choice))
            rulers[choice, default: TextRuler()].append(text)
        }
    }
}
