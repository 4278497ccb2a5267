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

        init(_ channels: [Channel], models: [String] = ["m"], policy: RoutePolicy = RoutePolicy(), budget: RetryBudget.Settings = .init()) {
            var candidates: [RouteCandidate] = []
            for model in models {
                candidates += channels.map { RouteCandidate(channel: SharedChannel($0), keyIndex: $0.keys.count - 1, model: model, upstreamModel: model) }
            }
            self.budget = RetryBudget(settings: budget, now: Fleet.start)
            sequence = AttemptSequence(candidates: candidates, policy: policy, deadline: Fleet.start.advanced(by: .seconds(60)))
        }

        /// One word per step: `1` (channel), `1/k0` (with its key), `1 m2`, `wait`, or why it stops.
        mutating func next(failing failure: UpstreamFailure?) -> String {
            switch sequence.step(&health, &budget, now: now, rng: &rng) {
            case .attempt(_, let candidate, let ticket):
                if let failure {
                    sequence.failed(failure)
                    health.ended(ticket, .failed(failure), now: now, rng: &rng)
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

    @Test(arguments: [FailureKind.invalidRequest, .contextLength, .contentFilter]) func `what the client brought upon itself goes to the client`(kind: FailureKind) {
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
}
