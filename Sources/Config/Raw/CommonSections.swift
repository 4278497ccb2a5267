import RouterCore
import Yams

/// Sections that provider and channel files share.
enum CommonSections {
    /// A base URL: absolute, http or https, nothing after the path. Or the built-in simulator.
    static func baseURL(_ cursor: YAMLCursor) -> String? {
        guard let text = cursor.string("a URL") else { return nil }
        if text == "builtin:simulator" { return text }
        let rest: Substring
        if text.hasPrefix("https://") {
            rest = text.dropFirst(8)
        } else if text.hasPrefix("http://") {
            rest = text.dropFirst(7)
        } else {
            cursor.mismatch("an absolute http:// or https:// URL")
            return nil
        }
        let host = rest.prefix { $0 != "/" }
        let isBad = text.utf8.contains { $0 <= 0x20 || $0 == 0x7F || $0 == UInt8(ascii: "\\") }
        guard !host.isEmpty, !host.contains("@"), !text.contains("?"), !text.contains("#"), !isBad, !rest.contains("/../")
        else {
            cursor.error("expected a URL without user, query, fragment, spaces or '..'")
            return nil
        }
        var url = text
        while url.hasSuffix("/") { url.removeLast() }
        return url
    }

    /// `{ rpm, tpm, concurrency }`, each optional.
    static func limits(_ cursor: YAMLCursor) -> RateLimits {
        guard let object = cursor.object(ChannelLimit.allCases.map(\.rawValue)) else { return RateLimits() }
        var limits = RateLimits()
        for limit in ChannelLimit.allCases { limits[limit] = object[limit.rawValue]?.integer(RateLimits.range) }
        return limits
    }

    /// The values are secrets, because they may contain keys.
    static func headers(_ cursor: YAMLCursor) -> [StaticHeader] {
        guard let entries = cursor.entries("a mapping from header names to values") else { return [] }
        return entries.compactMap { name, value in
            guard isToken(name) else {
                value.error("\"\(name)\" is not a header name")
                return nil
            }
            guard let text = value.string("text", allowEmpty: true) else { return nil }
            guard !text.utf8.contains(where: { $0 < 0x20 && $0 != 9 || $0 == 0x7F }) else {
                value.error("a header value must not have line breaks or control characters")
                return nil
            }
            return StaticHeader(name: name, value: Secret(text))
        }
    }

    static func isToken(_ text: String) -> Bool {
        let symbols = Set("!#$%&'*+-.^_`|~".utf8)
        return !text.isEmpty
            && text.utf8.allSatisfy {
                ($0 >= 0x30 && $0 <= 0x39) || ($0 | 0x20 >= 0x61 && $0 | 0x20 <= 0x7A) || symbols.contains($0)
            }
    }

    /// A model name or pattern.
    static func modelName(_ cursor: YAMLCursor) -> String? {
        guard let text = cursor.string("a model name") else { return nil }
        if let problem = ModelName.problem(text) {
            cursor.error("the name \(problem)")
            return nil
        }
        return text
    }
}

/// `price:` of provider files: USD per million tokens and per million characters (as in price lists), USD per image, request, search and
/// second of audio. The text of the number is read, with or without quotes, and never becomes floating point.
enum PriceSection {
    private static let perMillion = [
        "input", "output", "cache_read", "cache_write", "cache_write_1h", "reasoning", "audio_input", "audio_output",
    ]
    private static let perUnit = ["image", "request", "search", "audio_second"]

    static func read(_ cursor: YAMLCursor) -> ModelPrice? {
        if case .scalar(let scalar) = cursor.node {
            guard scalar.string == "upstream_cost" else {
                cursor.mismatch("a mapping of prices, or upstream_cost for a model that is charged by the vendor's reported cost")
                return nil
            }
            return .upstreamCost
        }
        guard
            let object = cursor.object(
                perMillion + perUnit + ["character", "image_input", "image_sizes", "tiers", "service_tiers"])
        else { return nil }
        guard let rates = rates(object) else { return nil }
        func each(_ name: String) -> FemtoUSD? { object[name].flatMap { amount($0, .one) } }
        var price = ModelPrice(rates: rates)
        if let image = each("image") { price.image = image }
        if let request = each("request") { price.request = request }
        if let search = each("search") { price.search = search }
        if let second = each("audio_second") { price.audioSecond = second }
        if let character = object["character"].flatMap({ amount($0, .millionCharacters) }) { price.character = character }
        price.pictures = pictures(object)
        price.tiers = tiers(object)
        if let services = object["service_tiers"]?.entries("a mapping from service tiers to prices") {
            price.serviceTiers = services.compactMap(serviceTier).sorted { $0.name < $1.name }
        }
        return price
    }

