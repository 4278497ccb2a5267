import NIOCore
import RouterCore
import Synchronization

/// The responses that the simulated vendor keeps for each key, as OpenAI keeps them for each account
/// (https://platform.openai.com/docs/api-reference/responses).
public final class SimulatedResponses: Sendable {
    struct Kept: Sendable {
        var key: String
        var body: JSONValue
        /// All items that the model has read.
        var items: [JSONValue]
        /// A background response that is not over.
        var pending: Pending?
    }

    /// The end that a background response will have, and its row of the bill.
    struct Pending: Sendable {
        var turn: ResponsesTurn
        var row: BillingRow
        /// Questions until it is over.
        var polls: Int
        /// Its status then.
        var end: String
    }

    private let kept = Mutex<[String: Kept]>([:])

    /// Ids of everything that is kept.
    public var ids: Set<String> { kept.withLock { Set($0.keys) } }

    func keep(_ id: String, _ response: Kept) { kept.withLock { $0[id] = response } }

    /// - Returns: nil for an id that is unknown, or another key's.
    func find(_ id: String, key: String) -> Kept? {
        kept.withLock { kept in
            guard let found = kept[id], found.key == key else { return nil }
            return found
        }
    }

    /// One question about a response, which brings a background response closer to its end.
    /// - Returns: the row of the bill of one that is over now.
    func poll(_ id: String, key: String) -> BillingRow? {
        kept.withLock { kept in
            guard var found = kept[id], found.key == key, var pending = found.pending else { return nil }
            defer { kept[id] = found }
            pending.polls -= 1
            guard pending.polls <= 0 else {
                found.pending = pending
                found.body = pending.turn.body(status: "in_progress")
                return nil
            }
            return found.end(pending, pending.end)
        }
    }

    /// - Returns: the row of the bill, for a background response that is not over; the prompt has been read by then.
    func cancel(_ id: String, key: String) -> BillingRow? {
        kept.withLock { kept in
            guard var found = kept[id], found.key == key, let pending = found.pending else { return nil }
            defer { kept[id] = found }
            return found.end(pending, "cancelled")
        }
    }

    func remove(_ id: String) { kept.withLock { $0[id] = nil } }
    func clear() { kept.withLock { $0 = [:] } }
}

extension SimulatedResponses.Kept {
    /// - Returns: the row of the bill; nil where the response has failed, which costs nothing.
    fileprivate mutating func end(_ pending: SimulatedResponses.Pending, _ status: String) -> BillingRow? {
        self.pending = nil
        body = pending.turn.body(status: status)
        if status == "failed" { return nil }
        var row = pending.row
        row.completionTokens = status == "cancelled" ? 0 : pending.turn.completionTokens
        row.usageSent = true
        row.outcome = "completed"
        return row
    }
}

/// A tool of a Responses request, under the name that the echo model calls it by.
private struct OfferedTool {
    var namespace: String?
    var name: String
    var isCustom = false
    var parameters: JSONValue?

    var joinedName: String { namespace.map { "\($0)__\(name)" } ?? name }

    var chat: JSONValue {
        ["type": "function", "function": ["name": .string(joinedName), "parameters": parameters ?? [:]]]
    }

    static func all(_ request: JSONValue) -> [OfferedTool] {
        (request["tools"]?.arrayValue ?? []).flatMap { tool -> [OfferedTool] in
            guard let name = tool["name"]?.stringValue else { return [] }
            switch tool["type"]?.stringValue {
            case "function": return [OfferedTool(name: name, parameters: tool["parameters"])]
            case "custom": return [OfferedTool(name: name, isCustom: true)]
            case "namespace":
                return (tool["tools"]?.arrayValue ?? []).compactMap { inner in
                    inner["name"]?.stringValue.map { OfferedTool(namespace: name, name: $0, parameters: inner["parameters"]) }
                }
            default: return []
            }
        }
    }
}

