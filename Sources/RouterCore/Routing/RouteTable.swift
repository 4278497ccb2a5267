/// One way to reach a provider: `channels.yaml`, validated.
public struct Channel: Sendable, Hashable, Identifiable {
    public struct Model: Sendable, Hashable {
        /// Public name or pattern: `*` matches any run of characters.
        public var pattern: String
        /// The vendor's name; nil = the public name.
        public var upstream: String?
        public init(pattern: String, upstream: String? = nil) {
            self.pattern = pattern
            self.upstream = upstream
        }
    }

    /// Bounds of what we send to this channel; nil = none.
    public struct Limits: Sendable, Hashable {
        public var requestsPerMinute: Int64?
        public var tokensPerMinute: Int64?
        public var concurrency: Int64?
        public init(requestsPerMinute: Int64? = nil, tokensPerMinute: Int64? = nil, concurrency: Int64? = nil) {
            self.requestsPerMinute = requestsPerMinute
            self.tokensPerMinute = tokensPerMinute
            self.concurrency = concurrency
        }
    }

    public var id: Int64
    public var name: String
    public var provider: ProviderSpec
    /// At least one unless the provider's auth is `none`.
    public var keys: [Secret]
    public var models: [Model]
    /// Share within one priority; 0 = only when nothing else is left.
    public var weight: UInt32
    /// Higher first.
    public var priority: Int
    public var groups: Set<String>
    public var isEnabled: Bool
    /// Why a channel is off although the file does not say so (an unset key variable); shown at `GET /api/channel`.
    public var disabledReason: String?
    /// Overrides the provider's.
    public var baseURL: String?
    public var proxy: Secret?
    public var headers: [StaticHeader]
    public var timeouts: AttemptTimeouts
    public var limits: Limits

    public init(
        id: Int64, name: String, provider: ProviderSpec, keys: [Secret], models: [Model], weight: UInt32 = 100,
        priority: Int = 0, groups: Set<String> = ["default"], isEnabled: Bool = true, disabledReason: String? = nil,
        baseURL: String? = nil, proxy: Secret? = nil, headers: [StaticHeader] = [],
        timeouts: AttemptTimeouts = AttemptTimeouts(), limits: Limits = Limits()
    ) {
        self.id = id
        self.name = name
        self.provider = provider
        self.keys = keys
        self.models = models
        self.weight = weight
        self.priority = priority
        self.groups = groups
        self.isEnabled = isEnabled
        self.disabledReason = disabledReason
        self.baseURL = baseURL
        self.proxy = proxy
        self.headers = headers
        self.timeouts = timeouts
        self.limits = limits
    }

    /// The vendor's name for a public model name, or nil when this channel does not serve it. Exact names beat patterns, and a
    /// pattern serves only what the provider lists, unless the provider lists no models at all.
    public func upstreamModel(for model: String) -> String? { upstreamModel(for: model, listed: nil) }

    func upstreamModel(for model: String, listed: Set<String>?) -> String? {
        if let exact = models.first(where: { $0.pattern == model }) { return exact.upstream ?? model }
        guard let match = models.first(where: { $0.pattern.contains("*") && Self.matches($0.pattern, model) }) else {
            return nil
        }
        let upstream = match.upstream ?? model
        guard provider.models.isEmpty || listed?.contains(upstream) ?? provider.models.contains(where: { $0.id == upstream })
        else { return nil }
        return upstream
    }

    /// Glob with `*` only, linear in the length of the text for one star, bounded backtracking for more.
    static func matches(_ pattern: String, _ text: String) -> Bool {
        let pattern = Array(pattern.utf8)
        let text = Array(text.utf8)
        var p = 0
        var t = 0
        var star: Int?
        var resume = 0
        while t < text.count {
            if p < pattern.count, pattern[p] == UInt8(ascii: "*") {
                star = p
                resume = t
                p += 1
            } else if p < pattern.count, pattern[p] == text[t] {
                p += 1
                t += 1
            } else if let last = star {
                p = last + 1
                resume += 1
                t = resume
            } else {
                return false
            }
        }
        return pattern[p...].allSatisfy { $0 == UInt8(ascii: "*") }
    }
}

