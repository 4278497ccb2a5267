/// The progress of a running request: the vendor that serves it, and its charge if it ended now.
public struct ProgressRecord: Sendable, Hashable {
    public var requestID: RequestID
    public var channelID: Int64
    public var provider: String
    public var model: String
    public var upstreamModel: String
    /// The vendor's id of the generation, once the response head has arrived.
    public var generationID: String?
    public var promptTokens: Int64
    public var completionTokens: Int64
    public var charge: NanoUSD
    public var pricingVersion: Int64
    /// Its cost to us if it ended now; nil = unknown.
    public var cost: NanoUSD?

    public init(
        requestID: RequestID, channelID: Int64, provider: String, model: String, upstreamModel: String, generationID: String?,
        promptTokens: Int64, completionTokens: Int64, charge: NanoUSD, pricingVersion: Int64, cost: NanoUSD? = nil
    ) {
        self.requestID = requestID
        self.channelID = channelID
        self.provider = provider
        self.model = model
        self.upstreamModel = upstreamModel
        self.generationID = generationID
        self.promptTokens = promptTokens
        self.completionTokens = completionTokens
        self.charge = charge
        self.pricingVersion = pricingVersion
        self.cost = cost
    }
}
