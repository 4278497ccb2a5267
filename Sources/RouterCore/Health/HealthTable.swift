/// The health and the traffic of all channels, as a state machine that takes the time as an argument.
///
/// What a failure does depends on whom it blames (``FailureKind/blame``) and on ``CoolDown``. After a cool-down one
/// request probes (half-open): content closes the record, failure opens it again for longer. Attempts that began before a record was
/// opened say nothing about the time after it, so a thousand requests that die with a host count once.
public struct HealthTable: Sendable {
    /// A record inside one channel, or inside one account (whose keys are not told apart).
    struct Scope: Hashable, Sendable {
        /// nil = all keys.
        var keyIndex: Int?
        /// nil = all models.
        var model: String?
    }

    struct ChannelState: Sendable {
        var entries: [Scope: HealthEntry] = [:]
        var traffic = ChannelTraffic()
        var operatorSwitch = OperatorSwitch.on
        var limits: Channel.Limits?
    }

    private(set) var channels: [Int64: ChannelState] = [:]
    private(set) var accounts: [String: [Scope: HealthEntry]] = [:]
    /// Where the round-robin's common course is.
    private var course: Int128 = 0
    private var entryCount = 0
    private var settings: RoutingSettings
    /// Changes whenever a record opens, closes or goes, so that it is known when there is something to store.
    public private(set) var revision: UInt64 = 0

    static let maximumEntries = 20_000

    public init(settings: RoutingSettings) { self.settings = settings }

    // MARK: Configuration

    /// After a reload: forgets channels that are gone, and follows keys that changed their place.
    public mutating func apply(settings: RoutingSettings, channels new: [Channel], old: [Channel]) {
        self.settings = settings
        let kept = Set(new.map(\.id))
        channels = channels.filter { kept.contains($0.key) }
        let accountNames = Set(new.compactMap(\.account))
        accounts = accounts.filter { accountNames.contains($0.key) }
        let oldKeys = Dictionary(old.map { ($0.id, $0.keys) }) { first, _ in first }
        for channel in new {
            guard let before = oldKeys[channel.id], before != channel.keys, let state = channels[channel.id] else { continue }
            var moved: [Scope: HealthEntry] = [:]
            for (scope, entry) in state.entries {
                guard let index = scope.keyIndex, index >= 0 else { moved[scope] = entry; continue }
                guard index < before.count, let place = channel.keys.firstIndex(of: before[index]) else { continue }
                moved[Scope(keyIndex: place, model: scope.model)] = entry
            }
            channels[channel.id]?.entries = moved
        }
        recount()
    }

    public mutating func set(_ operatorSwitch: OperatorSwitch, channelID: Int64) {
        channels[channelID, default: ChannelState()].operatorSwitch = operatorSwitch
    }

    public func operatorSwitch(_ channelID: Int64) -> OperatorSwitch { channels[channelID]?.operatorSwitch ?? .on }

    /// Forgets what is held against a channel (an operator says that it is well).
    public mutating func clear(channelID: Int64) {
        channels[channelID]?.entries = [:]
        recount()
    }

    private mutating func recount() {
        entryCount = channels.values.reduce(0) { $0 + $1.entries.count } + accounts.values.reduce(0) { $0 + $1.count }
        revision &+= 1
    }

    // MARK: Events of attempts

    /// An attempt wants to start.
    /// - Returns: the ticket to give back, or why the channel cannot be asked now.
    public mutating func began(
        _ target: HealthTarget, channel: Channel, tokens: Int64 = 0, now: MonotonicInstant
    ) -> Result<AttemptTicket, DropReason> {
        var state = channels[channel.id] ?? ChannelState()
        if let reason = Self.closedReason(state.operatorSwitch) { return .failure(reason) }
        var isProbe = false
        let scopes = scopes(target)
        for scope in scopes {
            guard let entry = entry(scope), let until = entry.openUntil else { continue }
            if now < until { return .failure(.coolingDown(until: until)) }
            if entry.isProbing(now) { return .failure(.coolingDown(until: now)) }
            isProbe = true
        }
        if let full = state.traffic.full(channel.limits, tokens: tokens, now: now) {
            return .failure(.limited(full.limit, until: full.until))
        }
        state.limits = channel.limits.isEmpty ? nil : channel.limits
        state.traffic.began(weight: channel.weight, limits: channel.limits, tokens: tokens, course: &course, now: now)
        channels[channel.id] = state
        if isProbe {
            for scope in scopes where entry(scope)?.openUntil != nil { change(scope) { $0.probingSince = now } }
        }
        return .success(AttemptTicket(target: target, startedAt: now, isProbe: isProbe, tokens: tokens))
    }

