/// A channel that is passed on by reference: copying a whole ``Channel`` costs more than choosing one.
public final class SharedChannel: Sendable, Hashable {
    public let value: Channel
    public init(_ value: Channel) { self.value = value }
    public static func == (left: SharedChannel, right: SharedChannel) -> Bool { left === right || left.value == right.value }
    public func hash(into hasher: inout Hasher) { hasher.combine(value) }
}

/// One way to reach a provider: `channels.yaml`, validated.
public struct Channel: Sendable, Hashable, Identifiable {
    public struct Model: Sendable, Hashable {
        /// Public name or pattern: `*` matches any run of characters.
        public var pattern: String
        /// The vendor's name; nil = the public name.
        public var upstream: String?
        /// For this model on this channel; wins over every other level.
        public var timeouts: TimeoutOverrides
        public init(pattern: String, upstream: String? = nil, timeouts: TimeoutOverrides = TimeoutOverrides()) {
            self.pattern = pattern
            self.upstream = upstream
            self.timeouts = timeouts
        }
    }

    /// Bounds of what we send to this channel.
    public typealias Limits = RateLimits

    /// A cheap call beside the traffic that tells whether the channel answers.
    public struct Probe: Sendable, Hashable {
        public var interval: Duration
        public var timeout: Duration
        public init(interval: Duration, timeout: Duration = .seconds(10)) {
            self.interval = interval
            self.timeout = timeout
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
    /// Over those of the gateway and of the model.
    public var timeouts: TimeoutOverrides
    public var limits: Limits
    /// Keys of one account share its quota and its money, on this channel and on every other one of the same account; nil = each key is an
    /// account of its own.
    public var account: String?
    public var probe: Probe?
    /// How requests are converted for it; nil = as the gateway says. A key's own choice wins.
    public var conversion: ConversionMode?
    /// nil = the vendor bills its list price.
    public var cost: ChannelCost?

    public init(
        id: Int64, name: String, provider: ProviderSpec, keys: [Secret], models: [Model], weight: UInt32 = 100,
        priority: Int = 0, groups: Set<String> = ["default"], isEnabled: Bool = true, disabledReason: String? = nil,
        baseURL: String? = nil, proxy: Secret? = nil, headers: [StaticHeader] = [],
        timeouts: TimeoutOverrides = TimeoutOverrides(), limits: Limits = Limits(), account: String? = nil,
        probe: Probe? = nil
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
        self.account = account
        self.probe = probe
    }

    /// The vendor's name for a public model name, or nil when this channel does not serve it. Exact names beat patterns, and a
    /// pattern serves only what the provider lists, unless the provider lists no models at all.
    public func upstreamModel(for model: String) -> String? { match(model, listed: nil)?.upstream }

    /// Whether a pattern of this channel covers the name, whatever the provider lists.
    public func takesAny(_ model: String) -> Bool {
        models.contains { $0.upstream == nil && $0.pattern.contains("*") && Self.matches($0.pattern, model) }
    }

    func match(_ model: String, listed: Set<String>?) -> (upstream: String, timeouts: TimeoutOverrides)? {
        // A star in the name that is asked for has no meaning: such a name is matched like any other.
        let star = UInt8(ascii: "*")
        if !model.utf8.contains(star), let exact = models.first(where: { $0.pattern == model }) {
            return (exact.upstream ?? model, exact.timeouts)
        }
        guard let match = models.first(where: { $0.pattern.contains("*") && Self.matches($0.pattern, model) }) else {
            return nil
        }
        let upstream = match.upstream ?? model
        guard provider.models.isEmpty || listed?.contains(upstream) ?? provider.models.contains(where: { $0.id == upstream })
        else { return nil }
        return (upstream, match.timeouts)
    }

    /// Glob with `*` only, linear in the length of the text for one star, bounded backtracking for more.
    static func matches(_ pattern: String, _ text: String) -> Bool { matches(Array(pattern.utf8), Array(text.utf8)) }

    static func matches(_ pattern: [UInt8], _ text: [UInt8]) -> Bool {
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
