import Foundation
import GatewayState
import Hummingbird
import Platform
import RouterCore
import Storage

/// The price table: public to read, changed by admins, effective from the next request on.
struct PricingHandlers: Sendable {
    let snapshots: SnapshotHolder
    let store: any PricingStore
    let reloader: ConfigurationReloader
    let clock: ServerClock
    private let kept = KeptAnswer()

    init(snapshots: SnapshotHolder, store: any PricingStore, reloader: ConfigurationReloader, clock: ServerClock) {
        self.snapshots = snapshots
        self.store = store
        self.reloader = reloader
        self.clock = clock
    }

    func list(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let snapshot = snapshots.snapshot
        guard let provider = QueryFields(request, PriceDescriptions.list).text("provider") else {
            return kept.response(snapshot, for: request) { .array(snapshot.prices.all.map(json)) }
        }
        let rows = snapshot.prices.all.filter { $0.provider == provider }
        return Envelope.ok(.array(rows.map(json)))
    }

    func one(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let name = context.parameters.getCatchAll().joined(separator: "/")
        guard let row = snapshots.snapshot.prices.row(name.removingPercentEncoding ?? name) else {
            throw ManagementError.notFound("price of '\(name)'")
        }
        return Envelope.ok(json(row))
    }

    private static let prices: [(name: String, set: @Sendable (inout ModelPrice, FemtoUSD?) -> Void)] = [
        ("pricing_input", { $0.rates.input = $1 ?? .zero }), ("pricing_output", { $0.rates.output = $1 ?? .zero }),
        ("pricing_cache_read", { $0.rates.cacheRead = $1 }), ("pricing_cache_write", { $0.rates.cacheWrite5m = $1 }),
        ("pricing_cache_write_1h", { $0.rates.cacheWrite1h = $1 }), ("pricing_reasoning", { $0.rates.reasoning = $1 }),
        ("pricing_audio_input", { $0.rates.audioInput = $1 }), ("pricing_audio_output", { $0.rates.audioOutput = $1 }),
        ("pricing_image", { $0.image = $1 ?? .zero }), ("pricing_request", { $0.request = $1 ?? .zero }),
        ("pricing_search", { $0.search = $1 ?? .zero }), ("pricing_character", { $0.character = $1 ?? .zero }),
        ("pricing_audio_second", { $0.audioSecond = $1 ?? .zero }),
        ("pricing_image_input", { $0.pictures = PicturePrices(input: $1, sizes: $0.pictures?.sizes ?? []) }),
    ]

    func change(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let fields = try await RequestFields(request, PriceDescriptions.change)
        let name = try fields.requiredString("model_name")
        if let problem = ModelName.problem(name) {
            throw ManagementError.invalid(
                "model_name", Expected("a model's name", codes: ["model_name"]), message: "'model_name' \(problem)")
        }
        let old = snapshots.snapshot.prices.row(name)
        if old == nil, fields["pricing_input"] == nil || fields["pricing_output"] == nil {
            throw ManagementError.invalid(
                fields["pricing_input"] == nil ? "pricing_input" : "pricing_output", Expected("USD per token", codes: ["usd_per_unit"]),
                message: "a new model needs 'pricing_input' and 'pricing_output'")
        }
        var row = old ?? PricingRow(modelName: name, displayName: name, price: .free)
        // Setting a price changes the basis of a model that was charged by the vendor's cost.
        if fields["pricing_input"] != nil || fields["pricing_output"] != nil { row.price.basis = .metered }
        for (field, set) in Self.prices {
            if let price = try fields.price(field) { set(&row.price, price) } else if fields.isNull(field) { set(&row.price, nil) }
        }
        if let sizes = try imageSizes(fields) { row.price.pictures = PicturePrices(input: row.price.pictures?.input, sizes: sizes) }
        if let pictures = row.price.pictures, pictures.input == nil, pictures.sizes.isEmpty { row.price.pictures = nil }
        if fields["pricing_input"] != nil || fields["pricing_output"] != nil {
            row.price.tiers = []
            row.price.serviceTiers = []
        }
        row.displayName = try fields.string("display_name") ?? row.displayName
        row.provider = try fields.string("provider") ?? row.provider
        row.description = try fields.string("description") ?? row.description
        row.isActive = try fields.boolean("is_active") ?? row.isActive
        row.contextLength = try positive("context_length", fields) ?? row.contextLength
        row.maxOutputTokens = try positive("max_output_tokens", fields) ?? row.maxOutputTokens
        let prepared = row
        let changed = JSONValue.array(fields.names.filter { $0 != "model_name" }.map { .string($0) })
        let audit = try context.audit(
            "pricing.change", at: clock.unixSeconds, [.init("model_name", .string(name)), .init("fields", changed)])
        let saved = try await storing("price") {
            try await store.setPrice(prepared, now: clock.unixSeconds, audit: audit)
        }
        await reloader.priceChanged(saved)
        return Envelope.ok(json(saved))
    }