    static func closedReason(_ operatorSwitch: OperatorSwitch) -> DropReason? {
        switch operatorSwitch {
        case .on: nil
        case .disabled: .disabled("by an operator")
        case .draining: .draining
        }
    }

    /// The first content of an attempt came: what was open closes, though the answer is not complete yet.
    public mutating func delivered(_ ticket: AttemptTicket, firstContent: Duration, now: MonotonicInstant) {
        channels[ticket.target.channelID]?.traffic.measured(firstContent: firstContent, now: now)
        guard entryCount > 0 else { return }
        for scope in scopes(ticket.target) where entry(scope) != nil {
            let wasOpen = entry(scope)?.openUntil != nil
            change(scope) { entry in
                entry.deliver(startedAt: ticket.startedAt)
                if ticket.isProbe { entry.probingSince = nil }
            }
            if wasOpen { revision &+= 1 }
        }
    }

    /// - Parameters:
    ///   - tokens: all tokens of the answer, when known; corrects what the channel's limit was charged.
    ///   - tokensPerSecond: of the output behind the first content, when measured.
    public mutating func ended(
        _ ticket: AttemptTicket, _ end: AttemptEnd, tokens: Int64? = nil, tokensPerSecond: Int64? = nil,
        now: MonotonicInstant, rng: inout SplitMix64
    ) {
        let id = ticket.target.channelID
        let limits = channels[id]?.limits
        channels[id]?.traffic.ended(reserved: ticket.tokens, used: tokens, limits: limits)
        if let tokensPerSecond { channels[id]?.traffic.measured(tokensPerSecond: tokensPerSecond) }
        if ticket.isProbe {
            for scope in scopes(ticket.target) where entry(scope) != nil { change(scope) { $0.probingSince = nil } }
        }
        switch end {
        case .released: break
        case .completed: completed(ticket)
        case .failed(let failure): count(failure, ticket.target, startedAt: ticket.startedAt, now: now, rng: &rng)
        }
    }

    private mutating func completed(_ ticket: AttemptTicket) {
        guard entryCount > 0 else { return }
        for scope in scopes(ticket.target) {
            guard let entry = entry(scope) else { continue }
            if entry.isNews(ticket.startedAt) {
                remove(scope)
            } else if entry.openUntil == nil {
                change(scope) { $0.failuresInRow = 0 }
            }
        }
    }

    /// Counts a failure against whom it blames.
    public mutating func count(
        _ failure: UpstreamFailure, _ target: HealthTarget, startedAt: MonotonicInstant, now: MonotonicInstant,
        rng: inout SplitMix64
    ) {
        guard let scope = Self.blamed(failure.kind, target) else { return }
        var entry = entry(scope) ?? HealthEntry()
        let before = entry.openUntil
        entry.fail(failure, startedAt: startedAt, now: now, settings: settings, rng: &rng)
        if entry.openUntil != before { revision &+= 1 }
        set(scope, entry)
        if entryCount > Self.maximumEntries { forget(now) }
    }

    /// The result of an active probe: one cheap call with one key.
    public mutating func probed(
        channelID: Int64, keyIndex: Int, failure: UpstreamFailure?, now: MonotonicInstant, rng: inout SplitMix64
    ) {
        let scope = HealthScope(channelID: channelID, keyIndex: keyIndex)
        if let failure {
            guard failure.kind.blame != .nobody, failure.kind.blame != .model else { return }
            var entry = entry(scope) ?? HealthEntry()
            entry.fail(failure, startedAt: now, now: now, settings: settings, rng: &rng)
            revision &+= 1
            return set(scope, entry)
        }
        // A list of models says nothing about rate limits. For the rest it ends the cool-down: the next request is the real test.
        for (inner, entry) in channels[channelID]?.entries ?? [:] where inner.keyIndex == nil || inner.keyIndex == keyIndex {
            guard let until = entry.openUntil, until > now, entry.lastKind != .rateLimit, entry.lastKind != .modelUnavailable else {
                continue
            }
            channels[channelID]?.entries[inner]?.openUntil = now
            revision &+= 1
        }
    }

