import Config
import RouterCore
import Storage

/// Step 4: the price and the hold. Nothing is asked of a vendor before the worst case fits into the balance and the budgets, and the hold is in
/// the journal.
///
/// `standard` admission holds an estimate. `strict` holds an upper bound, and where the balance does not cover it lowers the request's
/// `max_tokens` to what the balance affords, so that a balance never goes below zero.
struct Admit: Sendable {
    let services: GatewayServices

    func run(_ accepted: Accepted, _ question: PlannedRequest) async throws -> Admission {
        let priced = priced(accepted, question)
        guard let first = priced.first else { throw APIError.priceMissing(question.envelope.model) }
        let metering = accepted.snapshot.configuration.metering
        guard metering.admission == .strict, question.envelope.endpoint.hasOutputBound else {
            let admission = try standard(accepted, question, priced, first)
            try await take(admission.hold, accepted)
            return admission
        }
        try Self.refuseStoredContext(question.envelope)
        let bound = HoldBound(candidates: priced, envelope: question.envelope, metering: metering)
        return try await strict(accepted, question.envelope, question.planned, priced, bound)
    }

    /// What lies with the vendor is part of the prompt and of its price, and nobody here knows how long it is.
    private static func refuseStoredContext(_ envelope: RequestEnvelope) throws(APIError) {
        guard envelope.endpoint == .responses else { return }
        for (name, member) in [
            ("previous_response_id", envelope.member("previous_response_id")), ("conversation", envelope.member("conversation")),
            ("prompt", envelope.member("prompt")),
        ] where member.map({ $0.kind != .null }) ?? false {
            throw APIError.badRequest("'\(name)' cannot be used with strict admission (metering.admission): send the whole input", param: name)
        }
    }

    private func priced(_ accepted: Accepted, _ question: PlannedRequest) -> [PricedCandidate] {
        question.planned.candidates.compactMap { candidate in
            services.prices.offer(
                candidate.channel, candidate.model, candidate.upstreamModel, accepted.snapshot, group: accepted.principal.group
            ).map { offer in
                var quote = offer.quote
                quote.askedTier = candidate.channel.provider.request.serviceTier(asked: question.envelope.serviceTier)
                return PricedCandidate(route: candidate, quote: quote, maxOutputTokens: offer.maxOutputTokens)
            }
        }
    }

    /// With the estimate as its hold, which is still to be taken. Apart from what waits, as ``RelayEndpoint`` has it.
    @inline(never)
    private func standard(
        _ accepted: Accepted, _ question: PlannedRequest, _ priced: [PricedCandidate], _ first: PricedCandidate
    ) throws -> Admission {
        let bound = HoldBound(candidates: priced, envelope: question.envelope, metering: accepted.snapshot.configuration.metering)
        let hold = try record(accepted, question.envelope, first, amount: try bound.amount(output: nil))
        return Admission(accepted: accepted, envelope: question.envelope, planned: question.planned, candidates: priced, hold: hold)
    }

    /// Tries what was asked for, then what the balance affords. A balance that moves between the look and the hold is looked at again.
    private func strict(
        _ accepted: Accepted, _ envelope: RequestEnvelope, _ planned: Planned, _ priced: [PricedCandidate], _ bound: HoldBound
    ) async throws -> Admission {
        let asked = bound.strictOutput
        var output = asked
        for isLastTry in [false, false, true] {
            let hold = try record(accepted, envelope, priced[0], amount: try bound.amount(output: output))
            // The vendor has to know the bound, or it is none. Made before the hold, so that nothing can fail between the hold and its end.
            let bounded = try bounding(envelope, output)
            do {
                try await take(hold, accepted)
            } catch let error as InsufficientBalance {
                guard !isLastTry, let affordable = try bound.output(affordableWith: error.available, below: output) else {
                    throw error.answer
                }
                output = affordable
                continue
            }
            return Admission(
                accepted: accepted, envelope: bounded, planned: planned, candidates: priced, hold: hold,
                loweredOutput: output < envelope.maxOutputTokens ?? asked ? output : nil)
        }
        throw APIError.internalError()
    }

    private func bounding(_ envelope: RequestEnvelope, _ output: Int64) throws -> RequestEnvelope {
        guard envelope.maxOutputTokens != output else { return envelope }
        do {
            return try envelope.limitingOutput(to: output)
        } catch {
            throw APIError.badRequest(error.message, param: error.param)
        }
    }

