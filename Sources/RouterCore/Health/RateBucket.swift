/// Bounds of what is let through: of what we send to a channel, and of what a key, a user or each user of a group may ask for. nil = none.
public struct RateLimits: Sendable, Hashable {
    public var requestsPerMinute: Int64?
    public var tokensPerMinute: Int64?
    /// Requests at work at the same time.
    public var concurrency: Int64?

    /// What configuration and API take for each of them.
    public static let range: ClosedRange<Int64> = 1...1_000_000_000

    public init(requestsPerMinute: Int64? = nil, tokensPerMinute: Int64? = nil, concurrency: Int64? = nil) {
        self.requestsPerMinute = requestsPerMinute
        self.tokensPerMinute = tokensPerMinute
        self.concurrency = concurrency
    }

    public var isEmpty: Bool { requestsPerMinute == nil && tokensPerMinute == nil && concurrency == nil }

    public subscript(_ limit: ChannelLimit) -> Int64? {
        get {
            switch limit {
            case .requestsPerMinute: requestsPerMinute
            case .tokensPerMinute: tokensPerMinute
            case .concurrency: concurrency
            }
        }
        set {
            switch limit {
            case .requestsPerMinute: requestsPerMinute = newValue
            case .tokensPerMinute: tokensPerMinute = newValue
            case .concurrency: concurrency = newValue
            }
        }
    }

    /// The tighter of both, one by one.
    public func tightened(by other: RateLimits) -> RateLimits {
        merged(other) { [$0, $1].compactMap { $0 }.min() }
    }

    /// What is not set here is taken from the other.
    public func filled(from other: RateLimits) -> RateLimits { merged(other) { $0 ?? $1 } }

    private func merged(_ other: RateLimits, _ choice: (Int64?, Int64?) -> Int64?) -> RateLimits {
        var merged = RateLimits()
        for limit in ChannelLimit.allCases { merged[limit] = choice(self[limit], other[limit]) }
        return merged
    }
}

/// A limit of a channel, a key or a user, by its name in configuration and API.
public enum ChannelLimit: String, Sendable, Hashable, CaseIterable {
    case requestsPerMinute = "rpm"
    case tokensPerMinute = "tpm"
    case concurrency
}

/// A limit per minute as a leaky bucket (GCRA). The bucket holds one minute's allowance and fills continuously, so whoever was idle may
/// take it all at once. Kept as the one instant at which it would be full again.
public struct RateBucket: Sendable, Hashable {
    private var fullAt = MonotonicInstant(nanoseconds: .min)

    static let minute: Int64 = 60_000_000_000
    /// What was used beyond the estimates is owed, but not for longer than this: nobody is shut out for days by one huge answer.
    private static let longestDebt = 60 * minute

    public init() {}

    /// nil when the cost fits now, else when it will. A request that is larger than the whole bucket passes when the bucket is full.
    public func wait(for cost: Int64, perMinute: Int64, now: MonotonicInstant) -> MonotonicInstant? {
        let after = max(fullAt, now).nanoseconds + Self.span(min(cost, perMinute), perMinute)
        let earliest = after - Self.minute
        return earliest > now.nanoseconds ? MonotonicInstant(nanoseconds: earliest) : nil
    }

    public mutating func take(_ amount: Int64, perMinute: Int64, now: MonotonicInstant) {
        let start = max(fullAt, now)
        let span = min(Self.span(amount, perMinute), Self.longestDebt)
        fullAt = min(start.advanced(by: .nanoseconds(span)), max(start, now.advanced(by: .nanoseconds(Self.longestDebt))))
    }

    public mutating func putBack(_ amount: Int64, perMinute: Int64, now: MonotonicInstant) {
        guard fullAt > now else { return }
        fullAt = fullAt.advanced(by: .nanoseconds(-Self.span(amount, perMinute)))
    }

    /// What may be taken now; negative when more was used than there was.
    public func left(perMinute: Int64, now: MonotonicInstant) -> Int64 {
        let nanoseconds = Int128(Self.minute) - Int128(untilFull(now))
        let (units, rest) = (nanoseconds * Int128(perMinute)).quotientAndRemainder(dividingBy: Int128(Self.minute))
        return Int64(clamping: rest < 0 ? units - 1 : units)
    }

    public func isFull(_ now: MonotonicInstant) -> Bool { fullAt <= now }

