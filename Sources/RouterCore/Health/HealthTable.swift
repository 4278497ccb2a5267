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
        /// When it was made, and when it last got other keys or was declared well, as numbers from ``HealthTable/counter``.
        var born: UInt64 = 0
        var generation: UInt64 = 0
    }

    private(set) var channels: [Int64: ChannelState] = [:]
    private(set) var accounts: [String: [Scope: HealthEntry]] = [:]
    /// By public model name; kept only where a policy asks for it.
    private var rounds: [String: RoundRobin] = [:]
    private var counter: UInt64 = 0
    private var entryCount = 0
    private var switchCount = 0
    private var settings: RoutingSettings
    /// Changes whenever a record opens, closes or goes, so that it is known when there is something to store.
    public private(set) var revision: UInt64 = 0

    static let maximumEntries = 20_000
    private static let maximumRounds = 4_096

    public init(settings: RoutingSettings) { self.settings = settings }

    // MARK: Configuration

    /// After a reload: forgets channels that are gone, and follows keys that changed their place.
    public mutating func apply(settings: RoutingSettings, channels new: [Channel], old: [Channel]) {
        self.settings = settings
        let kept = Set(new.map(\.id))
        channels = channels.filter { kept.contains($0.key) }
        if !settings.usesRoundRobin { rounds = [:] }
        let accountNames = Set(new.compactMap(\.account))
        accounts = accounts.filter { accountNames.contains($0.key) }
        let before = Dictionary(old.map { ($0.id, $0) }) { first, _ in first }
        for channel in new {
            guard let past = before[channel.id], var state = channels[channel.id],
                past.keys != channel.keys || past.baseURL != channel.baseURL || past.provider.baseURL != channel.provider.baseURL
            else { continue }
            state.entries = Self.moved(state.entries, from: past.keys, to: channel.keys)
            counter &+= 1
            state.generation = counter
            channels[channel.id] = state
        }
        recount()
    }

    /// Records of keys that changed their place, without those of keys that are gone. An attempt that is trying such a key reports to the
    /// old place, so the record counts as not being tried.
    private static func moved(_ entries: [Scope: HealthEntry], from old: [Secret], to new: [Secret]) -> [Scope: HealthEntry] {
        var moved: [Scope: HealthEntry] = [:]
        for (scope, entry) in entries {
            var place = scope.keyIndex
            if let index = scope.keyIndex, index >= 0 {
                guard index < old.count, let found = new.firstIndex(of: old[index]) else { continue }
                place = found
            }
            var entry = entry
            entry.probingSince = nil
            moved[Scope(keyIndex: place, model: scope.model)] = entry
        }
        return moved
    }

    private mutating func fresh() -> ChannelState {
        counter &+= 1
        return ChannelState(born: counter, generation: counter)
    }

    public mutating func set(_ operatorSwitch: OperatorSwitch, channelID: Int64) {
        var state = channels[channelID] ?? fresh()
        state.operatorSwitch = operatorSwitch
        channels[channelID] = state
        recount()
    }

    public func operatorSwitch(_ channelID: Int64) -> OperatorSwitch { channels[channelID]?.operatorSwitch ?? .on }

    /// Forgets what is held against a channel and its account (an operator says that it is well), also what attempts under way may still
    /// say.
    public mutating func clear(channelID: Int64, account: String?) {
        counter &+= 1
        channels[channelID]?.entries = [:]
        channels[channelID]?.generation = counter
        if let account { accounts[account] = nil }
        recount()
    }

    /// A call beside the traffic has shown that this target answers.
    public mutating func prove(_ target: HealthTarget) {
        for scope in scopes(target) { remove(scope) }
    }

    private mutating func recount() {
        switchCount = channels.values.count { $0.operatorSwitch != .on }
        entryCount = channels.values.reduce(0) { $0 + $1.entries.count } + accounts.values.reduce(0) { $0 + $1.count }
        revision &+= 1
    }

    // MARK: Events of attempts

    /// An attempt wants to start.
    /// - Parameter asLastResort: no other channel is left, so a cool-down for a passing reason may be cut short.
    /// - Returns: the ticket to give back, or why the channel cannot be asked now.
    public mutating func began(
        _ target: HealthTarget, channel: Channel, model: String? = nil, tokens: Int64 = 0, now: MonotonicInstant,
        asLastResort: Bool = false
    ) -> Result<AttemptTicket, DropReason> {
        var state = channels[channel.id] ?? fresh()
        if let reason = Self.closedReason(state.operatorSwitch) { return .failure(reason) }
        let scopes = entryCount == 0 ? [] : scopes(target)
        let closure = scopes.isEmpty ? nil : closure(scopes, now)
        switch closure {
        case nil: break
        case .passing(let until, let place):
            guard asLastResort else { return .failure(.coolingDown(until: until)) }
            switch place {
            case .now: break
            case .from(let next): return .failure(.lastResortTaken(until: next))
            case .taken: return .failure(.lastResortTaken(until: now))
            }
        case .limited(let until): return .failure(.rateLimited(until: until))
        case .lasting(let until): return .failure(.coolingDown(until: until))
        }
        if let full = state.traffic.full(channel.limits, tokens: tokens, now: now) {
            return .failure(.limited(full.limit, until: full.until))
        }
        state.limits = channel.limits.isEmpty ? nil : channel.limits
        state.traffic.began(limits: channel.limits, tokens: tokens, now: now)
        channels[channel.id] = state
        if settings.usesRoundRobin {
            if rounds.count >= Self.maximumRounds { rounds = [:] }
            rounds[model ?? target.model, default: RoundRobin()].served(channel.id, weight: channel.weight)
        }
        var isProbe = false
        for scope in scopes where entry(scope)?.openUntil != nil {
            isProbe = true
            change(scope) { entry in
                entry.probingSince = now
                entry.lastResortAt = now
            }
        }
        return .success(
            AttemptTicket(
                target: target, startedAt: now, isProbe: isProbe, isLastResort: closure != nil, tokens: tokens,
                born: state.born, generation: state.generation))
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
        guard channels[ticket.target.channelID]?.generation == ticket.generation else { return }
        channels[ticket.target.channelID]?.traffic.measured(firstContent: firstContent, now: now)
        guard entryCount > 0 else { return }
        for scope in scopes(ticket.target) where entry(scope) != nil {
            let wasOpen = entry(scope)?.openUntil != nil
            change(scope) { entry in
                entry.deliver(startedAt: ticket.startedAt)
                if ticket.isProbe { entry.ended(ticket) }
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
        // The channel went, and perhaps another one of its id came.
        guard let state = channels[id], state.born == ticket.born else { return }
        channels[id]?.traffic.ended(reserved: ticket.tokens, used: tokens, limits: state.limits, now: now)
        guard state.generation == ticket.generation else { return }
        if let tokensPerSecond { channels[id]?.traffic.measured(tokensPerSecond: tokensPerSecond) }
        if ticket.isProbe {
            for scope in scopes(ticket.target) where entry(scope) != nil { change(scope) { $0.ended(ticket) } }
        }
        switch end {
        case .released: break
        case .completed: completed(ticket)
        case .failed(let failure) where ticket.isLastResort: countLastResort(failure, ticket, now: now, rng: &rng)
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

    /// Keeps a record open as long as the vendor wishes.
    mutating func respect(
        _ failure: UpstreamFailure, _ scope: HealthScope, now: MonotonicInstant, rng: inout SplitMix64
    ) {
        guard failure.retryAfter != nil, var entry = entry(scope) else { return }
        entry.respect(failure, now: now, settings: settings, rng: &rng)
        set(scope, entry)
        revision &+= 1
    }

    /// The result of an active probe: one cheap call with one key.
    public mutating func probed(
        channelID: Int64, keyIndex: Int, failure: UpstreamFailure?, now: MonotonicInstant, rng: inout SplitMix64
    ) {
        if let failure {
            let scope =
                failure.kind.blame == .host
                ? HealthScope(channelID: channelID) : HealthScope(channelID: channelID, keyIndex: keyIndex)
            guard failure.kind.blame != .nobody, failure.kind.blame != .model else { return }
            var entry = entry(scope) ?? HealthEntry()
            // A refused or exhausted key stays so, whatever else is wrong with the vendor: a passing reason would make it a last resort.
            if let until = entry.openUntil, until > now, entry.lastKind.map(CoolDown.isSlow) == true, !CoolDown.isSlow(failure.kind) {
                return
            }
            entry.fail(failure, startedAt: now, now: now, settings: settings, rng: &rng)
            revision &+= 1
            return set(scope, entry)
        }
        // A list of models says nothing about quotas and money. For the rest it ends the cool-down: the next request is the real test.
        for (inner, entry) in channels[channelID]?.entries ?? [:] where inner.keyIndex == nil || inner.keyIndex == keyIndex {
            let isBeyond: Set<FailureKind?> = [.rateLimit, .modelUnavailable, .credentialExhausted]
            guard let until = entry.openUntil, until > now, !isBeyond.contains(entry.lastKind) else { continue }
            channels[channelID]?.entries[inner]?.openUntil = now
            revision &+= 1
        }
    }

    /// Whose record a failure goes into.
    static func blamed(_ kind: FailureKind, _ target: HealthTarget) -> HealthScope? {
        let channel = target.channelID
        switch kind.blame {
        case .nobody: return nil
        case .host: return HealthScope(channelID: channel)
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
    func scopes(_ target: HealthTarget) -> [HealthScope] {
        let channel = target.channelID
        var scopes = [
            HealthScope(channelID: channel, keyIndex: target.keyIndex, model: target.model),
            HealthScope(channelID: channel, keyIndex: target.keyIndex), HealthScope(channelID: channel, model: target.model),
            HealthScope(channelID: channel),
        ]
        if let account = target.account {
            scopes += [HealthScope(account: account, model: target.model), HealthScope(account: account)]
        }
        return scopes
    }

    func entry(_ scope: HealthScope) -> HealthEntry? {
        let inner = Scope(keyIndex: scope.keyIndex, model: scope.model)
        if let id = scope.channelID { return channels[id]?.entries[inner] }
        return accounts[scope.account ?? ""]?[inner]
    }

    private mutating func set(_ scope: HealthScope, _ entry: HealthEntry) {
        let inner = Scope(keyIndex: scope.keyIndex, model: scope.model)
        let old: HealthEntry?
        if let id = scope.channelID {
            var state = channels[id] ?? fresh()
            old = state.entries.updateValue(entry, forKey: inner)
            channels[id] = state
        } else {
            old = accounts[scope.account ?? "", default: [:]].updateValue(entry, forKey: inner)
        }
        if old == nil { entryCount += 1 }
    }

    mutating func change(_ scope: HealthScope, _ body: (inout HealthEntry) -> Void) {
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
        let ages =
            channels.values.flatMap { $0.entries.values.map(\.lastFailure) }
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

    /// All channels are healthy.
    var hasNoRecords: Bool { entryCount == 0 }
    /// Some channel is switched off by an operator.
    var hasSwitches: Bool { switchCount > 0 }

    /// The channel's place in the round robin of a model; lower comes first.
    func pass(_ model: String, _ channelID: Int64) -> Int128 { rounds[model]?.pass(channelID) ?? 0 }

    /// Which limit of a channel is full; nil = none.
    func full(
        _ channelID: Int64, _ limits: Channel.Limits, tokens: Int64, now: MonotonicInstant
    ) -> (limit: ChannelLimit, until: MonotonicInstant?)? {
        // What was never used is never full.
        channels[channelID]?.traffic.full(limits, tokens: tokens, now: now) ?? nil
    }

    func traffic(_ channelID: Int64) -> ChannelTraffic { channels[channelID]?.traffic ?? ChannelTraffic() }

    public func inFlight(_ channelID: Int64) -> Int64 { channels[channelID]?.traffic.inFlight ?? 0 }

    /// Everything that is not in plain health.
    public func report(now: MonotonicInstant) -> [HealthReportRow] {
        func row(_ scope: HealthScope, _ entry: HealthEntry) -> HealthReportRow {
            HealthReportRow(
                scope: scope, state: entry.state(now), consecutiveFailures: entry.failuresInRow, openings: entry.openings,
                lastKind: entry.lastKind, isWished: entry.wishedUntil.map { $0 > now } ?? false)
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
        entry.wishedUntil = row.isWished ? until : nil
        entry.openedAt = now
        entry.lastKind = row.lastKind
        entry.lastFailure = now
        set(row.scope, entry)
        revision &+= 1
    }
}
