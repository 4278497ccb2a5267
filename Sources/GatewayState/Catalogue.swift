package import Config
import NIOCore
package import RouterCore
package import Storage

/// What vendors' lists of models said at the last sync, by provider. Kept in `settings`, one value a provider, and part of the
/// snapshot: models that a list names and no file are served from it, and their modalities are shown.
package struct Catalogue: Sendable, Hashable {
    package struct Entry: Sendable, Hashable {
        /// Without its price, which is in `model_pricing`.
        package var model: ListedModel
        /// The sync has written the price row, so that the file's price does not come back with the next start.
        package var hasPrice: Bool

        package init(model: ListedModel, hasPrice: Bool) {
            self.model = model
            self.hasPrice = hasPrice
        }
    }

    /// By provider, then by the vendor's name of the model.
    private(set) var vendors: [String: [String: Entry]] = [:]

    package init() {}

    package static let settingPrefix = "catalogue."

    /// - Throws: ``StoreError``.
    package static func load(_ store: any AdminStore, _ configuration: GatewayConfiguration) async throws -> Catalogue {
        var catalogue = Catalogue()
        for name in Set(configuration.routes.channels.map(\.provider.name)) {
            guard let text = try await store.setting(settingPrefix + name) else { continue }
            catalogue.set(decode(text), of: name)
        }
        return catalogue
    }

    package func save(_ provider: String, to store: any AdminStore) async throws {
        try await store.setSetting(Self.settingPrefix + provider, Self.encode(vendors[provider] ?? [:]))
    }

    package mutating func set(_ entries: [Entry], of provider: String) {
        vendors[provider] = Dictionary(entries.map { ($0.model.id, $0) }) { first, _ in first }
    }

    package func entry(_ provider: String, _ model: String) -> Entry? { vendors[provider]?[model] }

    /// The vendor's names of what its list had; empty where no list was read.
    package func models(of provider: String) -> Set<String> { Set((vendors[provider] ?? [:]).keys) }

    // MARK: As text

    package static func encode(_ entries: [String: Entry]) -> String {
        JSONValue.array(
            entries.values.sorted { $0.model.id < $1.model.id }.map { entry in
                let model = entry.model
                var members: [JSONValue.Member] = [.init("id", .string(model.id)), .init("priced", .boolean(entry.hasPrice))]
                if let name = model.displayName { members.append(.init("name", .string(name))) }
                if let tokens = model.contextLength { members.append(.init("context", .integer(tokens))) }
                if let tokens = model.maxOutputTokens { members.append(.init("output", .integer(tokens))) }
                for (name, list) in [("takes", model.inputModalities), ("gives", model.outputModalities)] where !list.isEmpty {
                    members.append(.init(name, .array(list.map { .string($0) })))
                }
                if !model.facts.isEmpty { members.append(.init("facts", model.facts.json)) }
                return .object(members)
            }
        ).text
    }

    /// What this program has not written is left out: the next sync replaces it.
    package static func decode(_ text: String) -> [Entry] {
        let entries = (try? JSONValue(parsing: ByteBuffer(string: text)))?.arrayValue ?? []
        return entries.compactMap { entry in
            guard let id = entry["id"]?.stringValue else { return nil }
            func texts(_ name: String) -> [String] { entry[name]?.arrayValue?.compactMap(\.stringValue) ?? [] }
            let model = ListedModel(
                id: id, displayName: entry["name"]?.stringValue, contextLength: entry["context"]?.integerValue,
                maxOutputTokens: entry["output"]?.integerValue, inputModalities: texts("takes"), outputModalities: texts("gives"),
                facts: entry["facts"].map(ModelFacts.init) ?? ModelFacts())
            return Entry(model: model, hasPrice: entry["priced"]?.boolValue == true)
        }
    }

    // MARK: In use

    /// The configuration with the models that lists name and files do not, as far as they have a price: a provider whose file lists models
    /// serves only what is listed.
    package func extending(_ configuration: GatewayConfiguration, _ prices: PriceTable) -> GatewayConfiguration {
        guard !vendors.isEmpty else { return configuration }
        var copy = configuration
        let more = Dictionary(
            configuration.providers.map { ($0.name, additions(to: $0, prices)) }
        ) { first, _ in first }
        for index in copy.providers.indices { copy.providers[index].models += more[copy.providers[index].name] ?? [] }
        let channels = configuration.routes.channels.map { channel -> RouterCore.Channel in
            var channel = channel
            channel.provider.models += more[channel.provider.name] ?? []
            return channel
        }
        copy.routes = RouteTable(channels: channels, settings: configuration.routes.settings)
        return copy
    }

    private func additions(to provider: ProviderSpec, _ prices: PriceTable) -> [ProviderModel] {
        guard !provider.models.isEmpty, let entries = vendors[provider.name] else { return [] }
        let known = Set(provider.models.map(\.id))
        return entries.values.filter { !known.contains($0.model.id) && prices.row($0.model.id)?.isActive == true }
            .sorted { $0.model.id < $1.model.id }
            .map { entry in
                ProviderModel(
                    id: entry.model.id, displayName: entry.model.displayName, contextLength: entry.model.contextLength,
                    maxOutputTokens: entry.model.maxOutputTokens)
            }
    }
}
