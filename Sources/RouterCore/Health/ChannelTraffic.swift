/// What is known of a channel's traffic: what is under way, how fast it answers, what it was given, and how much of its limits is used.
struct ChannelTraffic: Sendable {
    private var limited = LimitedTraffic()
    var inFlight: Int64 { limited.inFlight }
    /// Moving average of the time to first content, nanoseconds; nil = never measured.
    private var latency: Int64?
    private var latencyAt = MonotonicInstant(nanoseconds: 0)
    /// Moving average of output tokens per second; nil = never measured.
    private(set) var tokensPerSecond: Int64?

    // MARK: Limits

    /// Which limit is full; nil = none.
    func full(_ limits: RateLimits, tokens: Int64, now: MonotonicInstant) -> (limit: ChannelLimit, until: MonotonicInstant?)? {
        limited.full(limits, tokens: tokens, now: now)
    }

    mutating func began(limits: RateLimits, tokens: Int64, now: MonotonicInstant) {
        limited.began(limits: limits, tokens: tokens, now: now)
    }

    /// - Parameter used: what the answer used of the channel's tokens, when that is known; what was taken at the start is corrected by it.
    mutating func ended(reserved: Int64, used: Int64?, limits: RateLimits?, now: MonotonicInstant) {
        limited.ended(reserved: reserved, used: used, limits: limits, now: now)
    }

    // MARK: Speed

    mutating func measured(firstContent: Duration, now: MonotonicInstant) {
        let sample = max(firstContent.wholeNanoseconds, 1)
        // Peak-sensitive: a slow answer counts at once, a fast one by an eighth.
        latency = latency.map { sample > $0 ? sample : $0 - ($0 - sample) / 8 } ?? sample
        latencyAt = now
    }

    mutating func measured(tokensPerSecond sample: Int64) {
        tokensPerSecond = tokensPerSecond.map { $0 + (sample - $0) / 4 } ?? sample
    }

    /// The time that a request would wait here, in nanoseconds: the average times the requests ahead of it. It halves with every
    /// half minute without a measurement, so that a channel that was slow once is tried again.
    func expectedLatency(_ now: MonotonicInstant) -> Int64 {
        guard let latency else { return inFlight }
        let age = min(max(latencyAt.duration(to: now) / .seconds(30), 0), 40)
        return Int64(clamping: Int128(max(latency >> Int64(age), 1)) * Int128(inFlight + 1))
    }
}
