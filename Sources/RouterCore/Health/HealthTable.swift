/// The thing whose health is kept: one key of one channel for one upstream model.
public struct HealthTarget: Sendable, Hashable {
    public var channelID: Int64
    /// -1: the channel has no keys.
    public var keyIndex: Int
    public var model: String

    public init(channelID: Int64, keyIndex: Int, model: String) {
        self.channelID = channelID
        self.keyIndex = keyIndex
        self.model = model
    }
}

public enum HealthState: Sendable, Hashable {
    /// In use. Legal next: open.
    case closed
    /// Not asked until then. Legal next: half-open (by time).
    case open(until: MonotonicInstant)
    /// The cool-down is over; one request may try. Legal next: closed, open.
    case halfOpen
}

public struct HealthReportRow: Sendable, Hashable {
    public var target: HealthTarget
    public var state: HealthState
    public var consecutiveFailures: Int
    public var lastKind: FailureKind?
}

/// The health of all channels, as a state machine that takes the time as an argument.
///
/// What a failure does depends on whom it blames (``FailureKind/blame``):
/// - the endpoint: the (channel, key, model) cools down. A refused connection, a rate limit and an overload say by
///   themselves that asking again at once is useless, so they open at once. A 5xx, a timeout, garbage or a broken stream happens to healthy
///   hosts as well: these open on the third in a row.
/// - the credential: the key is out for every model of its channel, for the longest cool-down; its siblings go on.
/// - the model: this model is out for the whole channel.
/// - nobody (the client's own mistakes, cancellations): nothing.
///
/// A cool-down is the vendor's `Retry-After` if it gave one, else base × 2^(openings in a row − 1), with up to a tenth of
/// random spread so that gateways do not return in step; never more than the maximum. After it one request probes
/// (half-open); success closes, failure opens again for longer.
public struct HealthTable: Sendable {
    private struct Key: Hashable, Sendable {
        var channelID: Int64
        /// nil = all keys.
        var keyIndex: Int?
        /// nil = all models.
        var model: String?
    }

    private struct Entry: Sendable {
        var failuresInRow = 0
        var openings = 0
        var openUntil: MonotonicInstant?
        var isProbing = false
        var lastKind: FailureKind?
        var lastFailure = MonotonicInstant(nanoseconds: 0)
    }

    private struct Balance: Sendable {
        var inFlight: Int64 = 0
        /// Moving average of the time to first content, nanoseconds; nil = never measured.
        var latency: Int64?
        var current: Int64 = 0
    }

    private var entries: [Key: Entry] = [:]
    private var balances: [Int64: Balance] = [:]
    private var settings: RoutingSettings

    static let failuresToOpen = 3
    static let seriesWindow = Duration.seconds(60)
    static let maximumEntries = 20_000

    public init(settings: RoutingSettings) { self.settings = settings }

    /// After a reload.
    public mutating func apply(settings: RoutingSettings) { self.settings = settings }

    public mutating func prune(keeping channelIDs: Set<Int64>) {
        entries = entries.filter { channelIDs.contains($0.key.channelID) }
        balances = balances.filter { channelIDs.contains($0.key) }
    }

    // MARK: Events of attempts

    /// An attempt starts. - Returns: false when another request is probing this target already: take another channel.
    public mutating func began(_ target: HealthTarget, now: MonotonicInstant) -> Bool {
        for key in keys(target) {
            guard let entry = entries[key], let until = entry.openUntil else { continue }
            if entry.isProbing || now < until { return false }
        }
        for key in keys(target) where entries[key]?.openUntil != nil { entries[key]?.isProbing = true }
        balances[target.channelID, default: Balance()].inFlight += 1
        balances[target.channelID]?.current += 1
        return true
    }