/// How to choose within one priority.
public enum RoutingStrategy: String, Sendable, Hashable, CaseIterable {
    case weightedRandom = "weighted_random"
    case roundRobin = "round_robin"
    case leastLatency = "least_latency"
    case leastBusy = "least_busy"
    case lowestCost = "lowest_cost"
}

/// The `routing:` section.
public struct RoutingSettings: Sendable, Hashable {
    public var strategy: RoutingStrategy
    public var maxAttempts: Int
    public var timeouts: AttemptTimeouts
    public var cooldownBase: Duration
    public var cooldownMax: Duration

    public init(
        strategy: RoutingStrategy = .weightedRandom, maxAttempts: Int = 3,
        timeouts: AttemptTimeouts = AttemptTimeouts(), cooldownBase: Duration = .seconds(5),
        cooldownMax: Duration = .seconds(300)
    ) {
        self.strategy = strategy
        self.maxAttempts = maxAttempts
        self.timeouts = timeouts
        self.cooldownBase = cooldownBase
        self.cooldownMax = cooldownMax
    }
}

/// Everything that routing needs to know, as one immutable value. A request takes one at its start and keeps it;
/// a reload replaces the whole.
public struct RouteTable: Sendable {
    public var channels: [Channel]
    public var settings: RoutingSettings
    /// Public model names that some channel serves by exact name or through its provider's list, sorted.
    public let models: [String]
    /// Channels by known name, as indices into `channels`, so that a request does not look at all of them.
    private let index: [String: [(channel: Int, upstream: String)]]
    /// Channels that take names which no file lists.
    private let openEnded: [Int]

    public init(channels: [Channel], settings: RoutingSettings = RoutingSettings()) {
        self.channels = channels
        self.settings = settings
        var names: Set<String> = []
        for channel in channels {
            for model in channel.models where !model.pattern.contains("*") { names.insert(model.pattern) }
            let patterns = channel.models.filter { $0.pattern.contains("*") && $0.upstream == nil }
            guard !patterns.isEmpty else { continue }
            for model in channel.provider.models
            where patterns.contains(where: { Channel.matches($0.pattern, model.id) }) {
                names.insert(model.id)
            }
        }
        let listed = channels.map { Set($0.provider.models.map(\.id)) }
        var index: [String: [(channel: Int, upstream: String)]] = [:]
        for name in names {
            for (position, channel) in channels.enumerated() {
                guard let upstream = channel.upstreamModel(for: name, listed: listed[position]) else { continue }
                index[name, default: []].append((position, upstream))
            }
        }
        self.index = index
        openEnded = channels.indices.filter { position in
            channels[position].models.contains { $0.pattern.contains("*") }
                && (channels[position].provider.models.isEmpty
                    || channels[position].models.contains { $0.pattern.contains("*") && $0.upstream != nil })
        }
        models = names.sorted()
    }

    /// The channels that serve a model, whatever their state, with the vendor's name for it.
    func serving(_ model: String) -> [(channel: Channel, upstream: String)] {
        if let found = index[model] { return found.map { (channels[$0.channel], $0.upstream) } }
        return openEnded.compactMap { position in
            channels[position].upstreamModel(for: model).map { (channels[position], $0) }
        }
    }

    /// Whether an enabled channel serves the model to a group.
    public func serves(_ model: String, group: String) -> Bool {
        serving(model).contains { $0.channel.isEnabled && $0.channel.groups.contains(group) }
    }

    /// Whether any channel, healthy or not, enabled or not, names this model.
    public func knows(_ model: String) -> Bool { !serving(model).isEmpty }
}
