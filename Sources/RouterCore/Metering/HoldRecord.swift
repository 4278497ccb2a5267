/// A hold as the journal stores it: enough to settle the request after a restart.
public struct HoldRecord: Sendable, Hashable {
    public var requestID: RequestID
    /// The user who asks.
    public var userID: Int64
    /// The organisation whose wallet pays; nil = the user's own.
    public var accountID: Int64?
    public var tokenID: Int64?
    public var amount: NanoUSD
    public var model: String
    public var endpoint: Endpoint
    public var isStream: Bool
    /// Estimated prompt tokens and their charge: an orphan is settled with these when nothing else is known.
    public var promptTokens: Int64
    public var promptCharge: NanoUSD
    public var pricingVersion: Int64
    /// The factor of the user's group; nil in records of an older version.
    public var ratio: PriceRatio?
    /// The most that may ever be charged (strict admission); nil = no bound.
    public var ceiling: NanoUSD?
    public var clientIP: String
    /// Unix seconds.
    public var createdAt: Int64

    public init(
        requestID: RequestID, userID: Int64, tokenID: Int64?, amount: NanoUSD, model: String, endpoint: Endpoint,
        isStream: Bool, promptTokens: Int64, promptCharge: NanoUSD, pricingVersion: Int64,
        ratio: PriceRatio? = nil, ceiling: NanoUSD? = nil, clientIP: String, createdAt: Int64, accountID: Int64? = nil
    ) {
        self.requestID = requestID
        self.userID = userID
        self.accountID = accountID
        self.tokenID = tokenID
        self.amount = amount
        self.model = model
        self.endpoint = endpoint
        self.isStream = isStream
        self.promptTokens = promptTokens
        self.promptCharge = promptCharge
        self.pricingVersion = pricingVersion
        self.ratio = ratio
        self.ceiling = ceiling
        self.clientIP = clientIP
        self.createdAt = createdAt
    }
}
