import RouterCore

/// Google's own form of a schema (https://ai.google.dev/api/caching#Schema), a piece of OpenAPI with types in capitals, as JSON Schema.
enum GeminiSchema {
    static func json(_ schema: JSONValue) -> JSONValue {
        guard case .object(let members) = schema else { return schema }
        var result: [JSONValue.Member] = []
        var isNullable = false
        for member in members {
            let name = Fields.camelCased(member.name)
            switch name {
            case "type": result.append(.init("type", type(member.value)))
            case "nullable": isNullable = member.value == true
            // An order of writing, which others take from `properties`.
            case "propertyOrdering": continue
            case "items": result.append(.init(name, json(member.value)))
            case "anyOf": result.append(.init(name, .array((member.value.arrayValue ?? []).map(json))))
            case "properties":
                guard case .object(let properties) = member.value else { continue }
                result.append(.init(name, .object(properties.map { .init($0.name, json($0.value)) })))
            // Google writes 64-bit integers as strings.
            case "minItems", "maxItems", "minLength", "maxLength", "minProperties", "maxProperties":
                result.append(.init(name, member.value.stringValue.flatMap { JSONText.parse($0) } ?? member.value))
            default: result.append(.init(name, member.value))
            }
        }
        if isNullable { allowNull(&result) }
        // Only what is named is ever written there.
        if result.contains(where: { $0.name == "properties" }), !result.contains(where: { $0.name == "additionalProperties" }) {
            result.append(.init("additionalProperties", false))
        }
        return .object(result)
    }

    private static func type(_ value: JSONValue) -> JSONValue {
        guard let word = value.stringValue, word != "TYPE_UNSPECIFIED" else { return value }
        return .string(word.lowercased())
    }

    private static func allowNull(_ members: inout [JSONValue.Member]) {
        for index in members.indices {
            switch members[index].name {
            case "type": members[index].value = .array([members[index].value, "null"])
            case "anyOf": members[index].value = .array((members[index].value.arrayValue ?? []) + [["type": "null"]])
            case "enum": members[index].value = .array((members[index].value.arrayValue ?? []) + [.null])
            default: break
            }
        }
    }
}

extension Fields {
    /// Google's parser takes `max_output_tokens` for `maxOutputTokens`.
    static func camelCased(_ name: String) -> String {
        guard name.utf8.contains(UInt8(ascii: "_")) else { return name }
        let words = name.split(separator: "_")
        return words.dropFirst().reduce(into: words.first.map(String.init) ?? name) { text, word in
            text += word.prefix(1).uppercased()
            text += word.dropFirst()
        }
    }

    /// An object of Google's, its names in the one spelling.
    init(google value: JSONValue, at path: String) throws(UpstreamFailure) {
        guard case .object(let members) = value else { throw .malformedField(path, "must be an object") }
        try self.init(.object(members.map { .init(Self.camelCased($0.name), $0.value) }), at: path)
    }

    mutating func google(_ name: String) throws(UpstreamFailure) -> Fields? {
        guard let value = take(name) else { return nil }
        return try Fields(google: value, at: path(name))
    }
}
