/// What routing is asked.
public struct RouteQuery: Sendable {
    public var model: String
    public var group: String
    public var endpoint: Endpoint
    /// Channels that were tried already.
    public var excludedChannels: Set<Int64>

    public init(model: String, group: String = "default", endpoint: Endpoint = .chat, excludedChannels: Set<Int64> = []) {
        self.model = model
        self.group = group
        self.endpoint = endpoint
        self.excludedChannels = excludedChannels
    }
}

/// A channel that can serve the request, with the key to use.
public struct RouteCandidate: Sendable, Hashable {
    public var channel: Channel
    /// Index into `channel.keys`; -1 for a channel without keys.
    public var keyIndex: Int
    public var model: String
    public var upstreamModel: String

    public init(channel: Channel, keyIndex: Int, model: String, upstreamModel: String) {
        self.channel = channel
        self.keyIndex = keyIndex
        self.model = model
        self.upstreamModel = upstreamModel
    }

    public var key: Secret? { keyIndex >= 0 ? channel.keys[keyIndex] : nil }
    public var target: HealthTarget {
        HealthTarget(channelID: channel.id, keyIndex: keyIndex, model: upstreamModel)
    }
}

/// Why a channel is not a candidate.
public enum DropReason: Sendable, Hashable, CustomStringConvertible {
    case disabled(String?)
    case notServed
    case wrongGroup
    case endpointUnsupported
    case excluded
    case coolingDown(until: MonotonicInstant)
    case allKeysRefused(until: MonotonicInstant)

    public var description: String {
        switch self {
        case .disabled(let why): why.map { "disabled: \($0)" } ?? "disabled"
        case .notServed: "does not serve the model"
        case .wrongGroup: "not open to the group"
        case .endpointUnsupported: "does not serve the endpoint"
        case .excluded: "tried already"
        case .coolingDown: "cooling down after failures"
        case .allKeysRefused: "all keys are refused by the vendor"
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
    /// When nothing is left because of cool-downs: how long until the first ends.
    public var retryAfter: Duration?
    /// Some channel names the model, whatever its state.
    public var isModelKnown: Bool
}
