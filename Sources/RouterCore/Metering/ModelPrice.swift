/// Prices of one model, per unit, as an immutable value. A missing price means "like its base price":
/// cache reads and writes and audio input like input, reasoning and audio output like output; image, request and search prices are
/// zero when missing because the tokens of images are inside the prompt. Each price is for its own unit and they add up: a row of an image
/// or audio model gives either token prices or the price of a picture, character or second.
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

    public var basis: Basis
    public var rates: Rates
    /// Ascending by `abovePromptTokens`; the last one that applies wins.
    public var tiers: [Tier]
    /// USD per image, per request, per web search (or search unit of a reranker).
    public var image: FemtoUSD
    public var request: FemtoUSD
    public var search: FemtoUSD
    /// USD per character that is spoken.
    public var character: FemtoUSD
    /// USD per second of sound that is listened to; charged by the millisecond.
    public var audioSecond: FemtoUSD

    public init(
        basis: Basis = .metered, rates: Rates, tiers: [Tier] = [], image: FemtoUSD = .zero,
        request: FemtoUSD = .zero, search: FemtoUSD = .zero, character: FemtoUSD = .zero, audioSecond: FemtoUSD = .zero
    ) {
        self.basis = basis
        self.rates = rates
        self.tiers = tiers.sorted { $0.abovePromptTokens < $1.abovePromptTokens }
        self.image = image
        self.request = request
        self.search = search
        self.character = character
        self.audioSecond = audioSecond
    }

    /// Tokens cost something, so that they have to be counted when the vendor does not tell them.
    public var isTokenPriced: Bool {
        ([rates] + tiers.map(\.rates)).contains { $0.dearestInput > .zero || $0.dearestOutput > .zero }
    }

    public static let free = ModelPrice(rates: Rates(input: .zero, output: .zero))
    public static let upstreamCost = ModelPrice(basis: .upstreamCost, rates: Rates(input: .zero, output: .zero))

    /// The rates for a prompt of this size.
    public func rates(promptTokens: Int64) -> Rates {
        tiers.last { promptTokens > $0.abovePromptTokens }?.rates ?? rates
    }
}

/// A price as one request uses it: the row's version is written on the transaction.
public struct PriceQuote: Sendable, Hashable {
    public var price: ModelPrice
    public var ratio: PriceRatio
    /// `model_pricing.version`; 0 for a model that is free by `unknown_price: free`.
    public var version: Int64

    public init(price: ModelPrice, ratio: PriceRatio, version: Int64) {
        self.price = price
        self.ratio = ratio
        self.version = version
    }
}
