import Config
import RouterCore
import Storage

/// The body of a call that makes, changes or checks a channel. Here only the types of its fields are checked: their meaning is checked by
/// the code that reads channels.yaml.
struct ChannelBody: Sendable {
    private(set) var id: Int64?
    /// Members of the stored object; null takes one away.
    private var config: [JSONValue.Member] = []
    /// nil = absent, so unchanged; `.some(nil)` = none of its own.
    private var keys: [Secret]??
    /// `.some(nil)` = none.
    private var proxy: Secret??
    private var headers: SealedHeaders?
    /// Names of the given fields, for the audit.
    let names: [String]

    static let maximumKeys = 100
    static let maximumModels = 2_000
    private static let secretBytes = 8_192

    /// - Parameter isNew: whether the body may name the id; that of a stored channel stays.
    init(_ fields: RequestFields, isNew: Bool) throws {
        names = fields.names
        if isNew { id = try fields.integer("id") }
        for name in ["name", "provider", "base_url", "account"] where fields[name] != nil {
            config.append(.init(name, .optional(try fields.string(name))))
        }
        if fields["conversion"] != nil {
            config.append(.init("conversion", .optional(try fields.choice("conversion", ConversionMode.self)?.rawValue)))
        }
        for name in ["weight", "priority"] where fields[name] != nil {
            config.append(.init(name, .integer(try fields.integer(name))))
        }
        if fields["enabled"] != nil { config.append(.init("enabled", try fields.boolean("enabled").map { .boolean($0) } ?? .null)) }
        if fields["groups"] != nil {
            config.append(.init("groups", try fields.strings("groups").map { .array($0.map { .string($0) }) } ?? .null))
        }
        for name in ["limits", "timeouts", "probe", "cost"] {
            guard let value = fields[name] else { continue }
            if case .object = value {} else if !value.isNull { throw fields.wrong(name, Expected("an object", codes: ["object"])) }
            config.append(.init(name, value))
        }
        if let models = try Self.models(fields) { config.append(.init("models", models)) }
        keys = try Self.keys(fields["keys"])
        proxy = try Self.proxy(fields["proxy"])
        headers = try fields["headers"].map { try SealedHeaders($0) }
    }

    private static func models(_ fields: RequestFields) throws -> JSONValue? {
        guard let value = fields["models"] else { return nil }
        func isModel(_ value: JSONValue) -> Bool { if case .object = value { true } else { value.stringValue != nil } }
        guard let list = value.arrayValue, list.count <= maximumModels, list.allSatisfy(isModel) else {
            throw fields.wrong("models", "an array of at most \(maximumModels) names, patterns or objects with 'name' and 'upstream'")
        }
        return value
    }

    private static func keys(_ value: JSONValue?) throws -> [Secret]?? {
        guard let value else { return nil }
        if value.isNull { return .some(nil) }
        guard let list = value.arrayValue, list.count <= maximumKeys,
            list.allSatisfy({ $0.stringValue.map { $0.utf8.count <= secretBytes } ?? false })
        else {
            throw ManagementError.invalidSecret(
                "keys",
                Expected(
                    "an array of at most \(maximumKeys) strings of at most \(secretBytes) bytes",
                    codes: ["array", "max_items:\(maximumKeys)", "max_bytes:\(secretBytes)"]))
        }
        return .some(list.compactMap { $0.stringValue.map { Secret($0) } })
    }

    private static func proxy(_ value: JSONValue?) throws -> Secret?? {
        guard let value else { return nil }
        if value.isNull { return .some(nil) }
        guard let text = value.stringValue, text.utf8.count <= secretBytes else {
            throw ManagementError.invalidSecret(
                "proxy", Expected("a URL of at most \(secretBytes) bytes", codes: ["url", "max_bytes:\(secretBytes)"]))
        }
        return .some(Secret(text))
    }

    // MARK: In use

