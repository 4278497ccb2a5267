/// What routing is asked.
public struct RouteQuery: Sendable {
    public var model: String
    public var group: String
    public var endpoint: Endpoint
    /// What the request's conversation is recognised by; used when the model's policy has affinity on.
    public var affinity: AffinityKey?
    public var preferences: ClientPreferences?
    /// What the request will probably count against tokens per minute.
    public var tokens: Int64
    /// How many candidates are wanted; the first ones are the same for every number.
    public var limit: Int
    /// The only channel and key that can serve the request.
    public var pin: RoutePin?
    /// Also names the channels that do not serve the model at all, for the explanation.
    public var explainsAll: Bool

    public init(
        model: String, group: String = "default", endpoint: Endpoint = .chat, affinity: AffinityKey? = nil,
        preferences: ClientPreferences? = nil, tokens: Int64 = 0, limit: Int = .max,
        explainsAll: Bool = false
    ) {
        self.model = model
        self.group = group
        self.endpoint = endpoint
        self.affinity = affinity
        self.preferences = preferences
        self.tokens = tokens
        self.limit = limit
        self.explainsAll = explainsAll
    }
}

/// A channel with one of its keys: a vendor's account that keeps something which a request refers to.
public struct RoutePin: Sendable, Hashable {
    public var channelID: Int64
    /// Index into `channel.keys`; -1 for a channel without keys.
    public var keyIndex: Int

    public init(channelID: Int64, keyIndex: Int) {
        self.channelID = channelID
        self.keyIndex = keyIndex
    }
}

/// What the plan has to know of the adaptors and of the price table.
public struct RouteFacts: Sendable {
    /// Endpoints that a channel serves.
    public var endpoints: @Sendable (Channel) -> Set<Endpoint>
    /// Whether the channel's vendor has host preferences of its own, so that names of hosts may be left for it.
    public var passesPreferencesOn: @Sendable (Channel) -> Bool
    /// What the client would pay for a model there; nil = no price.
    public var quote: @Sendable (_ channel: Channel, _ model: String, _ upstream: String) -> PriceQuote?
    /// The price that the vendor bills us for a model there; nil = unknown.
    public var cost: @Sendable (_ channel: Channel, _ upstream: String) -> CostPrice?
    /// The unit of the request that would be sold there below its cost; nil = none. Asked only where the policy is not to allow that.
    public var unitBelowCost: @Sendable (_ channel: Channel, _ model: String, _ upstream: String) -> String? = { _, _, _ in nil }

    public init(
        endpoints: @escaping @Sendable (Channel) -> Set<Endpoint>,
        passesPreferencesOn: @escaping @Sendable (Channel) -> Bool = { _ in false },
        quote: @escaping @Sendable (_ channel: Channel, _ model: String, _ upstream: String) -> PriceQuote? = { _, _, _ in nil },
        cost: @escaping @Sendable (_ channel: Channel, _ upstream: String) -> CostPrice? = { $0.costPrice($1) }
    ) {
        self.cost = cost
        self.endpoints = endpoints
        self.passesPreferencesOn = passesPreferencesOn
        self.quote = quote
    }
}

/// A channel that can serve the request, with the key to use.
public struct RouteCandidate: Sendable, Hashable {
    public let shared: SharedChannel
    @inlinable public var channel: Channel { _read { yield shared.value } }
    /// Index into `channel.keys`; -1 for a channel without keys.
    public var keyIndex: Int
    public var model: String
    public var upstreamModel: String
    /// Timeouts of the gateway, the model, the channel and the channel's model, the later over the earlier.
    public var timeouts: AttemptTimeouts
    /// The call must not travel on a connection that was kept from an earlier one.
    public var needsNewConnection = false
    /// No other key of the channel will do (``RouteQuery/pin``).
    public var isPinned = false

    public init(
        channel: SharedChannel, keyIndex: Int, model: String, upstreamModel: String,
        timeouts: AttemptTimeouts = AttemptTimeouts()
    ) {
        shared = channel
        self.keyIndex = keyIndex
        self.model = model
        self.upstreamModel = upstreamModel
        self.timeouts = timeouts
    }

    public var key: Secret? { keyIndex >= 0 ? channel.keys[keyIndex] : nil }
    public var target: HealthTarget {
        HealthTarget(channelID: channel.id, keyIndex: keyIndex, model: upstreamModel, account: channel.account)
    }
}

/// Why a channel is not a candidate.
public enum DropReason: Error, Sendable, Hashable, CustomStringConvertible {
    case disabled(String?)
    case draining
    case notServed
    case wrongGroup
    case endpointUnsupported
    /// The request continues what another channel's vendor keeps.
    case notTheHolder
    case notAmongClientsOnly
    case ignoredByClient
    /// The client allows no fallbacks, and this would be one.
    case fallbackNotAllowed
    case aboveMaxPrice
    /// The operator refuses to sell there: the unit costs more than the client pays.
    case belowCost(unit: String)
    /// nil: until one of the requests under way ends.
    case limited(ChannelLimit, until: MonotonicInstant?)
    case coolingDown(until: MonotonicInstant)
    /// It is cooling down. As a last resort it could be tried, but another request is trying it or has just done so.
    case lastResortTaken(until: MonotonicInstant)
    /// By the vendor, for all keys that it does not refuse.
    case rateLimited(until: MonotonicInstant)
    case allKeysRefused(until: MonotonicInstant)

    public var description: String {
        switch self {
        case .disabled(let why): why.map { "disabled: \($0)" } ?? "disabled"
        case .draining: "draining"
        case .notServed: "does not serve the model"
        case .wrongGroup: "not open to the group"
        case .endpointUnsupported: "does not serve the endpoint"
        case .notTheHolder: "does not keep the response that the request continues"
        case .notAmongClientsOnly: "not among the client's provider.only"
        case .ignoredByClient: "in the client's provider.ignore"
        case .fallbackNotAllowed: "the client allows no fallbacks"
        case .aboveMaxPrice: "dearer than the client's provider.max_price"
        case .belowCost(let unit): "would sell below its cost (\(unit))"
        case .limited(let limit, _): "its limit \(limit.rawValue) is reached"
        case .coolingDown: "cooling down after failures"
        case .lastResortTaken: "cooling down after failures, and being tried at the moment"
        case .rateLimited: "rate limited by the vendor"
        case .allKeysRefused: "all keys are refused by the vendor"
        }
    }

    /// When the channel may be asked again, where time is what it takes.
    public var until: MonotonicInstant? {
        switch self {
        case .limited(_, let until): until
        case .coolingDown(let until), .lastResortTaken(let until), .rateLimited(let until),
            .allKeysRefused(let until):
            until
        default: nil
        }
    }
}

public struct DroppedChannel: Sendable, Hashable {
    public var channelID: Int64
    public var name: String
    public var reason: DropReason
}

/// The ordered candidates of one request, and why each other channel was left out.
public struct RoutePlan: Sendable {
    public var candidates: [RouteCandidate]
    public var dropped: [DroppedChannel]
    /// No candidate is healthy: all are cooling down for passing reasons, and the one whose cool-down ends first comes
    /// first.
    public var isLastResort: Bool
    /// When nothing is left because of cool-downs or limits: how long until the first ends, at least a second.
    public var retryAfter: Duration?
    /// Some channel names the model, whatever its state.
    public var isModelKnown: Bool
    public var policy: RoutePolicy
    /// The candidates were ordered by the conversation, not by the strategy.
    public var usedAffinity: Bool
}
