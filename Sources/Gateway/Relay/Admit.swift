import Config
import GatewayState
import Metering
import RouterCore

/// Step 4: the price and the hold. No vendor is asked before the worst case fits into the balance and the budgets, and the hold is in the
/// journal.
///
/// `standard` admission holds an estimate. `strict` holds an upper bound; where the balance does not cover it, the request's `max_tokens`
/// is lowered to what the balance affords, so that a balance never goes below zero.
struct Admit: Sendable {
    let meter: Meter

    func run(_ accepted: Accepted, _ question: PlannedRequest) async throws -> Admission {
        var priced = priced(accepted, question)
        guard !priced.isEmpty else { throw APIError.priceMissing(question.envelope.model, question.envelope.endpoint) }
        let metering = accepted.snapshot.configuration.metering
        let strict = metering.admission == .strict ? try Self.strictBound(question.envelope, metering, &priced) : nil
        let extras =
            strict == nil
            ? try Extras(accepted, question.envelope, &priced) : try Extras(strict: accepted, question.envelope, &priced)
        var envelope = extras.envelope ?? question.envelope
        // The part of the conversation that a vendor has kept is read again, and billed.
        if let carried = question.planned.state?.carriedTokens, carried > 0 { envelope = envelope.carrying(tokens: carried) }
        let bound = HoldBound(
            candidates: priced, envelope: envelope, metering: metering, strict: strict,
            searches: extras.searches)
        guard strict != nil, question.envelope.endpoint.hasOutputBound else {
            let admission = try flat(accepted, question.planned, bound, extras)
            try await take(admission.hold, accepted)
            return admission
        }
        return try await lowering(accepted, question.planned, bound, extras)
    }

    /// The same without a hold, for a request whose hold is not one of the journal. Not for strict admission, which bounds nothing that a
    /// vendor does later.
    func estimate(_ accepted: Accepted, _ question: PlannedRequest) throws -> Admission {
        var priced = priced(accepted, question)
        guard !priced.isEmpty else { throw APIError.priceMissing(question.envelope.model, question.envelope.endpoint) }
        let extras = try Extras(accepted, question.envelope, &priced)
        var envelope = extras.envelope ?? question.envelope
        if let carried = question.planned.state?.carriedTokens, carried > 0 { envelope = envelope.carrying(tokens: carried) }
        let bound = HoldBound(
            candidates: priced, envelope: envelope, metering: accepted.snapshot.configuration.metering, strict: nil,
            searches: extras.searches)
        return try flat(accepted, question.planned, bound, extras)
    }

    /// The bound on what the request can make a vendor count. Candidates whose price has no bound are left out.
    @inline(never)
    private static func strictBound(
        _ envelope: RequestEnvelope, _ metering: GatewayConfiguration.Metering, _ priced: inout [PricedCandidate]
    ) throws -> StrictBound {
        // The audio made from a text has no bound in tokens: instructions may slow the voice down. Nor have pictures that are to be edited.
        priced.removeAll {
            $0.quote.price.basis == .upstreamCost || !envelope.endpoint.boundsTokens && $0.quote.price.isTokenPriced
        }
        do throws(RequestEnvelope.Rejection) {
            guard !priced.isEmpty else {
                throw StrictBound.rejection(
                    "model",
                    "names a model that is charged by what the vendor reports afterwards (its own cost, or tokens of a voice or of pictures)"
                )
            }
            return try StrictBound(envelope, allowing: metering.strictFields)
        } catch {
            throw APIError.badRequest(error.message, param: error.param)
        }
    }

    private func priced(_ accepted: Accepted, _ question: PlannedRequest) -> [PricedCandidate] {
        question.planned.candidates.compactMap { candidate in
            accepted.snapshot.offer(
                candidate.channel, model: candidate.model, upstream: candidate.upstreamModel, group: accepted.principal.group
            ).map { offer in
                var quote = offer.quote
                if quote.price.pictures != nil {
                    quote.price = quote.price.ofPicture(size: question.envelope.media.size, quality: question.envelope.media.quality)
                }
                quote.askedTier = candidate.channel.provider.request.serviceTier(asked: question.envelope.serviceTier)
                return PricedCandidate(
                    route: candidate, quote: quote, maxOutputTokens: offer.maxOutputTokens, contextLength: offer.contextLength)
            }
        }
    }