/// One turn in the Responses format around the answer of the echo model.
struct ResponsesTurn: Sendable {
    let id: String
    let model: String
    let request: JSONValue
    let answer: EchoAnswer
    let controls: Controls
    /// Items of earlier turns and of this one.
    let items: [JSONValue]

    init(id: String, model: String, request: JSONValue, earlier: [JSONValue], controls: Controls) {
        self.id = id
        self.model = model
        self.request = request
        self.controls = controls
        items = earlier + Self.listed(request["input"], id)
        answer = EchoAnswer(request: Self.canonical(request, items), model: model, endpoint: .chat, controls: controls)
    }

    private static func listed(_ input: JSONValue?, _ id: String) -> [JSONValue] {
        if let text = input?.stringValue {
            return [
                [
                    "id": .string("msg_\(id)_in"), "type": "message", "role": "user", "status": "completed",
                    "content": [["type": "input_text", "text": .string(text)]],
                ]
            ]
        }
        return (input?.arrayValue ?? []).enumerated().map { index, item in
            guard case .object(var members) = item else { return item }
            if item["id"] == nil { members.insert(.init("id", .string("item_\(id)_\(index)")), at: 0) }
            if item["type"] == nil { members.append(.init("type", "message")) }
            if let text = item["content"]?.stringValue, let place = members.firstIndex(where: { $0.name == "content" }) {
                members[place].value = [["type": "input_text", "text": .string(text)]]
            }
            return .object(members)
        }
    }

    /// The turn in the form that the echo model reads: chat's messages and tools.
    private static func canonical(_ request: JSONValue, _ items: [JSONValue]) -> JSONValue {
        var messages: [JSONValue] = []
        if let text = request["instructions"]?.stringValue { messages.append(["role": "system", "content": .string(text)]) }
        for item in items {
            switch item["type"]?.stringValue ?? "message" {
            case "message": messages.append(["role": item["role"] ?? "user", "content": .string(text(item["content"]))])
            case "function_call_output", "custom_tool_call_output", "local_shell_call_output":
                messages.append(["role": "tool", "content": .string(text(item["output"]))])
            default: break
            }
        }
        var members: [JSONValue.Member] = [.init("messages", .array(messages))]
        let tools = OfferedTool.all(request)
        let isAnswered = items.last?["type"] == "function_call_output"
        if !tools.isEmpty, !isAnswered || AgentTurn(["messages": .array(messages), "tools": .array(tools.map(\.chat))]) != nil {
            members.append(.init("tools", .array(tools.map(\.chat))))
        }
        if let limit = request["max_output_tokens"], !limit.isNull { members.append(.init("max_tokens", limit)) }
        return .object(members)
    }

    private static func text(_ content: JSONValue?) -> String {
        if let text = content?.stringValue { return text }
        return (content?.arrayValue ?? []).compactMap { $0["text"]?.stringValue }.joined()
    }

    // MARK: The object

    var completionTokens: Int64 { controls.count("completion_tokens") ?? Int64(answer.pieces.count) }

    private var item: JSONValue {
        if case .tool(let name) = answer.content {
            let tool = OfferedTool.all(request).first { $0.joinedName == name }
            if tool?.isCustom == true {
                let input = (try? JSONValue(parsing: .init(string: answer.text)))?["input"] ?? .string(answer.text)
                return [
                    "id": .string("ctc_\(id)"), "type": "custom_tool_call", "status": "completed", "call_id": .string("call_\(id)"),
                    "name": .string(name), "input": input,
                ]
            }
            if let tool, let namespace = tool.namespace {
                return [
                    "id": .string("fc_\(id)"), "type": "function_call", "status": "completed", "call_id": .string("call_\(id)"),
                    "namespace": .string(namespace), "name": .string(tool.name), "arguments": .string(answer.text),
                ]
            }
            return [
                "id": .string("fc_\(id)"), "type": "function_call", "status": "completed", "call_id": .string("call_\(id)"),
                "name": .string(name), "arguments": .string(answer.text),
            ]
        }
        return [
            "id": .string("msg_\(id)"), "type": "message", "status": "completed", "role": "assistant",
            "content": [["type": "output_text", "text": .string(answer.text), "annotations": [], "logprobs": []]],
        ]
    }

