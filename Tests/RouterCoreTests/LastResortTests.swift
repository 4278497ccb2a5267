import RouterCore
import Testing

/// Audit 12: a lone channel is never locked out. Its records may close, its vendor's recovery is seen all the same.
@Suite struct LastResortTests {
    private let start = Fleet.start
    private let channel = Fleet.channel(1)

    private func after(_ duration: Duration) -> MonotonicInstant { start.advanced(by: duration) }

    private func begin(
        _ health: inout HealthTable, _ channel: Channel, key: Int = 0, model: String = "m", now: MonotonicInstant
    ) -> Result<AttemptTicket, DropReason> {
        let target = HealthTarget(channelID: channel.id, keyIndex: key, model: model, account: channel.account)
        return health.began(target, channel: channel, now: now, asLastResort: true)
    }

    private func reason(_ result: Result<AttemptTicket, DropReason>) -> DropReason? {
        if case .failure(let reason) = result { reason } else { nil }
    }

    /// A table whose only record is open because of this failure.
    private func closed(_ kind: FailureKind, retryAfter: Duration? = nil, rng: inout SplitMix64) -> HealthTable {
        var health = HealthTable(settings: RoutingSettings())
        for _ in 0..<3 { health.fail(channel, kind, retryAfter: retryAfter, now: start, rng: &rng) }
        return health
    }

    // MARK: What may be tried

    @Test(arguments: FailureKind.allCases) func `audit 12: what cools for a passing reason may be tried, the rest may not`(
        kind: FailureKind
    ) throws {
        var rng = SplitMix64(seed: 1)
        var health = closed(kind, rng: &rng)
        guard case .open(let until) = health.state(channel, now: start) else { return #expect(kind.blame == .nobody) }
        let plan = Fleet.plan([channel], health: health, rng: &rng)
        let passing: Set<FailureKind> = [.connect, .connectionReset, .timeout, .server, .overloaded, .malformed, .truncated, .midStream]
        if passing.contains(kind) {
            #expect(plan.isLastResort && plan.candidates.map(\.channel.id) == [1] && plan.dropped.isEmpty && plan.retryAfter == nil)
            #expect(health.begin(channel, now: start) == nil, "only as a last resort")
            let ticket = try begin(&health, channel, now: start).get()
            #expect(ticket.isProbe && ticket.isLastResort)
        } else {
            #expect(!plan.isLastResort && plan.candidates.isEmpty)
            #expect(reason(begin(&health, channel, now: start))?.until == until)
            let isLimit = plan.dropped.map(\.reason) == [.rateLimited(until: until)]
            #expect(isLimit == (kind == .rateLimit), "\(plan.dropped)")
        }
    }

    @Test func `audit 12: a time that the vendor has named is respected, whoever brought it`() throws {
        var rng = SplitMix64(seed: 1)
        var named = closed(.overloaded, retryAfter: .seconds(20), rng: &rng)
        #expect(Fleet.plan([channel], health: named, rng: &rng).candidates.isEmpty)
        #expect(reason(begin(&named, channel, now: after(.seconds(19)))) != nil)
        #expect(named.begin(channel, now: after(.seconds(23))) != nil, "when it is over, the usual probe")

        // An attempt from before the record opened brings the wish: shorter than the cool-down, but until then nobody asks.
        var health = HealthTable(settings: RoutingSettings())
        let old = try health.mustBegin(channel, now: start)
        for _ in 0..<3 { health.fail(channel, .server, now: after(.seconds(1)), rng: &rng) }
        health.ended(old, .failed(UpstreamFailure(kind: .overloaded, retryAfter: .seconds(2))), now: after(.seconds(1)), rng: &rng)
        #expect(reason(begin(&health, channel, now: after(.seconds(2)))) != nil)
        let ticket = try begin(&health, channel, now: after(.seconds(3.3))).get()
        // So does a last-resort try. The cool-down does not grow by it.
        let before = health.report(now: after(.seconds(3.3))).map(\.openings)
        health.ended(ticket, .failed(UpstreamFailure(kind: .overloaded, retryAfter: .seconds(30))), now: after(.seconds(4)), rng: &rng)
        #expect(reason(begin(&health, channel, now: after(.seconds(33)))) != nil)
        #expect(health.report(now: after(.seconds(5))).map(\.openings) == before)
        #expect(health.begin(channel, now: after(.seconds(38))) != nil)

        // A restart does not forget it.
        var next = HealthTable(settings: RoutingSettings())
        for row in named.report(now: start) { next.restore(row, now: start) }
        #expect(reason(begin(&next, channel, now: after(.seconds(1)))) != nil && next.report(now: start) == named.report(now: start))
    }

    // MARK: How often

    @Test func `audit 12: one try at a time and ten a second per record`() throws {
        var rng = SplitMix64(seed: 1)
        var health = closed(.server, rng: &rng)
        let first = try begin(&health, channel, now: start).get()
        let soon = after(.milliseconds(999))
        #expect(reason(begin(&health, channel, now: soon)) == .lastResortTaken(until: soon), "one under way")
        let busy = Fleet.plan([channel], health: health, now: soon, rng: &rng)
        #expect(busy.candidates.isEmpty && busy.dropped.map(\.reason) == [.lastResortTaken(until: soon)])
        #expect(busy.retryAfter == .seconds(1), "not as long as the cool-down: somebody is finding out")
        health.ended(first, .failed(UpstreamFailure(kind: .server)), now: after(.milliseconds(10)), rng: &rng)
        #expect(reason(begin(&health, channel, now: after(.milliseconds(99)))) == .lastResortTaken(until: after(.milliseconds(100))))
        #expect(
            Fleet.plan([channel], health: health, now: after(.milliseconds(99)), rng: &rng).isLastResort, "so soon that it is waited for")
        // Whatever the demand: in four seconds of a request each millisecond there are forty tries.
        var tries = 0
        for tick in 0..<4_000 {
            let now = after(.milliseconds(100 + tick))
            guard let ticket = try? begin(&health, channel, now: now).get() else { continue }
            tries += 1
            health.ended(ticket, .failed(UpstreamFailure(kind: .server)), now: now, rng: &rng)
        }
        #expect(tries == 40)
        // A client that leaves gives back the place, but no more tries per second.
        let left = try begin(&health, channel, now: after(.milliseconds(4_500))).get()
        health.ended(left, .released, now: after(.milliseconds(4_500)), rng: &rng)
        #expect(reason(begin(&health, channel, now: after(.milliseconds(4_599)))) != nil)
        #expect(reason(begin(&health, channel, now: after(.milliseconds(4_600)))) == nil)
    }

