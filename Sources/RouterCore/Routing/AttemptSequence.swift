/// Which candidate is tried when: failover as a pure state machine. The Server performs its steps, and the simulation in the tests
/// performs the same ones in virtual time.
///
/// - Each (channel, model) is tried once. After a refused key or a full quota a sibling key of the channel comes first,
///   after a kept connection that was dead the same key again on a new one.
/// - When no candidate is healthy, those that are cooling down for a passing reason are tried nevertheless, at the rate
///   that their records allow.
/// - When none is left, the best of those that failed may be asked once more after a short wait, if its failure allows that.
/// - Attempts are bounded by number, by the deadline and by the retry budget.
public struct AttemptSequence: Sendable {
    public enum Step: Sendable {
        /// Make this attempt; give the ticket back to the health table. `position` is the candidate's place in the plan.
        case attempt(position: Int, RouteCandidate, AttemptTicket)
        /// Wait this long (the client is watched meanwhile), then ask again.
        case wait(Duration)
        case stop(Stop)
    }

    public enum Stop: Sendable, Hashable {
        /// The last failure; nil when no channel could be asked at all.
        case failed(UpstreamFailure?)
        case outOfAttempts(UpstreamFailure)
        case outOfTime(UpstreamFailure?)
        /// The retry budget is used up.
        case outOfBudget(UpstreamFailure)

        public var failure: UpstreamFailure? {
            switch self {
            case .failed(let failure), .outOfTime(let failure): failure
            case .outOfAttempts(let failure), .outOfBudget(let failure): failure
            }
        }
    }

    private struct Failed: Sendable {
        var position: Int
        var keyIndex: Int
        var isLastResort: Bool
        var failure: UpstreamFailure
    }

    private struct Current: Sendable {
        var position: Int
        var keyIndex: Int
        var isLastResort: Bool
    }

    private let candidates: [RouteCandidate]
    private let policy: RoutePolicy
    private let deadline: MonotonicInstant
    private let tokens: Int64
    private var next = 0
    private var failures: [Failed] = []
    /// The attempt that is under way.
    private var current: Current?
    /// Asked a second time after a wait: the position, once the wait has been announced.
    private var again: Int?
    private var hasWaited = false
    /// The next candidate to be asked although it cools.
    private var nextResort = 0
    /// Attempts at channels that were not in plain health: probes and last resorts.
    private var resorts = 0
    /// The wait for the next turn among the last resorts is over.
    private var hasWaitedForPlace = false
    /// Why candidates could not be asked.
    private var refusals: [DropReason] = []
    public private(set) var attempts = 0

    /// - Parameters:
    ///   - deadline: of the whole request.
    ///   - tokens: what each attempt counts against a channel's tokens per minute.
    public init(candidates: [RouteCandidate], policy: RoutePolicy, deadline: MonotonicInstant, tokens: Int64 = 0) {
        self.candidates = candidates
        self.policy = policy
        self.deadline = deadline
        self.tokens = tokens
    }

    /// Tells how the attempt under way failed. (One that succeeded ends the sequence; nothing is told.)
    public mutating func failed(_ failure: UpstreamFailure) {
        guard let current else { return }
        failures.append(
            Failed(
                position: current.position, keyIndex: current.keyIndex, isLastResort: current.isLastResort,
                failure: failure))
        self.current = nil
    }

    private var last: UpstreamFailure? { failures.last?.failure }

    /// When no channel could be asked at all because of vendors' rate limits: when the first of these limits ends.
    public var limitedUntil: MonotonicInstant? {
        guard attempts == 0, !refusals.isEmpty else { return nil }
        var soonest: MonotonicInstant?
        for refusal in refusals {
            guard case .rateLimited(let until) = refusal else { return nil }
            soonest = min(soonest ?? until, until)
        }
        return soonest
    }

    /// - Parameters:
    ///   - health: the attempt is begun there.
    ///   - budget: each attempt but the first takes from it.
    public mutating func step(
        _ health: inout HealthTable, _ budget: inout RetryBudget, now: MonotonicInstant, rng: inout SplitMix64
    ) -> Step {
        if let last {
            if last.retry == .no { return .stop(.failed(last)) }
            if attempts >= policy.maxAttempts { return .stop(.outOfAttempts(last)) }
        }
        guard now < deadline else { return .stop(.outOfTime(last)) }
        if let last {
            guard budget.take(now: now) else { return .stop(.outOfBudget(last)) }
        }
        let usual = renewed(&health, now) ?? sibling(&health, now, &rng) ?? following(&health, now, &rng)
        if let step = usual ?? repeated(&health, now) ?? lastResort(&health, now) { return step }
        if last != nil { budget.giveBack() }
        if let wait = waitBeforeRepeat(health, now, &rng) { return .wait(wait) }
        return .stop(.failed(last))
    }

    private mutating func begin(
        _ position: Int, _ candidate: RouteCandidate, _ health: inout HealthTable, _ now: MonotonicInstant,
        asLastResort: Bool = false
    ) -> Step? {
        let start = health.began(
            candidate.target, channel: candidate.channel, model: candidate.model, tokens: tokens, now: now,
            asLastResort: asLastResort)
        switch start {
        case .failure(let reason):
            refusals.append(reason)
            return nil
        case .success(let ticket):
            attempts += 1
            if ticket.isProbe { resorts += 1 }
            current = Current(position: position, keyIndex: candidate.keyIndex, isLastResort: ticket.isLastResort)
            return .attempt(position: position, candidate, ticket)
        }
    }

