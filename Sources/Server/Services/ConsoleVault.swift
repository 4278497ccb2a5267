import Config
import NIOCore
import RouterCore
import Storage

/// Turns the rows that the console has stored into the console's part of a configuration, and secrets into sealed bytes. A row that does
/// not open is no error of its own: its channel is off, and says why.
struct ConsoleVault: Sendable {
    let store: any ConsoleStore
    let sealer: Sealer

    /// - Throws: ``StoreError``.
    func load() async throws -> ConsoleConfiguration { read(try await store.consoleRows()) }

    /// - Throws: ``StoreError``.
    func channel(_ id: Int64) async throws -> (row: ConsoleRow, channel: ConsoleConfiguration.Channel)? {
        guard let row = try await store.consoleRow(.channel(id)) else { return nil }
        return (row, channel(id, row))
    }

    // MARK: Opening

    static let unsealable = """
        its keys were sealed with another secret; 'apirouter secret reseal' takes them along to a new one, or root enters keys, proxy and \
        headers again
        """

    func read(_ rows: [ConsoleRow]) -> ConsoleConfiguration {
        var console = ConsoleConfiguration()
        for row in rows {
            switch row.key {
            case .channel(let id): console.channels.append(channel(id, row))
            case .provider(let name): console.providers.append(provider(name, row))
            case .secret(let name):
                if let value = Self.open(row, with: sealer) {
                    console.secrets[name] = Secret(value)
                } else {
                    console.secretProblems[name] = Self.unsealable
                }
            }
        }
        return console
    }

    private func channel(_ id: Int64, _ row: ConsoleRow) -> ConsoleConfiguration.Channel {
        let (config, problem) = Self.object(row.config)
        var channel = ConsoleConfiguration.Channel(id: id, config: config, problem: problem)
        guard row.sealed != nil else { return channel }
        if let text = Self.open(row, with: sealer), let secrets = Self.secrets(text) {
            channel.secrets = secrets
        } else {
            channel.problem = Self.unsealable
        }
        return channel
    }

    private func provider(_ name: String, _ row: ConsoleRow) -> ConsoleConfiguration.Provider {
        let (config, problem) = Self.object(row.config)
        var provider = ConsoleConfiguration.Provider(name: name, config: config, problem: problem)
        guard row.sealed != nil else { return provider }
        if let text = Self.open(row, with: sealer), let headers = Self.headers(try? JSONValue(parsing: ByteBuffer(string: text))) {
            provider.headers = headers
        } else {
            provider.problem = Self.unsealable
        }
        return provider
    }

    private static func object(_ text: String) -> (JSONValue, problem: String?) {
        guard let value = try? JSONValue(parsing: ByteBuffer(string: text)), case .object = value else {
            return (.object([]), "the stored text is no JSON object")
        }
        return (value, nil)
    }

    private static func secrets(_ text: String) -> ConsoleConfiguration.ChannelSecrets? {
        guard let value = try? JSONValue(parsing: ByteBuffer(string: text)), case .object = value else { return nil }
        var secrets = ConsoleConfiguration.ChannelSecrets()
        secrets.keys = value["keys"]?.arrayValue?.compactMap { $0.stringValue.map { Secret($0) } }
        secrets.proxy = value["proxy"]?.stringValue.map { Secret($0) }
        secrets.headers = headers(value["headers"]) ?? []
        return secrets
    }

    private static func headers(_ value: JSONValue?) -> [StaticHeader]? {
        guard case .object(let members)? = value else { return nil }
        return members.map { StaticHeader(name: $0.name, value: Secret($0.value.stringValue ?? "")) }
    }

    // MARK: Sealing

    /// The row of a channel, sealed. - Throws: an error of the cryptography, which has none for texts of this size.
    func row(_ channel: ConsoleConfiguration.Channel, version: Int64 = 0) throws -> ConsoleRow {
        var row = ConsoleRow(key: .channel(channel.id), config: channel.config.text, version: version)
        guard !channel.secrets.isEmpty else { return row }
        var members: [JSONValue.Member] = []
        if let keys = channel.secrets.keys { members.append(.init("keys", .array(keys.map { .string($0.reveal()) }))) }
        if let proxy = channel.secrets.proxy { members.append(.init("proxy", .string(proxy.reveal()))) }
        if !channel.secrets.headers.isEmpty { members.append(.init("headers", Self.object(channel.secrets.headers))) }
        row.sealed = try Self.seal(JSONValue.object(members).text, row, with: sealer)
        return row
    }

    func row(_ provider: ConsoleConfiguration.Provider, version: Int64 = 0) throws -> ConsoleRow {
        var row = ConsoleRow(key: .provider(provider.name), config: provider.config.text, version: version)
        if !provider.headers.isEmpty { row.sealed = try Self.seal(Self.object(provider.headers).text, row, with: sealer) }
        return row
    }

    private static func object(_ headers: [StaticHeader]) -> JSONValue {
        .object(headers.map { .init($0.name, .string($0.value.reveal())) })
    }

    func row(secret name: String, _ value: Secret, version: Int64 = 0) throws -> ConsoleRow {
        var row = ConsoleRow(key: .secret(name), version: version)
        row.sealed = try Self.seal(value.reveal(), row, with: sealer)
        return row
    }

    /// The rows that open with the old secret only, sealed with the new one.
    /// - Throws: ``StoreError/schema(_:)`` that names those which open with neither.
    static func resealed(_ rows: [ConsoleRow], from old: Sealer, to new: Sealer) throws -> [ConsoleRow] {
        var lost: [String] = []
        let changed = try rows.compactMap { row -> ConsoleRow? in
            guard row.sealed != nil, open(row, with: new) == nil else { return nil }
            guard let text = open(row, with: old) else {
                lost.append(row.key.identity)
                return nil
            }
            var row = row
            row.sealed = try seal(text, row, with: new)
            return row
        }
        guard lost.isEmpty else {
            throw StoreError.schema("nothing was changed; the old secret does not open \(lost.joined(separator: ", "))")
        }
        return changed
    }

    private static func seal(_ text: String, _ row: ConsoleRow, with sealer: Sealer) throws -> [UInt8] {
        try sealer.seal(text, for: row.key.purpose, identity: row.key.identity)
    }

    private static func open(_ row: ConsoleRow, with sealer: Sealer) -> String? {
        row.sealed.flatMap { sealer.open($0, for: row.key.purpose, identity: row.key.identity) }
    }
}

extension ConsoleRow.Key {
    /// Sealed along with the value, so that it opens in its own row only.
    fileprivate var identity: String {
        switch self {
        case .channel(let id): "channel \(id)"
        case .provider(let name): "provider \(name)"
        case .secret(let name): "secret \(name)"
        }
    }

    fileprivate var purpose: Sealer.Purpose {
        switch self {
        case .channel: .consoleChannel
        case .provider: .consoleProvider
        case .secret: .consoleSecret
        }
    }
}