    @Test func `audit 12: a try that hangs keeps others away for a second, not until its time is up`() throws {
        var rng = SplitMix64(seed: 1)
        var health = closed(.server, rng: &rng)
        let hanging = try begin(&health, channel, now: start).get()
        var tries: [AttemptTicket] = []
        for tick in 1...3_500 {
            guard let ticket = try? begin(&health, channel, now: after(.milliseconds(tick))).get() else { continue }
            #expect(ticket.startedAt == after(.seconds(tries.count + 1)))
            tries.append(ticket)
        }
        #expect(tries.count == 3, "one more a second")
        // The end of an earlier try does not free the place of a later one; an answer to any of them closes the record.
        health.ended(hanging, .failed(UpstreamFailure(kind: .timeout)), now: after(.milliseconds(3_500)), rng: &rng)
        #expect(reason(begin(&health, channel, now: after(.milliseconds(3_500)))) != nil)
        health.delivered(tries[2], firstContent: .zero, now: after(.milliseconds(3_600)))
        #expect(health.begin(channel, now: after(.milliseconds(3_600))) != nil)
        health.ended(tries[0], .failed(UpstreamFailure(kind: .timeout)), now: after(.milliseconds(3_700)), rng: &rng)
        #expect(health.state(channel, now: after(.milliseconds(3_700))) == .closed, "an attempt from before says nothing")
    }