    private func record(
        _ accepted: Accepted, _ envelope: RequestEnvelope, _ first: PricedCandidate, amount: NanoUSD
    ) throws -> HoldRecord {
        let prompt = envelope.estimatedUsage(AnswerProgress(), price: first.quote.price)
        return HoldRecord(
            requestID: accepted.requestID, userID: accepted.principal.userID, tokenID: accepted.principal.tokenID,
            amount: amount, model: envelope.model, endpoint: accepted.endpoint, isStream: envelope.isStream,
            promptTokens: envelope.prompt.tokens, promptCharge: (try? first.quote.charge(for: prompt)) ?? amount,
            pricingVersion: first.quote.version, clientIP: accepted.clientIP, createdAt: accepted.createdAt)
    }

    /// The balance does not cover a hold; shown to the client as 402.
    private struct InsufficientBalance: Error {
        var available: NanoUSD
        var answer: APIError
    }

    private func take(_ hold: HoldRecord, _ accepted: Accepted) async throws {
        let metering = accepted.snapshot.configuration.metering
        do {
            try await services.meter.hold(hold, limits: accepted.principal.budgets, wait: metering.balanceWait)
        } catch let refusal as AccountBook.Refusal {
            switch refusal {
            case .insufficient(let needed, let available):
                let answer = APIError.insufficientBalance(needed: needed, available: available)
                guard metering.admission == .strict else { throw answer }
                throw InsufficientBalance(available: available, answer: answer)
            case .overBudget(let limit, let needed, let available):
                throw APIError.overBudget(limit, needed: needed, available: available, at: accepted.createdAt)
            case .noLease, .unknownSpending:
                throw APIError.unavailable("The gateway's books cannot be read at the moment; try again.")
            }
        } catch MeterError.unknownUser {
            throw APIError.invalidKey("The user of this API key no longer exists.")
        } catch StoreError.journalFull {
            throw APIError.unavailable("The ledger cannot be reached and the gateway's journal is full; try again later.")
        } catch StoreError.fenced {
            throw APIError.unavailable("Another gateway runs with this gateway's identity; this one does not serve.")
        }
    }
}

/// What a request can cost at most, over all candidates that may serve it.
private struct HoldBound {
    let candidates: [PricedCandidate]
    let envelope: RequestEnvelope
    let metering: GatewayConfiguration.Metering

    /// The bound on completion tokens that strict admission starts from: the client's, the models', else the configured default.
    var strictOutput: Int64 {
        let models = candidates.compactMap(\.maxOutputTokens)
        return max(1, [envelope.maxOutputTokens, models.min()].compactMap { $0 }.min() ?? metering.defaultHoldOutputTokens)
    }

    /// - Parameter output: completion tokens per choice; nil = the estimate of standard admission.
    func amount(output: Int64?) throws -> NanoUSD {
        var hold = NanoUSD.zero
        for candidate in candidates {
            let bound = envelope.bound(isStrict: metering.admission == .strict, outputTokens: output ?? estimate(candidate))
            do {
                hold = max(hold, try candidate.quote.worstCase(bound, upstreamCostFallback: metering.upstreamCostHold))
            } catch {
                throw APIError.badRequest("the worst case of this request costs more than can be expressed", param: nil)
            }
        }
        return hold
    }

    private func estimate(_ candidate: PricedCandidate) -> Int64 {
        return [envelope.maxOutputTokens, candidate.maxOutputTokens, metering.defaultHoldOutputTokens].compactMap { $0 }.min() ?? 0
    }

    /// The most completion tokens whose worst case fits; nil when not even one does.
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

final class PricedCandidate: Sendable {
    let route: RouteCandidate
    let quote: PriceQuote
    /// Of the model, as the price table says.
    let maxOutputTokens: Int64?

    init(route: RouteCandidate, quote: PriceQuote, maxOutputTokens: Int64?) {
        self.route = route
        self.quote = quote
        self.maxOutputTokens = maxOutputTokens
    }

    /// The same with another key of the channel.
    func with(_ route: RouteCandidate) -> PricedCandidate {
        route.keyIndex == self.route.keyIndex ? self : PricedCandidate(route: route, quote: quote, maxOutputTokens: maxOutputTokens)
    }
}

/// A request whose hold stands.
final class Admission: Sendable {
    let accepted: Accepted
    let envelope: RequestEnvelope
    let planned: Planned
    /// Those of the plan that have a price, in its order.
    let candidates: [PricedCandidate]
    let hold: HoldRecord
    /// What strict admission lowered `max_tokens` to; nil when it did not.
    let loweredOutput: Int64?

    init(
        accepted: Accepted, envelope: RequestEnvelope, planned: Planned, candidates: [PricedCandidate], hold: HoldRecord,
        loweredOutput: Int64? = nil
    ) {
        self.accepted = accepted
        self.envelope = envelope
        self.planned = planned
        self.candidates = candidates
        self.hold = hold
        self.loweredOutput = loweredOutput
    }
}
