/// The amount that a vendor bills us for a request, as far as it is known.
public struct VendorCost: Sendable, Hashable {
    public enum Source: String, Sendable, Hashable, CaseIterable {
        /// The vendor's answers say it.
        case reported
        /// Usage × the channel's cost price, for at least a part of it.
        case computed
    }

    public var amount: NanoUSD
    public var source: Source

    public init(_ amount: NanoUSD, _ source: Source) {
        self.amount = amount
        self.source = source
    }

    /// With another cost of the same request. The sum stays at the end of its range: it must not hold up a settlement.
    public func adding(_ other: VendorCost) -> VendorCost {
        let (sum, overflowed) = amount.nanos.addingReportingOverflow(other.amount.nanos)
        return VendorCost(NanoUSD(nanos: overflowed ? .max : sum), source == other.source ? source : .computed)
    }
}

/// The price that a vendor bills us for a model on a channel, with our factor on it.
public struct CostPrice: Sendable, Hashable {
    public var price: ModelPrice
    public var ratio: PriceRatio

    public init(_ price: ModelPrice, ratio: PriceRatio = .one) {
        self.price = price
        self.ratio = ratio
    }

    public static let free = CostPrice(.free)

    /// The cost of an answer, by the rules of its charge and rounded as it is, once and half up.
    /// - Parameter quote: the price that the answer is sold at, for the tier that was asked for and the searches that are counted at least.
    /// - Returns: nil for figures that are impossible, and where the vendor would have had to report its cost.
    func cost(of usage: Usage, soldAt quote: PriceQuote?) -> NanoUSD? {
        var own = PriceQuote(price: price, ratio: ratio, version: 0, askedTier: quote?.askedTier)
        own.leastSearches = quote?.leastSearches ?? 0
        return try? own.charge(for: usage)
    }
}

extension VendorCost {
    /// The cost of an answer: the vendor's own figure where it reports one.
    /// - Parameters:
    ///   - price: what it bills; nil = unknown.
    ///   - quote: the price that the answer is sold at; nil = nothing is known of the request beyond its usage.
    public static func of(_ usage: Usage, at price: @autoclosure () -> CostPrice?, soldAt quote: PriceQuote? = nil) -> VendorCost? {
        if let reported = usage.upstreamCost { return VendorCost(reported.roundedToNano, .reported) }
        return price()?.cost(of: usage, soldAt: quote).map { VendorCost($0, .computed) }
    }
}

extension RequestRecord {
    /// The cost of the request. Rows of an earlier version have what the vendor reported, or none.
    public var knownCost: VendorCost? {
        vendorCost ?? usage.upstreamCost.map { VendorCost($0.roundedToNano, .reported) }
    }

    /// The charge less the cost; nil where the cost is unknown, or the difference out of range.
    public var margin: NanoUSD? { knownCost.flatMap { try? (charge ?? .zero).subtracting($0.amount) } }
}

extension [AttemptRecord] {
    /// The cost of the attempts that failed, as far as it is known; nil = of none.
    public var costOfFailures: VendorCost? {
        var sum: VendorCost?
        for attempt in self {
            if let cost = attempt.cost { sum = sum?.adding(cost) ?? cost }
        }
        return sum
    }
}

// MARK: - The guard

extension PriceQuote {
    /// The first unit that is sold below its cost in a request of this size, by the name that it has in price lists; nil = none is, or the
    /// price or the cost is what the vendor reports.
    public func unitBelow(_ cost: CostPrice, promptTokens: Int64) -> String? {
        guard price.basis == .metered, cost.price.basis == .metered else { return nil }
        // Such a charge covers what the vendor reports.
        if coversReportedCost, ratio.millionths >= PriceRatio.one.millionths { return nil }
        func isBelow(_ unit: (name: String, sold: FemtoUSD, cost: FemtoUSD)) -> Bool {
            Int128(unit.sold.femtos) * Int128(ratio.millionths) < Int128(unit.cost.femtos) * Int128(cost.ratio.millionths)
        }
        // A vendor may serve a request in the usual tier whatever was asked for.
        for tier in askedTier == nil ? [nil] : [nil, askedTier] {
            let sold = price.rates(promptTokens: promptTokens, serviceTier: tier)
            let paid = cost.price.rates(promptTokens: promptTokens, serviceTier: tier)
            let rates = zip(sold.byUnit, paid.byUnit).map { ($0.name, $0.rate, $1.rate) }
            if let first = rates.first(where: isBelow) { return first.0 }
        }
        var units: [(String, FemtoUSD, FemtoUSD)] = [
            ("image", price.image, cost.price.image), ("request", price.request, cost.price.request),
            ("character", price.character, cost.price.character), ("audio_second", price.audioSecond, cost.price.audioSecond),
        ]
        // A search without a price is left out of the request.
        if price.search > .zero || !price.isCharged { units.append(("search", price.search, cost.price.search)) }
        if let pictures = cost.price.pictures?.input { units.append(("image_input", price.pictures?.input ?? price.rates.input, pictures)) }
        return units.first(where: isBelow)?.0
    }
}

extension ModelPrice.Rates {
    /// The price of a token of each kind, those included that have none of their own.
    fileprivate var byUnit: [(name: String, rate: FemtoUSD)] {
        [
            ("input", input), ("output", output), ("cache_read", cacheRead ?? input), ("cache_write", cacheWrite5m ?? input),
            ("cache_write_1h", cacheWrite1h ?? cacheWrite5m ?? input), ("reasoning", reasoning ?? output),
            ("audio_input", audioInput ?? input), ("audio_output", audioOutput ?? output),
        ]
    }
}

extension CostPrice {
    /// One number to order channels by: a token in and a token out, or where tokens cost nothing one of every other unit. The cost of
    /// what only the vendor can tell is nil.
    var rank: Int128? {
        guard price.basis == .metered else { return nil }
        let tokens = Int128(price.rates.input.femtos) + Int128(price.rates.output.femtos)
        let others = [price.image, price.request, price.search, price.character, price.audioSecond]
        return (tokens > 0 ? tokens : others.reduce(0) { $0 + Int128($1.femtos) }) * Int128(ratio.millionths)
    }
}
