/// What is known of a channel's traffic: what is under way, how fast it answers, what it was given, and how much of its limits is used.
struct ChannelTraffic: Sendable {
    private(set) var inFlight: Int64 = 0
    /// Moving average of the time to first content, nanoseconds; nil = never measured.
    private var latency: Int64?
    private var latencyAt = MonotonicInstant(nanoseconds: 0)
    /// Moving average of output tokens per second; nil = never measured.
    private(set) var tokensPerSecond: Int64?
    /// Theoretical arrival times (GCRA): when the bucket would be full again.
    private var requestsFullAt = MonotonicInstant(nanoseconds: .min)
    private var tokensFullAt = MonotonicInstant(nanoseconds: .min)

    private static let minute: Int64 = 60_000_000_000

    // MARK: Limits

    /// Which limit is full; nil = none. A bucket holds one minute's allowance and fills continuously, so an idle channel takes it at
    /// once. A request that is larger than the whole bucket passes when the bucket is full.
    func full(_ limits: Channel.Limits, tokens: Int64, now: MonotonicInstant) -> (limit: ChannelLimit, until: MonotonicInstant?)? {
        if let limit = limits.concurrency, inFlight >= limit { return (.concurrency, nil) }
        if let limit = limits.requestsPerMinute, let until = Self.wait(requestsFullAt, cost: 1, perMinute: limit, now) {
            return (.requestsPerMinute, until)
        }
        if let limit = limits.tokensPerMinute, let until = Self.wait(tokensFullAt, cost: tokens, perMinute: limit, now) {
            return (.tokensPerMinute, until)
        }
        return nil
    }

    /// nil when the cost fits now, else when it will.
    private static func wait(_ fullAt: MonotonicInstant, cost: Int64, perMinute: Int64, _ now: MonotonicInstant) -> MonotonicInstant? {
        let after = max(fullAt, now).nanoseconds + span(min(cost, perMinute), perMinute)
        let earliest = after - minute
        return earliest > now.nanoseconds ? MonotonicInstant(nanoseconds: earliest) : nil
    }

    /// How long the bucket takes to fill by this much.
    private static func span(_ amount: Int64, _ perMinute: Int64) -> Int64 {
        Int64(clamping: Int128(amount) * Int128(minute) / Int128(max(perMinute, 1)))
    }

    /// No request takes more than the whole bucket, however many tokens it announces.
    private static func advance(_ fullAt: inout MonotonicInstant, by amount: Int64, _ perMinute: Int64, _ now: MonotonicInstant) {
        fullAt = max(fullAt, now).advanced(by: .nanoseconds(span(min(amount, perMinute), perMinute)))
    }

    // MARK: Events

    mutating func began(limits: Channel.Limits, tokens: Int64, now: MonotonicInstant) {
        inFlight += 1
        if let limit = limits.requestsPerMinute { Self.advance(&requestsFullAt, by: 1, limit, now) }
        if let limit = limits.tokensPerMinute { Self.advance(&tokensFullAt, by: tokens, limit, now) }
    }

    /// - Parameter used: what the answer used of the channel's tokens, when that is known; what was taken at the start is corrected by it.
    mutating func ended(reserved: Int64, used: Int64?, limits: Channel.Limits?, now: MonotonicInstant) {
        inFlight = max(0, inFlight - 1)
        guard let used, let limit = limits?.tokensPerMinute else { return }
        let taken = min(reserved, limit)
        if used > taken {
            Self.advance(&tokensFullAt, by: used - taken, limit, now)
        } else if tokensFullAt > now {
            tokensFullAt = tokensFullAt.advanced(by: .nanoseconds(-Self.span(taken - used, limit)))
        }
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

    /// What a request would wait here, in nanoseconds: the average, times those that are before it. It halves with every
    /// half minute without a measurement, so that a channel that was slow once is tried again.
    func expectedLatency(_ now: MonotonicInstant) -> Int64 {
        guard let latency else { return inFlight }
        let age = min(max(latencyAt.duration(to: now) / .seconds(30), 0), 40)
        return Int64(clamping: Int128(max(latency >> Int64(age), 1)) * Int128(inFlight + 1))
    }
}

/// A limit of a channel, by its name in channels.yaml.
public enum ChannelLimit: String, Sendable, Hashable, CaseIterable {
    case requestsPerMinute = "rpm"
    case tokensPerMinute = "tpm"
    case concurrency
}
