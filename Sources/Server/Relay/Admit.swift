import Config
import RouterCore
import Storage

/// Step 4: the price and the hold. Nothing is asked of a vendor before the worst case fits into the balance and the
/// hold is in the journal.
struct Admit: Sendable {
    let services: GatewayServices

    func run(
        _ accepted: Accepted, _ envelope: RequestEnvelope, _ planned: Planned
    ) async throws -> Admission {
        let metering = accepted.snapshot.configuration.metering
        var priced: [PricedCandidate] = []
        var hold = NanoUSD.zero
        for candidate in planned.candidates {
            let quote = services.prices.quote(
                candidate.channel, candidate.model, candidate.upstreamModel, accepted.snapshot,
                group: accepted.principal.group)
            guard let quote else { continue }
            hold = max(hold, try worstCase(quote, envelope, candidate, metering))
            priced.append(PricedCandidate(route: candidate, quote: quote))
        }
        guard let first = priced.first else { throw APIError.priceMissing(envelope.model) }

        let prompt = Usage(uncachedInput: envelope.prompt.tokens)
        let record = HoldRecord(
            requestID: accepted.requestID, userID: accepted.principal.userID, tokenID: accepted.principal.tokenID,
            amount: hold, model: envelope.model, endpoint: accepted.endpoint, isStream: envelope.isStream,
            promptTokens: envelope.prompt.tokens, promptCharge: (try? first.quote.charge(for: prompt)) ?? hold,
            pricingVersion: first.quote.version, clientIP: accepted.clientIP, createdAt: accepted.createdAt)
        do {
            try await services.meter.hold(record)
        } catch let refusal as AccountBook.Refusal {
            switch refusal {
            case .insufficient(let needed, let available):
                throw APIError.insufficientBalance(needed: needed, available: available)
            case .unknownUser:
                throw APIError.invalidKey("The user of this API key no longer exists.")
            }
        }
        return Admission(accepted: accepted, envelope: envelope, planned: planned, candidates: priced, hold: record)
    }

    private func worstCase(
        _ quote: PriceQuote, _ envelope: RequestEnvelope, _ candidate: RouteCandidate,
        _ metering: GatewayConfiguration.Metering
    ) throws -> NanoUSD {
        let isStrict = metering.admission == .strict
        let modelMaximum = services.prices.row(candidate.model)?.maxOutputTokens
        var output = [envelope.maxOutputTokens, modelMaximum].compactMap { $0 }.min()
        if !isStrict || output == nil { output = min(output ?? .max, metering.defaultHoldOutputTokens) }
        if envelope.endpoint == .embeddings { output = 0 }
        let bound = UsageBound(
            promptTokens: isStrict ? envelope.prompt.upperBound : envelope.prompt.tokens,
            outputTokens: output ?? 0, choices: envelope.choices, images: envelope.prompt.images)
        do {
            return try quote.worstCase(bound, upstreamCostFallback: metering.upstreamCostHold)
        } catch {
            throw APIError.badRequest("the worst case of this request costs more than can be expressed", param: nil)
        }
    }
}

struct PricedCandidate: Sendable {
    var route: RouteCandidate
    var quote: PriceQuote
}

/// A request whose hold stands.
struct Admission: Sendable {
    var accepted: Accepted
    var envelope: RequestEnvelope
    var planned: Planned
    /// Those of the plan that have a price, in its order.
    var candidates: [PricedCandidate]
    var hold: HoldRecord
}
