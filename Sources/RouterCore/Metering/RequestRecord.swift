/// The record of one finished request: the row of `logs`, and with its charge the row of `balance_transactions`. Immutable once made; the
/// journal and the ledger store the same value.
public struct RequestRecord: Sendable, Hashable {
    public enum Outcome: String, Sendable, Hashable, CaseIterable {
        /// The whole answer was delivered.
        case completed
        /// Content was delivered, then the upstream broke.
        case truncated
        /// The client left before the end.
        case clientGone = "client_gone"
        /// No content came; nothing is charged.
        case failed
        /// Found open in the journal at start-up.
        case recovered
    }

    public var requestID: RequestID
    /// The user who asked.
    public var userID: Int64
    /// The organisation whose wallet pays; nil = the user's own.
    public var accountID: Int64?
    public var tokenID: Int64?
    public var channelID: Int64?
    public var provider: String
    public var model: String
    public var upstreamModel: String
    public var endpoint: Endpoint
    public var usage: Usage
    public var usageSource: UsageSource
    /// nil = nothing is charged (void): no ledger row, only the log row. Zero is a charge: a free model's answer has its row.
    public var charge: NanoUSD?
    /// The part of the vendor's usage that exceeds ``ceiling`` and is charged to nobody.
    public var uncharged: NanoUSD
    /// The most that this request could be charged (its hold in strict admission); nil = no bound. A later correction respects it.
    public var ceiling: NanoUSD?
    /// The factor of the user's group that applied; nil in rows written by an older version.
    public var ratio: PriceRatio?
    public var pricingVersion: Int64
    /// The vendors' bill for the answer and for attempts that failed before it; nil = unknown. ``knownCost`` reads older rows as well.
    public var vendorCost: VendorCost?
    public var outcome: Outcome
    /// HTTP status as the client saw it (200 for a stream that broke later).
    public var status: Int
    /// ``FailureKind`` or our own error code; nil for a success.
    public var errorCode: String?
    public var isStream: Bool
    /// Number of upstream calls made.
    public var attempts: Int
    /// The attempts; empty when the only one gave the answer.
    public var attemptList: [AttemptRecord]
    /// Names of the fields that a conversion left out of the request (`X-Dropped-Fields`), and of the vendors' tools that have no price
    /// (`X-Tools-Left-Out`).
    public var droppedFields: [String]
    /// The vendor's own id of the generation (`X-Generation-Id`), the handle for reconciliation.
    public var generationID: String?
    /// The id in the answer's body, where it is not ``generationID``: the vendor's header told another one.
    public var answerID: String?
    public var finish: AnswerFinish?
    /// Milliseconds from accept to the last byte, and to the first content.
    public var latencyMilliseconds: Int64
    public var firstTokenMilliseconds: Int64?
    public var clientIP: String
    /// Unix seconds.
    public var createdAt: Int64

    public init(
        requestID: RequestID, userID: Int64, tokenID: Int64?, channelID: Int64?, provider: String, model: String,
        upstreamModel: String, endpoint: Endpoint, usage: Usage, usageSource: UsageSource, charge: NanoUSD?,
        uncharged: NanoUSD = .zero, ceiling: NanoUSD? = nil, ratio: PriceRatio? = nil, pricingVersion: Int64, outcome: Outcome, status: Int,
        errorCode: String? = nil, isStream: Bool, attempts: Int,
        attemptList: [AttemptRecord] = [], generationID: String? = nil, answerID: String? = nil, finish: AnswerFinish? = nil,
        latencyMilliseconds: Int64, firstTokenMilliseconds: Int64? = nil,
        clientIP: String, createdAt: Int64, droppedFields: [String] = [], accountID: Int64? = nil
    ) {
        self.requestID = requestID
        self.userID = userID
        self.accountID = accountID
        self.tokenID = tokenID
        self.channelID = channelID
        self.provider = provider
        self.model = model
        self.upstreamModel = upstreamModel
        self.endpoint = endpoint
        self.usage = usage
        self.usageSource = usageSource
        self.charge = charge
        self.uncharged = uncharged
        self.ceiling = ceiling
        self.ratio = ratio
        self.pricingVersion = pricingVersion
        self.outcome = outcome
        self.status = status
        self.errorCode = errorCode
        self.isStream = isStream
        self.attempts = attempts
        self.attemptList = attemptList
        self.droppedFields = droppedFields
        self.generationID = generationID
        self.answerID = answerID
        self.finish = finish
        self.latencyMilliseconds = latencyMilliseconds
        self.firstTokenMilliseconds = firstTokenMilliseconds
        self.clientIP = clientIP
        self.createdAt = createdAt
    }
}
