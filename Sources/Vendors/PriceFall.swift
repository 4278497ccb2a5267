import RouterCore

/// The guard against lists that are wrong: a figure of ten times less, or of nothing, is more often a mistake than an offer, and it would
/// be charged at once.
enum PriceFall {
    private static let factor: Int128 = 10

    /// Whether some figure falls to a tenth or less, for whatever length of prompt and service tier. A model that was free, or charged by
    /// the vendor's reported cost, cannot fall.
    static func isTooFar(from old: ModelPrice, to new: ModelPrice) -> Bool {
        guard old.basis == .metered, new.basis == .metered else { return old.isCharged && !new.isCharged }
        if zip(units(old), units(new)).contains(where: isTooFar) { return true }
        let services: [String?] = [nil] + old.serviceTiers.map(\.name)
        let tiers = [old, new].flatMap { $0.tiers + $0.serviceTiers.flatMap(\.tiers) }
        return Set([0] + tiers.map { $0.abovePromptTokens + 1 }).contains { tokens in
            services.contains { service in
                isTooFar(
                    from: old.rates(promptTokens: tokens, serviceTier: service), to: new.rates(promptTokens: tokens, serviceTier: service))
            }
        }
    }

    /// A price that a row does not name cannot fall: many lists add a price for cached tokens later, usually a tenth of the input price.
    private static func isTooFar(from old: ModelPrice.Rates, to new: ModelPrice.Rates) -> Bool {
        let write = new.cacheWrite5m ?? new.input
        let pairs: [(FemtoUSD?, FemtoUSD)] = [
            (old.input, new.input), (old.output, new.output), (old.cacheRead, new.cacheRead ?? new.input), (old.cacheWrite5m, write),
            (old.cacheWrite1h, new.cacheWrite1h ?? write), (old.reasoning, new.reasoning ?? new.output),
            (old.audioInput, new.audioInput ?? new.input), (old.audioOutput, new.audioOutput ?? new.output),
        ]
        return pairs.contains { before, after in before.map { isTooFar($0, after) } ?? false }
    }

    private static func isTooFar(_ before: FemtoUSD, _ after: FemtoUSD) -> Bool {
        before > .zero && Int128(after.femtos) * factor <= Int128(before.femtos)
    }

    private static func units(_ price: ModelPrice) -> [FemtoUSD] {
        [price.image, price.request, price.search, price.character, price.audioSecond]
    }
}
