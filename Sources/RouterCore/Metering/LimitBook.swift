/// A key or a user and its limits.
public struct LimitRule: Sendable, Hashable {
    public var scope: BudgetScope
    public var limits: RateLimits

    public init(scope: BudgetScope, limits: RateLimits) {
        self.scope = scope
        self.limits = limits
    }
}

/// Usage of the limits of keys and users, in memory. A pure state machine that takes the time as an argument; its owner keeps it behind a
/// lock. The buckets are the same as those of channels (``LimitedTraffic``).
///
/// A request is admitted by all of its limits or counts in none of them. Each admission ends in exactly one ``end(_:used:now:)``.
///
/// Where several gateways share one ledger, each may use only its share of a limit, as decided by ``LimitShares``.
public struct LimitBook: Sendable {
    /// An admitted request.
    public struct Ticket: Sendable, Hashable {
        fileprivate struct Part: Sendable, Hashable {
            var scope: BudgetScope
            /// Tokens that were taken from the tokens-per-minute bucket.
            var tokens: Int64
        }
        fileprivate var parts: [Part] = []
    }

    /// How much of a limit remains.
    public struct Gauge: Sendable, Hashable {
        public var limit: Int64
        public var remaining: Int64
        /// Time until the whole limit is available again.
        public var reset: Duration

        public init(limit: Int64, remaining: Int64, reset: Duration) {
            self.limit = limit
            self.remaining = remaining
            self.reset = reset
        }
    }

    /// State of the limits that have the least left; nil = there is no such limit.
    public struct Standing: Sendable, Hashable {
        public var requests: Gauge?
        public var tokens: Gauge?
    }

    public struct Refusal: Error, Sendable, Hashable {
        public var rule: LimitRule
        public var limit: ChannelLimit
        /// Time until a request like this one may pass.
        public var wait: Duration
        public var standing: Standing

        public init(rule: LimitRule, limit: ChannelLimit, wait: Duration = shortWait, standing: Standing) {
            self.rule = rule
            self.limit = limit
            self.wait = wait
            self.standing = standing
        }
    }

    private struct Entry: Sendable {
        var traffic = LimitedTraffic()
        /// The whole limits, as last configured.
        var limits: RateLimits
        /// The part that this gateway may use; the buckets are filled at this rate.
        var mine: RateLimits
        /// The share that the ledger granted last; nil = none was requested.
        var share: RateLimits?
        var demand = LimitDemand()
    }

    /// The gateways that share the limits; nil = this is the only one.
    private struct Sharing: Sendable {
        var gateways: [String]
        var own: String
        /// False when the ledger has been unreachable for too long, so that the others' shares are unknown.
        var isCertain: Bool
    }

    private var entries: [BudgetScope: Entry] = [:]
    private var sharing: Sharing?
    /// The retry delay for a concurrency limit, and where a gateway has no share: another gateway may answer, or this one may soon get a
    /// share.
    public static let shortWait = Duration.seconds(1)

    public init() {}

    public var count: Int { entries.count }

    // MARK: Requests

    /// - Parameters:
    ///   - rules: all limits of the request; a request without limits is not counted.
    ///   - tokens: prompt tokens plus the announced output: these have to fit.
    ///   - expected: output that the client has not bounded. It is taken from the bucket as far as there is any, so that many such requests
    ///     at once are counted, but it is never a reason for a refusal.
    /// - Returns: the ticket to give back, what remains after it, and whether a share should be requested at once.
    public mutating func admit(
        _ rules: [LimitRule], tokens: Int64, expected: Int64 = 0, now: MonotonicInstant
    ) -> Result<(ticket: Ticket, standing: Standing, isNew: Bool), Refusal> {
        var refusal: (rule: LimitRule, limit: ChannelLimit, wait: Duration)?
        var isNew = false
        for rule in rules {
            var entry = current(rule, now)
            if sharing != nil, entry.share == nil { isNew = true }
            if let full = Self.full(entry, tokens: tokens, now: now), refusal.map({ $0.wait < full.wait }) ?? true {
                refusal = (rule, full.limit, full.wait)
            }
            entry.demand.asked(tokens: tokens, running: entry.traffic.inFlight + 1)
            entries[rule.scope] = entry
        }
        if let refusal {
            let standing = standing(rules, now)
            return .failure(Refusal(rule: refusal.rule, limit: refusal.limit, wait: refusal.wait, standing: standing))
        }
        var ticket = Ticket()
        for rule in rules {
            guard var entry = entries[rule.scope] else { continue }
            var reserved = tokens
            if let limit = entry.mine.tokensPerMinute {
                let left = entry.traffic.tokens.left(perMinute: limit, now: now)
                reserved += max(0, min(expected, left - tokens))
            }
            entry.traffic.began(limits: entry.mine, tokens: reserved, now: now)
            ticket.parts.append(Ticket.Part(scope: rule.scope, tokens: min(reserved, entry.mine.tokensPerMinute ?? 0)))
            entries[rule.scope] = entry
        }
        return .success((ticket, standing(rules, now), isNew))
    }

