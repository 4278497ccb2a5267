import RouterCore

/// `cost:` of a channel: what its vendor bills us, where that is not the list price of the provider file.
enum CostSection {
    static func read(_ cursor: YAMLCursor, of channel: Channel) -> ChannelCost? {
        guard let object = cursor.object(["ratio", "models"]) else { return nil }
        let ratio = object["ratio"].flatMap(GroupKeys.ratio) ?? .one
        guard let list = object["models"] else { return ChannelCost(ratio: ratio) }
        let entries = list.entries("a mapping from the vendor's names of models to prices") ?? []
        if entries.count > ChannelCost.maximumModels { list.error("more than \(ChannelCost.maximumModels) models") }
        var models: [String: ModelPrice] = [:]
        for (name, value) in entries {
            if let problem = ModelName.problem(name) {
                value.error("the name \(problem)")
                continue
            }
            if !channel.mayAsk(for: name) { value.warning("the channel never asks its vendor for \(name); the names are the vendor's") }
            if let price = PriceSection.read(value) { models[name] = price }
        }
        return ChannelCost(ratio: ratio, models: models)
    }

    // MARK: Back into the words of channels.yaml

    static func json(_ cost: ChannelCost) -> JSONValue {
        var members: [JSONValue.Member] = []
        if cost.ratio != .one { members.append(.init("ratio", .string(cost.ratio.description))) }
        if !cost.models.isEmpty {
            let models = cost.models.sorted { $0.key < $1.key }.map { JSONValue.Member($0.key, PriceSection.json($0.value)) }
            members.append(.init("models", .object(models)))
        }
        return .object(members)
    }
}

extension PriceSection {
    /// The prices in the words that ``read(_:)`` takes, exactly.
    static func json(_ price: ModelPrice) -> JSONValue {
        guard price.basis == .metered else { return .string("upstream_cost") }
        var members = json(price.rates)
        func add(_ name: String, _ text: String?) { if let text { members.append(.init(name, .string(text))) } }
        let units = [("image", price.image), ("request", price.request), ("search", price.search), ("audio_second", price.audioSecond)]
        for (name, amount) in units where amount > .zero { add(name, amount.usdText) }
        if price.character > .zero { add("character", price.character.usdPerMillionText) }
        if let pictures = price.pictures {
            add("image_input", pictures.input?.usdPerMillionText)
            if !pictures.sizes.isEmpty { members.append(.init("image_sizes", .array(pictures.sizes.map(json)))) }
        }
        if !price.tiers.isEmpty { members.append(.init("tiers", .array(price.tiers.map(json)))) }
        if !price.serviceTiers.isEmpty {
            let tiers = price.serviceTiers.map { tier in
                let more = tier.tiers.isEmpty ? [] : [JSONValue.Member("tiers", .array(tier.tiers.map(json)))]
                return JSONValue.Member(tier.name, .object(json(tier.rates) + more))
            }
            members.append(.init("service_tiers", .object(tiers)))
        }
        return .object(members)
    }

    private static func json(_ rates: ModelPrice.Rates) -> [JSONValue.Member] {
        let all: [(String, FemtoUSD?)] = [
            ("input", rates.input), ("output", rates.output), ("cache_read", rates.cacheRead), ("cache_write", rates.cacheWrite5m),
            ("cache_write_1h", rates.cacheWrite1h), ("reasoning", rates.reasoning), ("audio_input", rates.audioInput),
            ("audio_output", rates.audioOutput),
        ]
        return all.compactMap { name, rate in rate.map { JSONValue.Member(name, .string($0.usdPerMillionText)) } }
    }

    private static func json(_ tier: ModelPrice.Tier) -> JSONValue {
        .object([JSONValue.Member("above", .integer(tier.abovePromptTokens))] + json(tier.rates))
    }

    private static func json(_ size: PicturePrices.Size) -> JSONValue {
        var members: [JSONValue.Member] = []
        if let name = size.size { members.append(.init("size", .string(name))) }
        if let quality = size.quality { members.append(.init("quality", .string(quality))) }
        return .object(members + [.init("price", .string(size.price.usdText))])
    }
}