    /// `image_sizes`: nil when absent; null and an empty list take the entries away.
    private func imageSizes(_ fields: RequestFields) throws -> [PicturePrices.Size]? {
        guard let value = fields["image_sizes"] else { return nil }
        if value.isNull { return [] }
        let expected = Expected(
            "a list of at most \(PicturePrices.maximumSizes) objects with 'price' and 'size', 'quality' or both",
            codes: ["array", "max_items:\(PicturePrices.maximumSizes)"])
        guard let list = value.arrayValue, list.count <= PicturePrices.maximumSizes else { throw fields.wrong("image_sizes", expected) }
        return try list.map { entry in
            guard case .object(let members) = entry, members.allSatisfy({ ["size", "quality", "price"].contains($0.name) }),
                let text = entry["price"]?.numberText ?? entry["price"]?.stringValue, let price = try? FemtoUSD.parse(usdPerUnit: text),
                price.isExact
            else { throw fields.wrong("image_sizes", expected) }
            let (size, quality) = (entry["size"]?.stringValue, entry["quality"]?.stringValue)
            let texts = [size, quality].compactMap { $0 }
            guard !texts.isEmpty, texts.allSatisfy({ (1...64).contains($0.utf8.count) && !$0.utf8.contains(0) }) else {
                throw fields.wrong("image_sizes", expected)
            }
            return PicturePrices.Size(size: size, quality: quality, price: price.price)
        }
    }

    private func positive(_ name: String, _ fields: RequestFields) throws -> Int64? {
        guard let value = try fields.integer(name) else { return nil }
        guard value > 0 else { throw fields.wrong(name, Expected("a positive whole number", codes: ["integer", "min:1"])) }
        return value
    }

    func json(_ row: PricingRow) -> JSONValue { .object(members(row)) }

    /// A version of the history, which does not have who set it.
    func pastJSON(_ row: PricingRow) -> JSONValue { .object(members(row).filter { $0.name != "is_edited" }) }

    private func members(_ row: PricingRow) -> [JSONValue.Member] {
        let rates = row.price.rates
        var members: [JSONValue.Member] = [
            .init("id", .integer(row.id)), .init("model_name", .string(row.modelName)),
            .init("display_name", .string(row.displayName)), .init("provider", .string(row.provider)),
            .init("description", .string(row.description)), .init("context_length", .integer(row.contextLength)),
            .init("max_output_tokens", .integer(row.maxOutputTokens)), .init("basis", .string(row.price.basis.rawValue)),
        ]
        members += [
            .init("pricing_input", .usd(rates.input)), .init("pricing_output", .usd(rates.output)),
            .init("pricing_cache_read", .usd(rates.cacheRead)), .init("pricing_cache_write", .usd(rates.cacheWrite5m)),
            .init("pricing_cache_write_1h", .usd(rates.cacheWrite1h)), .init("pricing_reasoning", .usd(rates.reasoning)),
            .init("pricing_audio_input", .usd(rates.audioInput)), .init("pricing_audio_output", .usd(rates.audioOutput)),
            .init("pricing_image", .usd(row.price.image)), .init("pricing_request", .usd(row.price.request)),
            .init("pricing_search", .usd(row.price.search)), .init("pricing_character", .usd(row.price.character)),
            .init("pricing_audio_second", .usd(row.price.audioSecond)), .init("tiers", PriceTiers.json(row.price.tiers)),
            .init("service_tiers", PriceTiers.json(row.price.serviceTiers)),
            .init("pricing_image_input", .usd(row.price.pictures?.input)),
            .init("image_sizes", PictureColumn.json(row.price.pictures?.sizes ?? [])),
        ]
        members += [
            .init("is_active", .boolean(row.isActive)), .init("is_edited", .boolean(row.isEdited)), .init("version", .integer(row.version)),
            .init("created_at", .integer(row.createdAt)), .init("updated_at", .integer(row.updatedAt)),
        ]
        return members
    }
}
