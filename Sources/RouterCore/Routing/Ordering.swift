/// Puts usable channels into the order in which they are tried.
struct Ordering {
    typealias Peer = Router.Peer

    let strategy: RoutingStrategy
    /// Public name.
    let model: String
    let affinity: AffinityKey?
    let serving: [RouteTable.Serving]
    let table: RouteTable
    let health: HealthTable
    let now: MonotonicInstant
    let facts: RouteFacts

    /// At most `limit` peers; the first ones are the same for every limit.
    func ordered(_ peers: [Peer], limit: Int, rng: inout SplitMix64) -> [Peer] {
        if peers.count <= 1 { return peers }
        var result: [Peer] = []
        var rest = peers.filter { $0.weight > 0 }
        while !rest.isEmpty, result.count < limit {
            let highest = rest.reduce(Int.min) { max($0, $1.priority) }
            let level = rest.filter { $0.priority == highest }
            if level.count < rest.count { rest.removeAll { $0.priority == highest } } else { rest = [] }
            result += orderedLevel(level, limit: limit - result.count, &rng)
        }
        if result.count < limit {
            result += peers.filter { $0.weight == 0 }.sorted { ($1.priority, $0.id) < ($0.priority, $1.id) }
        }
        return Array(result.prefix(limit))
    }

    private func orderedLevel(_ peers: [Peer], limit: Int, _ rng: inout SplitMix64) -> [Peer] {
        guard peers.count > 1 else { return peers }
        if let affinity { return byConversation(peers, affinity, limit: limit) }
        switch strategy {
        case .weightedRandom: return weightedDraw(peers, limit: limit, &rng)
        case .roundRobin: return byScore(peers, limit: limit, &rng) { health.pass(model, $0.id) }
        case .leastLatency: return byScore(peers, limit: limit, &rng) { Int128(health.traffic($0.id).expectedLatency(now)) }
        // Unmeasured channels come first, so that they get measured.
        case .highestThroughput: return byScore(peers, limit: limit, &rng) { -Int128(health.traffic($0.id).tokensPerSecond ?? .max) }
        // In flight ÷ weight, as a fixed-point number.
        case .leastBusy: return byScore(peers, limit: limit, &rng) { Int128(health.traffic($0.id).inFlight) << 40 / Int128($0.weight) }
        case .lowestCost: return byScore(peers, limit: limit, &rng) { cost($0) }
        }
    }

    /// The shortest waits first. Usually a handful out of a thousand channels is wanted, so most are looked at once and dropped.
    private func byConversation(_ peers: [Peer], _ key: AffinityKey, limit: Int) -> [Peer] {
        typealias Draw = (peer: Peer, wait: UInt64)
        func isBefore(_ left: Draw, _ right: Draw) -> Bool {
            if Rendezvous.isShorter(left.wait, left.peer.weight, than: right.wait, right.peer.weight) { return true }
            if Rendezvous.isShorter(right.wait, right.peer.weight, than: left.wait, left.peer.weight) { return false }
            return left.peer.id < right.peer.id
        }
        let draws = peers.lazy.map { Draw(peer: $0, wait: Rendezvous.wait(key, $0.id)) }
        guard limit < peers.count else { return draws.sorted(by: isBefore).map(\.peer) }
        var best: [Draw] = []
        best.reserveCapacity(limit + 1)
        for draw in draws {
            if best.count == limit, let last = best.last, !isBefore(draw, last) { continue }
            let place = best.firstIndex { isBefore(draw, $0) } ?? best.count
            best.insert(draw, at: place)
            if best.count > limit { best.removeLast() }
        }
        return best.map(\.peer)
    }

    /// Repeated weighted draws without replacement: the first has exactly the share of its weight, and so has each next
    /// one among those that are left.
    private func weightedDraw(_ peers: [Peer], limit: Int, _ rng: inout SplitMix64) -> [Peer] {
        var rest = peers
        var total = rest.reduce(UInt64(0)) { $0 + UInt64($1.weight) }
        var result: [Peer] = []
        while let last = rest.indices.last, result.count < limit {
            var index = 0
            if last > 0 {
                var ticket = rng.below(total)
                while ticket >= UInt64(rest[index].weight) {
                    ticket -= UInt64(rest[index].weight)
                    index += 1
                }
            }
            total -= UInt64(rest[index].weight)
            rest.swapAt(index, last)
            result.append(rest.removeLast())
        }
        return result
    }

    /// Lowest score first; equals by a weighted draw.
    private func byScore(
        _ peers: [Peer], limit: Int, _ rng: inout SplitMix64, _ score: (Peer) -> Int128
    ) -> [Peer] {
        let scored = peers.map { (peer: $0, score: score($0)) }.sorted { $0.score < $1.score }
        var result: [Peer] = []
        var start = 0
        while start < scored.count, result.count < limit {
            var end = start + 1
            while end < scored.count, scored[end].score == scored[start].score { end += 1 }
            if end == start + 1 {
                result.append(scored[start].peer)
            } else {
                // The draw must not depend on how the sort left equals.
                let equals = scored[start..<end].map(\.peer).sorted { $0.id < $1.id }
                result += weightedDraw(equals, limit: limit - result.count, &rng)
            }
            start = end
        }
        return result
    }

    /// The price that the vendor bills us, as one number; unknown costs come last.
    private func cost(_ peer: Peer) -> Int128 { facts.cost(table.channels[peer.index], serving[peer.place].upstream)?.rank ?? .max }
}
