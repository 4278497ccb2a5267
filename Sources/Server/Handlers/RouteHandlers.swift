import Config
import GatewayState
import Hummingbird
import NIOCore
import Platform
import RouterCore

/// `GET /api/route/explain?model=&group=&endpoint=&session=&provider=`: what the router would do now, and why. Calls no vendor and changes
/// nothing.
struct RouteHandlers: Sendable {
    let snapshots: SnapshotHolder
    let health: HealthRegistry
    let clock: ServerClock

    func explain(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let fields = QueryFields(request, OperationDescriptions.explain)
        guard let model = fields.text("model"), !model.isEmpty else {
            throw ManagementError.invalid("model", Expected("a model's name", codes: ["model_name"]), message: "'model' is missing")
        }
        let snapshot = snapshots.snapshot
        let group = fields.text("group") ?? "default"
        guard snapshot.configuration.groups[group] != nil else {
            throw ManagementError.invalid(
                "group", .oneOf(snapshot.configuration.groups.keys.sorted()))
        }
        guard let endpoint = Endpoint(rawValue: fields.text("endpoint") ?? Endpoint.chat.rawValue) else {
            throw ManagementError.invalid("endpoint", .oneOf(Endpoint.self))
        }
        let routes = snapshot.configuration.routes
        var query = RouteQuery(model: model, group: group, endpoint: endpoint, explainsAll: true)
        query.affinity = fields.text("session").map { AffinityKey($0) }
        if let text = fields.text("provider") { query.preferences = try preferences(text, routes) }
        var facts = snapshot.routeFacts
        facts.quote = { snapshot.quote($0, model: $1, upstream: $2, group: group) }
        if routes.settings.belowCost != .allow {
            facts.unitBelowCost = { snapshot.unitBelowCost($0, model: $1, upstream: $2, group: group, promptTokens: 0) }
        }
        let plan = health.plan(query, routes, facts)
        return Envelope.ok(json(query, plan))
    }

    private func preferences(_ text: String, _ routes: RouteTable) throws -> ClientPreferences {
        guard let json = try? JSONValue(parsing: ByteBuffer(string: text)), case .object = json else {
            throw ManagementError.invalid(
                "provider", Expected("a JSON object such as {\"order\":[\"openrouter\"]}", codes: ["object"]))
        }
        do {
            return try ClientPreferences(json, knownNames: routes.knownNames)
        } catch {
            throw ManagementError.invalid(
                "provider", Expected("preferences as OpenRouter has them", codes: ["object"]), message: error.message)
        }
    }

    private func cooling(
        _ candidate: RouteCandidate, _ now: MonotonicInstant
    ) -> JSONValue {
        guard case .open(let until) = health.state(of: candidate.target) else { return .null }
        return .integer(max(Int64(now.duration(to: until) / .milliseconds(1)), 0))
    }

    private func json(_ query: RouteQuery, _ plan: RoutePlan) -> JSONValue {
        let now = clock.monotonic
        let candidates = plan.candidates.enumerated().map { index, candidate -> JSONValue in
            .object([
                .init("position", .integer(index + 1)), .init("channel_id", .integer(candidate.channel.id)),
                .init("name", .string(candidate.channel.name)), .init("provider", .string(candidate.channel.provider.name)),
                .init("key", .integer(candidate.keyIndex)), .init("upstream_model", .string(candidate.upstreamModel)),
                .init("priority", .integer(candidate.channel.priority)), .init("weight", .integer(candidate.channel.weight)),
                .init("in_flight", .integer(health.inFlight(candidate.channel.id))),
                .init("is_tried", .boolean(index < plan.policy.maxAttempts)),
                .init("cooling_for_ms", plan.isLastResort ? cooling(candidate, now) : .null),
            ])
        }
        let dropped = plan.dropped.map { drop -> JSONValue in
            let wait = drop.reason.until.map { max(now.duration(to: $0) / .milliseconds(1), 0) }
            return .object([
                .init("channel_id", .integer(drop.channelID)), .init("name", .string(drop.name)),
                .init("reason", .string("\(drop.reason)")), .init("for_ms", wait.map { .integer(Int64($0)) } ?? .null),
            ])
        }
        return .object([
            .init("model", .string(query.model)), .init("group", .string(query.group)),
            .init("endpoint", .string(query.endpoint.rawValue)), .init("is_known", .boolean(plan.isModelKnown)),
            .init("strategy", .string((query.preferences?.sort ?? plan.policy.strategy).rawValue)),
            .init("affinity", .string(plan.policy.affinity.rawValue)), .init("by_session", .boolean(plan.usedAffinity)),
            .init("max_attempts", .integer(plan.policy.maxAttempts)), .init("candidates", .array(candidates)),
            .init("is_last_resort", .boolean(plan.isLastResort)), .init("dropped", .array(dropped)),
            .init("retry_after_ms", plan.retryAfter.map { .integer(Int64($0 / .milliseconds(1))) } ?? .null),
        ])
    }
}
