import RouterCore
import Testing

@Suite struct RoutingTests {
    private let start = Fleet.start

    /// Every fleet of up to four channels, each out of weight {0, 1, 3} × priority {0, 1} × {well, cooling}.
    @Test func `small spaces, exhaustively`() {
        var rng = SplitMix64(seed: 1)
        let weights: [UInt32] = [0, 1, 3]
        for size in 0...4 {
            var spaces = 1
            for _ in 0..<size { spaces *= 12 }
            for code in 0..<spaces {
                var health = HealthTable(settings: RoutingSettings())
                var channels: [Channel] = []
                var open: Set<Int64> = []
                var rest = code
                for id in 0..<size {
                    let choice = rest % 12
                    rest /= 12
                    let channel = Fleet.channel(Int64(id + 1), weight: weights[choice % 3], priority: choice / 3 % 2)
                    channels.append(channel)
                    guard choice / 6 == 1 else { continue }
                    open.insert(channel.id)
                    health.fail(channel, .connect, now: start, rng: &rng)
                }
                let plan = Fleet.plan(channels, health: health, rng: &rng)
                let problem = Self.problem(plan, channels, open)
                #expect(problem == nil, "size \(size) code \(code)")
            }
        }
    }

    /// In what state a channel of the oracle's fleet is.
    private enum Condition: CaseIterable {
        case well, server, connect, named, limited, refused, disabled
        var isPassing: Bool { self == .server || self == .connect }
    }

    /// Every fleet of up to three channels, each out of weight {0, 1} × priority {0, 1} × seven conditions, against an oracle of the last
    /// resort.
    @Test func `audit 12: small spaces, exhaustively, when nobody is left`() {
        var rng = SplitMix64(seed: 2)
        for size in 1...3 {
            var spaces = 1
            for _ in 0..<size { spaces *= 28 }
            for code in 0..<spaces {
                var health = HealthTable(settings: RoutingSettings())
                var fleet: [(channel: Channel, condition: Condition)] = []
                var rest = code
                for id in 1...size {
                    let choice = rest % 28
                    rest /= 28
                    let channel = Fleet.channel(Int64(id), weight: UInt32(choice % 2), priority: choice / 2 % 2)
                    let condition = Condition.allCases[choice / 4]
                    switch condition {
                    case .well: break
                    case .server: for _ in 0..<3 { health.fail(channel, .server, now: start, rng: &rng) }
                    case .connect: health.fail(channel, .connect, now: start, rng: &rng)
                    case .named: health.fail(channel, .overloaded, retryAfter: .seconds(1), now: start, rng: &rng)
                    case .limited: health.fail(channel, .rateLimit, now: start, rng: &rng)
                    case .refused: health.fail(channel, .credentialRefused, now: start, rng: &rng)
                    case .disabled: health.set(.disabled, channelID: channel.id)
                    }
                    fleet.append((channel, condition))
                }
                let plan = Fleet.plan(fleet.map(\.channel), health: health, rng: &rng)
                let problem = problem(plan, fleet, health)
                #expect(problem == nil, "size \(size) code \(code)")
            }
        }
    }

    private func problem(_ plan: RoutePlan, _ fleet: [(channel: Channel, condition: Condition)], _ health: HealthTable) -> String? {
        let ids = plan.candidates.map(\.channel.id)
        let well = fleet.filter { $0.condition == .well }.map(\.channel.id)
        let passing = fleet.filter(\.condition.isPassing).map(\.channel)
        func end(_ channel: Channel) -> Int64 {
            if case .open(let until) = health.state(channel, now: start) { until.nanoseconds } else { 0 }
        }
        guard plan.dropped.count + ids.count == fleet.count else { return "each channel once: \(plan)" }
        guard well.isEmpty else { return !plan.isLastResort && Set(ids) == Set(well) ? nil : "whoever is well: \(ids)" }
        let expected =
            passing.filter { $0.weight > 0 }.sorted { end($0) < end($1) } + passing.filter { $0.weight == 0 }.sorted { end($0) < end($1) }
        guard ids == expected.map(\.id), plan.isLastResort == !ids.isEmpty else { return "\(ids), expected \(expected.map(\.id))" }
        let mayComeBack = fleet.contains { $0.condition != .disabled }
        guard (plan.retryAfter != nil) == (ids.isEmpty && mayComeBack) else { return "retryAfter \(String(describing: plan.retryAfter))" }
        let limits = plan.dropped.count { if case .rateLimited = $0.reason { true } else { false } }
        return limits == fleet.count { $0.condition == .limited } ? nil : "\(plan.dropped)"
    }