    /// Until everything that was taken has come back, in nanoseconds.
    public func untilFull(_ now: MonotonicInstant) -> Int64 { isFull(now) ? 0 : fullAt.nanoseconds - now.nanoseconds }

    /// The limit changes: what is left stays the same number of units, but never more than the new bucket holds. So nothing is won by a
    /// limit that goes down and up again, and shares of a limit that move between gateways move no more than there is.
    /// - Parameter more: units that come from another gateway, or go to one.
    public mutating func rescale(from old: Int64, to new: Int64, adding more: Int64 = 0, now: MonotonicInstant) {
        guard old != new || more != 0 else { return }
        let left = (Int128(Self.minute) - Int128(untilFull(now))) * Int128(old) + Int128(more) * Int128(Self.minute)
        let scaled = left / Int128(max(new, 1))
        let level = max(min(scaled, Int128(Self.minute)), Int128(Self.minute - Self.longestDebt))
        fullAt = now.advanced(by: .nanoseconds(Self.minute - Int64(clamping: level)))
    }

    /// How long the bucket takes to fill by this much.
    private static func span(_ amount: Int64, _ perMinute: Int64) -> Int64 {
        Int64(clamping: Int128(amount) * Int128(minute) / Int128(max(perMinute, 1)))
    }
}

/// What counts against limits: the requests at work, and the two buckets.
public struct LimitedTraffic: Sendable, Hashable {
    public private(set) var inFlight: Int64 = 0
    public private(set) var requests = RateBucket()
    public private(set) var tokens = RateBucket()

    public init() {}

    /// Which limit is full, and until when where that is known; nil = none.
    public func full(
        _ limits: RateLimits, tokens cost: Int64, now: MonotonicInstant
    ) -> (limit: ChannelLimit, until: MonotonicInstant?)? {
        if let limit = limits.concurrency, inFlight >= limit { return (.concurrency, nil) }
        if let limit = limits.requestsPerMinute, let until = requests.wait(for: 1, perMinute: limit, now: now) {
            return (.requestsPerMinute, until)
        }
        if let limit = limits.tokensPerMinute, let until = tokens.wait(for: cost, perMinute: limit, now: now) {
            return (.tokensPerMinute, until)
        }
        return nil
    }

    /// No request takes more than the whole bucket, however many tokens it announces.
    public mutating func began(limits: RateLimits, tokens cost: Int64, now: MonotonicInstant) {
        inFlight += 1
        if let limit = limits.requestsPerMinute { requests.take(1, perMinute: limit, now: now) }
        if let limit = limits.tokensPerMinute { tokens.take(min(cost, limit), perMinute: limit, now: now) }
    }

    /// - Parameters:
    ///   - used: what the answer used of the tokens, when that is known; what was taken at the start is corrected by it.
    ///   - owesAll: whether more than a whole bucket beyond the estimate is owed. A channel's limit is a guess about the vendor; a key's is
    ///     a promise to its owner, and `reserved` is what was really taken of it.
    public mutating func ended(
        reserved: Int64, used: Int64?, limits: RateLimits?, now: MonotonicInstant, owesAll: Bool = false
    ) {
        inFlight = max(0, inFlight - 1)
        guard let used, let limit = limits?.tokensPerMinute else { return }
        // A key's reservation was cut to the limit of its time when it was taken; a limit that has become smaller since then takes nothing
        // of it back.
        let taken = owesAll ? reserved : min(reserved, limit)
        if used > taken {
            tokens.take(owesAll ? used - taken : min(used - taken, limit), perMinute: limit, now: now)
        } else {
            tokens.putBack(taken - used, perMinute: limit, now: now)
        }
    }

    /// The limits change while requests are at work.
    mutating func rescale(from old: RateLimits, to new: RateLimits, adding more: RateLimits, now: MonotonicInstant) {
        Self.rescale(&requests, from: old.requestsPerMinute, to: new.requestsPerMinute, adding: more.requestsPerMinute ?? 0, now: now)
        Self.rescale(&tokens, from: old.tokensPerMinute, to: new.tokensPerMinute, adding: more.tokensPerMinute ?? 0, now: now)
    }

    /// A limit that did not exist before begins with a full bucket.
    private static func rescale(
        _ bucket: inout RateBucket, from old: Int64?, to new: Int64?, adding more: Int64, now: MonotonicInstant
    ) {
        if let old, let new { bucket.rescale(from: old, to: new, adding: more, now: now) } else { bucket = RateBucket() }
    }
}
