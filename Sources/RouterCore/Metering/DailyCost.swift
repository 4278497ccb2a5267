/// The cost of one day's answers, as the vendor reports it.
public struct DailyCost: Sendable, Hashable {
    /// `2026-11-25`, UTC.
    public var day: String
    public var requests: Int64
    public var upstreamCost: NanoUSD

    public init(day: String, requests: Int64, upstreamCost: NanoUSD) {
        self.day = day
        self.requests = requests
        self.upstreamCost = upstreamCost
    }
}
