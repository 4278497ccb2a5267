public import NIOCore
public import RouterCore

/// The items of responses that the gateway keeps, as their users list them and as they are sent again
/// (https://platform.openai.com/docs/api-reference/responses/input-items).
public enum ResponseItems {
    /// The `input` of a request as a list of items that all have an id.
    /// - Parameter base: makes the ids unique; letters, digits, `-` and `_`.
    public static func listed(_ input: JSONValue?, base: String) -> [JSONValue] {
        switch input {
        case .string(let text): [item(.object([.init("role", "user"), .init("content", .string(text))]), id: "msg_\(base)_0")]
        case .array(let items):
            items.enumerated().map { index, element in item(element, id: "\(prefix(type(element)))_\(base)_\(index)") }
        default: []
        }
    }

    /// The response that an item of this id is in, input or output, when the gateway has made the id; nil for any other.
    public static func response(ofItem id: String) -> String? {
        guard let first = id.firstIndex(of: "_"), let last = id.lastIndex(of: "_"), first < last else { return nil }
        let base = id[id.index(after: first)..<last]
        return "resp_" + (base.hasSuffix("_in") ? base.dropLast(3) : base)
    }

    private static func type(_ item: JSONValue) -> String { item["type"]?.stringValue ?? "message" }

    private static func prefix(_ type: String) -> String {
        switch type {
        case "message": "msg"
        case "reasoning": "rs"
        case "function_call": "fc"
        case "function_call_output": "fco"
        case "custom_tool_call": "ctc"
        case "custom_tool_call_output": "ctco"
        default: "item"
        }
    }

    /// A message may be given in a short form, with its text instead of parts.
    private static func item(_ given: JSONValue, id: String) -> JSONValue {
        guard case .object(var members) = given else { return given }
        if given["id"]?.stringValue == nil {
            members.removeAll { $0.name == "id" }
            members.insert(.init("id", .string(id)), at: 0)
        }
        guard type(given) == "message" else { return .object(members) }
        if given["type"] == nil { members.insert(.init("type", "message"), at: 1) }
        if given["status"] == nil { members.append(.init("status", "completed")) }
        guard let text = given["content"]?.stringValue, let place = members.lastIndex(where: { $0.name == "content" }) else {
            return .object(members)
        }
        members[place].value =
            given["role"] == "assistant"
            ? [["type": "output_text", "text": .string(text), "annotations": []]] : [["type": "input_text", "text": .string(text)]]
        return .object(members)
    }

    /// Kept items as the input of a further request: as a client would send them that keeps no ids. An id that the gateway has given an
    /// item would make a vendor look for an item of its own.
    public static func resent(_ items: [JSONValue]) -> [JSONValue] {
        items.compactMap { item in
            guard case .object(let members) = item, ownTypes.contains(type(item)) else { return item }
            // The vendor alone could have told what it thought.
            if type(item) == "reasoning", item["encrypted_content"]?.stringValue == nil, isEmpty(item["summary"]), isEmpty(item["content"])
            {
                return nil
            }
            return .object(members.filter { $0.name != "id" && $0.name != "status" })
        }
    }

    private static let ownTypes: Set<String> = [
        "message", "reasoning", "function_call", "function_call_output", "custom_tool_call", "custom_tool_call_output",
    ]

    private static func isEmpty(_ list: JSONValue?) -> Bool { list?.arrayValue?.isEmpty ?? true }

    /// A JSON array.
    public static func bytes(_ items: [JSONValue]) -> ByteBuffer {
        var buffer = ByteBuffer()
        JSONValue.array(items).write(to: &buffer)
        return buffer
    }

    /// The items of a JSON array; none when it is no array.
    public static func read(_ bytes: [UInt8]) -> [JSONValue] { (try? JSONValue(parsing: ByteBuffer(bytes: bytes)))?.arrayValue ?? [] }

    /// The response in the last event of a stream, `response.completed` or `response.incomplete`; nil when it is another event.
    public static func response(inEvent event: ByteBuffer) -> JSONValue? {
        var payload = ByteBuffer()
        for line in event.readableBytesView.split(separator: UInt8(ascii: "\n")) where line.starts(with: "data:".utf8) {
            payload.writeBytes(line.dropFirst(5))
        }
        let tree = try? JSONValue(parsing: payload)
        guard let type = tree?["type"]?.stringValue, type == "response.completed" || type == "response.incomplete" else { return nil }
        return tree?["response"]
    }

    /// A response with other values of some of its fields.
    public static func setting(_ changes: [JSONValue.Member], in response: JSONValue) -> JSONValue {
        guard case .object(var members) = response else { return response }
        for change in changes {
            if let place = members.lastIndex(where: { $0.name == change.name }) {
                members[place].value = change.value
            } else {
                members.append(change)
            }
        }
        return .object(members)
    }
}
