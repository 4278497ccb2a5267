/// Which candidate is tried when: failover as a pure state machine. The Server performs its steps, and the simulation in the tests
/// performs the same ones in virtual time.
///
/// - Each (channel, model) is tried once. After a refused key or a full quota a sibling key of the channel comes first.
/// - When nobody is left, the best of those that failed may be asked once more after a short wait, if its failure allows that.
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
        var failure: UpstreamFailure
    }

    private let candidates: [RouteCandidate]
    private let policy: RoutePolicy
    private let deadline: MonotonicInstant
    private let tokens: Int64
    private var next = 0
    private var failures: [Failed] = []
    /// The attempt that is under way.
    private var current: (position: Int, keyIndex: Int)?
    /// Asked a second time after a wait: the position, once the wait has been announced.
    private var again: Int?
    private var hasWaited = false
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
        failures.append(Failed(position: current.position, keyIndex: current.keyIndex, failure: failure))
        self.current = nil
    }

    private var last: UpstreamFailure? { failures.last?.failure }

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
        if let step = sibling(&health, now, &rng) ?? following(&health, now, &rng) ?? repeated(&health, now) { return step }
        if last != nil { budget.giveBack() }
        if let wait = waitBeforeRepeat(health, now, &rng) { return .wait(wait) }
        return .stop(.failed(last))
    }

    private mutating func begin(
        _ position: Int, _ candidate: RouteCandidate, _ health: inout HealthTable, _ now: MonotonicInstant
    ) -> Step? {
        let start = health.began(
            candidate.target, channel: candidate.channel, model: candidate.model, tokens: tokens, now: now)
        guard case .success(let ticket) = start else { return nil }
        attempts += 1
        current = (position, candidate.keyIndex)
        return .attempt(position: position, candidate, ticket)
    }

    /// Another key of the channel that has just failed.
    private mutating func sibling(
        _ health: inout HealthTable, _ now: MonotonicInstant, _ rng: inout SplitMix64
    ) -> Step? {
        guard let failed = failures.last, failed.failure.retry == .otherKey else { return nil }
        var candidate = candidates[failed.position]
        let tried = Set(failures.filter { $0.position == failed.position }.map(\.keyIndex))
        guard candidate.channel.keys.count > tried.count else { return nil }
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
            guard candidate.channel.keys.count > 1 else { continue }
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
            let other = candidates[failed.position]
            // A request that a model cannot take is no better taken by the same model elsewhere.
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
        // With the key that failed: its siblings had their turn.
        var candidate = candidates[position]
        if let key = failures.last(where: { $0.position == position })?.keyIndex { candidate.keyIndex = key }
        return begin(position, candidate, &health, now)
    }
}
