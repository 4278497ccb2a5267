import NIOCore
import RouterCore

/// The tools of a Responses request under the names that a vendor of another family knows them by.
///
/// A namespace (https://platform.openai.com/docs/api-reference/responses/create, `tools`) becomes its functions under joined names. A
/// custom tool, whose input is a text, becomes a function with one argument, and the local shell one with the arguments of its action.
/// Calls are converted back.
struct ResponsesTools: Sendable {
    struct Name: Sendable, Hashable {
        enum Kind: Sendable, Hashable { case function, custom, localShell }

        var namespace: String?
        var name: String
        var kind = Kind.function
    }

    /// By the name that the vendor knows.
    private(set) var names: [String: Name] = [:]

    /// The one argument of a function that stands for a custom tool.
    static let input = "input"

    /// The name of the function that stands for the local shell.
    static let localShell = "local_shell"

    init() {}

    /// Looks through a request that names other tools than functions.
    init(_ envelope: RequestEnvelope) {
        guard envelope.endpoint.dialect == .responses, let member = envelope.member("tools"),
            let slice = envelope.body.getSlice(at: envelope.body.readerIndex + member.value.lowerBound, length: member.value.count),
            let tools = try? JSONValue(parsing: slice)
        else { return }
        for tool in tools.arrayValue ?? [] {
            let name = tool["name"]?.stringValue ?? ""
            switch tool["type"]?.stringValue {
            case "custom": names[name] = Name(name: name, kind: .custom)
            case Self.localShell: names[Self.localShell] = Name(name: Self.localShell, kind: .localShell)
            case "namespace":
                for inner in tool["tools"]?.arrayValue ?? [] {
                    let own = inner["name"]?.stringValue ?? ""
                    names[Self.joined(name, own)] = Name(namespace: name, name: own, kind: inner["type"] == "custom" ? .custom : .function)
                }
            default: break
            }
        }
    }

    /// Names of functions have at most 64 letters (https://platform.openai.com/docs/api-reference/chat/create, `tools`).
    private static let longest = 64

    /// The name of a namespace's tool as one word. One that is too long is cut, and a number made of all of it keeps it apart.
    static func joined(_ namespace: String?, _ name: String) -> String {
        guard let namespace, !namespace.isEmpty else { return name }
        let joined = "\(namespace)__\(name)"
        guard joined.utf8.count > longest else { return joined }
        var hash: UInt32 = 2_166_136_261
        for byte in joined.utf8 { hash = (hash ^ UInt32(byte)) &* 16_777_619 }
        return String(joined.prefix(longest - 9)) + "_" + String(hash, radix: 16)
    }

    /// The text of a custom tool's call from the arguments of the function that stands for it.
    static func inputText(_ arguments: String) -> String {
        JSONText.parse(arguments)?[input]?.stringValue ?? arguments
    }

    /// The action of a local shell's call (`exec`) from the arguments of the function that stands for it, and back.
    static func action(_ arguments: String) -> JSONValue {
        guard case .object(let members)? = JSONText.parse(arguments) else { return ["type": "exec", "command": [], "env": [:]] }
        let given = members.filter { !["type", "env"].contains($0.name) }
        return .object([.init("type", "exec")] + given + [.init("env", members.first { $0.name == "env" }?.value ?? [:])])
    }

    static func arguments(action: JSONValue) -> String {
        guard case .object(let members) = action else { return "{}" }
        return JSONValue.object(members.filter { $0.name != "type" && $0.value != [:] && !$0.value.isNull }).text
    }

    static func arguments(_ input: String) -> String { JSONValue.object([.init(self.input, .string(input))]).text }
}