    public mutating func succeeded(
        _ target: HealthTarget, now: MonotonicInstant, firstContent: Duration? = nil
    ) {
        for key in keys(target) { entries[key] = nil }
        finish(target)
        guard let sample = firstContent?.wholeNanoseconds else { return }
        let old = balances[target.channelID]?.latency
        // Peak-sensitive: a slow answer counts at once, a fast one by an eighth.
        let new = old.map { sample > $0 ? sample : $0 - ($0 - sample) / 8 } ?? sample
        balances[target.channelID]?.latency = new
    }

    /// An attempt ended without a verdict (cancelled, or the client's own mistake): a probe is given back.
    public mutating func released(_ target: HealthTarget, now: MonotonicInstant) {
        for key in keys(target) { entries[key]?.isProbing = false }
        finish(target)
    }

    public mutating func failed(
        _ target: HealthTarget, _ failure: UpstreamFailure, now: MonotonicInstant, rng: inout SplitMix64
    ) {
        for key in keys(target) { entries[key]?.isProbing = false }
        finish(target)
        let key: Key
        let opensAt: Int
        switch failure.kind.blame {
        case .nobody: return
        case .endpoint:
            key = Key(channelID: target.channelID, keyIndex: target.keyIndex, model: target.model)
            opensAt = Self.opensAtOnce(failure.kind) ? 1 : Self.failuresToOpen
        case .credential:
            key = Key(channelID: target.channelID, keyIndex: target.keyIndex, model: nil)
            opensAt = 1
        case .model:
            key = Key(channelID: target.channelID, keyIndex: nil, model: target.model)
            opensAt = 1
        }
        var entry = entries[key, default: Entry()]
        // Failures that are far apart are no series.
        if entry.openUntil == nil, entry.lastFailure.duration(to: now) > Self.seriesWindow { entry.failuresInRow = 0 }
        entry.failuresInRow += 1
        entry.lastFailure = now
        entry.lastKind = failure.kind
        if entry.failuresInRow >= opensAt || entry.openUntil != nil {
            entry.openings += 1
            entry.openUntil = now.advanced(by: coolDown(entry, failure, &rng))
        }
        entries[key] = entry
        if entries.count > Self.maximumEntries { forget(now) }
    }

    /// Names of models may come from clients (wildcards without a list), so the table is bounded: what is over goes first, then what
    /// failed longest ago.
    private mutating func forget(_ now: MonotonicInstant) {
        entries = entries.filter { ($0.value.openUntil ?? $0.value.lastFailure.advanced(by: Self.seriesWindow)) > now }
        guard entries.count > Self.maximumEntries else { return }
        for (key, _) in entries.sorted(by: { $0.value.lastFailure < $1.value.lastFailure }).prefix(entries.count / 2) {
            entries[key] = nil
        }
    }

    private static func opensAtOnce(_ kind: FailureKind) -> Bool {
        switch kind {
        case .connect, .rateLimit, .overloaded: true
        default: false
        }
    }

    private func coolDown(_ entry: Entry, _ failure: UpstreamFailure, _ rng: inout SplitMix64) -> Duration {
        let longest = max(settings.cooldownMax, settings.cooldownBase).wholeNanoseconds
        if failure.kind.blame == .credential { return .nanoseconds(longest) }
        if let wish = failure.retryAfter { return .nanoseconds(min(max(wish.wholeNanoseconds, 0), longest)) }
        let base = max(settings.cooldownBase.wholeNanoseconds, 1)
        let doublings = min(entry.openings - 1, 20)
        let (grown, overflowed) = base.multipliedReportingOverflow(by: 1 << Int64(doublings))
        let plain = overflowed ? longest : min(grown, longest)
        let spread = Int64(rng.below(UInt64(plain / 10) + 1))
        return .nanoseconds(min(plain + spread, longest))
    }

    private mutating func finish(_ target: HealthTarget) {
        let inFlight = balances[target.channelID]?.inFlight ?? 0
        balances[target.channelID, default: Balance()].inFlight = max(0, inFlight - 1)
    }

