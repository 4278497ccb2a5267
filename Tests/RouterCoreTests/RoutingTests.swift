import RouterCore
import Testing

@Suite struct RoutingTests {
    private static let spec = ProviderSpec(
        name: "p", family: .openai, baseURL: "http://h", auth: .bearer, models: [ProviderModel(id: "m"), ProviderModel(id: "x/y")])

    private func channel(_ id: Int64, weight: UInt32 = 1, priority: Int = 0, keys: Int = 1, models: [String] = ["*"]) -> Channel {
        Channel(
            id: id, name: "c\(id)", provider: Self.spec, keys: (0..<keys).map { Secret("k\($0)") },
            models: models.map { Channel.Model(pattern: $0) }, weight: weight, priority: priority)
    }

    private let start = MonotonicInstant(nanoseconds: 1_000_000_000_000)

    private func plan(
        _ channels: [Channel], health: HealthTable? = nil, query: RouteQuery = RouteQuery(model: "m"), now: MonotonicInstant? = nil,
        rng: inout SplitMix64
    ) -> RoutePlan {
        Router.plan(
            query, table: RouteTable(channels: channels), health: health ?? HealthTable(settings: RoutingSettings()), now: now ?? start,
            capabilities: { _ in [.chat] }, rng: &rng)
    }

