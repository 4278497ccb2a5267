/// Everything that routing needs to know, as one immutable value. A request takes one at its start and keeps it;
/// a reload replaces the whole.
public struct RouteTable: Sendable {
    public let channels: [Channel]
    /// The same, to be handed out.
    let shared: [SharedChannel]
    public let settings: RoutingSettings
    /// Public model names that some channel serves by exact name or through its provider's list, sorted.
    public let models: [String]
    /// Names by which clients may speak of channels (`provider.only` and the like): channel and provider names in lower case.
    public let knownNames: Set<String>
    /// Channels by known model name, so that a request does not look at all of them.
    private let index: [String: [Serving]]
    /// Channels that take names which no file lists.
    private let openEnded: [OpenEnded]

    /// A channel that serves a model, by its index in `channels`.
    struct Serving: Sendable {
        var channel: Int
        var upstream: String
        var timeouts: TimeoutOverrides
        /// The endpoints that the provider's list names for the model; nil = all.
        var endpoints: Set<Endpoint>?
    }

    /// What the plan looks at for every channel, all of it numbers: copying a whole ``Channel`` costs more than all the rest of its work.
    struct ChannelSummary: Sendable {
        var id: Int64
        var weight: UInt32
        var priority: Int
        var isEnabled: Bool
        /// Index into ``groupSets``.
        var groups: Int
        /// The same for channels of one provider.
        var provider: Int
        var keys: Int
        var limits: Channel.Limits
    }
    let summaries: [ChannelSummary]
    /// The groups that may use a channel: many channels share few different sets.
    let groupSets: [Set<String>]

    public init(channels: [Channel], settings: RoutingSettings = RoutingSettings()) {
        self.channels = channels
        shared = channels.map(SharedChannel.init)
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
        var groupSets: [Set<String>] = []
        var providers: [String: Int] = [:]
        summaries = channels.map { channel in
            let groups = groupSets.firstIndex(of: channel.groups) ?? groupSets.count
            if groups == groupSets.count { groupSets.append(channel.groups) }
            let provider = providers[channel.provider.name] ?? providers.count
            providers[channel.provider.name] = provider
            return ChannelSummary(
                id: channel.id, weight: channel.weight, priority: channel.priority, isEnabled: channel.isEnabled, groups: groups,
                provider: provider, keys: channel.keys.count, limits: channel.limits)
        }
        self.groupSets = groupSets
        index = Self.index(channels, names)
        openEnded = channels.indices.compactMap { OpenEnded(channels[$0], at: $0) }
        models = names.sorted()
        knownNames = Set(channels.flatMap { [$0.name.lowercased(), $0.provider.name.lowercased()] })
    }

    /// Channel by channel: one with exact names costs as much as it lists, and only one with patterns is compared with all names.
    private static func index(_ channels: [Channel], _ names: Set<String>) -> [String: [Serving]] {
        var listed: [String: Set<String>] = [:]
        var bound: [String: [String: Set<Endpoint>]] = [:]
        for provider in channels.map(\.provider) where listed[provider.name] == nil {
            listed[provider.name] = Set(provider.models.map(\.id))
            bound[provider.name] = Dictionary(
                provider.models.compactMap { model in model.endpoints.map { (model.id, $0) } }
            ) { first, _ in first }
        }
        var index: [String: [Serving]] = [:]
        for (position, channel) in channels.enumerated() {
            let provider = channel.provider.name
            func add(_ name: String, upstream: String, _ timeouts: TimeoutOverrides) {
                index[name, default: []].append(
                    Serving(channel: position, upstream: upstream, timeouts: timeouts, endpoints: bound[provider]?[upstream]))
            }
            var exact: [String: Channel.Model] = [:]
            for model in channel.models where exact[model.pattern] == nil && !model.pattern.contains("*") {
                exact[model.pattern] = model
                add(model.pattern, upstream: model.upstream ?? model.pattern, model.timeouts)
            }
            guard exact.count < channel.models.count, channel.models.contains(where: { $0.pattern.contains("*") }) else { continue }
            for name in names where exact[name] == nil {
                guard let match = channel.match(name, listed: listed[provider]) else { continue }
                add(name, upstream: match.upstream, match.timeouts)
            }
        }
        return index
    }

    /// The channels that serve a model, whatever their state.
    func serving(_ model: String) -> [Serving] {
        if let found = index[model] { return found }
        let bytes = Array(model.utf8)
        return openEnded.compactMap { $0.serving(model, bytes) }
    }

    /// Whether an enabled channel serves the model to a group.
    public func serves(_ model: String, group: String) -> Bool {
        serving(model).contains { channels[$0.channel].isEnabled && channels[$0.channel].groups.contains(group) }
    }

    /// Enabled channels that serve a model, with the vendor's name for it and where the provider's list binds it to (nil = everywhere).
    public func enabledChannels(serving model: String) -> [(channel: Channel, upstream: String, endpoints: Set<Endpoint>?)] {
        serving(model).filter { channels[$0.channel].isEnabled }.map { (channels[$0.channel], $0.upstream, $0.endpoints) }
    }

    /// Whether any channel, healthy or not, enabled or not, names this model.
    public func knows(_ model: String) -> Bool { !serving(model).isEmpty }

    public func channel(id: Int64) -> Channel? { channels.first { $0.id == id } }
}