    /// A channel with this body's fields over those of another.
    func applied(to old: ConsoleConfiguration.Channel) -> ConsoleConfiguration.Channel {
        var new = old
        var members: [JSONValue.Member] = if case .object(let members) = old.config { members } else { [] }
        for member in config {
            members.removeAll { $0.name == member.name }
            if !member.value.isNull { members.append(member) }
        }
        new.config = .object(members)
        if let keys { new.secrets.keys = keys }
        // Entered anew, so nothing of the old seal is needed; and a declaration that could not be read is checked as a whole.
        if old.problem != ConsoleVault.unsealable || (keys != nil && proxy != nil && headers != nil) { new.problem = nil }
        if let proxy { new.secrets.proxy = proxy }
        if let headers { new.secrets.headers = headers.applied(to: old.secrets.headers) }
        return new
    }

    /// Where calls go and what they carry is root's to say: an admin could otherwise have the gateway send its keys anywhere.
    /// - Returns: whether secrets or destinations are given, or a key could go elsewhere, so that the caller's password is wanted again.
    /// - Throws: ``ManagementError`` 403, and 400 where a key would be sent to another address than the one it was entered for, and where
    ///   parts of a seal that does not open would be lost without a word.
    func checkRights(_ user: User, old: ConsoleConfiguration.Channel) throws -> Bool {
        let new = applied(to: old)
        if old.problem != nil, user.role < .root {
            throw ManagementError.roleTooLow("a channel whose stored parts cannot be read can be changed by root only", needed: .root)
        }
        if old.problem == ConsoleVault.unsealable { try demandAllSecrets() }
        let changed = [
            ("'base_url'", Self.text(old, "base_url") != Self.text(new, "base_url")), ("'proxy'", old.secrets.proxy != new.secrets.proxy),
            ("'headers'", old.secrets.headers != new.secrets.headers),
        ].filter(\.1).map(\.0)
        if user.role < .root {
            if !changed.isEmpty { throw ManagementError.rootOnly(changed.joined(separator: ", ")) }
            try Self.checkDestinations(old, new)
        }
        let isOfAnother = Self.text(old, "provider") != Self.text(new, "provider")
        let moves = isOfAnother || Self.text(old, "base_url") != Self.text(new, "base_url")
        if moves, keys == nil, old.secrets.keys?.isEmpty == false {
            throw ManagementError.invalidSecret(
                "keys",
                Expected(
                    "sent again with another 'provider' or 'base_url': they were entered for the old one", codes: ["array", "not_empty"]))
        }
        // A new channel had no provider.
        return keys != nil || !changed.isEmpty || (isOfAnother && Self.text(old, "provider") != nil)
    }

    private static func text(_ channel: ConsoleConfiguration.Channel, _ name: String) -> String? { channel.config[name]?.stringValue }

    /// The parts that root has entered go where root has sent them: a channel without keys uses the variable of its provider, and an admin
    /// who chooses the provider would choose whose key goes to root's address, or which vendor gets root's headers.
    private static func checkDestinations(_ old: ConsoleConfiguration.Channel, _ new: ConsoleConfiguration.Channel) throws {
        let isOfAnother = text(old, "provider") != text(new, "provider")
        if text(old, "base_url") != nil || old.secrets.proxy != nil {
            if isOfAnother { throw ManagementError.rootOnly("another 'provider' of a channel with 'base_url' or 'proxy'") }
            if old.secrets.keys != nil, new.secrets.keys == nil {
                throw ManagementError.rootOnly("'keys' null of a channel with 'base_url' or 'proxy'")
            }
        }
        if isOfAnother, !old.secrets.headers.isEmpty { throw ManagementError.rootOnly("another 'provider' of a channel with 'headers'") }
    }

    /// Nobody can tell what a seal that does not open has: whoever enters one part says what the others are.
    private func demandAllSecrets() throws {
        let absent = [("keys", keys == nil), ("proxy", proxy == nil), ("headers", headers == nil)].first { $0.1 }?.0
        if let absent {
            throw ManagementError.invalid(
                absent, Expected("given", codes: ["not_absent"]),
                message: "the seal of this channel does not open, so that 'keys', 'proxy' and 'headers' have to be sent together, null for "
                    + "none; '\(absent)' is missing")
        }
        if headers?.isWhole == false { throw ManagementError.invalidSecret("headers", SealedHeaders.unsealed) }
    }
}