    /// Whose record a failure goes into.
    static func blamed(_ kind: FailureKind, _ target: HealthTarget) -> HealthScope? {
        let channel = target.channelID
        switch kind.blame {
        case .nobody: return nil
        case .endpoint: return HealthScope(channelID: channel, keyIndex: target.keyIndex, model: target.model)
        case .credential: return HealthScope(channelID: channel, keyIndex: target.keyIndex)
        case .model: return HealthScope(channelID: channel, model: target.model)
        case .quota:
            if let account = target.account { return HealthScope(account: account, model: target.model) }
            return HealthScope(channelID: channel, keyIndex: target.keyIndex, model: target.model)
        case .account:
            if let account = target.account { return HealthScope(account: account) }
            return HealthScope(channelID: channel, keyIndex: target.keyIndex)
        }
    }

    // MARK: Records

    /// All records that bear on a target.
    private func scopes(_ target: HealthTarget) -> [HealthScope] {
        let channel = target.channelID
        var scopes = [
            HealthScope(channelID: channel, keyIndex: target.keyIndex, model: target.model),
            HealthScope(channelID: channel, keyIndex: target.keyIndex), HealthScope(channelID: channel, model: target.model),
        ]
        if let account = target.account {
            scopes += [HealthScope(account: account, model: target.model), HealthScope(account: account)]
        }
        return scopes
    }

    private func entry(_ scope: HealthScope) -> HealthEntry? {
        let inner = Scope(keyIndex: scope.keyIndex, model: scope.model)
        if let id = scope.channelID { return channels[id]?.entries[inner] }
        return accounts[scope.account ?? ""]?[inner]
    }

    private mutating func set(_ scope: HealthScope, _ entry: HealthEntry) {
        let inner = Scope(keyIndex: scope.keyIndex, model: scope.model)
        let old: HealthEntry?
        if let id = scope.channelID {
            old = channels[id, default: ChannelState()].entries.updateValue(entry, forKey: inner)
        } else {
            old = accounts[scope.account ?? "", default: [:]].updateValue(entry, forKey: inner)
        }
        if old == nil { entryCount += 1 }
    }

    private mutating func change(_ scope: HealthScope, _ body: (inout HealthEntry) -> Void) {
        guard var entry = entry(scope) else { return }
        body(&entry)
        set(scope, entry)
    }

    private mutating func remove(_ scope: HealthScope) {
        let inner = Scope(keyIndex: scope.keyIndex, model: scope.model)
        let old: HealthEntry?
        if let id = scope.channelID {
            old = channels[id]?.entries.removeValue(forKey: inner)
        } else {
            old = accounts[scope.account ?? ""]?.removeValue(forKey: inner)
        }
        guard let old else { return }
        entryCount -= 1
        if old.openings > 0 { revision &+= 1 }
    }

    /// Names of models may come from clients (wildcards without a list), so the table is bounded: what is over goes
    /// first, then what failed longest ago.
    private mutating func forget(_ now: MonotonicInstant) {
        func isOver(_ entry: HealthEntry) -> Bool {
            (entry.openUntil ?? entry.lastFailure.advanced(by: CoolDown.seriesWindow)) <= now
        }
        keepEntries { !isOver($0) }
        guard entryCount > Self.maximumEntries else { return }
        let ages = channels.values.flatMap { $0.entries.values.map(\.lastFailure) }
            + accounts.values.flatMap { $0.values.map(\.lastFailure) }
        let cut = ages.sorted()[ages.count / 2]
        keepEntries { $0.lastFailure > cut }
    }

    private mutating func keepEntries(_ isKept: (HealthEntry) -> Bool) {
        channels = channels.mapValues { state in
            var state = state
            state.entries = state.entries.filter { isKept($0.value) }
            return state
        }
        accounts = accounts.mapValues { $0.filter { isKept($0.value) } }
        recount()
    }

    // MARK: Questions

