import RouterCore
import Yams

/// JSON as nodes of YAML, so that what the console stores is read by the code that reads the files.
enum JSONNode {
    static func node(_ value: JSONValue) -> Node {
        switch value {
        case .null: .scalar(Node.Scalar("null", .implicit, .plain))
        case .boolean(let flag): .scalar(Node.Scalar(flag ? "true" : "false", .implicit, .plain))
        case .number(let text): .scalar(Node.Scalar(text, .implicit, .plain))
        case .string(let text): .scalar(Node.Scalar(text, .implicit, .doubleQuoted))
        case .array(let elements): .sequence(Node.Sequence(elements.map(node)))
        case .object(let members): mapping(members)
        }
    }

    /// Members that are null are left out: the files have no null. Of a name that occurs twice the last one counts.
    private static func mapping(_ members: [JSONValue.Member]) -> Node {
        var seen: Set<String> = []
        let last = members.reversed().filter { seen.insert($0.name).inserted && !$0.value.isNull }.reversed()
        return .mapping(Node.Mapping(last.map { (Node.scalar(Node.Scalar($0.name, .implicit, .doubleQuoted)), node($0.value)) }))
    }
}
