import Config
import RouterCore

/// The body of a call that declares a provider of one's own, or changes it. Here only the types of its fields are checked: their meaning is
/// checked by the code that reads provider files.
struct ProviderBody: Sendable {
    /// Members of the stored object; null takes one away.
    private var config: [JSONValue.Member] = []
    /// nil = absent, so unchanged.
    private var needsKey: Bool?
    private var isFree: Bool?
    private var headers: SealedHeaders?

    /// Fields that are passed on as they are, with the meaning that they have in a provider file. `key_env` is not among them: whoever
    /// names an address could otherwise have any variable of the gateway's environment sent there.
    static let plain = [
        "auth", "endpoints", "request", "usage", "errors", "billing", "default_price", "keys_share_account", "catalogue", "responses",
        "batches",
    ]

    init(_ fields: RequestFields) throws {
        for name in ["display_name", "base_url", "key_url"] where fields[name] != nil {
            config.append(.init(name, .optional(try fields.string(name))))
        }
        if fields["family"] != nil {
            let value = fields["family"] ?? .null
            let family = value.stringValue
            guard value.isNull || family.map(ProviderFamilies.names.contains) == true else {
                throw fields.wrong("family", .oneOf(ProviderFamilies.names))
            }
            config.append(.init("adaptor", .string(family ?? Self.usualFamily)))
        }
        needsKey = try fields.boolean("needs_key")
        isFree = try fields.boolean("free")
        for name in Self.plain { if let value = fields[name] { config.append(.init(name, value)) } }
        if let models = try Self.models(fields) { config.append(.init("models", models)) }
        headers = try fields["headers"].map { try SealedHeaders($0) }
    }

    private static let usualFamily = "openai"

    // MARK: In use

    /// A provider with this body's fields over those of another.
    /// - Throws: ``ManagementError`` 400 when headers would be lost whose seal does not open.
    func applied(to old: ConsoleConfiguration.Provider) throws -> ConsoleConfiguration.Provider {
        if old.problem == ConsoleVault.unsealable, headers?.isWhole != true {
            throw ManagementError.invalidSecret(
                "headers", headers == nil ? Expected("given, null for none", codes: ["object", "null"]) : SealedHeaders.unsealed)
        }
        var new = old
        var members: [JSONValue.Member] = if case .object(let members) = old.config { members } else { [] }
        func set(_ name: String, _ value: JSONValue) {
            members.removeAll { $0.name == name }
            if !value.isNull { members.append(.init(name, value)) }
        }
        func value(_ name: String) -> JSONValue? { members.last { $0.name == name }?.value }
        if value("adaptor") == nil { set("adaptor", .string(Self.usualFamily)) }
        // The short forms first: what is said at length goes before them.
        if let needsKey {
            let none: JSONValue = ["type": "none"]
            if !needsKey { set("auth", none) } else if value("auth") == none { set("auth", .null) }
        }
        if let isFree {
            let free: JSONValue = ["input": "0", "output": "0"]
            if isFree { set("default_price", free) } else if value("default_price") == free { set("default_price", .null) }
        }
        for member in config { set(member.name, member.value) }
        new.config = .object(members)
        if let headers { new.headers = headers.applied(to: old.headers) }
        new.problem = nil
        return new
    }

    /// A stored provider as a body has it: values of headers are null, which keeps them.
    static func json(_ stored: ConsoleConfiguration.Provider) -> JSONValue {
        var members: [JSONValue.Member] = []
        if case .object(let config) = stored.config {
            for member in config {
                switch member.name {
                case "adaptor": members.append(.init("family", member.value))
                case "models": members.append(.init("models", .array((member.value.arrayValue ?? []).map(model))))
                default: members.append(member)
                }
            }
        }
        if stored.problem == ConsoleVault.unsealable {
            // They have to be entered again.
            members.append(.init("headers", .null))
        } else if !stored.headers.isEmpty {
            members.append(.init("headers", .object(stored.headers.map { .init($0.name, .null) })))
        }
        return .object(members)
    }

    // MARK: Models

    private static func model(_ stored: JSONValue) -> JSONValue {
        guard case .object(let members) = stored else { return stored }
        return .object(members.map { $0.name == "id" ? .init("name", $0.value) : $0 })
    }

    private static func models(_ fields: RequestFields) throws -> JSONValue? {
        guard let value = fields["models"] else { return nil }
        guard let list = value.arrayValue, list.count <= ChannelBody.maximumModels else {
            throw fields.wrong("models", "an array of at most \(ChannelBody.maximumModels) models")
        }
        return .array(try list.map { try model($0, fields) })
    }

    private static let expected = Expected(
        """
        objects with 'name' and one of: 'pricing_input' with 'pricing_output' (USD per token, not negative, at most fifteen decimals), \
        'price' (as in a provider file, USD per million tokens), 'free' true; also allowed: display_name, description, context_length, \
        max_output_tokens, endpoints, reasoning
        """, codes: ["name", "pricing_input", "pricing_output", "price", "free"])
    private static let alike = ["display_name", "description", "context_length", "max_output_tokens", "endpoints", "reasoning"]

    /// A model as an entry of a provider file.
    private static func model(_ value: JSONValue, _ fields: RequestFields) throws -> JSONValue {
        let known = ["name", "pricing_input", "pricing_output", "price", "free"] + alike
        guard case .object(let given) = value, given.allSatisfy({ known.contains($0.name) }), let name = value["name"]?.stringValue else {
            throw fields.wrong("models", expected)
        }
        var members = [JSONValue.Member("id", .string(name))]
        for name in alike { if let value = value[name], !value.isNull { members.append(.init(name, value)) } }
        members.append(.init("price", try price(value, fields)))
        return .object(members)
    }

    /// In exactly one of its forms.
    private static func price(_ model: JSONValue, _ fields: RequestFields) throws -> JSONValue {
        func perMillion(_ name: String) throws -> String {
            guard let text = model[name]?.numberText ?? model[name]?.stringValue, let parsed = try? FemtoUSD.parse(usdPerUnit: text),
                parsed.isExact
            else { throw fields.wrong("models", expected) }
            return parsed.price.usdPerMillionText
        }
        let perToken = ["pricing_input", "pricing_output"].contains { model[$0].map { !$0.isNull } ?? false }
        let price = model["price"].flatMap { $0.isNull ? nil : $0 }
        let isFree = model["free"]?.boolValue == true
        guard [perToken, price != nil, isFree].count(where: { $0 }) == 1 else { throw fields.wrong("models", expected) }
        if let price { return price }
        if isFree { return ["input": "0", "output": "0"] }
        return ["input": .string(try perMillion("pricing_input")), "output": .string(try perMillion("pricing_output"))]
    }
}
