import RouterCore
import Yams

/// docs/openapi.yaml: JSON values as YAML and back.
enum OpenAPIFile {
    static func text(_ value: JSONValue) throws -> String {
        "# Made from the table of routes (`make docs`); do not edit.\n"
            + (try Yams.serialize(node: try node(value), indent: 2, width: -1, allowUnicode: true))
    }

    private static func node(_ value: JSONValue) throws -> Node {
        switch value {
        case .null: Node("null", Tag(.null))
        case .boolean(let flag): Node(flag ? "true" : "false", Tag(.bool))
        case .number(let text): Node(text, Tag(text.contains { ".eE".contains($0) } ? .float : .int))
        // In quotes where it would be read as something else.
        case .string(let text): Node.scalar(text.represented())
        case .array(let elements): Node(try elements.map(node), Tag(.seq), elements.isEmpty ? .flow : .block)
        case .object(let members):
            Node(try members.map { (Node.scalar($0.name.represented()), try node($0.value)) }, Tag(.map), members.isEmpty ? .flow : .block)
        }
    }

    static func value(_ text: String) throws -> JSONValue {
        guard let node = try Yams.compose(yaml: text) else { return .null }
        return value(node)
    }

    private static func value(_ node: Node) -> JSONValue {
        switch node {
        case .mapping(let mapping):
            return .object(mapping.map { .init($0.key.string ?? "", value($0.value)) })
        case .sequence(let sequence): return .array(sequence.map(value))
        case .scalar(let scalar):
            switch Resolver.default.resolveTag(of: node) {
            case .null: return .null
            case .bool: return .boolean(scalar.string == "true")
            case .int, .float: return .number(scalar.string)
            default: return .string(scalar.string)
            }
        default: return .null
        }
    }
}
