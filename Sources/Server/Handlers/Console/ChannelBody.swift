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
    /// A value that is nil stays what it is.
    private var headers: [(name: String, value: Secret?)]?
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
        for name in ["limits", "timeouts", "probe"] {
            guard let value = fields[name] else { continue }
            if case .object = value {} else if !value.isNull { throw fields.wrong(name, "an object") }
            config.append(.init(name, value))
        }
        if let models = try Self.models(fields) { config.append(.init("models", models)) }
        keys = try Self.keys(fields["keys"])
        proxy = try Self.proxy(fields["proxy"])
        headers = try Self.headers(fields["headers"])
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
        else { throw ManagementError.invalidSecret("keys", "an array of at most \(maximumKeys) strings of at most \(secretBytes) bytes") }
        return .some(list.compactMap { $0.stringValue.map { Secret($0) } })
    }

    private static func proxy(_ value: JSONValue?) throws -> Secret?? {
        guard let value else { return nil }
        if value.isNull { return .some(nil) }
        guard let text = value.stringValue, text.utf8.count <= secretBytes else {
            throw ManagementError.invalidSecret("proxy", "a URL of at most \(secretBytes) bytes")
        }
        return .some(Secret(text))
    }

    private static func headers(_ value: JSONValue?) throws -> [(name: String, value: Secret?)]? {
        guard let value else { return nil }
        if value.isNull { return [] }
        let expected = "an object from at most 50 header names to strings of at most \(secretBytes) bytes"
        guard case .object(let members) = value, members.count <= 50 else { throw ManagementError.invalidSecret("headers", expected) }
        return try members.map { member in
            if member.value.isNull { return (member.name, nil) }
            guard let text = member.value.stringValue, text.utf8.count <= secretBytes else {
                throw ManagementError.invalidSecret("headers", expected)
            }
            return (member.name, Secret(text))
        }
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
        if let keys {
            new.secrets.keys = keys
            // Entered anew, so nothing of the old seal is needed.
            new.problem = nil
        }
        if let proxy { new.secrets.proxy = proxy }
        if let headers {
            new.secrets.headers = headers.compactMap { name, value in
                let kept = old.secrets.headers.first { $0.name == name }?.value
                return (value ?? kept).map { StaticHeader(name: name, value: $0) }
            }
        }
        return new
    }

    /// Where calls go and what they carry is root's to say: an admin could otherwise have the gateway send its keys anywhere.
    /// - Returns: whether secrets or destinations are given, so that the caller's password is wanted again.
    /// - Throws: ``ManagementError`` 403, and 400 where a key would be sent to another address than the one it was entered for.
    func checkRights(_ user: User, old: ConsoleConfiguration.Channel) throws -> Bool {
        let new = applied(to: old)
        func text(_ channel: ConsoleConfiguration.Channel, _ name: String) -> String? { channel.config[name]?.stringValue }
        let changed = [
            ("'base_url'", text(old, "base_url") != text(new, "base_url")), ("'proxy'", old.secrets.proxy != new.secrets.proxy),
            ("'headers'", old.secrets.headers != new.secrets.headers),
        ].filter(\.1).map(\.0)
        if !changed.isEmpty, user.role < .root { throw ManagementError.rootOnly(changed.joined(separator: ", ")) }
        let moves = text(old, "provider") != text(new, "provider") || text(old, "base_url") != text(new, "base_url")
        if moves, keys == nil, old.secrets.keys?.isEmpty == false {
            throw ManagementError.invalidSecret(
                "keys", "sent again with another 'provider' or 'base_url': they were entered for the old one")
        }
        return keys != nil || !changed.isEmpty
    }
}
