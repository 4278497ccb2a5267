/// The choice of channels: a pure function. The same arguments and the same generator state give the same plan.
///
/// 1. Filter: enabled, serves the model, open to the group, serves the endpoint, not tried yet, some key in health.
/// 2. Order by priority, higher first.
/// 3. Within a priority by strategy; the further channels of a priority come before the next priority.
/// 4. Channels of weight 0 come behind everything else: "only when nothing else is left".
///
/// A channel appears at most once.
public enum Router {
    public static func plan(
        _ query: RouteQuery, table: RouteTable, health: HealthTable, now: MonotonicInstant,
        capabilities: (Channel) -> Set<Endpoint>, rng: inout SplitMix64
    ) -> RoutePlan {
        var usable: [RouteCandidate] = []
        var dropped: [DroppedChannel] = []
        var soonest: MonotonicInstant?
        let serving = table.serving(query.model)
        for (channel, upstream) in serving {
            let drop = { (reason: DropReason) in
                dropped.append(DroppedChannel(channelID: channel.id, name: channel.name, reason: reason))
            }
            guard channel.isEnabled else { drop(.disabled(channel.disabledReason)); continue }
            guard channel.groups.contains(query.group) else { drop(.wrongGroup); continue }
            guard capabilities(channel).contains(query.endpoint) else { drop(.endpointUnsupported); continue }
            guard !query.excludedChannels.contains(channel.id) else { drop(.excluded); continue }
            switch health.pick(channel, model: upstream, now: now, rng: &rng) {
            case .key(let index):
                usable.append(
                    RouteCandidate(channel: channel, keyIndex: index, model: query.model, upstreamModel: upstream))
            case .cooling(let until):
                drop(.coolingDown(until: until))
                soonest = min(soonest ?? until, until)
            case .refused(let until): drop(.allKeysRefused(until: until))
            }
        }
        var candidates: [RouteCandidate] = []
        let byPriority = Dictionary(grouping: usable) { $0.channel.priority }
        for priority in byPriority.keys.sorted(by: >) {
            let peers = byPriority[priority] ?? []
            candidates += order(peers.filter { $0.channel.weight > 0 }, table, health, &rng)
        }
        candidates += usable.filter { $0.channel.weight == 0 }
            .sorted { ($1.channel.priority, $0.channel.id) < ($0.channel.priority, $1.channel.id) }
        return RoutePlan(
            candidates: candidates, dropped: dropped,
            retryAfter: candidates.isEmpty ? soonest.map { max(now.duration(to: $0), .seconds(1)) } : nil,
            isModelKnown: !serving.isEmpty || table.knows(query.model))
    }

    private static func order(
        _ peers: [RouteCandidate], _ table: RouteTable, _ health: HealthTable, _ rng: inout SplitMix64
    ) -> [RouteCandidate] {
        guard peers.count > 1 else { return peers }
        // A random base order breaks the ties of the other strategies fairly.
        let drawn = weightedDraw(peers, &rng)
        switch table.settings.strategy {
        case .weightedRandom: return drawn
        case .roundRobin: return health.smoothRoundRobin(drawn)
        case .leastBusy:
            // in flight ÷ weight, compared by cross-multiplication.
            return stableSort(drawn) { left, right in
                Int128(health.inFlight(left.channel.id)) * Int128(right.channel.weight)
                    < Int128(health.inFlight(right.channel.id)) * Int128(left.channel.weight)
            }
        case .leastLatency:
            // Unmeasured channels come first, so that they get measured.
            return stableSort(drawn) { health.latency($0.channel.id) < health.latency($1.channel.id) }
        case .lowestCost: return stableSort(drawn) { price($0) < price($1) }
        }
    }

    /// Repeated weighted draws without replacement: the first has exactly the share of its weight, and so has each next
    /// one among those that are left.
    private static func weightedDraw(_ peers: [RouteCandidate], _ rng: inout SplitMix64) -> [RouteCandidate] {
        var rest = peers
        var total = rest.reduce(UInt64(0)) { $0 + UInt64($1.channel.weight) }
        var result: [RouteCandidate] = []
        result.reserveCapacity(rest.count)
        while rest.count > 1 {
            var ticket = rng.below(total)
            var index = 0
            while ticket >= UInt64(rest[index].channel.weight) {
                ticket -= UInt64(rest[index].channel.weight)
                index += 1
            }
            total -= UInt64(rest[index].channel.weight)
            result.append(rest.remove(at: index))
        }
        return result + rest
    }

    private static func stableSort(
        _ list: [RouteCandidate], _ less: (RouteCandidate, RouteCandidate) -> Bool
    ) -> [RouteCandidate] {
        list.enumerated().sorted { left, right in
            if less(left.element, right.element) { return true }
            if less(right.element, left.element) { return false }
            return left.offset < right.offset
        }.map(\.element)
    }

    /// List price of a token in and a token out; unknown prices come last.
    private static func price(_ candidate: RouteCandidate) -> Int64 {
        let provider = candidate.channel.provider
        let model = provider.models.first { $0.id == candidate.upstreamModel }
        guard let price = model?.price ?? provider.defaultPrice, price.basis == .metered else { return .max }
        return price.rates.input.femtos.addingReportingOverflow(price.rates.output.femtos).partialValue
    }
}
