/// The last resort: when everybody who could serve a request cools for a reason that may be over at any moment, the one
/// whose cool-down ends first is asked all the same. Without it the only channel of a model would stay closed long
/// after its vendor is well again.
///
/// What keeps it from being hammered is kept per record: one request at a time, and ten a second. A try that has waited
/// for a second is not waited for by others, so that a vendor that hangs does not hold its channel shut until the try's
/// time is up. Rate limits, refused or exhausted credentials, missing models and a time that the vendor has named are
/// respected.
extension CoolDown {
    /// Between the starts of two last-resort tries on one record.
    public static let lastResortInterval = Duration.milliseconds(100)
    /// So long one try keeps others from a record.
    public static let lastResortPatience = Duration.seconds(1)
}

extension FailureKind {
    /// The vendor may be well again a moment later, so a channel that cools for this may be asked when nobody else is
    /// left.
    public var isPassing: Bool {
        switch self {
        case .connect, .connectionReset, .timeout, .server, .overloaded, .malformed, .truncated, .midStream: true
        case .rateLimit, .credentialRefused, .credentialExhausted, .unaffordable, .modelUnavailable, .invalidRequest,
            .contextLength, .contentFilter, .cancelled:
            false
        }
    }
}

/// Why a target cannot be asked now, by the gravest of its records.
enum Closure: Sendable, Hashable {
    /// When a last-resort try may begin.
    enum Place: Sendable, Hashable {
        case now
        case from(MonotonicInstant)
        /// One is under way, and nobody knows when it ends.
        case taken
    }

    case passing(until: MonotonicInstant, Place)
    /// The vendor's rate limit.
    case limited(until: MonotonicInstant)
    /// A credential, a missing model, or a time that the vendor has named.
    case lasting(until: MonotonicInstant)

    var until: MonotonicInstant {
        switch self {
        case .passing(let until, _), .limited(let until), .lasting(let until): until
        }
    }
}

extension HealthEntry {
    /// Whether the cool-down may be cut short.
    private func isPassing(_ now: MonotonicInstant) -> Bool {
        guard lastKind?.isPassing == true else { return false }
        return wishedUntil.map { $0 <= now } ?? true
    }

    private func place(_ now: MonotonicInstant) -> Closure.Place {
        if isProbing(now), let probingSince, probingSince.duration(to: now) < CoolDown.lastResortPatience { return .taken }
        guard let lastResortAt else { return .now }
        let next = lastResortAt.advanced(by: CoolDown.lastResortInterval)
        return next <= now ? .now : .from(next)
    }

    /// Adds what this record has against being asked now to what others have.
    fileprivate func close(_ closure: inout Closure?, _ now: MonotonicInstant) {
        guard let openUntil else { return }
        let isOpen = now < openUntil
        guard isOpen || isProbing(now) else { return }
        let until = max(openUntil, now, closure?.until ?? now)
        if isOpen, !isPassing(now) {
            // A wish is no rate limit unless the vendor calls it one.
            let isLimited = lastKind == .rateLimit && closure?.isLasting != true
            closure = isLimited ? .limited(until: until) : .lasting(until: until)
            return
        }
        let place = place(now)
        switch closure {
        case nil: closure = .passing(until: until, place)
        case .passing(_, let other): closure = .passing(until: until, place.later(other))
        case .limited: closure = .limited(until: until)
        case .lasting: closure = .lasting(until: until)
        }
    }
}

extension Closure {
    fileprivate var isLasting: Bool { if case .lasting = self { true } else { false } }
}

extension Closure.Place {
    fileprivate func later(_ other: Self) -> Self {
        switch (self, other) {
        case (.taken, _), (_, .taken): .taken
        case (.from(let left), .from(let right)): .from(max(left, right))
        case (.now, let place), (let place, .now): place
        }
    }
}

extension HealthTable {
    /// What stands against asking the target of these records now; nil = nothing.
    func closure(_ scopes: [HealthScope], _ now: MonotonicInstant) -> Closure? {
        var closure: Closure?
        for scope in scopes { entry(scope)?.close(&closure, now) }
        return closure
    }

    enum LastResort {
        /// This key may be tried, from then on; nil = now.
        case key(Int, until: MonotonicInstant, from: MonotonicInstant?)
        /// Somebody is trying it.
        case taken
        case none
    }

    /// Which key of a channel that cools may be tried although it does: the one whose cool-down ends first, among those
    /// that may be tried now if there are any.
    func lastResort(_ channel: Channel, model: String, now: MonotonicInstant) -> LastResort {
        let count = channel.keys.count
        var best: (key: Int, until: MonotonicInstant)?
        var next: (key: Int, until: MonotonicInstant, from: MonotonicInstant)?
        var isTaken = false
        for index in count == 0 ? -1..<0 : 0..<count {
            let target = HealthTarget(channelID: channel.id, keyIndex: index, model: model, account: channel.account)
            guard case .passing(let until, let place) = closure(scopes(target), now) else { continue }
            switch place {
            case .taken: isTaken = true
            case .now: if best.map({ until < $0.until }) ?? true { best = (index, until) }
            case .from(let from): if next.map({ from < $0.from }) ?? true { next = (index, until, from) }
            }
        }
        if let best { return .key(best.key, until: best.until, from: nil) }
        if let next { return .key(next.key, until: next.until, from: next.from) }
        return isTaken ? .taken : .none
    }

    /// A last-resort try has failed. What it says of the same trouble leaves the cool-down as it is, neither longer nor
    /// begun anew; what it says of another kind (a rate limit, a credential, a missing model) or a time that the vendor
    /// names counts as always.
    mutating func countLastResort(
        _ failure: UpstreamFailure, _ ticket: AttemptTicket, now: MonotonicInstant, rng: inout SplitMix64
    ) {
        let scope = Self.blamed(failure.kind, ticket.target)
        let until = scope.flatMap { entry($0)?.openUntil }
        // A record whose cool-down was over had this try for its probe, and where content has come the records are
        // closed.
        let wasHalfOpen = until.map { $0 <= ticket.startedAt } ?? false
        let isStillOpen = scopes(ticket.target).contains { entry($0)?.openUntil != nil }
        let isNothingNew = failure.kind.isPassing && isStillOpen && !wasHalfOpen
        if let scope, until != nil, isNothingNew {
            respect(failure, scope, now: now, rng: &rng)
        } else if !isNothingNew || failure.retryAfter != nil {
            count(failure, ticket.target, startedAt: ticket.startedAt, now: now, rng: &rng)
        }
    }

    /// Lets the try that has just ended without a verdict be made again at once.
    mutating func giveBackLastResort(_ target: HealthTarget) {
        for scope in scopes(target) where entry(scope) != nil { change(scope) { $0.lastResortAt = nil } }
    }
}