    public func state(of target: HealthTarget, now: MonotonicInstant) -> HealthState {
        guard entryCount > 0 else { return .closed }
        var state = HealthState.closed
        for scope in scopes(target) {
            switch (entry(scope)?.state(now) ?? .closed, state) {
            case (.open(let until), .open(let other)): state = .open(until: max(until, other))
            case (.open(let until), _): state = .open(until: until)
            case (.halfOpen, .closed): state = .halfOpen
            default: break
            }
        }
        return state
    }

    private func isProbing(_ target: HealthTarget, _ now: MonotonicInstant) -> Bool {
        scopes(target).contains { entry($0)?.isProbing(now) == true }
    }

    enum Pick { case key(Int), cooling(until: MonotonicInstant), refused(until: MonotonicInstant) }

    /// A key of the channel for this model: among those in health, else one that may probe. Conversations keep to one key
    /// where they can, because prompt caches belong to accounts; others rotate at random.
    func pick(
        _ channel: Channel, model: String, affinity: AffinityKey?, excluding tried: Set<Int> = [], now: MonotonicInstant,
        rng: inout SplitMix64
    ) -> Pick {
        let count = channel.keys.count
        if count <= 1, tried.isEmpty, channels[channel.id]?.entries.isEmpty ?? true, channel.account == nil {
            return .key(count - 1)
        }
        var healthy: [Int] = []
        var probing: [Int] = []
        var soonest: MonotonicInstant?
        var allRefused = true
        for index in count == 0 ? -1..<0 : 0..<count where !tried.contains(index) {
            let target = HealthTarget(channelID: channel.id, keyIndex: index, model: model, account: channel.account)
            switch state(of: target, now: now) {
            case .closed: healthy.append(index)
            case .halfOpen where !isProbing(target, now): probing.append(index)
            case .halfOpen: soonest = min(soonest ?? now, now)
            case .open(let until): soonest = min(soonest ?? until, until)
            }
            if entry(HealthScope(channelID: channel.id, keyIndex: index))?.openUntil == nil { allRefused = false }
        }
        let choice = healthy.isEmpty ? probing : healthy
        if let affinity, choice.count > 1 {
            let salt = AffinityKey(hash: affinity.hash ^ UInt64(bitPattern: channel.id))
            let waits = choice.map { (key: $0, wait: Rendezvous.wait(salt, Int64($0))) }
            if let best = waits.min(by: { $0.wait < $1.wait }) { return .key(best.key) }
        }
        if !choice.isEmpty { return .key(choice.count == 1 ? choice[0] : choice[Int(rng.below(UInt64(choice.count)))]) }
        let until = soonest ?? now
        return allRefused ? .refused(until: until) : .cooling(until: until)
    }

    func traffic(_ channelID: Int64) -> ChannelTraffic { channels[channelID]?.traffic ?? ChannelTraffic() }

    public func inFlight(_ channelID: Int64) -> Int64 { channels[channelID]?.traffic.inFlight ?? 0 }

    /// Everything that is not in plain health.
    public func report(now: MonotonicInstant) -> [HealthReportRow] {
        func row(_ scope: HealthScope, _ entry: HealthEntry) -> HealthReportRow {
            HealthReportRow(
                scope: scope, state: entry.state(now), consecutiveFailures: entry.failuresInRow, openings: entry.openings,
                lastKind: entry.lastKind)
        }
        let ofChannels = channels.flatMap { id, state in
            state.entries.map { row(HealthScope(channelID: id, keyIndex: $0.keyIndex, model: $0.model), $1) }
        }
        let ofAccounts = accounts.flatMap { name, entries in
            entries.map { row(HealthScope(account: name, model: $0.model), $1) }
        }
        return (ofChannels + ofAccounts).sorted { left, right in
            func order(_ row: HealthReportRow) -> (Int64, Int, String) {
                (row.scope.channelID ?? .max, row.scope.keyIndex ?? -2, row.scope.model ?? row.scope.account ?? "")
            }
            return order(left) < order(right)
        }
    }

    /// Takes up a record of an earlier run.
    public mutating func restore(_ row: HealthReportRow, now: MonotonicInstant) {
        guard case .open(let until) = row.state, until > now else { return }
        var entry = HealthEntry()
        entry.failuresInRow = row.consecutiveFailures
        entry.openings = row.openings
        entry.openUntil = until
        entry.openedAt = now
        entry.lastKind = row.lastKind
        entry.lastFailure = now
        set(row.scope, entry)
        revision &+= 1
    }
}
