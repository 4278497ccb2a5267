import NIOCore
import RouterCore

/// Watches a vendor's own Responses go by: for the books only, the bytes pass through
/// (https://platform.openai.com/docs/api-reference/responses-streaming).
struct ResponsesAnswerReader: AnswerEventReader {
    private var calls = 0

    /// - Parameter response: the response object, whose `service_tier` stands beside its `usage`.
    static func usage(_ response: JSONValue?) -> Usage? {
        guard let value = response?["usage"], case .object = value else { return nil }
        func count(_ value: JSONValue?) -> Int64? {
            guard let number = value?.integerValue, (0...1_000_000_000).contains(number) else { return nil }
            return number
        }
        guard let input = count(value["input_tokens"]), let output = count(value["output_tokens"]) else { return nil }
        let cached = min(count(value["input_tokens_details"]?["cached_tokens"]) ?? 0, input)
        let written = min(count(value["input_tokens_details"]?["cache_write_tokens"]) ?? 0, input - cached)
        return Usage(
            uncachedInput: input - cached - written, cacheRead: cached, cacheWrite5m: written, output: output,
            reasoning: min(count(value["output_tokens_details"]?["reasoning_tokens"]) ?? 0, output),
            searches: searches(response?["output"]),
            serviceTier: response?["service_tier"]?.stringValue)
    }

    /// Opening a page that was found is a call of the same tool and costs nothing
    /// (https://platform.openai.com/docs/guides/tools-web-search).
    private static func searches(_ output: JSONValue?) -> Int64 {
        Int64((output?.arrayValue ?? []).count { $0["type"] == "web_search_call" && ($0["action"]?["type"] ?? "search") == "search" })
    }

    /// https://platform.openai.com/docs/api-reference/responses/object: a response names a reason only where it is incomplete.
    private static func finish(_ response: JSONValue) -> FinishReason {
        switch response["incomplete_details"]?["reason"]?.stringValue {
        case nil:
            let calls = (response["output"]?.arrayValue ?? []).contains {
                $0["type"] == "function_call" || $0["type"] == "custom_tool_call"
            }
            return calls ? .toolCalls : .stop
        case "content_filter"?: return .contentFilter
        default: return .length
        }
    }

    static func progress(_ tree: JSONValue) -> AnswerProgress {
        var progress = AnswerProgress()
        progress.absorb(AnswerEvent(.start(id: tree["id"]?.stringValue ?? "", model: tree["model"]?.stringValue ?? "", created: nil)))
        for item in tree["output"]?.arrayValue ?? [] {
            progress.hasContent = true
            if let text = item["arguments"]?.stringValue { progress.absorb(AnswerEvent(.text(text))) }
            for part in (item["content"]?.arrayValue ?? []) + (item["summary"]?.arrayValue ?? []) {
                if let text = (part["text"] ?? part["refusal"])?.stringValue { progress.absorb(AnswerEvent(.text(text))) }
            }
        }
        progress.hasFinishReason = tree["status"] == "completed" || tree["status"] == "incomplete"
        if progress.hasFinishReason { progress.finish = finish(tree).normalized }
        progress.usage = usage(tree)
        progress.isDone = true
        return progress
    }

    mutating func read(_ json: JSONValue, into events: inout [AnswerEvent]) {
        let delta = json["delta"]?.stringValue ?? ""
        switch json["type"]?.stringValue {
        case "response.created":
            events.append(
                AnswerEvent(
                    .start(
                        id: json["response"]?["id"]?.stringValue ?? "", model: json["response"]?["model"]?.stringValue ?? "", created: nil))
            )
        case "response.output_text.delta": events.append(AnswerEvent(.text(delta)))
        case "response.refusal.delta": events.append(AnswerEvent(.refusal(delta)))
        case "response.reasoning_summary_text.delta", "response.reasoning_text.delta": events.append(AnswerEvent(.thinking(delta)))
        case "response.function_call_arguments.delta": events.append(AnswerEvent(.toolArguments(index: calls, delta)))
        case "response.output_item.added" where json["item"]?["type"] == "function_call":
            events.append(
                AnswerEvent(
                    .toolBegin(
                        index: calls, id: json["item"]?["call_id"]?.stringValue ?? "", name: json["item"]?["name"]?.stringValue ?? "")))
            calls += 1
        case "response.completed", "response.incomplete":
            if let usage = Self.usage(json["response"]) { events.append(AnswerEvent(.usage(usage))) }
            events.append(AnswerEvent(.finish(Self.finish(json["response"] ?? .null), stopSequence: nil)))
            events.append(AnswerEvent(.end))
        default: break
        }
    }

    /// The two changes that bytes of the same dialect get. - Parameter prefix: of the response object, with its dot; empty = the root.
    static func edit(_ body: ByteBuffer, prefix: String, _ call: UpstreamCall, _ usage: Usage?) -> ByteBuffer? {
        let renamed = Renaming(call)?.apply(to: body, path: prefix + "model")
        let source = renamed ?? body
        let bytes = source.readableBytesUInt8Span
        var start = 0
        JSONScanner.skipWhitespace(bytes, &start)
        guard let member = JSONPath.member(path: prefix + "usage", of: start, bytes), member.kind == .object else { return renamed }
        var splice = BodySplice()
        splice.setCost(call.quote.shownCharge(for: usage), in: member, bytes)
        return splice.isEmpty ? renamed : splice.applied(to: source)
    }

    static func failure(_ json: JSONValue, hasContent: Bool, _ errors: FailureClassifier) -> UpstreamFailure? {
        let response = json["response"] ?? json
        if json["type"] == "error" { return errors.inBand(VendorError(inBand: json["error"] ?? json), hasContent: hasContent) }
        guard response["status"] == "failed" || json["type"] == "response.failed" || !(json["error"]?.isNull ?? true) else { return nil }
        return errors.inBand(VendorError(inBand: response["error"]), hasContent: hasContent)
    }
}