    /// Admission with one hold, which is still to be taken. Kept separate from the code that waits, for the reason given in
    /// ``RelayPipeline``.
    @inline(never)
    private func flat(_ accepted: Accepted, _ planned: Planned, _ bound: HoldBound, _ extras: Extras) throws -> Admission {
        let hold = try record(accepted, bound.envelope, bound.candidates[0], amount: try bound.amount(output: nil))
        return Admission(
            accepted: accepted, envelope: bound.envelope, planned: planned, candidates: bound.candidates, hold: hold, extras: extras)
    }

    /// Tries the requested output, then what the balance affords. If the balance changes between the check and the hold, it is checked
    /// again.
    private func lowering(
        _ accepted: Accepted, _ planned: Planned, _ bound: HoldBound, _ extras: Extras
    ) async throws -> Admission {
        let priced = bound.candidates
        let envelope = bound.envelope
        let asked = bound.strictOutput
        var output = asked
        for isLastTry in [false, false, true] {
            let hold = try record(accepted, envelope, priced[0], amount: try bound.amount(output: output))
            // Only a limit that the vendor knows is a limit. The body is made before the hold, so that nothing can fail between the hold
            // and its end.
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
                accepted: accepted, envelope: bounded, planned: planned, candidates: priced, hold: hold, extras: extras,
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
        let prompt = envelope.handedOverUsage(price: first.quote.price)
        return HoldRecord(
            requestID: accepted.requestID, userID: accepted.principal.userID, tokenID: accepted.principal.tokenID,
            amount: amount, model: envelope.model, endpoint: accepted.endpoint, isStream: envelope.isStream,
            promptTokens: envelope.prompt.tokens, promptCharge: (try? first.quote.charge(for: prompt)) ?? amount,
            pricingVersion: first.quote.version, ratio: first.quote.ratio,
            ceiling: accepted.snapshot.configuration.metering.admission == .strict ? amount : nil, clientIP: accepted.clientIP,
            createdAt: accepted.createdAt, accountID: accepted.principal.accountID)
    }

    /// The balance does not cover a hold; the client gets a 402.
    private struct InsufficientBalance: Error {
        var available: NanoUSD
        var answer: APIError
    }

    private func take(_ hold: HoldRecord, _ accepted: Accepted) async throws {
        let metering = accepted.snapshot.configuration.metering
        do {
            try await meter.hold(
                hold, floor: metering.overdraftFloor, limits: accepted.principal.budgets, wait: metering.balanceWait)
        } catch AccountBook.Refusal.insufficient(let needed, let available) where metering.admission == .strict {
            throw InsufficientBalance(
                available: available, answer: APIError.insufficientBalance(needed: needed, available: available))
        } catch {
            throw Self.refusal(error, at: accepted.createdAt)
        }
    }

    /// The answer to a client whose hold could not be taken.
    /// - Parameter createdAt: Unix seconds of the request.
    static func refusal(_ error: any Error, at createdAt: Int64) -> any Error {
        switch error {
        case AccountBook.Refusal.insufficient(let needed, let available):
            return APIError.insufficientBalance(needed: needed, available: available)
        case AccountBook.Refusal.overBudget(let limit, let needed, let available):
            return APIError.overBudget(limit, needed: needed, available: available, at: createdAt)
        case is AccountBook.Refusal: return APIError.unavailable("The gateway's books cannot be read at the moment; try again.")
        case MeterError.unknownUser: return APIError.invalidKey("The user of this API key no longer exists.")
        default: break
        }
        switch BooksFailure(error) {
        case .journalFull:
            return APIError.unavailable("The ledger cannot be reached and the gateway's journal is full; try again later.")
        case .fenced:
            return APIError.unavailable(
                "This gateway has lost its place at the ledger and takes no calls; GET /health/ready says why. Try again, or ask another gateway."
            )
        case .database, nil: return error
        }
    }
}