    /// The request has ended. - Parameter used: its tokens; 0 when nothing was used.
    public mutating func end(_ ticket: Ticket, used: Int64, now: MonotonicInstant) {
        for part in ticket.parts {
            guard var entry = entries[part.scope] else { continue }
            entry.traffic.ended(reserved: part.tokens, used: used, limits: entry.mine, now: now, owesAll: true)
            entries[part.scope] = entry
        }
    }

    /// The entry with the limits as they are now.
    private func current(_ rule: LimitRule, _ now: MonotonicInstant) -> Entry {
        guard var entry = entries[rule.scope] else {
            return Entry(limits: rule.limits, mine: portion(rule.limits, rule.scope, share: nil))
        }
        if entry.limits != rule.limits {
            entry.limits = rule.limits
            change(&entry, rule.scope, now)
        }
        return entry
    }

    private static func full(_ entry: Entry, tokens: Int64, now: MonotonicInstant) -> (limit: ChannelLimit, wait: Duration)? {
        // A gateway without a share of some limit refuses; another gateway has the share.
        for limit in ChannelLimit.allCases where entry.mine[limit] == 0 { return (limit, shortWait) }
        guard let full = entry.traffic.full(entry.mine, tokens: tokens, now: now) else { return nil }
        return (full.limit, full.until.map { now.duration(to: $0) } ?? shortWait)
    }

    // MARK: What is left

    private func standing(_ rules: [LimitRule], _ now: MonotonicInstant) -> Standing {
        var standing = Standing()
        for rule in rules {
            guard let entry = entries[rule.scope] else { continue }
            standing.requests = Self.tighter(
                standing.requests, Self.gauge(entry.limits, mine: entry.mine, .requestsPerMinute, entry.traffic.requests, now: now))
            standing.tokens = Self.tighter(
                standing.tokens, Self.gauge(entry.limits, mine: entry.mine, .tokensPerMinute, entry.traffic.tokens, now: now))
        }
        return standing
    }

    private static func gauge(
        _ limits: RateLimits, mine: RateLimits, _ limit: ChannelLimit, _ bucket: RateBucket, now: MonotonicInstant
    ) -> Gauge? {
        guard let whole = limits[limit], let part = mine[limit] else { return nil }
        return Gauge(
            limit: whole, remaining: max(0, bucket.left(perMinute: part, now: now)), reset: .nanoseconds(bucket.untilFull(now)))
    }

    private static func tighter(_ one: Gauge?, _ other: Gauge?) -> Gauge? {
        guard let one, let other else { return one ?? other }
        return (other.remaining, other.limit) < (one.remaining, one.limit) ? other : one
    }

    // MARK: Shares

    /// The report for the other gateways: the limits that are in use here, the busiest first.
    public mutating func report(atMost maximum: Int, elapsed: Duration, now: MonotonicInstant) -> [LimitReport] {
        var reports: [LimitReport] = []
        for scope in entries.keys {
            entries[scope]?.demand.close(elapsed)
            guard let entry = entries[scope] else { continue }
            let isQuiet = Self.isQuiet(entry, now)
            guard !isQuiet || entry.share != nil else { continue }
            var left = RateLimits()
            left.requestsPerMinute = entry.mine.requestsPerMinute.map { entry.traffic.requests.left(perMinute: $0, now: now) }
            left.tokensPerMinute = entry.mine.tokensPerMinute.map { entry.traffic.tokens.left(perMinute: $0, now: now) }
            reports.append(
                LimitReport(
                    scope: scope, limits: entry.limits, demand: entry.demand.perMinute, inFlight: entry.traffic.inFlight,
                    share: entry.mine, left: left, isLeaving: isQuiet))
        }
        guard reports.count > maximum else { return reports }
        reports.sort { ($0.demand.requestsPerMinute ?? 0, $0.scope.description) > ($1.demand.requestsPerMinute ?? 0, $1.scope.description) }
        return Array(reports.prefix(maximum))
    }

    private static func isQuiet(_ entry: Entry, _ now: MonotonicInstant) -> Bool {
        entry.traffic.inFlight == 0 && !entry.demand.isActive && entry.traffic.requests.isFull(now) && entry.traffic.tokens.isFull(now)
    }

    /// Takes in the ledger's answer: which gateways are alive, and the granted shares. A limit that is not named has no share.
    public mutating func apply(_ grants: [BudgetScope: LimitGrant], gateways: [String], own: String, now: MonotonicInstant) {
        sharing = gateways.count > 1 ? Sharing(gateways: gateways, own: own, isCertain: true) : nil
        for scope in entries.keys {
            entries[scope]?.share = grants[scope]?.share
            changeEntry(scope, now, moved: grants[scope]?.moved ?? RateLimits())
        }
    }

    /// The ledger has been unreachable for so long that the other gateways may have taken this gateway's shares.
    public mutating func loseShares(now: MonotonicInstant) {
        guard sharing?.isCertain == true else { return }
        sharing?.isCertain = false
        for scope in entries.keys { changeEntry(scope, now) }
    }

