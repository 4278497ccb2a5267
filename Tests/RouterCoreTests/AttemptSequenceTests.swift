import RouterCore
import Testing

/// Failover step by step, without a server.
@Suite struct AttemptSequenceTests {
    private struct Rig {
        var health = HealthTable(settings: RoutingSettings())
        var budget = RetryBudget(settings: .init(), now: Fleet.start)
        var rng = SplitMix64(seed: 1)
        var now = Fleet.start
        var sequence: AttemptSequence
        let policy: RoutePolicy
        private let candidates: [RouteCandidate]

        /// The next request for the same.
        mutating func renew() {
            sequence = AttemptSequence(candidates: candidates, policy: policy, deadline: now.advanced(by: .seconds(60)))
        }

        init(_ channels: [Channel], models: [String] = ["m"], policy: RoutePolicy = RoutePolicy(), budget: RetryBudget.Settings = .init()) {
            var candidates: [RouteCandidate] = []
            for model in models {
                candidates += channels.map {
                    RouteCandidate(channel: SharedChannel($0), keyIndex: $0.keys.count - 1, model: model, upstreamModel: model)
                }
            }
            self.budget = RetryBudget(settings: budget, now: Fleet.start)
            self.candidates = candidates
            self.policy = policy
            sequence = AttemptSequence(candidates: candidates, policy: policy, deadline: Fleet.start.advanced(by: .seconds(60)))
        }

        /// One word per step: `1` (channel), `1/k0` (with its key), `1 m2`, `wait`, or why it stops.
        mutating func next(failing failure: UpstreamFailure?) -> String {
            switch sequence.step(&health, &budget, now: now, rng: &rng) {
            case .attempt(_, let candidate, let ticket):
                if let failure {
                    sequence.failed(failure)
                    health.ended(ticket, failure.source == .upstream ? .failed(failure) : .released, now: now, rng: &rng)
                }
                let key = candidate.channel.keys.count > 1 ? "/k\(candidate.keyIndex)" : ""
                return "\(candidate.channel.id)\(key)\(candidate.model == "m" ? "" : " " + candidate.model)"
            case .wait(let duration):
                now = now.advanced(by: duration)
                return "wait"
            case .stop(let stop):
                switch stop {
                case .failed(let failure): return "failed \(failure?.kind.rawValue ?? "nothing")"
                case .outOfAttempts: return "out of attempts"
                case .outOfTime: return "out of time"
                case .outOfBudget: return "out of budget"
                }
            }
        }

        mutating func run(_ kinds: FailureKind...) -> [String] { run(kinds.map { UpstreamFailure(kind: $0) }) }

        mutating func run(_ failures: [UpstreamFailure]) -> [String] {
            var words: [String] = []
            var rest = failures[...]
            for _ in 0..<30 {
                let word = next(failing: rest.first)
                words.append(word)
                if Int(word.prefix(1)) != nil { rest = rest.dropFirst() }
                if word.hasPrefix("failed") || word.hasPrefix("out") { return words }
            }
            return words
        }
    }

    private func fleet(_ count: Int, keys: Int = 1) -> [Channel] { (1...count).map { Fleet.channel(Int64($0), keys: keys) } }

    @Test func `each channel once, then the bound on attempts`() {
        var rig = Rig(fleet(5))
        #expect(rig.run(.server, .timeout, .connect) == ["1", "2", "3", "out of attempts"])
        var two = Rig(fleet(2), policy: RoutePolicy(retryWait: .zero))
        #expect(two.run(.server, .timeout) == ["1", "2", "failed timeout"])
    }

    @Test(arguments: [FailureKind.invalidRequest, .contextLength, .contentFilter])
    func `what the client brought upon itself goes to the client`(kind: FailureKind) {
        var rig = Rig(fleet(3))
        #expect(rig.run(kind) == ["1", "failed \(kind.rawValue)"])
    }

    @Test func `the client's fallback models: for what the model cannot take, never the same model again`() {
        var rig = Rig(fleet(2), models: ["m", "large"])
        #expect(rig.run(.contextLength, .server, .server) == ["1", "1 large", "2 large", "out of attempts"])
        var missing = Rig(fleet(1), models: ["m", "other"])
        #expect(missing.run(.modelUnavailable, .server).prefix(2) == ["1", "1 other"])
        // A host that cannot be reached is not asked for another model.
        var dead = Rig(fleet(2), models: ["m", "other"])
        #expect(dead.run(.connect, .modelUnavailable, .server).prefix(3) == ["1", "2", "2 other"])
    }

