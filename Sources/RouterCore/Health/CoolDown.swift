/// How long a failure keeps a channel out. One place, from which the table in docs/routing.md is made as well.
public enum CoolDown {
    /// Failures further apart than this are no series.
    public static let seriesWindow = Duration.seconds(60)
    /// The least wait, for a vendor that says "0 seconds".
    static let shortestRetryAfter = Duration.milliseconds(500)

    /// How many failures in a row it takes. A refused connection, a rate limit and an overload say by themselves that
    /// asking again at once is useless; a 5xx, a timeout, garbage or a broken connection happens to healthy hosts too.
    public static func failuresToOpen(_ kind: FailureKind) -> Int {
        switch kind {
        case .connect, .rateLimit, .overloaded, .credentialRefused, .credentialExhausted, .modelUnavailable: 1
        default: 3
        }
    }

    /// Refused credentials and empty accounts do not mend themselves: re-tried at the slowest pace.
    public static func isSlow(_ kind: FailureKind) -> Bool { kind == .credentialRefused || kind == .credentialExhausted }

    /// The vendor's `Retry-After` clamped to the maximum, else base × 2^(openings − 1) up to the maximum; in both cases
    /// plus up to a tenth at random, so that gateways do not come back in step.
    static func duration(
        _ failure: UpstreamFailure, openings: Int, settings: RoutingSettings, rng: inout SplitMix64
    ) -> Duration {
        let longest = max(settings.cooldownMax, settings.cooldownBase).wholeNanoseconds
        let plain: Int64
        if isSlow(failure.kind) {
            plain = longest
        } else if let wish = failure.retryAfter {
            plain = min(max(wish.wholeNanoseconds, shortestRetryAfter.wholeNanoseconds), longest)
        } else {
            let base = max(settings.cooldownBase.wholeNanoseconds, 1)
            let (grown, overflowed) = base.multipliedReportingOverflow(by: 1 << Int64(min(max(openings, 1) - 1, 20)))
            plain = overflowed ? longest : min(grown, longest)
        }
        return .nanoseconds(plain + Int64(rng.below(UInt64(plain / 10) + 1)))
    }
}

/// One record of the health table.
struct HealthEntry: Sendable {
    var failuresInRow = 0
    var openings = 0
    var openUntil: MonotonicInstant?
    /// When it was last opened; older attempts have no say about what came after.
    var openedAt: MonotonicInstant?
    /// Since when one request is trying it out.
    var probingSince: MonotonicInstant?
    /// Kind of the last failure that counted: while the record is open, why it is.
    var lastKind: FailureKind?
    /// Until when the vendor wishes not to be asked (`Retry-After`); nil = it has named no time.
    var wishedUntil: MonotonicInstant?
    /// When it was last tried although it was open.
    var lastResortAt: MonotonicInstant?
    var lastFailure = MonotonicInstant(nanoseconds: .min)

    /// A probe that never came back (which would be a bug elsewhere) does not keep the channel out for ever.
    static let longestProbe = Duration.seconds(600)

    func state(_ now: MonotonicInstant) -> HealthState {
        guard let openUntil else { return .closed }
        return now < openUntil ? .open(until: openUntil) : .halfOpen
    }

    func isProbing(_ now: MonotonicInstant) -> Bool {
        guard let probingSince else { return false }
        return probingSince.duration(to: now) < Self.longestProbe
    }

    /// A try is over. A later one may be under way.
    mutating func ended(_ ticket: AttemptTicket) {
        if probingSince == ticket.startedAt { probingSince = nil }
    }

    /// Whether an attempt that began then says something about the time since the last opening.
    func isNews(_ startedAt: MonotonicInstant) -> Bool { openedAt.map { startedAt >= $0 } ?? true }

    mutating func fail(
        _ failure: UpstreamFailure, startedAt: MonotonicInstant, now: MonotonicInstant, settings: RoutingSettings,
        rng: inout SplitMix64
    ) {
        defer { lastFailure = now }
        guard isNews(startedAt) else {
            // One of many that were under way when the record opened: it does not count again, but a wish of the vendor
            // does.
            respect(failure, now: now, settings: settings, rng: &rng)
            return
        }
        lastKind = failure.kind
        if openUntil == nil, lastFailure.nanoseconds == .min || lastFailure.duration(to: now) > CoolDown.seriesWindow {
            failuresInRow = 0
        }
        failuresInRow += 1
        guard failuresInRow >= CoolDown.failuresToOpen(failure.kind) || openUntil != nil else { return }
        openings += 1
        openedAt = now
        openUntil = now.advanced(by: CoolDown.duration(failure, openings: openings, settings: settings, rng: &rng))
        if failure.retryAfter != nil { wishedUntil = openUntil }
    }

    /// An open record stays open at least as long as the vendor wishes, without its cool-down growing.
    mutating func respect(
        _ failure: UpstreamFailure, now: MonotonicInstant, settings: RoutingSettings, rng: inout SplitMix64
    ) {
        guard let openUntil, failure.retryAfter != nil else { return }
        let wish = now.advanced(by: CoolDown.duration(failure, openings: 1, settings: settings, rng: &rng))
        wishedUntil = max(wishedUntil ?? wish, wish)
        guard wish > openUntil else { return }
        self.openUntil = wish
        lastKind = failure.kind
    }

    /// Content came: the record closes. Its past is forgotten only when an answer is complete.
    mutating func deliver(startedAt: MonotonicInstant) {
        guard isNews(startedAt), openUntil != nil else { return }
        openUntil = nil
        wishedUntil = nil
        failuresInRow = 0
    }
}
