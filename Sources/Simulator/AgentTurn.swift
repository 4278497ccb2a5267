import NIOCore
import RouterCore

/// Calls of tools that a test writes into the user's message, each as `[[call NAME {"argument": 1}]]`: the simulated model makes one in
/// each turn, and when all have been answered, it repeats the last result. With these a real agent runs a whole task against the simulator.
enum AgentTurn {
    case call(name: String, arguments: String)
    case answer(String)

    private static let opening = "[[call "

    /// - Parameter request: in OpenAI's chat form, with every tool that the client offers.
    /// - Returns: nil when no message of the user contains a call, or when the tool is not offered.
    init?(_ request: JSONValue) {
        let messages = request["messages"]?.arrayValue ?? []
        guard
            let asked = messages.lastIndex(where: {
                $0["role"]?.stringValue == "user" && Self.text($0["content"]).firstRange(of: Self.opening) != nil
            })
        else { return nil }
        let calls = Self.calls(Self.text(messages[asked]["content"]))
        let results = messages[(asked + 1)...].filter { $0["role"]?.stringValue == "tool" }.map { Self.text($0["content"]) }
        guard results.count < calls.count else {
            self = .answer("The tool said: " + (results.last ?? ""))
            return
        }
        let call = calls[results.count]
        let offered = (request["tools"]?.arrayValue ?? []).compactMap { $0["function"]?["name"]?.stringValue ?? $0["name"]?.stringValue }
        // A gateway may have joined the name of a namespace and that of its tool.
        guard let name = offered.first(where: { $0 == call.name }) ?? offered.first(where: { $0.hasSuffix("__" + call.name) }) else {
            return nil
        }
        self = .call(name: name, arguments: call.arguments)
    }

    /// The text of a message's content, a string or parts.
    static func text(_ content: JSONValue?) -> String {
        if let text = content?.stringValue { return text }
        return (content?.arrayValue ?? []).compactMap { $0["text"]?.stringValue }.joined()
    }

    private static func calls(_ text: String) -> [(name: String, arguments: String)] {
        text.ranges(of: opening).compactMap { opening in
            let rest = text[opening.upperBound...]
            guard let space = rest.firstIndex(of: " ") else { return nil }
            let arguments = rest[rest.index(after: space)...]
            // The arguments may contain brackets: their end is where they are whole JSON.
            for end in arguments.ranges(of: "]]") {
                let candidate = String(arguments[..<end.lowerBound])
                if case .object? = try? JSONValue(parsing: ByteBuffer(string: candidate)) {
                    return (String(rest[..<space]), candidate)
                }
            }
            return nil
        }
    }
}