    private static func serviceTier(_ name: String, _ cursor: YAMLCursor) -> ModelPrice.ServiceTier? {
        guard let object = cursor.object(perMillion + ["tiers"]), let rates = rates(object) else { return nil }
        return ModelPrice.ServiceTier(name: name, rates: rates, tiers: tiers(object))
    }

    /// `image_input`, and `image_sizes: [{ size, quality, price }]`.
    private static func pictures(_ object: YAMLObject) -> PicturePrices? {
        let input = object["image_input"].flatMap { amount($0, .millionTokens) }
        let list = object["image_sizes"]?.list("a list of { size, quality, price }") ?? []
        if list.count > PicturePrices.maximumSizes {
            object["image_sizes"]?.error("more than \(PicturePrices.maximumSizes) entries")
        }
        let sizes = list.compactMap { entry -> PicturePrices.Size? in
            guard let object = entry.object(["size", "quality", "price"]), let price = object.require("price").flatMap({ amount($0, .one) })
            else { return nil }
            let size = object["size"]?.string("a size such as 1024x1024")
            let quality = object["quality"]?.string("a quality such as hd")
            if size == nil, quality == nil { entry.error("an entry needs size or quality, or both") }
            return PicturePrices.Size(size: size, quality: quality, price: price)
        }
        return input == nil && sizes.isEmpty ? nil : PicturePrices(input: input, sizes: sizes)
    }

    private static func tiers(_ object: YAMLObject) -> [ModelPrice.Tier] {
        let list = object["tiers"]?.list("a list of { above, input, output, … }") ?? []
        return list.compactMap(tier).sorted { $0.abovePromptTokens < $1.abovePromptTokens }
    }

    private static func tier(_ cursor: YAMLCursor) -> ModelPrice.Tier? {
        guard let object = cursor.object(["above"] + perMillion), let rates = rates(object),
            let above = object.require("above")?.integer(1...1_000_000_000)
        else { return nil }
        return ModelPrice.Tier(abovePromptTokens: above, rates: rates)
    }

    private static func rates(_ object: YAMLObject) -> ModelPrice.Rates? {
        guard let input = object.require("input").flatMap({ amount($0, .millionTokens) }),
            let output = object.require("output").flatMap({ amount($0, .millionTokens) })
        else { return nil }
        func optional(_ name: String) -> FemtoUSD? { object[name].flatMap { amount($0, .millionTokens) } }
        return ModelPrice.Rates(
            input: input, output: output, cacheRead: optional("cache_read"), cacheWrite5m: optional("cache_write"),
            cacheWrite1h: optional("cache_write_1h"), reasoning: optional("reasoning"),
            audioInput: optional("audio_input"), audioOutput: optional("audio_output"))
    }

    /// The unit of a price.
    private enum Unit: String {
        case millionTokens = "USD per million tokens"
        case millionCharacters = "USD per million characters"
        case one = "USD per unit"
    }

    private static func amount(_ cursor: YAMLCursor, _ per: Unit) -> FemtoUSD? {
        let unit = per.rawValue
        guard let text = cursor.decimal("\(unit), such as 0.28") else { return nil }
        do throws(MoneyError) {
            let parsed = per == .one ? try FemtoUSD.parse(usdPerUnit: text) : try FemtoUSD.parse(usdPerMillion: text)
            if !parsed.isExact { cursor.warning("\"\(text)\" is finer than 10^-15 USD per unit and was rounded") }
            return parsed.price
        } catch {
            switch error {
            case .negative: cursor.mismatch("\(unit), not negative (write price: upstream_cost for a router model)")
            case .overflow: cursor.mismatch("\(unit), at most 9223 USD per unit")
            case .notANumber: cursor.mismatch(unit)
            }
            return nil
        }
    }
}