    /// The same channel and key at once: its kept connection was dead, which says nothing of the vendor.
    private mutating func renewed(_ health: inout HealthTable, _ now: MonotonicInstant) -> Step? {
        guard let failed = failures.last, failed.failure.retry == .sameChannel else { return nil }
        var candidate = candidates[failed.position]
        candidate.keyIndex = failed.keyIndex
        candidate.needsNewConnection = true
        if failed.isLastResort { health.giveBackLastResort(candidate.target) }
        return begin(failed.position, candidate, &health, now, asLastResort: failed.isLastResort)
    }

    /// No candidate is healthy. Those that are cooling down for a passing reason are tried nevertheless, in the order of the plan.
    private mutating func lastResort(_ health: inout HealthTable, _ now: MonotonicInstant) -> Step? {
        // If a healthy channel was asked, its failure is the answer.
        guard attempts == resorts else { return nil }
        var soonest: MonotonicInstant?
        while nextResort < candidates.count {
            let position = nextResort
            nextResort += 1
            var candidate = candidates[position]
            if isPointless(candidate) { continue }
            let resort = health.lastResort(candidate.channel, model: candidate.upstreamModel, now: now)
            guard case .key(let key, _, let from) = resort else {
                // Its cool-down may have ended during the wait.
                guard hasWaitedForPlace, case .none = resort else { continue }
                if let step = begin(position, candidate, &health, now) { return step }
                continue
            }
            if let from {
                soonest = min(soonest ?? from, from)
                continue
            }
            if candidate.isPinned, key != candidate.keyIndex { continue }
            candidate.keyIndex = key
            if let step = begin(position, candidate, &health, now, asLastResort: true) { return step }
        }
        // The next turn is a moment away, and it is waited for once, so that a client that repeats its request at once is
        // served.
        guard let soonest, attempts == 0, !hasWaitedForPlace, soonest < deadline else { return nil }
        hasWaitedForPlace = true
        nextResort = 0
        return .wait(now.duration(to: soonest))
    }

    /// Another key of the channel that has just failed.
    private mutating func sibling(
        _ health: inout HealthTable, _ now: MonotonicInstant, _ rng: inout SplitMix64
    ) -> Step? {
        guard let failed = failures.last, failed.failure.retry == .otherKey else { return nil }
        var candidate = candidates[failed.position]
        let tried = Set(failures.filter { $0.position == failed.position }.map(\.keyIndex))
        guard !candidate.isPinned, candidate.channel.keys.count > tried.count else { return nil }
        let pick = health.pick(
            candidate.channel, model: candidate.upstreamModel, affinity: nil, excluding: tried, now: now, rng: &rng)
        guard case .key(let index) = pick else { return nil }
        candidate.keyIndex = index
        return begin(failed.position, candidate, &health, now)
    }

    /// The next candidate of the plan that makes sense after what has happened.
    private mutating func following(
        _ health: inout HealthTable, _ now: MonotonicInstant, _ rng: inout SplitMix64
    ) -> Step? {
        while next < candidates.count {
            let position = next
            next += 1
            let candidate = candidates[position]
            if isPointless(candidate) { continue }
            if let step = begin(position, candidate, &health, now) { return step }
            // The key that was planned may have been lost since; the channel has perhaps another one.
            guard candidate.channel.keys.count > 1, !candidate.isPinned else { continue }
            var other = candidate
            let pick = health.pick(
                candidate.channel, model: candidate.upstreamModel, affinity: nil, excluding: [candidate.keyIndex], now: now, rng: &rng)
            guard case .key(let index) = pick else { continue }
            other.keyIndex = index
            if let step = begin(position, other, &health, now) { return step }
        }
        return nil
    }

    private func isPointless(_ candidate: RouteCandidate) -> Bool {
        failures.contains { failed in
            // A dead kept connection says nothing of the vendor.
            if failed.failure.retry == .sameChannel { return false }
            let other = candidates[failed.position]
            // The same model elsewhere would refuse this request as well.
            if failed.failure.retry == .otherModel, other.model == candidate.model { return true }
            guard other.channel.id == candidate.channel.id else { return false }
            return other.model == candidate.model || failed.failure.kind.isAboutHost
        }
    }

    // MARK: Once more

    /// The failed candidate that may be asked again the soonest, and when.
    private mutating func waitBeforeRepeat(
        _ health: HealthTable, _ now: MonotonicInstant, _ rng: inout SplitMix64
    ) -> Duration? {
        guard !hasWaited, policy.retryWait > .zero else { return nil }
        var best: (position: Int, wait: Duration)?
        for failed in failures where failed.failure.kind.mayRetrySame {
            var wait = Duration.milliseconds(Int64(100 + rng.below(200)))
            var target = candidates[failed.position].target
            target.keyIndex = failed.keyIndex
            if case .open(let until) = health.state(of: target, now: now) { wait = max(wait, now.duration(to: until)) }
            if let wish = failed.failure.retryAfter { wait = max(wait, wish) }
            if wait < best?.wait ?? .seconds(86_400) { best = (failed.position, wait) }
        }
        guard let best, best.wait <= policy.retryWait, now.advanced(by: best.wait) < deadline else { return nil }
        hasWaited = true
        again = best.position
        return best.wait
    }

    private mutating func repeated(_ health: inout HealthTable, _ now: MonotonicInstant) -> Step? {
        guard let position = again else { return nil }
        again = nil
        // With the key that failed: the other keys have been tried.
        var candidate = candidates[position]
        if let failed = failures.last(where: { $0.position == position }) {
            candidate.keyIndex = failed.keyIndex
            candidate.needsNewConnection = failed.failure.retry == .sameChannel
        }
        return begin(position, candidate, &health, now)
    }
}
