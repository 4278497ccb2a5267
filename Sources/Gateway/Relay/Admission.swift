import RouterCore

/// A request whose hold stands.
final class Admission: Sendable {
    let accepted: Accepted
    let envelope: RequestEnvelope
    let planned: Planned
    /// Those of the plan that have a price, in its order.
    let candidates: [PricedCandidate]
    let hold: HoldRecord
    /// How a candidate's answer is charged: what the client is shown and what is booked both come from this.
    func quote(_ candidate: PricedCandidate) -> PriceQuote {
        guard let ceiling = hold.ceiling else { return candidate.quote }
        var quote = candidate.quote
        quote.ceiling = ceiling
        return quote
    }

    /// What the request asked for beyond tokens, and what of it stayed out.
    let extras: Extras
    /// What strict admission lowered `max_tokens` to; nil when it did not.
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