    @Test func `a refused key or a full quota goes on with a sibling key`() {
        var rig = Rig([Fleet.channel(1, keys: 2), Fleet.channel(2)])
        #expect(rig.run(.credentialRefused, .server, .server).prefix(3) == ["1/k1", "1/k0", "2"])
        var quota = Rig([Fleet.channel(1, keys: 2), Fleet.channel(2)])
        #expect(quota.run(.rateLimit, .rateLimit, .server).prefix(3) == ["1/k1", "1/k0", "2"])
        // Not where the keys share the quota.
        var shared = Rig([Fleet.channel(1, keys: 2, account: "a"), Fleet.channel(2)])
        #expect(shared.run(.rateLimit, .server).prefix(2) == ["1/k1", "2"])
        // And not for what is no fault of the key.
        var host = Rig([Fleet.channel(1, keys: 2), Fleet.channel(2)])
        #expect(host.run(.server, .server).prefix(2) == ["1/k1", "2"])
    }

    @Test func `a planned key that was lost meanwhile is replaced by its sibling`() {
        var rig = Rig([Fleet.channel(1, keys: 2)], models: ["m", "other"])
        #expect(rig.run(.credentialRefused, .modelUnavailable, .server).prefix(3) == ["1/k1", "1/k0", "1/k0 other"])
    }

    @Test func `the only channel is asked once more after a short wait, where that makes sense`() {
        for kind in [FailureKind.server, .connectionReset, .malformed] {
            var rig = Rig(fleet(1))
            #expect(rig.run(kind, kind) == ["1", "wait", "1", "failed \(kind.rawValue)"])
        }
        // A silent host had its time; a refused connection cools for longer than anybody waits.
        for kind in [FailureKind.timeout, .connect, .modelUnavailable, .credentialRefused] {
            var rig = Rig(fleet(1))
            #expect(rig.run(kind) == ["1", "failed \(kind.rawValue)"])
        }
        var soon = Rig(fleet(1))
        #expect(soon.run([UpstreamFailure(kind: .rateLimit, retryAfter: .seconds(2))]).prefix(3) == ["1", "wait", "1"])
        #expect(Fleet.start.duration(to: soon.now) >= .seconds(2) && Fleet.start.duration(to: soon.now) < .seconds(2.3))
        var late = Rig(fleet(1))
        #expect(late.run([UpstreamFailure(kind: .rateLimit, retryAfter: .seconds(9))]) == ["1", "failed rate_limit"])
        var never = Rig(fleet(1), policy: RoutePolicy(retryWait: .zero))
        #expect(never.run(.server) == ["1", "failed server"])
    }

    @Test func `no retry without budget, none after the deadline`() {
        var poor = Rig(fleet(3), budget: .init(percent: 0, perMinute: 1))
        #expect(poor.run(.server, .server) == ["1", "2", "out of budget"])
        var late = Rig(fleet(3))
        #expect(late.next(failing: UpstreamFailure(kind: .server)) == "1")
        late.now = Fleet.start.advanced(by: .seconds(60))
        #expect(late.next(failing: nil) == "out of time")
    }

    @Test func `channels that filled up or were switched off since the plan are skipped`() {
        var full = fleet(3)
        full[0].limits = Channel.Limits(concurrency: 1)
        var rig = Rig(full)
        _ = rig.health.begin(full[0], now: Fleet.start)
        rig.health.set(.disabled, channelID: 2)
        #expect(rig.run(.server, .server) == ["3", "wait", "3", "failed server"])
        var none = Rig(Array(full.prefix(1)))
        _ = none.health.begin(full[0], now: Fleet.start)
        #expect(none.run() == ["failed nothing"])
    }

    // MARK: Last resort

    @Test func `audit 12: when nobody is in health, the one whose cool-down ends first, then the next, each once`() {
        var rng = SplitMix64(seed: 3)
        var rig = Rig(fleet(3), policy: RoutePolicy(maxAttempts: 5))
        for (id, second) in [(1, 2), (2, 1), (3, 0)] {
            rig.health.fail(Fleet.channel(Int64(id)), .overloaded, now: Fleet.start.advanced(by: .seconds(second)), rng: &rng)
        }
        rig.now = Fleet.start.advanced(by: .seconds(2))
        let plan = Fleet.plan(fleet(3), health: rig.health, now: rig.now, rng: &rng)
        #expect(plan.candidates.map(\.channel.id) == [3, 2, 1])
        rig.sequence = AttemptSequence(candidates: plan.candidates, policy: rig.policy, deadline: rig.now.advanced(by: .seconds(60)))
        let before = rig.health.report(now: rig.now)
        // A probe waits for the end of a cool-down that is near, as for any other request.
        #expect(rig.run(.server, .timeout, .connect).prefix(3) == ["3", "2", "1"])
        #expect(rig.health.report(now: rig.now).map(\.openings) == before.map(\.openings))
    }

