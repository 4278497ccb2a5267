import HTTPTypes
import RouterCore

/// Step 3: which channels, in which order. The decision is pure (`RouterCore.Router.plan`); this step asks the question and
/// turns an empty plan into the answer that helps most.
struct Plan: Sendable {
    let services: GatewayServices

    func run(_ accepted: Accepted, _ envelope: RequestEnvelope) throws -> [RouteCandidate] {
        guard accepted.principal.allows(model: envelope.model) else { throw APIError.modelNotAllowed(envelope.model) }
        // The client's own fallback list comes after its first choice, in its order, each model once.
        var models = [envelope.model]
        for model in envelope.fallbackModels where !models.contains(model) && accepted.principal.allows(model: model) {
            models.append(model)
        }
        var candidates: [RouteCandidate] = []
        var first: RoutePlan?
        for model in models {
            let query = RouteQuery(model: model, group: accepted.principal.group, endpoint: accepted.endpoint)
            let plan = services.health.plan(query, accepted.snapshot)
            if first == nil { first = plan }
            candidates += plan.candidates
        }
        if candidates.isEmpty, let first { throw refusal(first, envelope.model, accepted.endpoint) }
        return candidates
    }

    private func refusal(_ plan: RoutePlan, _ model: String, _ endpoint: Endpoint) -> APIError {
        if let wait = plan.retryAfter {
            return .upstream(
                status: .serviceUnavailable,
                message: "every channel for model '\(model)' is cooling down after failures; try again later",
                retryAfter: wait)
        }
        let reasons = plan.dropped.map(\.reason)
        if reasons.contains(.endpointUnsupported) {
            return .badRequest("model '\(model)' is not served at the \(endpoint.rawValue) endpoint", param: "model")
        }
        let isOff = reasons.contains { reason in
            switch reason {
            case .notServed, .wrongGroup: false
            default: true
            }
        }
        guard plan.isModelKnown, isOff else { return .modelNotFound(model) }
        return .upstream(
            status: .serviceUnavailable, message: "no channel for model '\(model)' is available at the moment",
            retryAfter: nil)
    }
}