    @Test func `audit 12: the usual probe has its place to itself, and the last resort bounds it too`() throws {
        var rng = SplitMix64(seed: 1)
        var health = HealthTable(settings: RoutingSettings())
        health.fail(channel, .connect, now: start, rng: &rng)
        let later = after(.seconds(6))
        let probe = try health.mustBegin(channel, now: later)
        #expect(probe.isProbe && !probe.isLastResort)
        #expect(reason(begin(&health, channel, now: later)) == .lastResortTaken(until: later))
        health.ended(probe, .failed(UpstreamFailure(kind: .connect)), now: later, rng: &rng)
        #expect(health.report(now: later).map(\.openings) == [2], "a probe that fails doubles, as ever")
        #expect(reason(begin(&health, channel, now: later)) != nil, "a probe is a try as well")
        let slow = try begin(&health, channel, now: later.advanced(by: .milliseconds(100))).get()
        let end = after(.seconds(30))
        #expect(health.begin(channel, now: end) == nil, "the cool-down is over, but a try is still under way")
        health.ended(slow, .released, now: end, rng: &rng)
        #expect(health.begin(channel, now: end) != nil)
    }

    // MARK: What it says

    @Test(arguments: [FailureKind.server, .overloaded, .timeout, .connect, .connectionReset, .malformed])
    func `audit 12: a try that fails leaves the cool-down as it is, one that succeeds closes the record`(kind: FailureKind) throws {
        var rng = SplitMix64(seed: 1)
        var health = closed(.server, rng: &rng)
        let before = health.report(now: start)
        for tick in 0..<20 {
            let now = after(.milliseconds(tick * 100))
            let ticket = try begin(&health, channel, now: now).get()
            health.ended(ticket, .failed(UpstreamFailure(kind: kind)), now: now, rng: &rng)
        }
        #expect(health.report(now: start) == before, "neither longer, nor begun anew, nor another record")
        let good = try begin(&health, channel, now: after(.seconds(3))).get()
        health.delivered(good, firstContent: .milliseconds(5), now: after(.seconds(3)))
        #expect(health.state(channel, now: after(.seconds(3))) == .closed, "with the first content, not at the end")
        #expect(health.begin(channel, now: after(.seconds(3))) != nil)
        health.ended(good, .completed, now: after(.seconds(4)), rng: &rng)
        #expect(health.report(now: after(.seconds(4))).isEmpty)
    }

    @Test func `audit 12: what a try finds out of another kind counts as ever`() throws {
        var rng = SplitMix64(seed: 1)
        for kind in [FailureKind.rateLimit, .credentialRefused, .credentialExhausted, .modelUnavailable] {
            var health = closed(.server, rng: &rng)
            let ticket = try begin(&health, channel, now: start).get()
            health.ended(ticket, .failed(UpstreamFailure(kind: kind)), now: start, rng: &rng)
            #expect(reason(begin(&health, channel, now: after(.seconds(2)))) != nil, "\(kind)")
            #expect(health.report(now: start).contains { $0.lastKind == kind }, "\(kind)")
        }
        // A stream that breaks behind its first content has closed the record, and is the first failure of a new series.
        var health = closed(.server, rng: &rng)
        let ticket = try begin(&health, channel, now: start).get()
        health.delivered(ticket, firstContent: .zero, now: start)
        health.ended(ticket, .failed(UpstreamFailure(kind: .truncated)), now: start, rng: &rng)
        #expect(health.report(now: start).map(\.consecutiveFailures) == [1] && health.state(channel, now: start) == .closed)
    }

    // MARK: Several records, several keys

