/// The choice of channels: a pure function. The same arguments and the same generator state give the same plan.
///
/// 1. Filter: enabled, serves the model, open to the group, serves the endpoint, fits the client's wishes, not tried yet, below its
///    limits, some key in health.
/// 2. Order by priority, higher first.
/// 3. Within a priority by the conversation (affinity) or by strategy; the further channels of a priority come before the next priority.
/// 4. Channels of weight 0 come behind everything else: "only when nothing else is left".
/// 5. The client's `provider.order` goes first, without fallbacks when it says so.
/// 6. Channels that would sell below their cost are left out, or come last (`routing.below_cost`).
/// 7. When no channel is left: those that are cooling down for a passing reason (``lastResorts``).
///
/// A channel appears at most once.
public enum Router {
    /// A usable channel on its way through the plan; light, because there may be a thousand.
    struct Peer {
        /// In the table.
        var index: Int
        var keyIndex: Int
        /// Among those that serve the model.
        var place: Int
        var id: Int64
        var weight: UInt32
        var priority: Int
        /// It would sell below its cost, and is wanted only behind those that would not.
        var isLast = false
    }

    public static func plan(
        _ query: RouteQuery, table: RouteTable, health: HealthTable, now: MonotonicInstant, facts: RouteFacts,
        rng: inout SplitMix64
    ) -> RoutePlan {
        let policy = table.settings.policy(for: query.model)
        let serving = table.serving(query.model)
        let affinity = policy.affinity == .off || query.preferences?.sort != nil ? nil : query.affinity
        var usable: [Peer] = []
        usable.reserveCapacity(serving.count)
        var cooling: [Peer] = []
        var dropped: [DroppedChannel] = []
        func drop(_ index: Int, _ reason: DropReason) {
            dropped.append(DroppedChannel(channelID: table.channels[index].id, name: table.channels[index].name, reason: reason))
        }
        var filter = Filter(query: query, table: table, health: health, now: now, facts: facts, belowCost: policy.belowCost)
        for (place, entry) in serving.enumerated() {
            if let reason = filter.objection(entry) {
                drop(entry.channel, reason)
                continue
            }
            let summary = table.summaries[entry.channel]
            func peer(_ key: Int) -> Peer {
                Peer(
                    index: entry.channel, keyIndex: key, place: place, id: summary.id, weight: summary.weight,
                    priority: summary.priority, isLast: filter.isLast)
            }
            if summary.keys <= 1, health.hasNoRecords, query.pin == nil {
                usable.append(peer(summary.keys - 1))
                continue
            }
            let others = query.pin.map { pin in Set((0..<summary.keys).filter { $0 != pin.keyIndex }) } ?? []
            let pick = health.pick(
                table.channels[entry.channel], model: entry.upstream, affinity: affinity, excluding: others, now: now, rng: &rng)
            switch pick {
            case .key(let key): usable.append(peer(key))
            case .cooling(let until):
                cooling.append(peer(-1))
                drop(entry.channel, .coolingDown(until: until))
            case .limited(let until): drop(entry.channel, .rateLimited(until: until))
            case .refused(let until): drop(entry.channel, .allKeysRefused(until: until))
            }
        }
        let ordering = Ordering(
            strategy: query.preferences?.sort ?? policy.strategy, model: query.model, affinity: affinity, serving: serving, table: table,
            health: health, now: now, facts: facts)
        let wantsAll = query.preferences?.order.isEmpty == false
        var peers = ordering.ordered(usable, limit: wantsAll || policy.belowCost == .last ? .max : query.limit, rng: &rng)
        if let preferences = query.preferences {
            peers = respect(preferences, peers, table, facts) { drop($0.index, .fallbackNotAllowed) }
        }
        if policy.belowCost == .last { peers = peers.filter { !$0.isLast } + peers.filter(\.isLast) }
        let isLastResort = peers.isEmpty && !cooling.isEmpty
        if isLastResort {
            peers = lastResorts(cooling, serving, table, health, now, &dropped)
            if let preferences = query.preferences {
                peers = respect(preferences, peers, table, facts) { drop($0.index, .fallbackNotAllowed) }
            }
        }
        if let pin = query.pin { peers.removeAll { $0.keyIndex != pin.keyIndex } }
        if query.explainsAll { dropped += others(table, serving) }
        let soonest = peers.isEmpty ? dropped.compactMap(\.reason.until).min() : nil
        return RoutePlan(
            candidates: peers.prefix(query.limit).map { candidate($0, serving[$0.place], query, policy, table) }, dropped: dropped,
            isLastResort: isLastResort && !peers.isEmpty,
            retryAfter: soonest.map { max(now.duration(to: $0), .seconds(1)) },
            isModelKnown: !serving.isEmpty, policy: policy, usedAffinity: affinity != nil)
    }

