import RouterCore

/// An error object as OpenAI's clients read it: `message` and `type` are texts, `param` and `code` are texts or null
/// (https://platform.openai.com/docs/guides/error-codes). Vendors that speak OpenAI's protocol leave `type` out, send
/// numbers for `code` or add fields; what does not fit into the four is kept under `metadata`, where OpenRouter's
/// clients look for it.
enum OpenAIErrorObject {
    private static let known: Set<String> = ["message", "type", "param", "code", "metadata"]

    /// - Parameter error: a vendor's error object with a text as its `message`.
    static func shaped(_ error: JSONValue, message: String) -> JSONValue {
        guard case .object(let members) = error else { return ["message": .string(message)] }
        var metadata: [JSONValue.Member] = []
        if case .object(let theirs)? = error["metadata"] {
            metadata = theirs
        } else if let other = error["metadata"], !other.isNull {
            metadata.append(.init("metadata", other))
        }
        func keep(_ name: String, _ value: JSONValue) {
            guard let same = metadata.first(where: { $0.name == name }) else {
                return metadata.append(.init(name, value))
            }
            // The vendor's metadata says it already, or says something else by the same name.
            if same.value != value { metadata.append(.init("error_" + name, value)) }
        }
        func text(_ name: String) -> String? {
            guard let value = error[name], !value.isNull else { return nil }
            if let text = value.stringValue ?? value.numberText { return text }
            keep(name, value)
            return nil
        }
        let type = text("type")
        let (param, code) = (text("param"), text("code"))
        for member in members where !known.contains(member.name) { keep(member.name, member.value) }
        var result: [JSONValue.Member] = [
            .init("message", .string(message)),
            .init("type", .string(type.flatMap { $0.isEmpty ? nil : $0 } ?? "invalid_request_error")),
            .init("param", .optional(param)), .init("code", .optional(code)),
        ]
        if !metadata.isEmpty { result.append(.init("metadata", .object(metadata))) }
        return .object(result)
    }
}
