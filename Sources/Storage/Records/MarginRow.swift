public import RouterCore

/// Charges and costs of one model on one channel.
public struct MarginRow: Sendable, Hashable {
    public var model: String
    public var channelID: Int64?
    public var requests: Int64
    public var charged: NanoUSD
    /// The cost as far as vendors reported it.
    public var upstreamCost: NanoUSD
    /// The cost, reported or computed, with that of attempts that failed.
    public var cost: NanoUSD
    /// Charged requests whose cost is unknown, and their charges.
    public var unknownCost: Int64
    public var unknownCharge: NanoUSD

    public init(
        model: String, channelID: Int64?, requests: Int64, charged: NanoUSD, upstreamCost: NanoUSD, cost: NanoUSD, unknownCost: Int64,
        unknownCharge: NanoUSD
    ) {
        self.model = model
        self.channelID = channelID
        self.requests = requests
        self.charged = charged
        self.upstreamCost = upstreamCost
        self.cost = cost
        self.unknownCost = unknownCost
        self.unknownCharge = unknownCharge
    }

    /// Earned with the requests whose cost is known. A difference stays at the end of its range.
    public var margin: NanoUSD {
        NanoUSD(nanos: Int64(clamping: Int128(charged.nanos) - Int128(unknownCharge.nanos) - Int128(cost.nanos)))
    }
}
