import RouterCore
import Testing

@Suite struct HealthTests {
    private let start = Fleet.start
    private let channel = Fleet.channel(1)

    private func after(_ duration: Duration) -> MonotonicInstant { start.advanced(by: duration) }

    @Test(arguments: [FailureKind.connect, .rateLimit, .overloaded]) func `some failures open at once`(kind: FailureKind) {
        var rng = SplitMix64(seed: 1)
        var health = HealthTable(settings: RoutingSettings())
        health.fail(channel, kind, now: start, rng: &rng)
        guard case .open(let until) = health.state(channel, now: start) else { return #expect(Bool(false)) }
        #expect((Duration.seconds(5)...Duration.seconds(5.6)).contains(start.duration(to: until)))
    }

    @Test(arguments: [FailureKind.server, .timeout, .connectionReset, .malformed, .truncated, .midStream])
    func `others open on the third in a row`(kind: FailureKind) {
        var rng = SplitMix64(seed: 1)
        var health = HealthTable(settings: RoutingSettings())
        for count in 1...3 {
            #expect(health.state(channel, now: start) == .closed, "before failure \(count)")
            health.fail(channel, kind, now: start, rng: &rng)
        }
        #expect(health.state(channel, now: start) != .closed)

        var apart = HealthTable(settings: RoutingSettings())
        for minute in 0..<5 { apart.fail(channel, kind, now: after(.seconds(minute * 120)), rng: &rng) }
        #expect(apart.state(channel, now: after(.seconds(481))) == .closed)
    }

    @Test(arguments: [FailureKind.invalidRequest, .contextLength, .contentFilter, .cancelled])
    func `the client's own mistakes cool nothing`(kind: FailureKind) {
        var rng = SplitMix64(seed: 1)
        var health = HealthTable(settings: RoutingSettings())
        for _ in 0..<10 { health.fail(channel, kind, now: start, rng: &rng) }
        #expect(health.state(channel, now: start) == .closed && health.report(now: start).isEmpty)
    }

    @Test func `Retry-After is honoured, clamped and spread`() {
        var rng = SplitMix64(seed: 1)
        let settings = RoutingSettings(cooldownBase: .seconds(5), cooldownMax: .seconds(60))
        func wait(_ retryAfter: Duration) -> Duration {
            var health = HealthTable(settings: settings)
            health.fail(channel, .rateLimit, retryAfter: retryAfter, now: start, rng: &rng)
            guard case .open(let until) = health.state(channel, now: start) else { return .zero }
            return start.duration(to: until)
        }
        var seen: Set<Duration> = []
        for _ in 0..<50 {
            let two = wait(.seconds(2))
            #expect(two >= .seconds(2) && two <= .seconds(2.2))
            // Gateways that hit the maximum together do not come back together.
            let longest = wait(.seconds(9_999))
            #expect(longest >= .seconds(60) && longest <= .seconds(66))
            seen.insert(longest)
            #expect(wait(.zero) >= .milliseconds(500), "a vendor that says 'now' is not hammered")
        }
        #expect(seen.count > 40)
    }

    @Test func `cool-downs grow, one request probes, success closes`() throws {
        var rng = SplitMix64(seed: 1)
        var health = HealthTable(settings: RoutingSettings(cooldownBase: .seconds(5), cooldownMax: .seconds(60)))
        health.fail(channel, .connect, now: start, rng: &rng)
        var now = start
        var waits: [Duration] = []
        for _ in 0..<6 {
            guard case .open(let until) = health.state(channel, now: now) else { return #expect(Bool(false)) }
            waits.append(now.duration(to: until))
            #expect(health.begin(channel, now: now) == nil, "nobody gets through while it is open")
            now = until
            #expect(health.state(channel, now: now) == .halfOpen)
            let probe = try health.mustBegin(channel, now: now)
            #expect(probe.isProbe && health.begin(channel, now: now) == nil, "one probe at a time")
            health.ended(probe, .failed(UpstreamFailure(kind: .connect)), now: now, rng: &rng)
        }
        for (index, base) in [5, 10, 20, 40, 60, 60].enumerated() {
            #expect(waits[index] >= .seconds(base) && waits[index] <= .seconds(Double(base) * 1.1), "\(waits)")
        }
        now = now.advanced(by: .seconds(70))
        let probe = try health.mustBegin(channel, now: now)
        // The first content closes: a stream of ten minutes does not keep the others waiting.
        health.delivered(probe, firstContent: .milliseconds(5), now: now)
        #expect(health.state(channel, now: now) == .closed)
        let second = try health.mustBegin(channel, now: now)
        health.ended(second, .completed, now: now, rng: &rng)
        health.ended(probe, .completed, now: now, rng: &rng)
        #expect(health.report(now: now).isEmpty && health.inFlight(1) == 0)
    }

    @Test func `a thousand requests that die with their host count once`() throws {
        var rng = SplitMix64(seed: 1)
        var health = HealthTable(settings: RoutingSettings())
        let tickets = try (0..<1_000).map { _ in try health.mustBegin(channel, now: start) }
        let death = after(.seconds(1))
        for ticket in tickets { health.ended(ticket, .failed(UpstreamFailure(kind: .connect)), now: death, rng: &rng) }
        guard case .open(let until) = health.state(channel, now: death) else { return #expect(Bool(false)) }
        #expect(death.duration(to: until) <= .seconds(5.5), "the cool-down did not grow")
        #expect(health.report(now: death).map(\.openings) == [1])
    }

    @Test func `late news does not disturb a probe`() throws {
        var rng = SplitMix64(seed: 1)
        var health = HealthTable(settings: RoutingSettings())
        let old = try health.mustBegin(channel, now: start)
        let older = try health.mustBegin(channel, now: start)
        health.fail(channel, .connect, now: after(.seconds(1)), rng: &rng)
        let later = after(.seconds(10))
        let probe = try health.mustBegin(channel, now: later)
        health.ended(old, .completed, now: later, rng: &rng)
        #expect(health.state(channel, now: later) == .halfOpen, "an answer from before the failure proves nothing")
        #expect(health.begin(channel, now: later) == nil, "the probe is still the only one")
        health.ended(older, .released, now: later, rng: &rng)
        #expect(health.begin(channel, now: later) == nil)
        health.ended(probe, .released, now: later, rng: &rng)
        #expect(health.begin(channel, now: later) != nil, "a probe without a verdict gives its place back")
    }

    @Test func `streams that break after content open in the end`() throws {
        var rng = SplitMix64(seed: 1)
        var health = HealthTable(settings: RoutingSettings())
        for _ in 0..<3 {
            let ticket = try health.mustBegin(channel, now: start)
            health.delivered(ticket, firstContent: .milliseconds(1), now: start)
            health.ended(ticket, .failed(UpstreamFailure(kind: .truncated)), now: start, rng: &rng)
        }
        #expect(health.state(channel, now: start) != .closed)
    }

    // MARK: Keys and accounts

    @Test func `a refused key is out for every model while its sibling goes on`() {
        var rng = SplitMix64(seed: 1)
        var health = HealthTable(settings: RoutingSettings())
        let channel = Fleet.channel(1, keys: 2)
        health.fail(channel, .credentialRefused, now: start, rng: &rng)
        for _ in 0..<20 {
            let plan = Fleet.plan([channel], health: health, query: RouteQuery(model: "x/y"), rng: &rng)
            #expect(plan.candidates.first?.keyIndex == 1)
        }
        health.fail(channel, .credentialExhausted, key: 1, now: start, rng: &rng)
        let none = Fleet.plan([channel], health: health, rng: &rng)
        #expect(none.candidates.isEmpty)
        guard case .allKeysRefused(let until) = none.dropped.first?.reason else { return #expect(Bool(false), "\(none.dropped)") }
        #expect(start.duration(to: until) >= .seconds(300), "re-tried at the slowest pace")
    }

    @Test func `keys rotate`() {
        var rng = SplitMix64(seed: 1)
        var counts = [0, 0, 0]
        for _ in 0..<3_000 {
            counts[Fleet.plan([Fleet.channel(1, keys: 3)], rng: &rng).candidates[0].keyIndex] += 1
        }
        for count in counts { #expect((900...1_100).contains(count), "\(counts)") }
    }

    @Test func `where keys share an account, one key's full quota is everybody's`() {
        var rng = SplitMix64(seed: 1)
        let here = Fleet.channel(1, keys: 2, account: "acme")
        let there = Fleet.channel(2, account: "acme")
        let elsewhere = Fleet.channel(3)
        var health = HealthTable(settings: RoutingSettings())
        health.fail(here, .rateLimit, now: start, rng: &rng)
        let fleet = [here, there, elsewhere]
        #expect(Fleet.plan(fleet, health: health, rng: &rng).candidates.map(\.channel.id) == [3])
        #expect(
            Fleet.plan(fleet, health: health, query: RouteQuery(model: "x/y"), rng: &rng).candidates.count == 3, "another model's quota")
        health.fail(here, .credentialExhausted, now: start, rng: &rng)
        #expect(Fleet.plan(fleet, health: health, query: RouteQuery(model: "x/y"), rng: &rng).candidates.map(\.channel.id) == [3])
        // A refused connection is about the host, whoever pays.
        var other = HealthTable(settings: RoutingSettings())
        other.fail(here, .connect, now: start, rng: &rng)
        let ids = Fleet.plan(fleet, health: other, rng: &rng).candidates.map { "\($0.channel.id)-\($0.keyIndex)" }
        #expect(Set(ids) == ["2-0", "3-0"])
        #expect(Fleet.plan(fleet, health: other, query: RouteQuery(model: "x/y"), rng: &rng).candidates.count == 2, "for every model")
    }

    @Test func `a missing model cools that model only`() {
        var rng = SplitMix64(seed: 1)
        var health = HealthTable(settings: RoutingSettings())
        let channel = Fleet.channel(1, keys: 3)
        health.fail(channel, .modelUnavailable, now: start, rng: &rng)
        #expect(Fleet.plan([channel], health: health, rng: &rng).candidates.isEmpty)
        #expect(!Fleet.plan([channel], health: health, query: RouteQuery(model: "x/y"), rng: &rng).candidates.isEmpty)
    }

    @Test func `health follows keys that change their place, and forgets those that go`() {
        var rng = SplitMix64(seed: 1)
        var health = HealthTable(settings: RoutingSettings())
        let before = Fleet.channel(1, keys: 3)
        health.fail(before, .credentialRefused, key: 0, now: start, rng: &rng)
        health.fail(before, .credentialRefused, key: 2, now: start, rng: &rng)
        var moved = before
        moved.keys = [before.keys[1], before.keys[0], Secret("new")]
        health.apply(settings: RoutingSettings(), channels: [moved], old: [before])
        #expect(health.state(moved, key: 0, now: start) == .closed && health.state(moved, key: 1, now: start) != .closed)
        #expect(health.state(moved, key: 2, now: start) == .closed, "the new key starts fresh")
        health.apply(settings: RoutingSettings(), channels: [], old: [moved])
        #expect(health.report(now: start).isEmpty)
    }

    // MARK: Probes, restarts, bounds

    @Test func `an active probe cools, and ends what it disproves`() {
        var rng = SplitMix64(seed: 1)
        var health = HealthTable(settings: RoutingSettings())
        health.probed(channelID: 1, keyIndex: 0, failure: UpstreamFailure(kind: .connect), now: start, rng: &rng)
        #expect(health.state(channel, now: start) != .closed && health.state(channel, model: "x/y", now: start) != .closed)
        health.fail(channel, .rateLimit, model: "x/y", now: start, rng: &rng)
        let later = after(.seconds(1))
        health.probed(channelID: 1, keyIndex: 0, failure: nil, now: later, rng: &rng)
        #expect(health.state(channel, now: later) == .halfOpen, "the next request is the real test")
        guard case .open = health.state(channel, model: "x/y", now: later) else {
            return #expect(Bool(false), "a list says nothing of quotas")
        }
    }

    @Test func `an open record survives a restart`() {
        var rng = SplitMix64(seed: 1)
        var health = HealthTable(settings: RoutingSettings())
        health.fail(channel, .overloaded, retryAfter: .seconds(100), now: start, rng: &rng)
        var next = HealthTable(settings: RoutingSettings())
        for row in health.report(now: start) { next.restore(row, now: start) }
        #expect(next.state(channel, now: start) == health.state(channel, now: start))
        #expect(next.report(now: start) == health.report(now: start))
    }

    @Test func `names of clients cannot grow the table without bound`() {
        var rng = SplitMix64(seed: 1)
        var health = HealthTable(settings: RoutingSettings())
        for number in 0..<45_000 {
            health.fail(channel, .server, model: "made-up-\(number)", now: after(.milliseconds(number)), rng: &rng)
        }
        #expect(health.report(now: start).count <= 20_001)
    }

    // MARK: Limits

    @Test func `requests per minute: a minute's allowance at once, then one by one`() throws {
        var health = HealthTable(settings: RoutingSettings())
        let limited = Fleet.channel(1, limits: Channel.Limits(requestsPerMinute: 6))
        var rng = SplitMix64(seed: 1)
        for _ in 0..<6 { #expect(health.begin(limited, now: start) != nil) }
        #expect(health.begin(limited, now: start) == nil)
        let plan = Fleet.plan([limited, Fleet.channel(2)], health: health, rng: &rng)
        #expect(plan.candidates.map(\.channel.id) == [2])
        #expect(plan.dropped.map(\.reason) == [.limited(.requestsPerMinute, until: after(.seconds(10)))])
        #expect(health.begin(limited, now: after(.seconds(9.9))) == nil)
        #expect(health.begin(limited, now: after(.seconds(10))) != nil)
        #expect(health.begin(limited, now: after(.seconds(10))) == nil)
        // In the long run exactly the limit: 6 at once, then 6 a minute.
        var passed = 0
        for tick in 0..<3_600 where health.begin(limited, now: after(.seconds(10 + tick))) != nil { passed += 1 }
        #expect((359...360).contains(passed), "\(passed)")
    }

    @Test func `tokens per minute: taken at the start, corrected by what was used`() throws {
        var rng = SplitMix64(seed: 1)
        var health = HealthTable(settings: RoutingSettings())
        let limited = Fleet.channel(1, limits: Channel.Limits(tokensPerMinute: 1_000))
        let first = try health.mustBegin(limited, tokens: 900, now: start)
        #expect(health.begin(limited, tokens: 200, now: start) == nil)
        health.ended(first, .completed, tokens: 300, now: start, rng: &rng)
        #expect(health.begin(limited, tokens: 700, now: start) != nil, "what was not used came back")
        #expect(health.begin(limited, tokens: 10, now: start) == nil)
        // Larger than the whole bucket: when the bucket is full.
        #expect(health.begin(limited, tokens: 50_000, now: after(.seconds(59))) == nil)
        #expect(health.begin(limited, tokens: 50_000, now: after(.seconds(60))) != nil)
    }

    @Test func `concurrency`() throws {
        var rng = SplitMix64(seed: 1)
        var health = HealthTable(settings: RoutingSettings())
        let limited = Fleet.channel(1, limits: Channel.Limits(concurrency: 2))
        let first = try health.mustBegin(limited, now: start)
        #expect(health.begin(limited, now: start) != nil && health.begin(limited, now: start) == nil)
        health.ended(first, .released, now: start, rng: &rng)
        #expect(health.begin(limited, now: start) != nil)
    }

    @Test func `the retry budget: a floor for quiet times, a share of the traffic, a ceiling`() {
        var budget = RetryBudget(settings: .init(percent: 20, perMinute: 6), now: start)
        var taken = 0
        while budget.take(now: start) { taken += 1 }
        #expect(taken == 6 && budget.refusals == 1)
        for _ in 0..<10 { budget.requestBegan() }
        #expect(budget.take(now: start) && budget.take(now: start) && !budget.take(now: start), "twenty per hundred")
        #expect(!budget.take(now: after(.seconds(9))) && budget.take(now: after(.seconds(10))))
        for _ in 0..<1_000 { budget.requestBegan() }
        taken = 0
        while budget.take(now: after(.seconds(10))) { taken += 1 }
        #expect(taken == 6, "no more than a minute's floor is saved up")
    }

    // MARK: What a reviewer found

    @Test func `a request that announces a billion tokens does not lock the channel, and one that fails gives back what it took`() throws {
        var rng = SplitMix64(seed: 1)
        var health = HealthTable(settings: RoutingSettings())
        let limited = Fleet.channel(1, limits: Channel.Limits(tokensPerMinute: 1_000))
        let huge = try health.mustBegin(limited, tokens: 1_000_000_000, now: start)
        health.ended(huge, .released, tokens: 0, now: start, rng: &rng)
        #expect(health.begin(limited, tokens: 1_000, now: start) != nil, "a refused request used nothing")
        #expect(health.begin(limited, tokens: 1_000, now: after(.seconds(60))) != nil, "a minute later the bucket is full again")
        var tiny = HealthTable(settings: RoutingSettings())
        let small = Fleet.channel(1, limits: Channel.Limits(tokensPerMinute: 1))
        _ = try tiny.mustBegin(small, tokens: 1_000_000_000, now: start)
        #expect(tiny.begin(small, tokens: 1, now: after(.seconds(59))) == nil)
        #expect(tiny.begin(small, tokens: 1, now: after(.seconds(60))) != nil)
    }

    @Test func `what was used beyond the estimate counts, even when the bucket was full`() throws {
        var rng = SplitMix64(seed: 1)
        var health = HealthTable(settings: RoutingSettings())
        let limited = Fleet.channel(1, limits: Channel.Limits(tokensPerMinute: 1_000))
        let ticket = try health.mustBegin(limited, tokens: 10, now: start)
        health.ended(ticket, .completed, tokens: 910, now: after(.seconds(30)), rng: &rng)
        #expect(health.begin(limited, tokens: 200, now: after(.seconds(30))) == nil)
        #expect(health.begin(limited, tokens: 100, now: after(.seconds(30))) != nil)
    }

    @Test func `a key that cooled comes back beside a healthy sibling`() throws {
        var rng = SplitMix64(seed: 1)
        var health = HealthTable(settings: RoutingSettings())
        let channel = Fleet.channel(1, keys: 2)
        health.fail(channel, .rateLimit, now: start, rng: &rng)
        var used: [Int: Int] = [:]
        for tick in 0..<200 {
            let now = after(.seconds(10 + tick))
            let key = Fleet.plan([channel], health: health, now: now, rng: &rng).candidates[0].keyIndex
            used[key, default: 0] += 1
            let ticket = try health.mustBegin(channel, key: key, now: now)
            health.ended(ticket, .completed, now: now, rng: &rng)
        }
        #expect((used[0] ?? 0) > 60 && (used[1] ?? 0) > 60, "\(used)")
    }

    @Test func `verdicts on a key that was replaced, or from before an operator's word, do not count`() throws {
        var rng = SplitMix64(seed: 1)
        let old = Fleet.channel(1)
        var new = old
        new.keys = [Secret("new")]
        var health = HealthTable(settings: RoutingSettings())
        let late = try health.mustBegin(old, now: start)
        health.apply(settings: RoutingSettings(), channels: [new], old: [old])
        health.ended(late, .failed(UpstreamFailure(kind: .credentialRefused)), now: start, rng: &rng)
        #expect(health.state(new, now: start) == .closed && health.inFlight(1) == 0)

        let unpaid = try health.mustBegin(new, now: start)
        health.clear(channelID: 1, account: nil)
        health.ended(unpaid, .failed(UpstreamFailure(kind: .credentialExhausted)), now: start, rng: &rng)
        #expect(health.state(new, now: start) == .closed)

        // The channel goes and comes back: what is still under way is not counted on the new one.
        let before = try health.mustBegin(new, now: start)
        health.apply(settings: RoutingSettings(), channels: [], old: [new])
        health.apply(settings: RoutingSettings(), channels: [new], old: [])
        let now = try health.mustBegin(new, now: start)
        health.ended(before, .completed, now: start, rng: &rng)
        #expect(health.inFlight(1) == 1)
        health.ended(now, .completed, now: start, rng: &rng)
        #expect(health.inFlight(1) == 0)
    }

    @Test func `an operator's word clears the account as well`() {
        var rng = SplitMix64(seed: 1)
        var health = HealthTable(settings: RoutingSettings())
        let channel = Fleet.channel(1, account: "acme")
        health.fail(channel, .credentialExhausted, now: start, rng: &rng)
        health.probed(channelID: 1, keyIndex: 0, failure: nil, now: start, rng: &rng)
        #expect(health.state(channel, now: start) != .closed, "a list of models is free: it proves nothing about money")
        health.clear(channelID: 1, account: "acme")
        #expect(health.state(channel, now: start) == .closed)
    }

    @Test func `a slow trickle of retries gets all of the floor`() {
        var budget = RetryBudget(settings: .init(percent: 0, perMinute: 1), now: start)
        var taken = 0
        for second in 0..<600 where budget.take(now: after(.milliseconds(second * 1_000 + 7))) { taken += 1 }
        #expect((10...11).contains(taken), "\(taken)")
    }
}
