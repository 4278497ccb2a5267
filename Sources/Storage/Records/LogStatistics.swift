public import RouterCore

public struct LogStatistics: Sendable, Hashable {
    public var requests: Int64
    public var promptTokens: Int64
    public var completionTokens: Int64
    public var cost: NanoUSD
    public var upstreamCost: NanoUSD
    public init(
        requests: Int64, promptTokens: Int64, completionTokens: Int64, cost: NanoUSD, upstreamCost: NanoUSD
    ) {
        self.requests = requests
        self.promptTokens = promptTokens
        self.completionTokens = completionTokens
        self.cost = cost
        self.upstreamCost = upstreamCost
    }
}
