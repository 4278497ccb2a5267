import RouterCore

/// Declarations of fields as JSON Schema (2020-12, which OpenAPI 3.1 uses).
enum OpenAPISchema {
    /// - Parameter inRequest: amounts may be sent as text and optional fields as null; unknown fields are refused.
    static func schema(_ kind: APIField.Kind, inRequest: Bool) -> JSONValue {
        switch kind {
        case .text(let maximum):
            .object([.init("type", "string")] + (inRequest ? maximum.map { [.init("maxLength", .integer($0))] } ?? [] : []))
        case .choice(let values): ["type": "string", "enum": .array(values.map { .string($0) })]
        case .integer(let range):
            .object(
                [.init("type", "integer"), .init("format", "int64")]
                    + (range.lowerBound == .min ? [] : [.init("minimum", .integer(range.lowerBound))])
                    + (range.upperBound == .max ? [] : [.init("maximum", .integer(range.upperBound))]))
        case .code(let values): ["type": "integer", "enum": .array(values.map { .integer($0.value) })]
        case .time: ["type": "integer", "format": "int64"]
        case .boolean: ["type": "boolean"]
        case .usd, .price: inRequest ? ["type": ["number", "string"]] : ["type": "number"]
        case .decimal: ["type": "number"]
        case .list(let element, let maximum):
            .object(
                [.init("type", "array"), .init("items", schema(element, inRequest: inRequest))]
                    + (maximum.map { [.init("maxItems", .integer($0))] } ?? []))
        case .object(let fields): object(fields, inRequest: inRequest, isClosed: inRequest)
        case .shape(let shape): ["$ref": .string("#/components/schemas/\(shape.name)")]
        case .file: ["type": "string", "contentMediaType": "application/octet-stream"]
        case .any: .object([])
        }
    }

    /// - Parameter isClosed: whether unknown fields are refused.
    static func object(_ fields: [APIField], inRequest: Bool, isClosed: Bool) -> JSONValue {
        let required = fields.filter(\.isRequired).map { JSONValue.string($0.name) }
        return .object(
            [
                .init("type", "object"),
                .init("properties", .object(fields.map { .init($0.name, property($0, inRequest: inRequest)) })),
            ] + (required.isEmpty ? [] : [.init("required", .array(required))])
                + (isClosed ? [.init("additionalProperties", false)] : []))
    }

    private static func property(_ field: APIField, inRequest: Bool) -> JSONValue {
        let plain = schema(field.kind, inRequest: inRequest)
        let mayBeNull = field.isNullable || (inRequest && !field.isRequired)
        guard case .object(let members) = mayBeNull ? nullable(plain) : plain else { return plain }
        return .object(members + [.init("description", .string(description(field)))])
    }

    private static func nullable(_ schema: JSONValue) -> JSONValue {
        guard case .object(var members) = schema, !members.isEmpty else { return schema }
        guard schema["enum"] == nil, let index = members.firstIndex(where: { $0.name == "type" }) else {
            return ["anyOf": [schema, ["type": "null"]]]
        }
        let types = members[index].value.arrayValue ?? [members[index].value]
        members[index].value = .array(types + ["null"])
        return .object(members)
    }

    /// Replaces links between the documents by their text: the served document has no files beside it.
    static func plain(_ markdown: String) -> String {
        markdown.replacing(/\[[^\]]+\]\(([^)#]+\.md)[^)]*\)/) { "docs/\($0.1)" }
    }

    /// The field's meaning, and what the schema type does not express.
    static func description(_ field: APIField) -> String { plain(meaning(field)) }

    private static func meaning(_ field: APIField) -> String {
        switch field.kind {
        case .code(let values): field.meaning + " " + values.map { "\($0.value) = \($0.meaning)" }.joined(separator: ", ") + "."
        case .time: field.meaning + " Unix seconds."
        case .text(let maximum?): field.meaning + " At most \(maximum) bytes."
        default: field.meaning
        }
    }

    /// Shapes that a value may contain, nested ones included.
    static func shapes(in kind: APIField.Kind) -> [APIShape] {
        switch kind {
        case .shape(let shape): [shape] + shape.fields.flatMap { shapes(in: $0.kind) }
        case .list(let element, _): shapes(in: element)
        case .object(let fields): fields.flatMap { shapes(in: $0.kind) }
        default: []
        }
    }
}