    @Test func `small spaces, exhaustively`() {
        var rng = SplitMix64(seed: 1)
        let weights: [UInt32] = [0, 1, 3]
        for code in 0..<(12 * 12 * 12) {
            // Three channels, each with a weight, a priority and a health out of 3 × 2 × 2.
            var health = HealthTable(settings: RoutingSettings())
            var channels: [Channel] = []
            var open: Set<Int64> = []
            var rest = code
            for id in 1...3 {
                let choice = rest % 12
                rest /= 12
                channels.append(channel(Int64(id), weight: weights[choice % 3], priority: choice / 3 % 2))
                if choice / 6 == 1 {
                    open.insert(Int64(id))
                    health.failed(
                        HealthTarget(channelID: Int64(id), keyIndex: 0, model: "m"), UpstreamFailure(kind: .connect), now: start, rng: &rng)
                }
            }
            let plan = plan(channels, health: health, rng: &rng)
            let ids = plan.candidates.map(\.channel.id)
            #expect(Set(ids).count == ids.count && Set(ids) == Set(channels.map(\.id)).subtracting(open), "code \(code)")
            #expect(Set(plan.dropped.map(\.channelID)) == open)
            for (left, right) in zip(plan.candidates, plan.candidates.dropFirst()) {
                let (a, b) = (left.channel, right.channel)
                #expect((a.weight == 0) == (b.weight == 0) ? a.priority >= b.priority : a.weight > 0, "code \(code)")
            }
            if ids.isEmpty { #expect(plan.retryAfter != nil) }
        }
    }

    @Test(arguments: [[1, 1], [1, 3], [5, 3, 2], [1, 10, 100, 1_000]] as [[UInt32]]) func `shares follow the weights`(weights: [UInt32]) {
        var rng = SplitMix64(seed: 42)
        let channels = weights.enumerated().map { channel(Int64($0.offset), weight: $0.element) }
        let table = RouteTable(channels: channels)
        let health = HealthTable(settings: RoutingSettings())
        var counts = [Int](repeating: 0, count: weights.count)
        let rounds = 100_000
        for _ in 0..<rounds {
            let plan = Router.plan(
                RouteQuery(model: "m"), table: table, health: health, now: start, capabilities: { _ in [.chat] }, rng: &rng)
            counts[Int(plan.candidates[0].channel.id)] += 1
        }
        let total = weights.reduce(0, +)
        let chiSquare = zip(counts, weights).reduce(0.0) { sum, pair in
            let expected = Double(rounds) * Double(pair.1) / Double(total)
            return sum + (Double(pair.0) - expected) * (Double(pair.0) - expected) / expected
        }
        // 99.9 % quantiles for 1, 2 and 3 degrees of freedom; the seed is fixed, so this cannot flake.
        #expect(chiSquare < [10.83, 13.82, 16.27][weights.count - 2], "\(counts)")
    }

    @Test func `the same seed gives the same plan`() {
        let channels = (1...6).map { channel(Int64($0), weight: UInt32($0)) }
        var left = SplitMix64(seed: 5)
        var right = SplitMix64(seed: 5)
        for _ in 0..<50 { #expect(plan(channels, rng: &left).candidates == plan(channels, rng: &right).candidates) }
    }

    @Test func `channels are dropped with their reason`() {
        var rng = SplitMix64(seed: 3)
        var off = channel(1)
        off.isEnabled = false
        off.disabledReason = "no key"
        var closed = channel(2)
        closed.groups = ["vip"]
        let plan = plan([off, closed, channel(3)], query: RouteQuery(model: "m", excludedChannels: [3]), rng: &rng)
        #expect(plan.candidates.isEmpty && plan.isModelKnown)
        #expect(plan.dropped.map(\.reason) == [.disabled("no key"), .wrongGroup, .excluded])
        #expect(!self.plan([channel(1)], query: RouteQuery(model: "other"), rng: &rng).isModelKnown)
    }

    @Test func `patterns serve what the provider lists, and mapped names go upstream`() {
        var mapped = channel(1, models: [])
        mapped.models = [Channel.Model(pattern: "public", upstream: "m"), Channel.Model(pattern: "x/*")]
        #expect(mapped.upstreamModel(for: "public") == "m" && mapped.upstreamModel(for: "x/y") == "x/y")
        #expect(mapped.upstreamModel(for: "x/other") == nil && mapped.upstreamModel(for: "m") == nil)
        let table = RouteTable(channels: [mapped])
        #expect(table.models == ["public", "x/y"] && table.knows("public") && !table.knows("x/other"))
    }

    // MARK: Health

    private let target = HealthTarget(channelID: 1, keyIndex: 0, model: "m")

    @Test(arguments: [FailureKind.connect, .rateLimit, .overloaded]) func `some failures open at once`(kind: FailureKind) {
        var rng = SplitMix64(seed: 1)
        var health = HealthTable(settings: RoutingSettings())
        health.failed(target, UpstreamFailure(kind: kind), now: start, rng: &rng)
        guard case .open(let until) = health.state(of: target, now: start) else { return #expect(Bool(false)) }
        #expect((Duration.seconds(5)...Duration.seconds(5.6)).contains(start.duration(to: until)))
    }

    @Test(arguments: [FailureKind.server, .timeout, .malformed, .truncated, .midStream]) func `others open on the third in a row`(kind: FailureKind) {
        var rng = SplitMix64(seed: 1)
        var health = HealthTable(settings: RoutingSettings())
        for count in 1...3 {
            #expect(health.state(of: target, now: start) == .closed, "before failure \(count)")
            health.failed(target, UpstreamFailure(kind: kind), now: start, rng: &rng)
        }
        #expect(health.state(of: target, now: start) != .closed)

        var apart = HealthTable(settings: RoutingSettings())
        for minute in 0..<5 {
            apart.failed(target, UpstreamFailure(kind: kind), now: start.advanced(by: .seconds(minute * 120)), rng: &rng)
        }
        #expect(apart.state(of: target, now: start.advanced(by: .seconds(481))) == .closed)
    }

    @Test(arguments: [FailureKind.invalidRequest, .contextLength, .contentFilter, .cancelled]) func `the client's own mistakes cool nothing`(kind: FailureKind) {
        var rng = SplitMix64(seed: 1)
        var health = HealthTable(settings: RoutingSettings())
        for _ in 0..<10 { health.failed(target, UpstreamFailure(kind: kind), now: start, rng: &rng) }
        #expect(health.state(of: target, now: start) == .closed && health.report(now: start).isEmpty)
    }

    @Test func `Retry-After is honoured and clamped, cool-downs grow, one request probes`() {
        var rng = SplitMix64(seed: 1)
        var health = HealthTable(settings: RoutingSettings(cooldownBase: .seconds(5), cooldownMax: .seconds(60)))
        health.failed(target, UpstreamFailure(kind: .rateLimit, retryAfter: .seconds(2)), now: start, rng: &rng)
        #expect(health.state(of: target, now: start) == .open(until: start.advanced(by: .seconds(2))))
        let after = start.advanced(by: .seconds(2))
        #expect(health.state(of: target, now: after) == .halfOpen)
        let first = health.began(target, now: after)
        let second = health.began(target, now: after)
        #expect(first && !second)
        health.failed(target, UpstreamFailure(kind: .rateLimit, retryAfter: .seconds(9_999)), now: after, rng: &rng)
        #expect(health.state(of: target, now: after) == .open(until: after.advanced(by: .seconds(60))))
        let later = after.advanced(by: .seconds(61))
        _ = health.began(target, now: later)
        health.succeeded(target, now: later)
        #expect(health.state(of: target, now: later) == .closed)

        var growing = HealthTable(settings: RoutingSettings(cooldownBase: .seconds(5), cooldownMax: .seconds(60)))
        var waits: [Duration] = []
        for _ in 0..<6 {
            growing.failed(target, UpstreamFailure(kind: .connect), now: start, rng: &rng)
            if case .open(let until) = growing.state(of: target, now: start) { waits.append(start.duration(to: until)) }
        }
        #expect(waits == waits.sorted() && waits.last == .seconds(60))
    }

    @Test func `a refused key is out for every model while its sibling goes on`() {
        var rng = SplitMix64(seed: 1)
        var health = HealthTable(settings: RoutingSettings())
        let channel = channel(1, keys: 2)
        health.failed(target, UpstreamFailure(kind: .credentialRefused), now: start, rng: &rng)
        for _ in 0..<20 {
            let plan = plan([channel], health: health, query: RouteQuery(model: "x/y"), rng: &rng)
            #expect(plan.candidates.first?.keyIndex == 1)
        }
        health.failed(HealthTarget(channelID: 1, keyIndex: 1, model: "m"), UpstreamFailure(kind: .credentialExhausted), now: start, rng: &rng)
        let none = plan([channel], health: health, rng: &rng)
        #expect(none.candidates.isEmpty)
        guard case .allKeysRefused = none.dropped.first?.reason else { return #expect(Bool(false), "\(none.dropped)") }
    }

    @Test func `a missing model cools that model only`() {
        var rng = SplitMix64(seed: 1)
        var health = HealthTable(settings: RoutingSettings())
        health.failed(target, UpstreamFailure(kind: .modelUnavailable), now: start, rng: &rng)
        #expect(plan([channel(1, keys: 3)], health: health, rng: &rng).candidates.isEmpty)
        #expect(!plan([channel(1, keys: 3)], health: health, query: RouteQuery(model: "x/y"), rng: &rng).candidates.isEmpty)
    }

    @Test func `names of clients cannot grow the table without bound`() {
        var rng = SplitMix64(seed: 1)
        var health = HealthTable(settings: RoutingSettings())
        for number in 0..<60_000 {
            let target = HealthTarget(channelID: 1, keyIndex: 0, model: "made-up-\(number)")
            health.failed(target, UpstreamFailure(kind: .server), now: start.advanced(by: .milliseconds(number)), rng: &rng)
        }
        #expect(health.report(now: start).count <= 20_001)
    }
}
