import RouterCore

/// Channels and failures for the routing tests.
enum Fleet {
    static let spec = ProviderSpec(
        name: "p", family: .openai, baseURL: "http://h", auth: .bearer, models: [ProviderModel(id: "m"), ProviderModel(id: "x/y")])

    static func channel(
        _ id: Int64, weight: UInt32 = 1, priority: Int = 0, keys: Int = 1, models: [String] = ["*"], limits: Channel.Limits = .init(),
        account: String? = nil, spec: ProviderSpec = spec
    ) -> Channel {
        Channel(
            id: id, name: "c\(id)", provider: spec, keys: (0..<keys).map { Secret("k\(id)-\($0)") },
            models: models.map { Channel.Model(pattern: $0) }, weight: weight, priority: priority, limits: limits, account: account)
    }

    static let start = MonotonicInstant(nanoseconds: 1_000_000_000_000)
    static let facts = RouteFacts(endpoints: { _ in [.chat] })

    static func plan(
        _ channels: [Channel], health: HealthTable? = nil, query: RouteQuery = RouteQuery(model: "m"), now: MonotonicInstant = start,
        settings: RoutingSettings = RoutingSettings(), facts: RouteFacts = facts, rng: inout SplitMix64
    ) -> RoutePlan {
        Router.plan(
            query, table: RouteTable(channels: channels, settings: settings), health: health ?? HealthTable(settings: settings), now: now,
            facts: facts, rng: &rng)
    }
}

extension HealthTable {
    /// An attempt that begins and fails at once.
    mutating func fail(
        _ channel: Channel, _ kind: FailureKind, key: Int = 0, model: String = "m", retryAfter: Duration? = nil,
        now: MonotonicInstant, rng: inout SplitMix64
    ) {
        let target = HealthTarget(channelID: channel.id, keyIndex: key, model: model, account: channel.account)
        count(UpstreamFailure(kind: kind, retryAfter: retryAfter), target, startedAt: now, now: now, rng: &rng)
    }

    func state(_ channel: Channel, key: Int = 0, model: String = "m", now: MonotonicInstant) -> HealthState {
        state(of: HealthTarget(channelID: channel.id, keyIndex: key, model: model, account: channel.account), now: now)
    }

    /// nil when the channel cannot be asked.
    mutating func begin(_ channel: Channel, key: Int = 0, model: String = "m", tokens: Int64 = 0, now: MonotonicInstant) -> AttemptTicket? {
        let target = HealthTarget(channelID: channel.id, keyIndex: key, model: model, account: channel.account)
        return try? began(target, channel: channel, tokens: tokens, now: now).get()
    }

    mutating func mustBegin(
        _ channel: Channel, key: Int = 0, model: String = "m", tokens: Int64 = 0, now: MonotonicInstant
    ) throws -> AttemptTicket {
        let target = HealthTarget(channelID: channel.id, keyIndex: key, model: model, account: channel.account)
        return try began(target, channel: channel, tokens: tokens, now: now).get()
    }
}