    /// The three records that bear on a target.
    private func keys(_ target: HealthTarget) -> [Key] {
        [
            Key(channelID: target.channelID, keyIndex: target.keyIndex, model: target.model),
            Key(channelID: target.channelID, keyIndex: target.keyIndex, model: nil),
            Key(channelID: target.channelID, keyIndex: nil, model: target.model),
        ]
    }

    // MARK: Questions

    public func state(of target: HealthTarget, now: MonotonicInstant) -> HealthState {
        var state = HealthState.closed
        for key in keys(target) {
            guard let entry = entries[key], let until = entry.openUntil else { continue }
            if now < until {
                if case .open(let other) = state, other >= until { continue }
                state = .open(until: until)
            } else if state == .closed {
                state = .halfOpen
            }
        }
        return state
    }

    private func isProbing(_ target: HealthTarget) -> Bool {
        keys(target).contains { entries[$0]?.isProbing == true }
    }

    enum Pick { case key(Int), cooling(until: MonotonicInstant), refused(until: MonotonicInstant) }

    /// A key of the channel for this model: at random among those in health, else one that may probe.
    func pick(_ channel: Channel, model: String, now: MonotonicInstant, rng: inout SplitMix64) -> Pick {
        if entries.isEmpty {
            return .key(channel.keys.isEmpty ? -1 : Int(rng.below(UInt64(channel.keys.count))))
        }
        var healthy: [Int] = []
        var probing: [Int] = []
        var soonest: MonotonicInstant?
        var allRefused = true
        for index in channel.keys.isEmpty ? -1..<0 : 0..<channel.keys.count {
            let target = HealthTarget(channelID: channel.id, keyIndex: index, model: model)
            let credential = Key(channelID: channel.id, keyIndex: index, model: nil)
            switch state(of: target, now: now) {
            case .closed: healthy.append(index)
            case .halfOpen where !isProbing(target): probing.append(index)
            case .halfOpen: soonest = min(soonest ?? now, now)
            case .open(let until): soonest = min(soonest ?? until, until)
            }
            if entries[credential]?.openUntil == nil { allRefused = false }
        }
        let choice = healthy.isEmpty ? probing : healthy
        if !choice.isEmpty { return .key(choice[Int(rng.below(UInt64(choice.count)))]) }
        let until = soonest ?? now
        return allRefused ? .refused(until: until) : .cooling(until: until)
    }

    func inFlight(_ channelID: Int64) -> Int64 { balances[channelID]?.inFlight ?? 0 }
    func latency(_ channelID: Int64) -> Int64 { balances[channelID]?.latency ?? -1 }

    /// Smooth weighted round robin by what each channel was given: the one that is furthest behind its share comes first.
    func smoothRoundRobin(_ peers: [RouteCandidate]) -> [RouteCandidate] {
        peers.enumerated().sorted { left, right in
            let l = Int128(balances[left.element.channel.id]?.current ?? 0) * Int128(right.element.channel.weight)
            let r = Int128(balances[right.element.channel.id]?.current ?? 0) * Int128(left.element.channel.weight)
            return l == r ? left.offset < right.offset : l < r
        }.map(\.element)
    }

    /// Everything that is not in plain health, for `GET /api/channel`.
    public func report(now: MonotonicInstant) -> [HealthReportRow] {
        entries.map { key, entry in
            let target = HealthTarget(
                channelID: key.channelID, keyIndex: key.keyIndex ?? -1, model: key.model ?? "*")
            let state: HealthState = entry.openUntil.map { now < $0 ? .open(until: $0) : .halfOpen } ?? .closed
            return HealthReportRow(
                target: target, state: state, consecutiveFailures: entry.failuresInRow, lastKind: entry.lastKind)
        }.sorted { ($0.target.channelID, $0.target.keyIndex, $0.target.model) < ($1.target.channelID, $1.target.keyIndex, $1.target.model) }
    }
}