    /// The channels that are cooling down and may be tried nevertheless: the one whose cool-down ends soonest comes first,
    /// channels of weight 0 come last. These are no longer listed as dropped; those that another request is trying are, with
    /// that reason.
    private static func lastResorts(
        _ cooling: [Peer], _ serving: [RouteTable.Serving], _ table: RouteTable, _ health: HealthTable,
        _ now: MonotonicInstant, _ dropped: inout [DroppedChannel]
    ) -> [Peer] {
        var found: [(peer: Peer, until: MonotonicInstant)] = []
        for peer in cooling {
            let place = dropped.firstIndex { $0.channelID == peer.id }
            switch health.lastResort(table.channels[peer.index], model: serving[peer.place].upstream, now: now) {
            case .none: break
            case .taken: if let place { dropped[place].reason = .lastResortTaken(until: now) }
            case .key(let key, let until, _):
                var peer = peer
                peer.keyIndex = key
                found.append((peer, until))
                if let place { dropped.remove(at: place) }
            }
        }
        func rank(_ one: (peer: Peer, until: MonotonicInstant)) -> (Int, Int64, Int, Int64) {
            (one.peer.weight == 0 ? 1 : 0, one.until.nanoseconds, -one.peer.priority, one.peer.id)
        }
        return found.sorted { rank($0) < rank($1) }.map(\.peer)
    }

    private static func candidate(
        _ peer: Peer, _ serving: RouteTable.Serving, _ query: RouteQuery, _ policy: RoutePolicy, _ table: RouteTable
    ) -> RouteCandidate {
        let channel = table.shared[peer.index]
        var candidate = RouteCandidate(
            channel: channel, keyIndex: peer.keyIndex, model: query.model, upstreamModel: serving.upstream,
            timeouts: serving.timeouts.applied(to: channel.value.timeouts.applied(to: policy.timeouts)))
        candidate.isPinned = query.pin != nil
        return candidate
    }

    /// `provider.order` first, in its order; the rest behind it, unless the client allows no fallbacks.
    private static func respect(
        _ wishes: ClientPreferences, _ peers: [Peer], _ table: RouteTable, _ facts: RouteFacts, _ drop: (Peer) -> Void
    ) -> [Peer] {
        guard !wishes.order.isEmpty || (wishes.orderNamesHosts && !wishes.allowFallbacks) else {
            guard !wishes.allowFallbacks else { return peers }
            peers.dropFirst().forEach(drop)
            return Array(peers.prefix(1))
        }
        var ranks: [(rank: Int, peer: Peer)] = peers.map { peer in
            let channel = table.channels[peer.index]
            let rank = wishes.order.firstIndex { $0 == channel.name.lowercased() || $0 == channel.provider.name.lowercased() }
            // An aggregator orders its hosts itself; without fallbacks it is the only channel that may serve them.
            let isForHosts = wishes.orderNamesHosts && !wishes.allowFallbacks && facts.passesPreferencesOn(channel)
            return (rank ?? (isForHosts ? wishes.order.count : .max), peer)
        }
        if !wishes.allowFallbacks {
            ranks.filter { $0.rank == .max }.forEach { drop($0.peer) }
            ranks.removeAll { $0.rank == .max }
        }
        return ranks.enumerated().sorted { ($0.element.rank, $0.offset) < ($1.element.rank, $1.offset) }.map(\.element.peer)
    }

