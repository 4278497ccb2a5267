import RouterCore

/// A request that has been read, with its plan.
final class PlannedRequest: Sendable {
    let envelope: RequestEnvelope
    let planned: Planned
    init(envelope: RequestEnvelope, planned: Planned) {
        self.envelope = envelope
        self.planned = planned
    }
}