    func body(isRunning: Bool = false) -> JSONValue { body(status: isRunning ? "in_progress" : "completed") }

    /// - Parameter status: `queued`, `in_progress`, `completed`, `incomplete`, `cancelled` or `failed`.
    func body(status: String) -> JSONValue {
        let cached = controls.count("cached_tokens") ?? 0
        let isRunning = status == "in_progress" || status == "queued"
        let hasOutput = status == "completed" || status == "incomplete"
        let output = hasOutput ? completionTokens : 0
        let usage: JSONValue = [
            "input_tokens": .integer(answer.promptTokens), "input_tokens_details": ["cached_tokens": .integer(cached)],
            "output_tokens": .integer(output), "output_tokens_details": ["reasoning_tokens": .integer(0)],
            "total_tokens": .integer(answer.promptTokens + output),
        ]
        let error: JSONValue = status == "failed" ? ["code": "server_error", "message": "simulated failure"] : .null
        let details: JSONValue = status == "incomplete" ? ["reason": "max_output_tokens"] : .null
        return [
            "id": .string(id), "object": "response", "created_at": .integer(1_700_000_000),
            "status": .string(status), "background": .boolean(request["background"] == true), "error": error,
            "incomplete_details": details, "instructions": .null, "metadata": [:], "model": .string(model),
            "output": hasOutput ? [item] : [], "parallel_tool_calls": true,
            "previous_response_id": request["previous_response_id"] ?? .null, "store": request["store"] ?? true, "temperature": .null,
            "tool_choice": "auto", "tools": [], "top_p": .null,
            "usage": isRunning || status == "failed" || controls.has("no_usage") ? .null : usage,
        ]
    }

    var output: [JSONValue] { [item] }

    // MARK: The stream

    func plan(defaultPace: Duration) -> StreamPlan {
        var steps: [StreamPlan.Step] = []
        var sequence = 0
        func event(_ type: String, _ members: [JSONValue.Member], tokens: Int64 = 0) {
            let json = JSONValue.object([.init("type", .string(type)), .init("sequence_number", .integer(sequence))] + members)
            sequence += 1
            steps.append(.send(.init(string: "event: \(type)\ndata: \(json.text)\n\n"), tokens: tokens))
        }
        let place: [JSONValue.Member] = [.init("item_id", item["id"] ?? .null), .init("output_index", .integer(0))]
        let text: [JSONValue.Member] = [.init("content_index", .integer(0))]
        var isTool = false
        if case .tool = answer.content { isTool = true }
        event("response.created", [.init("response", body(isRunning: true))])
        event("response.output_item.added", [.init("output_index", .integer(0)), .init("item", item)])
        let pace = controls.duration("pace") ?? defaultPace
        for (number, piece) in answer.pieces.enumerated() {
            if controls.number("close_after") == number { return StreamPlan(steps: steps + [.close]) }
            if number > 0, pace > .zero { steps.append(.pause(pace)) }
            let delta = JSONValue.Member("delta", .string(piece))
            if isTool {
                // Pieces of a custom tool's input are counted, and its text comes with the whole item.
                if item["type"] == "custom_tool_call" {
                    event("response.in_progress", [.init("response", body(isRunning: true))], tokens: 1)
                    continue
                }
                event("response.function_call_arguments.delta", place + [delta], tokens: 1)
            } else {
                event("response.output_text.delta", place + text + [delta, .init("logprobs", [])], tokens: 1)
            }
        }
        event("response.output_item.done", [.init("output_index", .integer(0)), .init("item", item)])
        event("response.completed", [.init("response", body())])
        return StreamPlan(steps: steps + [.usageSent, .end])
    }
}
