import RouterCore

/// A request that has been admitted and has a hold.
final class Admission: Sendable {
    let accepted: Accepted
    let envelope: RequestEnvelope
    let planned: Planned
    /// The candidates of the plan that have a price, in its order.
    let candidates: [PricedCandidate]
    let hold: HoldRecord
    /// The price quote for a candidate's answer: both the cost shown to the client and the booked charge come from it.
    func quote(_ candidate: PricedCandidate) -> PriceQuote {
        guard let ceiling = hold.ceiling else { return candidate.quote }
        var quote = candidate.quote
        quote.ceiling = ceiling
        return quote
    }

    /// The parts of the request that cost more than tokens, and those that were left out.
    let extras: Extras
    /// The value to which strict admission lowered `max_tokens`; nil when it did not.
    let loweredOutput: Int64?

    init(
        accepted: Accepted, envelope: RequestEnvelope, planned: Planned, candidates: [PricedCandidate], hold: HoldRecord,
        extras: Extras, loweredOutput: Int64? = nil
    ) {
        self.extras = extras

        self.accepted = accepted
        self.envelope = envelope
        self.planned = planned
        self.candidates = candidates
        self.hold = hold
        self.loweredOutput = loweredOutput
    }
}
