import RouterCore

/// Reads an object member by member and remembers what nobody has asked for, so that nothing of a request is lost without a word.
struct Fields {
    private(set) var rest: [JSONValue.Member]
    /// Where the object stands, for messages: `messages[0].content[1]`; empty = the top level.
    let path: String

    init(_ value: JSONValue, at path: String) throws(UpstreamFailure) {
        guard case .object(let members) = value else { throw .malformedField(path, "must be an object") }
        rest = members
        self.path = path
    }

    func path(_ name: String) -> String { path.isEmpty ? name : "\(path).\(name)" }

    /// The member, which counts as read; nil when it is absent or null.
    mutating func take(_ name: String) -> JSONValue? {
        guard rest.contains(where: { $0.name == name }) else { return nil }
        let value = rest.last { $0.name == name }?.value
        rest.removeAll { $0.name == name }
        return value.flatMap { $0.isNull ? nil : $0 }
    }

    /// Counts members as read that say nothing to a vendor: ids and states of what was answered before, or what the gateway itself acts on.
    mutating func skip(_ names: String...) { rest.removeAll { names.contains($0.name) } }

    /// Counts a member as read when its value is the default.
    mutating func skip(_ name: String, when first: JSONValue, _ others: JSONValue...) {
        rest.removeAll { $0.name == name && ($0.value == first || others.contains($0.value)) }
    }

    mutating func text(_ name: String) throws(UpstreamFailure) -> String? {
        guard let value = take(name) else { return nil }
        guard let text = value.stringValue else { throw .malformedField(path(name), "must be a string") }
        return text
    }

    mutating func requiredText(_ name: String) throws(UpstreamFailure) -> String {
        guard let text = try text(name) else { throw .malformedField(path(name), "is missing") }
        return text
    }

    mutating func flag(_ name: String) throws(UpstreamFailure) -> Bool? {
        guard let value = take(name) else { return nil }
        guard let flag = value.boolValue else { throw .malformedField(path(name), "must be a boolean") }
        return flag
    }

    mutating func integer(_ name: String) throws(UpstreamFailure) -> Int64? {
        guard let value = take(name) else { return nil }
        guard let number = value.integerValue else { throw .malformedField(path(name), "must be a whole number") }
        return number
    }

    /// The text of a number.
    mutating func number(_ name: String) throws(UpstreamFailure) -> String? {
        guard let value = take(name) else { return nil }
        guard let number = value.numberText else { throw .malformedField(path(name), "must be a number") }
        return number
    }

    mutating func array(_ name: String) throws(UpstreamFailure) -> [JSONValue]? {
        guard let value = take(name) else { return nil }
        guard let elements = value.arrayValue else { throw .malformedField(path(name), "must be an array") }
        return elements
    }

    mutating func object(_ name: String) throws(UpstreamFailure) -> Fields? {
        guard let value = take(name) else { return nil }
        return try Fields(value, at: path(name))
    }

    /// Refuses what is left. Nulls, and empty lists and objects say nothing and pass.
    func done() throws(UpstreamFailure) {
        for member in rest where !member.value.isNull && member.value != .array([]) && member.value != .object([]) {
            throw .inexpressible(path(member.name))
        }
    }
}

extension UpstreamFailure {
    /// The request says something that this vendor's protocol cannot: another channel may be able to.
    static func inexpressible(
        _ field: String, _ why: String = "cannot be expressed in the protocol of this model's vendor"
    ) -> UpstreamFailure {
        refusal(field, "'\(field)' \(why)", retry: .otherChannel)
    }

    /// The request breaks the rules of its own dialect.
    static func malformedField(_ field: String, _ problem: String) -> UpstreamFailure {
        refusal(field, "'\(field)' \(problem)", retry: .no)
    }

    private static func refusal(_ field: String, _ message: String, retry: Retry) -> UpstreamFailure {
        let error = ErrorObject(message: message, param: field, code: retry == .no ? nil : "unsupported_field")
        return UpstreamFailure(source: .gateway, kind: .invalidRequest, retry: retry, status: 400, clientError: error, detail: message)
    }
}

/// Builds an object without the members that have no value.
struct ObjectBuilder {
    private(set) var members: [JSONValue.Member] = []

    mutating func add(_ name: String, _ value: JSONValue?) {
        if let value { members.append(.init(name, value)) }
    }

    mutating func add(_ name: String, text: String?) { add(name, text.map { .string($0) }) }
    mutating func add(_ name: String, number: String?) { add(name, number.map { .number($0) }) }
    mutating func add(_ name: String, integer: Int64?) { add(name, integer.map { .number(String($0)) }) }
    mutating func add(_ name: String, flag: Bool?) { add(name, flag.map { .boolean($0) }) }

    var isEmpty: Bool { members.isEmpty }
    var value: JSONValue { .object(members) }

    /// The provider file's operations, on the vendor's own field names, in the order of ``RequestRules``.
    mutating func apply(_ rules: RequestRules) {
        for rename in rules.rename where rename.from != rename.to {
            if has(rename.to) {
                members.removeAll { $0.name == rename.from }
            } else {
                for index in members.indices where members[index].name == rename.from { members[index].name = rename.to }
            }
        }
        members.removeAll { rules.drop.contains($0.name) }
        for field in rules.defaults where !has(field.name) { add(field.name, JSONText.parse(field.json)) }
        for field in rules.set {
            members.removeAll { $0.name == field.name }
            add(field.name, JSONText.parse(field.json))
        }
    }

    private func has(_ name: String) -> Bool { members.contains { $0.name == name } }
}
