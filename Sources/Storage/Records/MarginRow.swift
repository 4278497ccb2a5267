public import RouterCore

/// Charges and costs of one model on one channel.
public struct MarginRow: Sendable, Hashable {
    public var model: String
    public var channelID: Int64?
    public var requests: Int64
    public var charged: NanoUSD
    /// The cost that the vendor reported; requests without such a figure are counted in `unknownCost`.
    public var upstreamCost: NanoUSD
    public var unknownCost: Int64

    public init(model: String, channelID: Int64?, requests: Int64, charged: NanoUSD, upstreamCost: NanoUSD, unknownCost: Int64) {
        self.model = model
        self.channelID = channelID
        self.requests = requests
        self.charged = charged
        self.upstreamCost = upstreamCost
        self.unknownCost = unknownCost
    }
}
