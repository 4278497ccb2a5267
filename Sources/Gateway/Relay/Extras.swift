import RouterCore

/// What a request asks for that is billed in other units than its endpoint's: searches, tools that the vendor runs, dearer modes, betas.
/// Each has a price, or stays out and is named in a header of the answer, or (where the request insists) is refused.
struct Extras: Sendable {
    /// The request without what stays out; nil = as it came.
    var envelope: RequestEnvelope?
    /// Searches that are held.
    var searches: Int64 = 0
    /// Anthropic's betas that go on.
    var betas = ""
    /// Told in `X-Tools-Left-Out` and `X-Betas-Left-Out`.
    var toolsLeftOut: [String] = []
    var betasLeftOut: [String] = []

    /// The usual way of a request that asks for nothing of the kind: a look at a few names.
    /// - Parameter priced: candidates; those without a price for the service tier that was asked for are taken out.
    /// - Throws: ``APIError`` 400 for an extra that the request insists on and that has no price.
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

    /// Strict admission, which has refused the rest: tiers and betas only.
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
