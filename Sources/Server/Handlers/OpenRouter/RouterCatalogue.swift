import Config
import GatewayState
import RouterCore
import Storage

/// The models of one snapshot that a key may use, gathered from prices, provider files and vendors' lists.
struct RouterCatalogue {
    private let snapshot: GatewaySnapshot
    private let principal: KeyPrincipal
    /// By channel, and by provider and its name for the model: computed once, not once per model.
    private let served: [Int64: Set<Endpoint>]
    private let listed: [String: [String: ProviderModel]]

    init(_ snapshot: GatewaySnapshot, _ principal: KeyPrincipal) {
        self.snapshot = snapshot
        self.principal = principal
        let channels = snapshot.configuration.routes.channels
        served = Dictionary(channels.map { ($0.id, snapshot.capabilities(of: $0)) }) { first, _ in first }
        var listed: [String: [String: ProviderModel]] = [:]
        for provider in channels.map(\.provider) where listed[provider.name] == nil {
            listed[provider.name] = Dictionary(provider.models.map { ($0.id, $0) }) { first, _ in first }
        }
        self.listed = listed
    }

    /// In the order of their names. Models without a price are left out: a call of one is refused.
    var models: [RouterModel] { snapshot.models(usableBy: principal).compactMap(make) }

    /// Providers behind the channels that the key's group may use, each once, in the order of the channels.
    var providers: [ProviderSpec] {
        var seen: Set<String> = []
        return snapshot.configuration.routes.channels.compactMap { channel in
            guard channel.isEnabled, channel.groups.contains(principal.group), seen.insert(channel.provider.name).inserted else {
                return nil
            }
            return channel.provider
        }
    }

    /// - Returns: nil for a model that the key may not use, or that has no price.
    func model(named name: String) -> RouterModel? { snapshot.models(usableBy: principal).contains(name) ? make(name) : nil }

    /// A channel that serves a model, with the vendor's name for it.
    private typealias Serving = (channel: RouterCore.Channel, upstream: String, endpoints: Set<Endpoint>?)

    private func make(_ name: String) -> RouterModel? {
        var seen: Set<String> = []
        var first: Serving?
        var hosts: [RouterModel.Host] = []
        for serving in servings(name) {
            guard let host = host(name, serving), seen.insert(serving.channel.provider.name).inserted else { continue }
            if first == nil { first = serving }
            hosts.append(host)
        }
        guard let first else { return nil }
        let row = snapshot.prices.row(name) ?? snapshot.prices.row(first.upstream)
        let listing = snapshot.catalogue.entry(first.channel.provider.name, first.upstream)?.model
        let file = listed[first.channel.provider.name]?[first.upstream]
        let endpoints = (served[first.channel.id] ?? []).filter { $0.isServed(within: first.endpoints) }
        let told = RouterModel.modalities(of: endpoints, isBound: first.endpoints != nil)
        var facts = listing?.facts ?? ModelFacts()
        if facts.supportedParameters.isEmpty { facts.supportedParameters = Self.parameters(file, endpoints) }
        // A row whose model nobody has named is called like the model.
        func named(_ text: String?) -> String? { text.flatMap { $0.isEmpty || $0 == name ? nil : $0 } }
        return RouterModel(
            id: name, displayName: named(row?.displayName) ?? named(listing?.displayName) ?? named(file?.displayName) ?? name,
            description: named(row?.description) ?? named(file?.description) ?? "", created: facts.created ?? row?.createdAt ?? 0,
            takes: listing.map(\.inputModalities).flatMap { $0.isEmpty ? nil : $0 } ?? told.takes,
            gives: listing.map(\.outputModalities).flatMap { $0.isEmpty ? nil : $0 } ?? told.gives, facts: facts, hosts: hosts)
    }

    /// Those of the key's group, in the order in which routing prefers them.
    private func servings(_ name: String) -> [Serving] {
        let serving = snapshot.configuration.routes.enabledChannels(serving: name).filter { $0.channel.groups.contains(principal.group) }
        return serving.enumerated().sorted { left, right in
            let (first, second) = (left.element.channel, right.element.channel)
            return (first.priority, first.weight, right.offset) > (second.priority, second.weight, left.offset)
        }.map(\.element)
    }

    private func host(_ name: String, _ serving: Serving) -> RouterModel.Host? {
        let provider = serving.channel.provider
        let offer = snapshot.offer(serving.channel, model: name, upstream: serving.upstream, group: principal.group)
        guard let offer else { return nil }
        let listing = snapshot.catalogue.entry(provider.name, serving.upstream)?.model
        let file = listed[provider.name]?[serving.upstream]
        let row = snapshot.prices.row(serving.upstream)
        return RouterModel.Host(
            tag: provider.name, name: provider.displayName, price: offer.quote.price,
            contextLength: offer.contextLength ?? listing?.contextLength ?? file?.contextLength ?? row?.contextLength,
            maxOutputTokens: offer.maxOutputTokens ?? listing?.maxOutputTokens ?? file?.maxOutputTokens ?? row?.maxOutputTokens)
    }

    /// Where no list says what a model takes: the bound on its answer, which the gateway itself understands, and what its provider's file
    /// knows.
    private static func parameters(_ file: ProviderModel?, _ endpoints: Set<Endpoint>) -> [String] {
        guard endpoints.contains(where: \.isConversation) else { return [] }
        return ["max_tokens"] + (file?.reasoning == true ? ["reasoning", "include_reasoning"] : [])
    }
}
