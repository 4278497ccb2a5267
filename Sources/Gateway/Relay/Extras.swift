import RouterCore

/// The parts of a request that are billed in other units than its endpoint's: searches, tools that the vendor runs, dearer modes, betas.
/// Each has a price, or is left out and named in a response header, or (where the request requires it) causes a refusal.
struct Extras: Sendable {
    /// The request without the parts that were left out; nil = unchanged.
    var envelope: RequestEnvelope?
    /// Number of searches to hold.
    var searches: Int64 = 0
    /// Anthropic's betas that are passed on.
    var betas = ""
    /// Reported in `X-Tools-Left-Out` and `X-Betas-Left-Out`.
    var toolsLeftOut: [String] = []
    var betasLeftOut: [String] = []

    /// For standard admission. A request without extras costs only a check of a few names.
    /// - Parameter priced: candidates; those without a price for the requested service tier are removed.
    /// - Throws: ``APIError`` 400 for an extra that the request requires and that has no price.
    init(_ accepted: Accepted, _ envelope: RequestEnvelope, _ priced: inout [PricedCandidate]) throws {
        self.init(betasOf: accepted, priced)
        try Self.keepPricedTiers(envelope, &priced)
        let candidates = priced
        do throws(RequestEnvelope.Rejection) {
            let found = try RequestExtras(
                envelope, pricesSearch: candidates.allSatisfy { $0.quote.price.pricesSearch },
                pricesRequest: candidates.allSatisfy { $0.quote.price.request > .zero })
            guard let found else { return }
            self.envelope = found.envelope
            searches = found.searches
            toolsLeftOut = found.leftOut
            if found.leastSearches > 0 { priced = priced.map { $0.searching(atLeast: found.leastSearches) } }
        } catch {
            throw APIError.badRequest(error.message, param: error.param)
        }
    }

    /// For strict admission, which has already refused everything except tiers and betas.
    init(strict accepted: Accepted, _ envelope: RequestEnvelope, _ priced: inout [PricedCandidate]) throws {
        self.init(betasOf: accepted, priced)
        try Self.keepPricedTiers(envelope, &priced)
    }

    private init(betasOf accepted: Accepted, _ priced: [PricedCandidate]) {
        guard !accepted.betas.isEmpty else { return }
        (betas, betasLeftOut) = AnthropicBetas.split(
            accepted.betas, pricesLongContext: priced.allSatisfy { !$0.quote.price.tiers.isEmpty || !$0.quote.price.isCharged })
    }

    /// A tier that is dearer than the usual one must have a price of its own.
    private static func keepPricedTiers(_ envelope: RequestEnvelope, _ priced: inout [PricedCandidate]) throws {
        guard envelope.serviceTier != nil else { return }
        let all = priced.count
        priced.removeAll { candidate in
            guard let tier = candidate.quote.askedTier, !ServiceTier.isNeverDearer(tier) else { return false }
            let price = candidate.quote.price
            return price.isCharged && price.basis == .metered && !price.serviceTiers.contains { $0.name == tier }
        }
        if priced.isEmpty, all > 0 {
            throw APIError.badRequest(
                "service_tier '\(envelope.serviceTier ?? "")' has no price for this model here; leave it out, or use 'default' or 'auto'",
                param: "service_tier")
        }
    }
}
