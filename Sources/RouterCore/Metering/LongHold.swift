/// A row of `long_holds`: money that is set aside for work which a vendor does over hours or days, after the client has its answer.
public struct LongHold: Sendable, Hashable {
    /// The kind of work. Each kind has one owner, which asks the vendor and ends the hold.
    public enum Kind: String, Sendable, Hashable, CaseIterable {
        case batch, response
    }
    public enum State: String, Sendable, Hashable {
        case open
        /// Charged or void, as its row of `logs` says.
        case ended
    }

    public var requestID: RequestID
    public var kind: Kind
    /// The user who asked.
    public var userID: Int64
    /// The organisation whose wallet pays; nil = the user's own.
    public var accountID: Int64?
    public var tokenID: Int64?
    public var channelID: Int64
    /// A mark of the channel's key that made the vendor's object, not the key.
    public var keyMark: String
    public var provider: String
    public var model: String
    public var upstreamModel: String
    /// The operation that is charged.
    public var endpoint: Endpoint
    /// The vendor's id of the object; nil until its answer is known.
    public var objectID: String?
    /// The amount that was taken from the balance.
    public var amount: NanoUSD
    /// The most that may be charged (strict admission); nil = no bound.
    public var ceiling: NanoUSD?
    public var ratio: PriceRatio
    public var pricingVersion: Int64
    /// JSON: what its owner needs to settle it.
    public var detail: String
    public var clientIP: String
    public var state: State
    public var tries: Int
    /// Unix seconds: when its owner looks at it next.
    public var nextAt: Int64
    /// Unix seconds: from then on it is settled by what is known.
    public var deadline: Int64
    public var note: String
    /// Unix seconds, here and below.
    public var createdAt: Int64
    public var endedAt: Int64?

    public init(
        requestID: RequestID, kind: Kind, userID: Int64, tokenID: Int64?, channelID: Int64, keyMark: String, provider: String,
        model: String,
        upstreamModel: String, endpoint: Endpoint, objectID: String? = nil, amount: NanoUSD, ceiling: NanoUSD? = nil, ratio: PriceRatio,
        pricingVersion: Int64, detail: String = "{}", clientIP: String, state: State = .open, tries: Int = 0, nextAt: Int64,
        deadline: Int64,
        note: String = "", createdAt: Int64, endedAt: Int64? = nil, accountID: Int64? = nil
    ) {
        self.requestID = requestID
        self.kind = kind
        self.userID = userID
        self.accountID = accountID
        self.tokenID = tokenID
        self.channelID = channelID
        self.keyMark = keyMark
        self.provider = provider
        self.model = model
        self.upstreamModel = upstreamModel
        self.endpoint = endpoint
        self.objectID = objectID
        self.amount = amount
        self.ceiling = ceiling
        self.ratio = ratio
        self.pricingVersion = pricingVersion
        self.detail = detail
        self.clientIP = clientIP
        self.state = state
        self.tries = tries
        self.nextAt = nextAt
        self.deadline = deadline
        self.note = note
        self.createdAt = createdAt
        self.endedAt = endedAt
    }

    /// The record that ends this hold without a charge.
    /// - Parameter now: Unix seconds.
    package func voidRecord(
        outcome: RequestRecord.Outcome = .failed, errorCode: String?, serviceTier: String? = nil, now: Int64
    ) -> RequestRecord {
        RequestRecord(
            requestID: requestID, userID: userID, tokenID: tokenID, channelID: channelID, provider: provider, model: model,
            upstreamModel: upstreamModel, endpoint: endpoint, usage: Usage(requests: 0, serviceTier: serviceTier),
            usageSource: .upstream, charge: nil, ceiling: ceiling, ratio: ratio, pricingVersion: pricingVersion, outcome: outcome,
            status: 200, errorCode: errorCode, isStream: false, attempts: 1, generationID: objectID,
            latencyMilliseconds: max(0, now - createdAt) * 1_000, clientIP: clientIP, createdAt: createdAt, accountID: accountID)
    }
}

/// Numbers of open holds of one kind.
public struct LongHoldCount: Sendable, Hashable {
    public var ofKey: Int64
    /// That the user has begun, whoever pays.
    public var ofUser: Int64
    /// That the user has begun for the account that pays.
    public var ofMember: Int64
    /// That the account pays for.
    public var ofAccount: Int64
    public var all: Int64

    public init(ofKey: Int64 = 0, ofUser: Int64 = 0, ofMember: Int64 = 0, ofAccount: Int64 = 0, all: Int64 = 0) {
        self.ofKey = ofKey
        self.ofUser = ofUser
        self.ofMember = ofMember
        self.ofAccount = ofAccount
        self.all = all
    }
}
