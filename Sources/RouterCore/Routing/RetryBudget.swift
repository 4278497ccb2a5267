/// Bounds retries to a share of the traffic, so that an outage is not multiplied: each request earns a part of a retry,
/// a floor per minute keeps quiet gateways able to retry, and each retry costs one. Integers and a clock that is passed in.
public struct RetryBudget: Sendable {
    public struct Settings: Sendable, Hashable {
        /// Retries per hundred requests.
        public var percent: Int64
        /// Retries per minute that need no traffic; also the most that can be saved up.
        public var perMinute: Int64
        public init(percent: Int64 = 20, perMinute: Int64 = 120) {
            self.percent = percent
            self.perMinute = perMinute
        }
    }

    private var settings: Settings
    /// Hundredths of a retry.
    private var saved: Int64
    private var refilledAt: MonotonicInstant
    /// Retries that were refused.
    public private(set) var refusals: Int64 = 0

    public init(settings: Settings, now: MonotonicInstant) {
        self.settings = settings
        saved = settings.perMinute * 100
        refilledAt = now
    }

    public mutating func apply(_ settings: Settings) {
        self.settings = settings
        saved = min(saved, settings.perMinute * 100)
    }

    public mutating func requestBegan() { saved = min(saved + settings.percent, ceiling) }

    /// - Returns: false when no retry may be made now.
    public mutating func take(now: MonotonicInstant) -> Bool {
        refill(now)
        guard saved >= 100 else {
            refusals += 1
            return false
        }
        saved -= 100
        return true
    }

    /// A retry that was taken and then not made.
    public mutating func giveBack() { saved = min(saved + 100, ceiling) }

    private var ceiling: Int64 { max(settings.perMinute, 1) * 100 }

    private mutating func refill(_ now: MonotonicInstant) {
        let rate = settings.perMinute * 100
        guard rate > 0, now > refilledAt else { return }
        // No more than a minute counts: the ceiling is a minute's worth, and longer spans could overflow.
        let elapsed = min(now.nanoseconds - refilledAt.nanoseconds, 60_000_000_000)
        let whole = Int64(Int128(elapsed) * Int128(rate) / 60_000_000_000)
        guard whole > 0 else { return }
        saved = min(saved + whole, ceiling)
        // What did not make a whole hundredth is kept for the next time.
        let used = Int64(Int128(whole) * 60_000_000_000 / Int128(rate))
        refilledAt = elapsed == 60_000_000_000 ? now : refilledAt.advanced(by: .nanoseconds(used))
    }
}
