import Config
import GatewayState
import HTTPTypes
import RouterCore

/// Step 3: chooses the channels and their order. The decision is pure (`RouterCore.Router.plan`); this step prepares its input and turns an
/// empty plan into the most helpful error.
struct Plan: Sendable {
    let health: HealthRegistry

    /// Candidates beyond the permitted attempts: channels may fill up or cool down between the plan and the attempt.
    private static let spareCandidates = 3

    func run(_ accepted: Accepted, _ envelope: RequestEnvelope, _ state: ResponseState? = nil) throws -> Planned {
        guard accepted.principal.allows(model: envelope.model) else { throw APIError.modelNotAllowed(envelope.model) }
        let routes = accepted.snapshot.configuration.routes
        let preferences = try preferences(envelope, routes)
        let facts = facts(accepted, envelope, preferences)
        // The client's fallback list follows its first choice, in order, without duplicates.
        var models = [envelope.model]
        for model in envelope.fallbackModels where !models.contains(model) && accepted.principal.allows(model: model) {
            models.append(model)
        }
        // A large announced output is unlikely and is not reserved in full: the actual usage is counted at the end.
        let metering = accepted.snapshot.configuration.metering
        let tokens =
            envelope.prompt.tokens + (state?.carriedTokens ?? 0) + min(envelope.maxOutputTokens ?? 0, metering.defaultHoldOutputTokens)
        var candidates: [RouteCandidate] = []
        var lastResorts: [RouteCandidate] = []
        var first: RoutePlan?
        for model in models {
            let policy = routes.settings.policy(for: model)
            var query = RouteQuery(
                model: model, group: accepted.principal.group, endpoint: accepted.endpoint, preferences: preferences,
                tokens: tokens, limit: policy.maxAttempts + Self.spareCandidates)
            query.affinity = affinity(accepted, envelope, policy)
            query.pin = state?.pin
            let plan = health.plan(query, routes, facts)
            if first == nil { first = plan }
            if plan.isLastResort { lastResorts += plan.candidates } else { candidates += plan.candidates }
        }
        guard var first else { throw APIError.modelNotFound(envelope.model) }
        // A channel that is cooling down is asked only when the client's other models have no healthy channel either.
        if candidates.isEmpty { candidates = lastResorts }
        if candidates.isEmpty {
            if state?.pin != nil { first.dropped.removeAll { $0.reason == .notTheHolder } }
            if state?.pin != nil, first.dropped.isEmpty, first.isModelKnown {
                throw APIError.badRequest(
                    "'previous_response_id' is kept by a vendor that does not serve '\(envelope.model)' here; send the whole input",
                    param: "previous_response_id")
            }
            let isUnpriced = !first.isModelKnown && accepted.snapshot.isListedUnpriced(envelope.model, group: accepted.principal.group)
            throw isUnpriced
                ? APIError.priceMissing(envelope.model, accepted.endpoint) : refusal(first, envelope.model, accepted.endpoint)
        }
        return Planned(candidates: candidates, policy: first.policy, preferences: preferences, tokens: tokens, state: state)
    }

    private func preferences(_ envelope: RequestEnvelope, _ routes: RouteTable) throws -> ClientPreferences? {
        do {
            guard let json = try envelope.preferences() else { return nil }
            return try ClientPreferences(json, knownNames: routes.knownNames)
        } catch {
            throw APIError.badRequest(error.message, param: error.param)
        }
    }

    private func facts(_ accepted: Accepted, _ envelope: RequestEnvelope, _ preferences: ClientPreferences?) -> RouteFacts {
        var facts = accepted.snapshot.routeFacts
        if accepted.snapshot.configuration.routes.settings.belowCost != .allow {
            let (tokens, media, tier) = (envelope.prompt.tokens, envelope.media, envelope.serviceTier)
            facts.unitBelowCost = { channel, model, upstream in
                accepted.snapshot.unitBelowCost(
                    channel, model: model, upstream: upstream, group: accepted.principal.group, promptTokens: tokens
                ) { quote, cost in
                    quote.price = quote.price.ofPicture(size: media.size, quality: media.quality)
                    cost.price = cost.price.ofPicture(size: media.size, quality: media.quality)
                    quote.askedTier = channel.provider.request.serviceTier(asked: tier)
                }
            }
        }
        if preferences?.maxPrice != nil {
            facts.quote = { accepted.snapshot.quote($0, model: $1, upstream: $2, group: accepted.principal.group) }
        }
        return facts
    }

    /// The affinity that the client specifies, or else (where configured) one derived from the beginning of the conversation.
    private func affinity(_ accepted: Accepted, _ envelope: RequestEnvelope, _ policy: RoutePolicy) -> AffinityKey? {
        guard policy.affinity != .off else { return nil }
        if let key = envelope.sessionID ?? accepted.sessionHeader ?? envelope.promptCacheKey { return AffinityKey(key) }
        return policy.affinity == .prompt ? envelope.openingWords : nil
    }

    private func refusal(_ plan: RoutePlan, _ model: String, _ endpoint: Endpoint) -> APIError {
        let reasons = plan.dropped.map(\.reason)
        let wishes = reasons.filter { reason in
            switch reason {
            case .notAmongClientsOnly, .ignoredByClient, .aboveMaxPrice, .fallbackNotAllowed: true
            default: false
            }
        }
        let sellsBelowCost = reasons.contains { if case .belowCost = $0 { true } else { false } }
        let isFull = reasons.contains { if case .limited = $0 { true } else { false } }
        if let wait = plan.retryAfter, !isFull {
            if isRateLimited(reasons) {
                return .upstream(
                    status: .tooManyRequests,
                    message: "every channel for model '\(model)' is rate limited by its vendor; try again later",
                    retryAfter: wait)
            }
            return .upstream(
                status: .serviceUnavailable,
                message: "every channel for model '\(model)' is cooling down after failures; try again later",
                retryAfter: wait)
        }
        if isFull {
            return .upstream(
                status: .tooManyRequests,
                message: "every channel for model '\(model)' is at a limit that is configured for it; try again later",
                retryAfter: plan.retryAfter ?? .seconds(1))
        }
        if sellsBelowCost { return .belowCost(model) }
        if let wish = wishes.first { return .noChannelAllowed(model, "\(wish)") }
        if reasons.contains(.endpointUnsupported) {
            return .badRequest("model '\(model)' is not served at the \(endpoint.rawValue) endpoint", param: "model")
        }
        let isOff = reasons.contains { $0 != .notServed && $0 != .wrongGroup }
        guard plan.isModelKnown, isOff else { return .modelNotFound(model) }
        return .upstream(
            status: .serviceUnavailable, message: "no channel for model '\(model)' is available at the moment",
            retryAfter: nil)
    }

    /// Whether the model is unavailable because of vendors' rate limits; channels whose keys have all been refused are not considered,
    /// because they would not help whenever they come back.
    private func isRateLimited(_ reasons: [DropReason]) -> Bool {
        var isLimited = false
        for reason in reasons {
            switch reason {
            case .rateLimited: isLimited = true
            case .coolingDown, .lastResortTaken: return false
            default: break
            }
        }
        return isLimited
    }
}
