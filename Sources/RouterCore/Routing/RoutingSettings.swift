/// How to choose within one priority.
public enum RoutingStrategy: String, Sendable, Hashable, CaseIterable {
    /// A draw by weight.
    case weightedRandom = "weighted_random"
    /// In turn, as often as the weights say.
    case roundRobin = "round_robin"
    /// The shortest time to first content lately, times what is under way.
    case leastLatency = "least_latency"
    /// The fewest requests under way, measured by weight.
    case leastBusy = "least_busy"
    /// The channel that costs us least; equals by weight.
    case lowestCost = "lowest_cost"
    /// The most output tokens per second lately. Only as a client's wish (`provider.sort`).
    case highestThroughput = "throughput"

    /// Those that a configuration may name.
    public static let configurable: [RoutingStrategy] = [.weightedRandom, .roundRobin, .leastLatency, .leastBusy, .lowestCost]
}

/// What keeps requests of one conversation on one channel, where prompt caches are warm.
public enum Affinity: String, Sendable, Hashable, CaseIterable {
    case off
    /// By what the client says: `session_id`, the header `x-session-id`, or `prompt_cache_key`.
    case session
    /// By that, else by a hash of the first messages.
    case prompt
}

/// Settings for some models; what is nil comes from the gateway's settings.
public struct ModelRouting: Sendable, Hashable {
    /// Public name or pattern.
    public var pattern: String
    public var strategy: RoutingStrategy?
    public var affinity: Affinity?
    public var maxAttempts: Int?
    public var timeouts: TimeoutOverrides

    public init(
        pattern: String, strategy: RoutingStrategy? = nil, affinity: Affinity? = nil, maxAttempts: Int? = nil,
        timeouts: TimeoutOverrides = TimeoutOverrides()
    ) {
        self.pattern = pattern
        self.strategy = strategy
        self.affinity = affinity
        self.maxAttempts = maxAttempts
        self.timeouts = timeouts
    }
}

/// The `routing:` section, and the `models:` section of channels.yaml.
public struct RoutingSettings: Sendable, Hashable {
    public var strategy: RoutingStrategy
    public var affinity: Affinity
    public var maxAttempts: Int
    public var timeouts: AttemptTimeouts
    public var cooldownBase: Duration
    public var cooldownMax: Duration
    public var retryBudget: RetryBudget.Settings
    /// The longest wait before the only channel is asked a second time; zero = never asked again.
    public var retryWait: Duration
    /// How often a client that waits for first content gets a comment; zero = never.
    public var keepAlive: Duration
    /// How requests are taken that are converted for a vendor of another dialect.
    public var conversion = ConversionMode.lenient
    public var belowCost = BelowCost.allow
    public var models: [ModelRouting]

    public init(
        strategy: RoutingStrategy = .weightedRandom, affinity: Affinity = .session, maxAttempts: Int = 3,
        timeouts: AttemptTimeouts = AttemptTimeouts(), cooldownBase: Duration = .seconds(5),
        cooldownMax: Duration = .seconds(300), retryBudget: RetryBudget.Settings = RetryBudget.Settings(),
        retryWait: Duration = .seconds(3), keepAlive: Duration = .seconds(15), models: [ModelRouting] = []
    ) {
        self.strategy = strategy
        self.affinity = affinity
        self.maxAttempts = maxAttempts
        self.timeouts = timeouts
        self.cooldownBase = cooldownBase
        self.cooldownMax = cooldownMax
        self.retryBudget = retryBudget
        self.retryWait = retryWait
        self.keepAlive = keepAlive
        self.models = models
    }

    var usesRoundRobin: Bool { strategy == .roundRobin || models.contains { $0.strategy == .roundRobin } }

    /// What holds for one model: exact names first, then the first pattern that matches.
    public func policy(for model: String) -> RoutePolicy {
        var policy = RoutePolicy(
            strategy: strategy, affinity: affinity, maxAttempts: maxAttempts, timeouts: timeouts, retryWait: retryWait)
        policy.belowCost = belowCost
        guard !models.isEmpty else { return policy }
        let rule =
            models.first { $0.pattern == model }
            ?? models.first { $0.pattern.contains("*") && Channel.matches($0.pattern, model) }
        guard let rule else { return policy }
        policy.strategy = rule.strategy ?? strategy
        policy.affinity = rule.affinity ?? affinity
        policy.maxAttempts = rule.maxAttempts ?? maxAttempts
        policy.timeouts = rule.timeouts.applied(to: timeouts)
        return policy
    }
}

/// The settings of one request.
public struct RoutePolicy: Sendable, Hashable {
    public var strategy: RoutingStrategy
    public var affinity: Affinity
    public var maxAttempts: Int
    /// Timeouts of the model; a channel may override each.
    public var timeouts: AttemptTimeouts
    public var retryWait: Duration
    public var belowCost = BelowCost.allow

    public init(
        strategy: RoutingStrategy = .weightedRandom, affinity: Affinity = .session, maxAttempts: Int = 3,
        timeouts: AttemptTimeouts = AttemptTimeouts(), retryWait: Duration = .seconds(3)
    ) {
        self.strategy = strategy
        self.affinity = affinity
        self.maxAttempts = maxAttempts
        self.timeouts = timeouts
        self.retryWait = retryWait
    }
}