    /// Forgets entries that have no share, no running requests and full buckets.
    public mutating func forgetIdle(now: MonotonicInstant) {
        entries = entries.filter { _, entry in entry.share != nil || !Self.isQuiet(entry, now) }
    }

    private mutating func changeEntry(_ scope: BudgetScope, _ now: MonotonicInstant, moved: RateLimits = RateLimits()) {
        guard var entry = entries[scope] else { return }
        change(&entry, scope, now, moved: moved)
        entries[scope] = entry
    }

    /// - Parameter moved: units that come from other gateways' buckets; negative = units that go to them.
    private func change(_ entry: inout Entry, _ scope: BudgetScope, _ now: MonotonicInstant, moved: RateLimits = RateLimits()) {
        let mine = portion(entry.limits, scope, share: entry.share)
        guard mine != entry.mine || !moved.isEmpty else { return }
        entry.traffic.rescale(from: entry.mine, to: mine, adding: moved, now: now)
        entry.mine = mine
    }

    private func portion(_ limits: RateLimits, _ scope: BudgetScope, share: RateLimits?) -> RateLimits {
        guard let sharing else { return limits }
        let subject = scope.description
        var portion = RateLimits()
        for limit in ChannelLimit.allCases {
            guard let whole = limits[limit] else { continue }
            let least = LimitShares.minimum(whole, subject: subject, own: sharing.own, gateways: sharing.gateways)
            var part = max(least, min(whole, share?[limit] ?? least))
            if !sharing.isCertain {
                part = min(part, LimitShares.equal(whole, subject: subject, own: sharing.own, gateways: sharing.gateways))
            }
            portion[limit] = part
        }
        return portion
    }
}

/// One gateway's report on a limit to the others.
public struct LimitReport: Sendable, Hashable {
    public var scope: BudgetScope
    /// The whole limits.
    public var limits: RateLimits
    /// Recent demand, refused requests included: per minute, and the highest concurrency.
    public var demand: RateLimits
    public var inFlight: Int64
    /// The present share of the gateway.
    public var share: RateLimits
    /// The units that remain in its buckets; negative when more was used than there was.
    public var left: RateLimits
    /// No request runs and nothing is taken any more: the share is given back.
    public var isLeaving: Bool

    public init(
        scope: BudgetScope, limits: RateLimits, demand: RateLimits, inFlight: Int64, share: RateLimits, left: RateLimits,
        isLeaving: Bool = false
    ) {
        self.scope = scope
        self.limits = limits
        self.demand = demand
        self.inFlight = inFlight
        self.share = share
        self.left = left
        self.isLeaving = isLeaving
    }
}

/// The share of a limit that a gateway may use from now on.
public struct LimitGrant: Sendable, Hashable {
    /// nil = the minimum that every gateway has.
    public var share: RateLimits?
    /// Units that come into its buckets from others; negative = units that leave.
    public var moved: RateLimits

    public init(share: RateLimits?, moved: RateLimits = RateLimits()) {
        self.share = share
        self.moved = moved
    }
}

/// Recent demand for a limit, refused requests included. It decays by a quarter with every interval, so that a short pause does not give
/// the whole share away.
struct LimitDemand: Sendable, Hashable {
    private var requests: Int64 = 0
    private var tokens: Int64 = 0
    private var running: Int64 = 0
    /// Smoothed, per minute.
    private(set) var perMinute = RateLimits(requestsPerMinute: 0, tokensPerMinute: 0, concurrency: 0)

    /// Shorter intervals say too little about a minute.
    private static let shortestLook = Duration.seconds(1)

    var isActive: Bool {
        requests > 0 || (perMinute.requestsPerMinute ?? 0) > 0 || (perMinute.concurrency ?? 0) > 0
    }

    mutating func asked(tokens more: Int64, running now: Int64) {
        requests += 1
        let (sum, overflowed) = tokens.addingReportingOverflow(more)
        tokens = overflowed ? .max : sum
        running = max(running, now)
    }

    /// Ends the interval: its counts become a demand per minute.
    mutating func close(_ elapsed: Duration) {
        let nanoseconds = Int128(max(elapsed, Self.shortestLook).wholeNanoseconds)
        func smoothed(_ old: Int64?, _ new: Int64) -> Int64 { max((old ?? 0) * 3 / 4, new) }
        func rate(_ amount: Int64) -> Int64 {
            let perMinute = Int128(amount) * Int128(RateBucket.minute) / nanoseconds
            return Int64(clamping: min(perMinute, Int128(RateLimits.range.upperBound)))
        }
        perMinute = RateLimits(
            requestsPerMinute: smoothed(perMinute.requestsPerMinute, rate(requests)),
            tokensPerMinute: smoothed(perMinute.tokensPerMinute, rate(tokens)),
            concurrency: smoothed(perMinute.concurrency, running))
        requests = 0
        tokens = 0
        running = 0
    }
}
