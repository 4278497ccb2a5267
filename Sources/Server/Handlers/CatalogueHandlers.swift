import Config
import Foundation
import GatewayState
import Hummingbird
import RouterCore
import Storage
import Synchronization

/// `GET /api/models`: the models of this gateway, for people who choose one. Public, like the prices.
struct CatalogueHandlers: Sendable {
    let snapshots: SnapshotHolder
    private let served = ServedModels()
    private let kept = KeptAnswer()

    init(snapshots: SnapshotHolder) { self.snapshots = snapshots }

    /// Number of models that ``list(_:_:)`` has without filters.
    var count: Int {
        let snapshot = snapshots.snapshot
        return served.count(snapshot) { items(snapshot).count }
    }

    /// A model that some enabled channel serves and that has a price.
    private struct Item {
        var model: String
        var row: PricingRow
        var providers: [String]
        var endpoints: Set<Endpoint>
        /// Input modalities; empty where no vendor's list gave any.
        var takes: [String] = []
        var gives: [String] = []
    }

    /// Filters: `q` is searched in names; `provider` is a provider that serves the model; `modality` is an input or output modality;
    /// `max_price` bounds the input and the output price, in USD per million tokens.
    func list(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let query = QueryFields(request, PriceDescriptions.catalogue)
        let bound = try query.text("max_price").map { text -> FemtoUSD in
            guard let price = try? FemtoUSD.parse(usdPerMillion: text).price else {
                throw ManagementError.invalid("max_price", Expected("USD per million tokens, such as 0.5", codes: ["usd_per_million"]))
            }
            return price
        }
        let words = query.text("q").map { $0.lowercased() } ?? ""
        let provider = query.text("provider")
        let modality = query.text("modality")?.lowercased()
        let snapshot = snapshots.snapshot
        if words.isEmpty, provider == nil, modality == nil, bound == nil {
            return kept.response(snapshot, for: request) { .array(items(snapshot).map(json)) }
        }
        let found = items(snapshot).filter { item in
            let names = item.model.lowercased() + "\n" + item.row.displayName.lowercased()
            return (words.isEmpty || names.contains(words))
                && (provider.map { item.providers.contains($0) } ?? true)
                && (modality.map { item.takes.contains($0) || item.gives.contains($0) } ?? true)
                && (bound.map { costs(item.row.price, atMost: $0) } ?? true)
        }
        return Envelope.ok(.array(found.map(json)))
    }

    /// A model that is charged by the vendor's reported cost has no price known in advance.
    private func costs(_ price: ModelPrice, atMost bound: FemtoUSD) -> Bool {
        price.basis == .metered && price.rates.input <= bound && price.rates.output <= bound
    }

    private func items(_ snapshot: GatewaySnapshot) -> [Item] {
        let routes = snapshot.configuration.routes
        // Computed once per channel, not once per model: a list may have ten thousand models.
        let served = Dictionary(
            routes.channels.map { ($0.id, snapshot.capabilities(of: $0).subtracting([.models])) }
        ) { first, _ in first }
        return routes.models.compactMap { model in
            let serving = routes.enabledChannels(serving: model)
            guard let first = serving.first, let row = row(model, serving.map(\.upstream), first.channel, snapshot) else { return nil }
            var item = Item(model: model, row: row, providers: [], endpoints: [])
            for (channel, upstream, bound) in serving {
                if !item.providers.contains(channel.provider.name) { item.providers.append(channel.provider.name) }
                let capabilities = served[channel.id] ?? []
                item.endpoints.formUnion(capabilities.filter { $0.isServed(within: bound) })
                guard item.takes.isEmpty, item.gives.isEmpty, let entry = snapshot.catalogue.entry(channel.provider.name, upstream) else {
                    continue
                }
                item.takes = entry.model.inputModalities
                item.gives = entry.model.outputModalities
            }
            return item
        }
    }

    /// The price as ``GatewaySnapshot`` quotes it, with other known properties; nil = no price, so the model cannot be used.
    private func row(
        _ model: String, _ upstreams: [String], _ channel: RouterCore.Channel, _ snapshot: GatewaySnapshot
    ) -> PricingRow? {
        if let row = ([model] + upstreams).lazy.compactMap({ snapshot.prices.row($0) }).first(where: \.isActive) {
            return row
        }
        let isFree = snapshot.configuration.metering.unknownPrice == .free
        guard let price = channel.provider.defaultPrice ?? (isFree ? .free : nil) else { return nil }
        return PricingRow(modelName: model, displayName: model, provider: channel.provider.name, price: price)
    }

    private func json(_ item: Item) -> JSONValue {
        func texts(_ list: [String]) -> JSONValue { list.isEmpty ? .null : .array(list.map { .string($0) }) }
        let rates = item.row.price.rates
        let isMetered = item.row.price.basis == .metered
        let dialects = Endpoint.allCases.filter(item.endpoints.contains).map(\.rawValue)
        return .object([
            .init("model_name", .string(item.model)), .init("display_name", .string(item.row.displayName)),
            .init("description", .string(item.row.description)), .init("provider", .string(item.providers.first ?? item.row.provider)),
            .init("providers", .array(item.providers.map { .string($0) })), .init("endpoints", .array(dialects.map { .string($0) })),
            .init("input_modalities", texts(item.takes)), .init("output_modalities", texts(item.gives)),
            .init("context_length", .integer(item.row.contextLength)), .init("max_output_tokens", .integer(item.row.maxOutputTokens)),
            .init("basis", .string(item.row.price.basis.rawValue)),
            .init("pricing_input", isMetered ? .usd(rates.input) : .null), .init("pricing_output", isMetered ? .usd(rates.output) : .null),
            .init("pricing_cache_read", .usd(rates.cacheRead)), .init("pricing_cache_write", .usd(rates.cacheWrite5m)),
            .init("pricing_cache_write_1h", .usd(rates.cacheWrite1h)), .init("pricing_reasoning", .usd(rates.reasoning)),
            .init("pricing_audio_input", .usd(rates.audioInput)), .init("pricing_audio_output", .usd(rates.audioOutput)),
            .init("pricing_image", .usd(item.row.price.image)), .init("pricing_request", .usd(item.row.price.request)),
            .init("pricing_search", .usd(item.row.price.search)), .init("tiers", PriceTiers.json(item.row.price.tiers)),
            .init("service_tiers", PriceTiers.json(item.row.price.serviceTiers)),
            .init("pricing_image_input", .usd(item.row.price.pictures?.input)),
            .init("image_sizes", PictureColumn.json(item.row.price.pictures?.sizes ?? [])),
        ])
    }
}

/// The number of served models, counted once for each snapshot: the status is open to everyone and is asked for often.
private final class ServedModels: Sendable {
    private let known = Mutex<(snapshot: GatewaySnapshot, count: Int)?>(nil)

    func count(_ snapshot: GatewaySnapshot, _ count: () -> Int) -> Int {
        if let known = known.withLock({ $0 }), known.snapshot === snapshot { return known.count }
        let counted = count()
        known.withLock { $0 = (snapshot, counted) }
        return counted
    }
}