    /// What is wrong with a plan; one comparison per plan keeps 22,000 of them fast.
    private static func problem(_ plan: RoutePlan, _ channels: [Channel], _ open: Set<Int64>) -> String? {
        let ids = plan.candidates.map(\.channel.id)
        if open.count == channels.count {
            // Refused connections are passing: all of them are candidates, by the end of their cool-downs.
            return Set(ids) == open && plan.dropped.isEmpty && plan.isLastResort == !ids.isEmpty ? nil : "last resort \(ids)"
        }
        guard ids.count == Set(ids).count, Set(ids) == Set(channels.map(\.id)).subtracting(open) else { return "candidates \(ids)" }
        guard Set(plan.dropped.map(\.channelID)) == open, !plan.isLastResort else { return "dropped \(plan.dropped)" }
        for (left, right) in zip(plan.candidates, plan.candidates.dropFirst()) {
            let (a, b) = (left.channel, right.channel)
            guard (a.weight == 0) == (b.weight == 0) ? a.priority >= b.priority : a.weight > 0 else { return "order \(ids)" }
        }
        return nil
    }

    @Test(arguments: [[1, 1], [1, 3], [5, 3, 2], [1, 10, 100, 1_000], [7, 0, 3]] as [[UInt32]])
    func `shares follow the weights`(weights: [UInt32]) {
        var rng = SplitMix64(seed: 42)
        let channels = weights.enumerated().map { Fleet.channel(Int64($0.offset), weight: $0.element) }
        let table = RouteTable(channels: channels)
        let health = HealthTable(settings: RoutingSettings())
        var counts = [Int](repeating: 0, count: weights.count)
        let rounds = 100_000
        for _ in 0..<rounds {
            let plan = Router.plan(
                RouteQuery(model: "m", limit: 1), table: table, health: health, now: start, facts: Fleet.facts, rng: &rng)
            counts[Int(plan.candidates[0].channel.id)] += 1
        }
        let statistic = chiSquare(counts, weights)
        // 99.9 % quantiles for 1, 2 and 3 degrees of freedom; the seed is fixed, so this cannot flake.
        let freedom = weights.count { $0 > 0 } - 1
        #expect(statistic < [10.83, 13.82, 16.27][freedom - 1], "\(counts)")
        for (count, weight) in zip(counts, weights) where weight == 0 { #expect(count == 0) }
    }

    private func chiSquare(_ counts: [Int], _ weights: [UInt32]) -> Double {
        let rounds = counts.reduce(0, +)
        let total = weights.reduce(0, +)
        return zip(counts, weights).filter { $0.1 > 0 }.reduce(0.0) { sum, pair in
            let expected = Double(rounds) * Double(pair.1) / Double(total)
            return sum + (Double(pair.0) - expected) * (Double(pair.0) - expected) / expected
        }
    }

    @Test func `the second candidate has its weight's share among those that are left`() {
        var rng = SplitMix64(seed: 8)
        let channels = [5, 3, 2].enumerated().map { Fleet.channel(Int64($0.offset), weight: UInt32($0.element)) }
        var seconds = [Int](repeating: 0, count: 3)
        for _ in 0..<30_000 {
            let plan = Fleet.plan(channels, query: RouteQuery(model: "m", limit: 2), rng: &rng)
            if plan.candidates[0].channel.id == 0 { seconds[Int(plan.candidates[1].channel.id)] += 1 }
        }
        #expect(chiSquare([seconds[1], seconds[2]], [3, 2]) < 10.83, "\(seconds)")
    }

    @Test func `the same seed gives the same plan, whatever the limit`() {
        let channels = (1...6).map { Fleet.channel(Int64($0), weight: UInt32($0), priority: $0 % 2) }
        var left = SplitMix64(seed: 5)
        var right = SplitMix64(seed: 5)
        for _ in 0..<50 { #expect(Fleet.plan(channels, rng: &left).candidates == Fleet.plan(channels, rng: &right).candidates) }
        for limit in 1...6 {
            var all = SplitMix64(seed: 77)
            var few = SplitMix64(seed: 77)
            let whole = Fleet.plan(channels, rng: &all).candidates
            let part = Fleet.plan(channels, query: RouteQuery(model: "m", limit: limit), rng: &few).candidates
            #expect(Array(whole.prefix(limit)) == part, "limit \(limit)")
        }
    }

    @Test func `channels are dropped with their reason`() {
        var rng = SplitMix64(seed: 3)
        var off = Fleet.channel(1)
        off.isEnabled = false
        off.disabledReason = "no key"
        var closed = Fleet.channel(2)
        closed.groups = ["vip"]
        var health = HealthTable(settings: RoutingSettings())
        health.set(.draining, channelID: 4)
        health.set(.disabled, channelID: 5)
        let other = Fleet.channel(6, models: ["z"])
        var query = RouteQuery(model: "m")
        query.explainsAll = true
        let fleet = [off, closed, Fleet.channel(4), Fleet.channel(5), other]
        let plan = Fleet.plan(fleet, health: health, query: query, rng: &rng)
        #expect(plan.candidates.isEmpty && plan.isModelKnown)
        #expect(
            plan.dropped.map(\.reason)
                == [.disabled("no key"), .wrongGroup, .draining, .disabled("by an operator"), .notServed])
        #expect(!Fleet.plan([Fleet.channel(1)], query: RouteQuery(model: "other"), rng: &rng).isModelKnown)
    }

    @Test func `patterns serve what the provider lists, and mapped names go upstream`() {
        var mapped = Fleet.channel(1, models: [])
        mapped.models = [Channel.Model(pattern: "public", upstream: "m"), Channel.Model(pattern: "x/*")]
        #expect(mapped.upstreamModel(for: "public") == "m" && mapped.upstreamModel(for: "x/y") == "x/y")
        #expect(mapped.upstreamModel(for: "x/other") == nil && mapped.upstreamModel(for: "m") == nil)
        let table = RouteTable(channels: [mapped])
        #expect(table.models == ["public", "x/y"] && table.knows("public") && !table.knows("x/other"))
    }

    @Test func `a model is asked only where its provider serves it`() {
        var rng = SplitMix64(seed: 1)
        let spec = ProviderSpec(
            name: "p", family: .openai, baseURL: "http://h", models: [ProviderModel(id: "m", endpoints: [.embeddings])])
        let facts = RouteFacts(endpoints: { _ in [.chat, .embeddings] })
        let channel = Fleet.channel(1, spec: spec)
        let chat = Fleet.plan([channel], facts: facts, rng: &rng)
        #expect(chat.candidates.isEmpty && chat.dropped.map(\.reason) == [.endpointUnsupported])
        let query = RouteQuery(model: "m", endpoint: .embeddings)
        #expect(Fleet.plan([channel], query: query, facts: facts, rng: &rng).candidates.count == 1)
    }

    @Test func `a model that converses does so in every dialect that its provider serves`() {
        var rng = SplitMix64(seed: 1)
        let spec = ProviderSpec(name: "p", family: .openai, baseURL: "http://h", models: [ProviderModel(id: "m", endpoints: [.chat])])
        let channel = Fleet.channel(1, spec: spec)
        let all = RouteFacts(endpoints: { _ in [.chat, .messages] })
        func count(_ endpoint: Endpoint, _ facts: RouteFacts) -> Int {
            Fleet.plan([channel], query: RouteQuery(model: "m", endpoint: endpoint), facts: facts, rng: &rng).candidates.count
        }
        #expect(count(.chat, all) == 1 && count(.messages, all) == 1)
        #expect(count(.responses, all) == 0 && count(.embeddings, RouteFacts(endpoints: { _ in [.embeddings] })) == 0)
    }

    // MARK: Settings

    @Test func `a model's own settings win over the gateway's, and the nearer timeouts over the farther`() {
        var rng = SplitMix64(seed: 1)
        let rules = [
            ModelRouting(
                pattern: "x/*", strategy: .lowestCost, maxAttempts: 7, timeouts: TimeoutOverrides(firstByte: .seconds(2), idle: .seconds(3))
            ),
            ModelRouting(pattern: "x/y", affinity: .off, timeouts: TimeoutOverrides(firstContent: .seconds(4))),
        ]
        let settings = RoutingSettings(timeouts: AttemptTimeouts(connect: .seconds(1)), models: rules)
        #expect(settings.policy(for: "x/y").strategy == .weightedRandom && settings.policy(for: "x/y").affinity == .off)
        let pattern = settings.policy(for: "x/other")
        #expect(pattern.strategy == .lowestCost && pattern.maxAttempts == 7 && pattern.timeouts.firstByte == .seconds(2))
        #expect(settings.policy(for: "m").maxAttempts == 3)

        var channel = Fleet.channel(1)
        channel.timeouts = TimeoutOverrides(firstByte: .seconds(20), idle: .seconds(30))
        channel.models = [Channel.Model(pattern: "x/y", timeouts: TimeoutOverrides(idle: .seconds(40)))]
        let candidate = Fleet.plan([channel], query: RouteQuery(model: "x/y"), settings: settings, rng: &rng).candidates[0]
        #expect(
            candidate.timeouts
                == AttemptTimeouts(
                    connect: .seconds(1), firstByte: .seconds(20), firstContent: .seconds(4), idle: .seconds(40), total: .seconds(600)))
    }