    @Test func `audit 12: every record that closes a candidate has to be a passing one`() throws {
        var rng = SplitMix64(seed: 1)
        // The host cannot be reached, and the key is refused besides.
        var health = closed(.connect, rng: &rng)
        health.fail(channel, .credentialRefused, now: start, rng: &rng)
        #expect(Fleet.plan([channel], health: health, rng: &rng).candidates.isEmpty)
        #expect(reason(begin(&health, channel, now: start)) != nil)
        // The model is overloaded here, and the account is at its rate limit.
        let shared = Fleet.channel(2, account: "acme")
        var account = HealthTable(settings: RoutingSettings())
        account.fail(shared, .overloaded, now: start, rng: &rng)
        account.fail(shared, .rateLimit, now: start, rng: &rng)
        #expect(Fleet.plan([shared], health: account, rng: &rng).dropped.map(\.reason.description) == ["rate limited by the vendor"])
        // Two passing ones: the later end counts, and both are being tried.
        var both = closed(.connect, rng: &rng)
        for _ in 0..<3 { both.fail(channel, .server, now: after(.seconds(2)), rng: &rng) }
        let ticket = try begin(&both, channel, now: after(.seconds(2))).get()
        #expect(
            reason(begin(&both, channel, model: "x/y", now: after(.milliseconds(2_900)))) != nil,
            "the host's record is the other model's too")
        both.delivered(ticket, firstContent: .zero, now: after(.seconds(3)))
        #expect(
            both.state(channel, now: after(.seconds(3))) == .closed && both.state(channel, model: "x/y", now: after(.seconds(3))) == .closed
        )
    }

    @Test func `audit 12: of several keys the one that may be tried and comes back first`() {
        var rng = SplitMix64(seed: 1)
        let channel = Fleet.channel(1, keys: 4)
        var health = HealthTable(settings: RoutingSettings())
        health.fail(channel, .credentialRefused, key: 0, now: start, rng: &rng)
        health.fail(channel, .rateLimit, key: 1, now: start, rng: &rng)
        health.fail(channel, .overloaded, key: 3, now: start, rng: &rng)
        health.fail(channel, .overloaded, key: 2, now: after(.seconds(2)), rng: &rng)
        let plan = Fleet.plan([channel], health: health, now: after(.seconds(2)), rng: &rng)
        #expect(plan.isLastResort && plan.candidates.map(\.keyIndex) == [3])
        // When its place is taken, the other one.
        #expect((try? begin(&health, channel, key: 3, now: after(.seconds(2))).get()) != nil)
        #expect(Fleet.plan([channel], health: health, now: after(.seconds(2)), rng: &rng).candidates.map(\.keyIndex) == [2])
    }

    // MARK: Limits, wishes, switches

    @Test func `audit 12: limits, switches and wishes of clients hold for a last resort`() throws {
        var rng = SplitMix64(seed: 1)
        var limited = channel
        limited.limits = Channel.Limits(requestsPerMinute: 2, concurrency: 1)
        var health = closed(.server, rng: &rng)
        let one = try begin(&health, limited, now: start).get()
        health.ended(one, .failed(UpstreamFailure(kind: .server)), now: start, rng: &rng)
        _ = try begin(&health, limited, now: after(.milliseconds(100))).get()
        #expect(Fleet.plan([limited], health: health, now: after(.seconds(1)), rng: &rng).candidates.isEmpty)

        var off = closed(.server, rng: &rng)
        off.set(.draining, channelID: 1)
        #expect(Fleet.plan([channel], health: off, rng: &rng).candidates.isEmpty)
        #expect(reason(begin(&off, channel, now: start)) == .draining)

        var wishes = ClientPreferences()
        wishes.ignore = ["c1"]
        var query = RouteQuery(model: "m", preferences: wishes)
        #expect(Fleet.plan([channel], health: closed(.server, rng: &rng), query: query, rng: &rng).candidates.isEmpty)
        // Well ones that the client does not allow do not stand in the way; among several its order goes before the end of cool-downs.
        let fleet = [channel, Fleet.channel(2), Fleet.channel(3)]
        var all = closed(.server, rng: &rng)
        all.fail(fleet[1], .overloaded, now: after(.seconds(1)), rng: &rng)
        wishes = ClientPreferences()
        wishes.order = ["c2", "c1"]
        wishes.allowFallbacks = false
        query.preferences = wishes
        let plan = Fleet.plan(fleet, health: all, query: query, now: after(.seconds(1)), rng: &rng)
        #expect(plan.isLastResort && plan.candidates.map(\.channel.id) == [2, 1])
        #expect(plan.dropped.map(\.reason) == [.fallbackNotAllowed])
        // Without an order and without fallbacks there is one candidate, as ever.
        wishes.order = []
        query.preferences = wishes
        let single = Fleet.plan(Array(fleet.prefix(2)), health: all, query: query, now: after(.seconds(1)), rng: &rng)
        #expect(single.candidates.map(\.channel.id) == [1])
    }
}
