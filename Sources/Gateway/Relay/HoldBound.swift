import Config
import RouterCore

/// The most that a request can cost, over all candidates that may serve it.
struct HoldBound {
    let candidates: [PricedCandidate]
    let envelope: RequestEnvelope
    let metering: GatewayConfiguration.Metering
    /// The bound from strict admission; nil = the holds are estimates.
    let strict: StrictBound?
    /// Searches that the request asks of the vendor.
    var searches: Int64 = 0

    /// The limit on completion tokens that strict admission starts from: the client's, the models', or else the configured default.
    var strictOutput: Int64 {
        let models = candidates.compactMap(\.maxOutputTokens)
        return max(1, [envelope.maxOutputTokens, models.min()].compactMap { $0 }.min() ?? metering.defaultHoldOutputTokens)
    }

    /// - Parameter output: completion tokens per choice; nil = the estimate of standard admission.
    func amount(output: Int64?) throws -> NanoUSD {
        var hold = NanoUSD.zero
        for candidate in candidates {
            let bound = envelope.bound(
                strict: strict, outputTokens: Int64(clamping: Int128(output ?? estimate(candidate)) + Int128(thoughtsBeyond(candidate))),
                contextLength: candidate.contextLength, searches: searches, model: candidate.route.upstreamModel)
            do {
                hold = max(hold, try candidate.quote.worstCase(bound, upstreamCostFallback: metering.upstreamCostHold))
            } catch {
                throw APIError.badRequest("the worst case of this request costs more than can be expressed", param: nil)
            }
        }
        return hold
    }

    /// Reasoning tokens that the vendor does not count towards the output limit; 0 where it does count them.
    private func thoughtsBeyond(_ candidate: PricedCandidate) -> Int64 {
        let most = candidate.route.channel.provider.billing.thinkingBeyondLimit
        guard strict != nil, most > 0, envelope.endpoint.hasOutputBound, candidate.route.mayThink(envelope) else { return 0 }
        return most
    }

    private func estimate(_ candidate: PricedCandidate) -> Int64 {
        return [envelope.maxOutputTokens, candidate.maxOutputTokens, metering.defaultHoldOutputTokens].compactMap { $0 }.min() ?? 0
    }

    /// The largest number of completion tokens whose worst case fits; nil when not even one does.
    func output(affordableWith available: NanoUSD, below: Int64) throws -> Int64? {
        var low: Int64 = 0
        var high = below
        while low + 1 < high {
            let middle = low + (high - low) / 2
            if try amount(output: middle) <= available { low = middle } else { high = middle }
        }
        return low == 0 ? nil : low
    }
}
