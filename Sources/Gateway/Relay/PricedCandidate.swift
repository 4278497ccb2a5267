import RouterCore

/// A channel of the plan, with the price for its answers.
final class PricedCandidate: Sendable {
    let route: RouteCandidate
    let quote: PriceQuote
    /// Maximum output of the model according to the price table.
    let maxOutputTokens: Int64?
    let contextLength: Int64?

    init(route: RouteCandidate, quote: PriceQuote, maxOutputTokens: Int64?, contextLength: Int64?) {
        self.route = route
        self.quote = quote
        self.maxOutputTokens = maxOutputTokens
        self.contextLength = contextLength
    }

    /// The same, with a minimum number of searches to charge.
    func searching(atLeast count: Int64) -> PricedCandidate {
        var quote = quote
        quote.leastSearches = count
        return PricedCandidate(route: route, quote: quote, maxOutputTokens: maxOutputTokens, contextLength: contextLength)
    }

    /// The same, with another key of the channel or on a fresh connection.
    func with(_ route: RouteCandidate) -> PricedCandidate {
        guard route.keyIndex != self.route.keyIndex || route.needsNewConnection != self.route.needsNewConnection else { return self }
        return PricedCandidate(route: route, quote: quote, maxOutputTokens: maxOutputTokens, contextLength: contextLength)
    }
}
