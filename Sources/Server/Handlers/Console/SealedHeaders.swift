import RouterCore

/// `headers` of a channel or a provider in a body: their values are kept and not shown.
struct SealedHeaders: Sendable {
    /// A value that is nil stays what it is.
    let given: [(name: String, value: Secret?)]

    private static let most = 50
    private static let mostBytes = 8_192

    /// - Parameter value: null = none.
    /// - Throws: ``ManagementError`` 400, which does not repeat values.
    init(_ value: JSONValue) throws {
        let expected = Expected(
            "an object from at most \(Self.most) header names to strings of at most \(Self.mostBytes) bytes",
            codes: ["object", "max_items:\(Self.most)", "max_bytes:\(Self.mostBytes)"])
        if value.isNull {
            given = []
            return
        }
        guard case .object(let members) = value, members.count <= Self.most else {
            throw ManagementError.invalidSecret("headers", expected)
        }
        given = try members.map { member in
            if member.value.isNull { return (member.name, nil) }
            guard let text = member.value.stringValue, text.utf8.count <= Self.mostBytes else {
                throw ManagementError.invalidSecret("headers", expected)
            }
            return (member.name, Secret(text))
        }
    }

    /// Whether every value is there, so that nothing of what was stored is needed.
    var isWhole: Bool { given.allSatisfy { $0.value != nil } }

    func applied(to old: [StaticHeader]) -> [StaticHeader] {
        given.compactMap { name, value in
            let kept = old.first { $0.name == name }?.value
            return (value ?? kept).map { StaticHeader(name: name, value: $0) }
        }
    }

    static let unsealed = Expected("an object with values: the seal of those that are stored does not open", codes: ["object", "not_null"])
}
