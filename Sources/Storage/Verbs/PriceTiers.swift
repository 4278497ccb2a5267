import NIOCore
public import RouterCore

/// Tiers as JSON text with exact prices in USD per unit.
public enum PriceTiers {
    private static let optional: [(String, any WritableKeyPath<ModelPrice.Rates, FemtoUSD?> & Sendable)] = [
        ("cache_read", \.cacheRead), ("cache_write", \.cacheWrite5m), ("cache_write_1h", \.cacheWrite1h),
        ("reasoning", \.reasoning), ("audio_input", \.audioInput), ("audio_output", \.audioOutput),
    ]

    public static func json(_ tiers: [ModelPrice.Tier]) -> JSONValue {
        .array(tiers.map { .object([.init("above", .integer($0.abovePromptTokens))] + members($0.rates)) })
    }

    public static func json(_ services: [ModelPrice.ServiceTier]) -> JSONValue {
        .array(
            services.map { service in
                let name = JSONValue.Member("name", .string(service.name))
                let tiers = service.tiers.isEmpty ? [] : [JSONValue.Member("tiers", json(service.tiers))]
                return .object([name] + members(service.rates) + tiers)
            })
    }

    private static func members(_ rates: ModelPrice.Rates) -> [JSONValue.Member] {
        [.init("input", .string(rates.input.usdText)), .init("output", .string(rates.output.usdText))]
            + optional.compactMap { name, path in rates[keyPath: path].map { .init(name, .string($0.usdText)) } }
    }

    static func text(_ tiers: [ModelPrice.Tier]) -> String { json(tiers).text }

    /// - Throws: ``StoreError/database(_:)`` for text that this program has not written.
    static func parse(_ text: String) throws -> [ModelPrice.Tier] {
        try list(text).map(tier)
    }

    static func parseServices(_ text: String) throws -> [ModelPrice.ServiceTier] {
        try list(text).map { entry in
            guard let name = entry["name"]?.stringValue else {
                throw StoreError.database("model_pricing.service_tiers has an entry without a name")
            }
            return ModelPrice.ServiceTier(
                name: name, rates: try rates(entry), tiers: try (entry["tiers"]?.arrayValue ?? []).map(tier))
        }
    }

    private static func list(_ text: String) throws -> [JSONValue] {
        guard let list = (try? JSONValue(parsing: ByteBuffer(string: text)))?.arrayValue else {
            throw StoreError.database("the tiers in model_pricing are not a JSON array")
        }
        return list
    }

    private static func tier(_ entry: JSONValue) throws -> ModelPrice.Tier {
        guard let above = entry["above"]?.integerValue else {
            throw StoreError.database("model_pricing.tiers has an entry without above")
        }
        return ModelPrice.Tier(abovePromptTokens: above, rates: try rates(entry))
    }

    private static func rates(_ entry: JSONValue) throws -> ModelPrice.Rates {
        guard let input = entry["input"]?.stringValue, let output = entry["output"]?.stringValue else {
            throw StoreError.database("a tier in model_pricing lacks input or output")
        }
        var rates = ModelPrice.Rates(
            input: try FemtoUSD.parse(usdPerUnit: input).price, output: try FemtoUSD.parse(usdPerUnit: output).price)
        for (name, path) in optional {
            if let price = entry[name]?.stringValue { rates[keyPath: path] = try FemtoUSD.parse(usdPerUnit: price).price }
        }
        return rates
    }
}
