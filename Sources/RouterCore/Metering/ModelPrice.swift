/// Prices of one model, per unit, as an immutable value. A missing price falls back to its base price: cache reads, cache writes and audio
/// input cost the same as input, reasoning and audio output the same as output. Image, request and search prices are zero when missing,
/// because the tokens of images are part of the prompt. Each price is for its own unit, and they add up: the row of an image or audio model
/// gives either token prices or the price of an image, character or second.
public struct ModelPrice: Sendable, Hashable {
    public enum Basis: String, Sendable, Hashable {
        /// usage × prices
        case metered
        /// The vendor's reported cost (router models with the sentinel price -1).
        case upstreamCost = "upstream_cost"
    }

    public struct Rates: Sendable, Hashable {
        public var input: FemtoUSD
        public var output: FemtoUSD
        public var cacheRead: FemtoUSD?
        public var cacheWrite5m: FemtoUSD?
        public var cacheWrite1h: FemtoUSD?
        public var reasoning: FemtoUSD?
        public var audioInput: FemtoUSD?
        public var audioOutput: FemtoUSD?

        public init(
            input: FemtoUSD, output: FemtoUSD, cacheRead: FemtoUSD? = nil, cacheWrite5m: FemtoUSD? = nil,
            cacheWrite1h: FemtoUSD? = nil, reasoning: FemtoUSD? = nil, audioInput: FemtoUSD? = nil,
            audioOutput: FemtoUSD? = nil
        ) {
            self.input = input
            self.output = output
            self.cacheRead = cacheRead
            self.cacheWrite5m = cacheWrite5m
            self.cacheWrite1h = cacheWrite1h
            self.reasoning = reasoning
            self.audioInput = audioInput
            self.audioOutput = audioOutput
        }
    }

    /// Rates that apply to the whole request when its prompt has strictly more tokens than `abovePromptTokens`.
    public struct Tier: Sendable, Hashable {
        public var abovePromptTokens: Int64
        public var rates: Rates

        public init(abovePromptTokens: Int64, rates: Rates) {
            self.abovePromptTokens = abovePromptTokens
            self.rates = rates
        }
    }

    /// Prices of another service tier: its rates replace all token prices, tiers by prompt size included.
    public struct ServiceTier: Sendable, Hashable {
        /// The name in answers: `flex`, `priority`, `batch`.
        public var name: String
        public var rates: Rates
        public var tiers: [Tier]

        public init(name: String, rates: Rates, tiers: [Tier] = []) {
            self.name = name
            self.rates = rates
            self.tiers = tiers.sorted { $0.abovePromptTokens < $1.abovePromptTokens }
        }
    }

    public var basis: Basis
    public var rates: Rates
    /// Ascending by `abovePromptTokens`; the last one that applies wins.
    public var tiers: [Tier]
    /// By name. A tier that is not listed costs the same as the base row.
    public var serviceTiers: [ServiceTier]
    /// USD per image, per request, per web search (or search unit of a reranker).
    public var image: FemtoUSD
    public var request: FemtoUSD
    public var search: FemtoUSD
    /// USD per character of text that is spoken.
    public var character: FemtoUSD
    /// USD per second of transcribed audio; charged by the millisecond.
    public var audioSecond: FemtoUSD
    /// Pictures in the prompt, and images by size and quality; nil for almost every model.
    public var pictures: PicturePrices?

    public init(
        basis: Basis = .metered, rates: Rates, tiers: [Tier] = [], serviceTiers: [ServiceTier] = [], image: FemtoUSD = .zero,
        request: FemtoUSD = .zero, search: FemtoUSD = .zero, character: FemtoUSD = .zero, audioSecond: FemtoUSD = .zero,
        pictures: PicturePrices? = nil
    ) {
        self.pictures = pictures
        self.basis = basis
        self.rates = rates
        self.tiers = tiers.sorted { $0.abovePromptTokens < $1.abovePromptTokens }
        self.serviceTiers = serviceTiers.sorted { $0.name < $1.name }
        self.image = image
        self.request = request
        self.search = search
        self.character = character
        self.audioSecond = audioSecond
    }

    /// Whether tokens have a price, so that they must be counted when the vendor does not report them.
    public var isTokenPriced: Bool {
        allRates(promptTokens: .max, serviceTiers).contains { $0.dearestInput > .zero || $0.dearestOutput > .zero }
    }

    /// Whether anything has a price, or the vendor's reported cost is charged.
    public var isCharged: Bool {
        basis == .upstreamCost || isTokenPriced || [image, request, search, character, audioSecond].contains { $0 > .zero }
            || pictures?.sizes.contains { $0.price > .zero } == true
    }

    /// Whether a web search has a price, or nothing at all is charged.
    public var pricesSearch: Bool { search > .zero || basis == .upstreamCost || !isCharged }

    public static let free = ModelPrice(rates: Rates(input: .zero, output: .zero))
    public static let upstreamCost = ModelPrice(basis: .upstreamCost, rates: Rates(input: .zero, output: .zero))

    /// The price with that of an image of this size and quality; nil = the vendor's default.
    public func ofPicture(size: String?, quality: String?) -> ModelPrice {
        guard let pictures, !pictures.sizes.isEmpty else { return self }
        var price = self
        price.image = pictures.price(size: size, quality: quality, usual: image)
        return price
    }

    /// The rates for a prompt of this size. - Parameter serviceTier: the tier that served it; nil = the usual one.
    public func rates(promptTokens: Int64, serviceTier: String? = nil) -> Rates {
        if let serviceTier, let tier = serviceTiers.first(where: { $0.name == serviceTier }) {
            return tier.tiers.last { promptTokens > $0.abovePromptTokens }?.rates ?? tier.rates
        }
        return tiers.last { promptTokens > $0.abovePromptTokens }?.rates ?? rates
    }

    /// All rates that can apply to a prompt of at most this size.
    func allRates(promptTokens: Int64, _ services: [ServiceTier]) -> [Rates] {
        func rates(_ base: Rates, _ tiers: [Tier]) -> [Rates] {
            [base] + tiers.filter { promptTokens > $0.abovePromptTokens }.map(\.rates)
        }
        return rates(self.rates, tiers) + services.flatMap { rates($0.rates, $0.tiers) }
    }

    /// The service tiers that may serve a request that asks for `asked`: a vendor that cannot provide the requested tier may fall back to
    /// the usual one, `auto` leaves the choice to the vendor, and a synchronous request is never served as a batch.
    func serviceTiers(asked: String?) -> [ServiceTier] {
        guard let asked else { return [] }
        return serviceTiers.filter { asked == "auto" ? $0.name != "batch" : $0.name == asked }
    }
}

/// A price as one request uses it; the row's version is stored with the transaction.
public struct PriceQuote: Sendable, Hashable {
    public var price: ModelPrice
    public var ratio: PriceRatio
    /// `model_pricing.version`; 0 for a model that is free because of `unknown_price: free`.
    public var version: Int64
    /// The service tier that the request asks for.
    public var askedTier: String?
    /// Searches that are charged even where the vendor does not report them.
    public var leastSearches: Int64 = 0
    /// The charge is never below the cost that the vendor reports, because the price is that of only one of several hosts that may answer.
    public var coversReportedCost = false
    /// The most that may be charged: the request's hold in strict admission. nil = no limit.
    public var ceiling: NanoUSD?

    public init(price: ModelPrice, ratio: PriceRatio, version: Int64, askedTier: String? = nil, ceiling: NanoUSD? = nil) {
        self.askedTier = askedTier
        self.ceiling = ceiling
        self.price = price
        self.ratio = ratio
        self.version = version
    }
}