    // MARK: Strategies

    private func first(_ channels: [Channel], _ strategy: RoutingStrategy, _ health: HealthTable, now: MonotonicInstant? = nil) -> Int64 {
        var rng = SplitMix64(seed: 9)
        let plan = Fleet.plan(channels, health: health, now: now ?? start, settings: RoutingSettings(strategy: strategy), rng: &rng)
        return plan.candidates[0].channel.id
    }

    @Test func `round robin interleaves by weight, and who comes back does not catch up`() {
        var health = HealthTable(settings: RoutingSettings(strategy: .roundRobin))
        // Other traffic, of another model, does not disturb the weights of this one.
        let other = Fleet.channel(9)
        let channels = [Fleet.channel(1, weight: 3), Fleet.channel(2, weight: 1)]
        var order: [Int64] = []
        func serve(_ channels: [Channel]) {
            let id = first(channels, .roundRobin, health)
            if let channel = channels.first(where: { $0.id == id }) { _ = health.begin(channel, now: start) }
            _ = health.begin(other, model: "x/y", now: start)
            order.append(id)
        }
        for _ in 0..<400 { serve(channels) }
        #expect(order.count { $0 == 1 } == 300)
        // Smooth: never more than three of one kind in a row.
        for index in 0..<(order.count - 4) { #expect(Set(order[index..<index + 5]).count == 2) }
        // A third channel is added after all that: it gets its share, not everything.
        order = []
        for _ in 0..<100 { serve(channels + [Fleet.channel(3, weight: 4)]) }
        #expect((49...51).contains(order.count { $0 == 3 }), "\(order)")
    }

    @Test func `least latency prefers the fast, tries the unmeasured, and forgives with time`() throws {
        var health = HealthTable(settings: RoutingSettings())
        let channels = [Fleet.channel(1), Fleet.channel(2), Fleet.channel(3)]
        var rng = SplitMix64(seed: 2)
        for (channel, milliseconds) in [(channels[0], 900), (channels[1], 100)] {
            let ticket = try health.mustBegin(channel, now: start)
            health.delivered(ticket, firstContent: .milliseconds(milliseconds), now: start)
            health.ended(ticket, .completed, now: start, rng: &rng)
        }
        #expect(first(channels, .leastLatency, health) == 3, "the unmeasured one is measured first")
        #expect(first(Array(channels.prefix(2)), .leastLatency, health) == 2)
        // Load counts: nine requests under way at 100 ms wait longer than one at 900 ms.
        var busy = health
        for _ in 0..<9 { _ = busy.begin(channels[1], now: start) }
        #expect(first(Array(channels.prefix(2)), .leastLatency, busy) == 1)
        // The slow one has not been asked for three minutes: it gets another chance.
        let later = start.advanced(by: .seconds(200))
        let ticket = try health.mustBegin(channels[1], now: later)
        health.delivered(ticket, firstContent: .milliseconds(100), now: later)
        health.ended(ticket, .completed, now: later, rng: &rng)
        #expect(first(Array(channels.prefix(2)), .leastLatency, health, now: later) == 1)
    }

    @Test func `least busy measures by weight`() {
        var health = HealthTable(settings: RoutingSettings())
        let channels = [Fleet.channel(1, weight: 4), Fleet.channel(2, weight: 1)]
        for _ in 0..<3 { _ = health.begin(channels[0], now: start) }
        _ = health.begin(channels[1], now: start)
        #expect(first(channels, .leastBusy, health) == 1, "3/4 is less than 1/1")
        for _ in 0..<2 { _ = health.begin(channels[0], now: start) }
        #expect(first(channels, .leastBusy, health) == 2, "5/4 is more than 1/1")
    }

    @Test func `lowest cost takes the cheapest, equals by weight, the unknown last`() throws {
        func spec(_ name: String, _ usd: String?) throws -> ProviderSpec {
            let rate = try usd.map { try FemtoUSD.parse(usdPerMillion: $0).price }
            let price = rate.map { ModelPrice(rates: .init(input: $0, output: $0)) }
            return ProviderSpec(name: name, family: .openai, baseURL: "http://h", models: [ProviderModel(id: "m", price: price)])
        }
        let channels = [
            Fleet.channel(1, spec: try spec("none", nil)), Fleet.channel(2, spec: try spec("dear", "3")),
            Fleet.channel(3, weight: 9, spec: try spec("cheap", "1")), Fleet.channel(4, weight: 1, spec: try spec("cheap2", "1")),
        ]
        var rng = SplitMix64(seed: 4)
        var firsts: [Int64: Int] = [:]
        for _ in 0..<2_000 {
            let ids = Fleet.plan(channels, settings: RoutingSettings(strategy: .lowestCost), rng: &rng).candidates.map(\.channel.id)
            #expect(Array(ids[2...]) == [2, 1] && Set(ids[..<2]) == [3, 4])
            firsts[ids[0], default: 0] += 1
        }
        #expect((1_700...1_900).contains(firsts[3] ?? 0), "\(firsts)")
    }
}