    @Test func `audit 12: a request that loses the race for a probe takes no second one, and says when it may come back`() {
        var rng = SplitMix64(seed: 1)
        var rig = Rig(fleet(1))
        rig.health.fail(Fleet.channel(1), .connect, now: Fleet.start, rng: &rng)
        rig.now = Fleet.start.advanced(by: .seconds(10))
        #expect(rig.health.begin(Fleet.channel(1), now: rig.now) != nil)
        #expect(rig.run() == ["failed nothing"])
        #expect(rig.sequence.limitedUntil == nil)
        // The next place of a record is a moment away: that is waited for, once.
        var soon = Rig(fleet(1), policy: RoutePolicy(retryWait: .zero))
        soon.health.fail(Fleet.channel(1), .connect, now: Fleet.start, rng: &rng)
        #expect(soon.run(.connect) == ["1", "failed connect"])
        soon.renew()
        #expect(soon.run(.connect) == ["wait", "1", "failed connect"])
        #expect(Fleet.start.duration(to: soon.now) == .milliseconds(100))
        // Closed by a rate limit between plan and attempt: that is told apart.
        var limited = Rig(fleet(1))
        limited.health.fail(Fleet.channel(1), .rateLimit, retryAfter: .seconds(7), now: Fleet.start, rng: &rng)
        #expect(limited.run() == ["failed nothing"])
        #expect(limited.sequence.limitedUntil.map { Fleet.start.duration(to: $0) >= .seconds(7) } == true)
    }

    @Test func `audit 12: whoever could ask a channel in health does not ask those that cool`() {
        var rng = SplitMix64(seed: 1)
        var rig = Rig(fleet(2), policy: RoutePolicy(retryWait: .zero))
        rig.health.fail(Fleet.channel(2), .connect, now: Fleet.start, rng: &rng)
        #expect(rig.run(.server) == ["1", "failed server"])
    }

    @Test func `audit 12: a channel that all requests find closed is well again with the first answer`() {
        var rng = SplitMix64(seed: 1)
        var rig = Rig(fleet(1), policy: RoutePolicy(retryWait: .zero))
        // Eight failures of the only channel, then a well vendor.
        var words: [String] = []
        for number in 0..<8 {
            rig.now = Fleet.start.advanced(by: .seconds(number))
            rig.renew()
            words += rig.run(.server)
        }
        #expect(words.count { $0 == "1" } == 8, "\(words)")
        rig.now = Fleet.start.advanced(by: .seconds(8.5))
        rig.renew()
        guard case .attempt(_, _, let ticket) = rig.sequence.step(&rig.health, &rig.budget, now: rig.now, rng: &rng) else {
            return #expect(Bool(false), "not asked")
        }
        rig.health.delivered(ticket, firstContent: .zero, now: rig.now)
        #expect(rig.health.state(Fleet.channel(1), now: rig.now) == .closed)
    }

    // MARK: Kept connections

    private let stale = UpstreamFailure(source: .gateway, kind: .connectionReset, retry: .sameChannel)

    @Test func `audit 11: a dead kept connection is one attempt, and the same channel is asked at once on a new one`() {
        var rig = Rig(fleet(2))
        guard case .attempt(0, let first, let ticket) = rig.sequence.step(&rig.health, &rig.budget, now: rig.now, rng: &rig.rng) else {
            return #expect(Bool(false))
        }
        #expect(!first.needsNewConnection)
        rig.sequence.failed(stale)
        rig.health.ended(ticket, .released, now: rig.now, rng: &rig.rng)
        guard case .attempt(0, let second, _) = rig.sequence.step(&rig.health, &rig.budget, now: rig.now, rng: &rig.rng) else {
            return #expect(Bool(false), "the same channel first")
        }
        #expect(second.needsNewConnection && rig.sequence.attempts == 2 && second.channel.id == first.channel.id)
        #expect(rig.health.report(now: rig.now).isEmpty, "it says nothing of the vendor's health")
    }

    @Test func `audit 11: it counts against the bound on attempts and against the retry budget`() {
        var bounded = Rig(fleet(2), policy: RoutePolicy(maxAttempts: 1))
        #expect(bounded.run([stale]) == ["1", "out of attempts"])
        var poor = Rig(fleet(2), budget: .init(percent: 0, perMinute: 0))
        #expect(poor.run([stale]) == ["1", "out of budget"])
        // What fails on the new connection goes on as ever.
        var next = Rig(fleet(2))
        #expect(next.run([stale, UpstreamFailure(kind: .connectionReset), UpstreamFailure(kind: .server)]).prefix(3) == ["1", "1", "2"])
        // A last-resort try may be made again, too.
        var rng = SplitMix64(seed: 1)
        var lone = Rig(fleet(1))
        lone.health.fail(Fleet.channel(1), .connect, now: Fleet.start, rng: &rng)
        #expect(lone.run([stale, UpstreamFailure(kind: .connect)]) == ["1", "1", "failed connect"])
    }
}