    private static func others(_ table: RouteTable, _ serving: [RouteTable.Serving]) -> [DroppedChannel] {
        let known = Set(serving.map(\.channel))
        return table.channels.indices.filter { !known.contains($0) }.map {
            DroppedChannel(channelID: table.channels[$0].id, name: table.channels[$0].name, reason: .notServed)
        }
    }
}

/// The first step of the plan: which channels may serve at all.
private struct Filter {
    let query: RouteQuery
    let table: RouteTable
    let health: HealthTable
    let now: MonotonicInstant
    let facts: RouteFacts
    let belowCost: BelowCost
    /// The channel that was looked at last would sell below its cost, and is not refused for it.
    private(set) var isLast = false
    /// Channels of one provider serve the same endpoints; they mostly stand side by side.
    private var last: (provider: Int, serves: Bool)?
    /// By group set of the table.
    private let isOpen: [Bool]

    init(
        query: RouteQuery, table: RouteTable, health: HealthTable, now: MonotonicInstant, facts: RouteFacts, belowCost: BelowCost
    ) {
        self.belowCost = belowCost
        self.query = query
        self.table = table
        self.health = health
        self.now = now
        self.facts = facts
        isOpen = table.groupSets.map { $0.contains(query.group) }
    }

    /// The first reason against a channel; nil when only its keys remain to be looked at.
    mutating func objection(_ entry: RouteTable.Serving) -> DropReason? {
        let summary = table.summaries[entry.channel]
        if let pin = query.pin, pin.channelID != summary.id { return .notTheHolder }
        guard summary.isEnabled else { return .disabled(table.channels[entry.channel].disabledReason) }
        if health.hasSwitches, let reason = HealthTable.closedReason(health.operatorSwitch(summary.id)) { return reason }
        guard isOpen[summary.groups] else { return .wrongGroup }
        guard serves(summary.provider, entry) else { return .endpointUnsupported }
        if let wishes = query.preferences, let reason = objection(entry, wishes) { return reason }
        if belowCost != .allow, let reason = lossObjection(entry) { return reason }
        guard !summary.limits.isEmpty else { return nil }
        return health.full(summary.id, summary.limits, tokens: query.tokens, now: now)
            .map { .limited($0.limit, until: $0.until) }
    }

    private mutating func lossObjection(_ entry: RouteTable.Serving) -> DropReason? {
        let unit = facts.unitBelowCost(table.channels[entry.channel], query.model, entry.upstream)
        isLast = unit != nil && belowCost == .last
        return belowCost == .refuse ? unit.map { .belowCost(unit: $0) } : nil
    }

    private mutating func serves(_ provider: Int, _ entry: RouteTable.Serving) -> Bool {
        guard query.endpoint.isServed(within: entry.endpoints) else { return false }
        if let last, last.provider == provider { return last.serves }
        let serves = facts.endpoints(table.channels[entry.channel]).contains(query.endpoint)
        last = (provider, serves)
        return serves
    }

    private func objection(_ entry: RouteTable.Serving, _ wishes: ClientPreferences) -> DropReason? {
        let channel = table.channels[entry.channel]
        if let reason = wishes.objection(to: channel, passesPreferencesOn: facts.passesPreferencesOn(channel)) { return reason }
        guard wishes.maxPrice != nil, let quote = facts.quote(channel, query.model, entry.upstream) else { return nil }
        return wishes.isTooDear(quote) ? .aboveMaxPrice : nil
    }
}
