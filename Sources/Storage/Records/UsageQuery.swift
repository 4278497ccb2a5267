/// The columns by which sums of the log are told apart.
public enum UsageDimension: String, Sendable, Hashable, CaseIterable {
    case model, channel, token, user, provider
}

/// Which rows of the log count; nil = all.
public struct UsageFilter: Sendable, Hashable {
    /// An organisation. Its sums are told apart by model, key and user, not by channel or provider.
    public var accountID: Int64?
    public var userID: Int64?
    public var tokenID: Int64?
    public var channelID: Int64?
    public var provider: String?
    public var model: String?

    public init(
        userID: Int64? = nil, tokenID: Int64? = nil, channelID: Int64? = nil, provider: String? = nil, model: String? = nil,
        accountID: Int64? = nil
    ) {
        self.accountID = accountID
        self.userID = userID
        self.tokenID = tokenID
        self.channelID = channelID
        self.provider = provider
        self.model = model
    }
}

/// Sums of one thing in one stretch of time.
public struct UsageRow: Sendable, Hashable {
    /// Place of the time among those asked for, from 0.
    public var bucket: Int
    /// A name, or an id in digits (`0` = none); empty where nothing is told apart.
    public var key: String
    /// The user of a key.
    public var owner: Int64
    /// Whether it stands for all that was not asked for by its key (``UsageQuery/sumsRest``).
    public var isRest: Bool
    public var sums: UsageSums

    public init(bucket: Int, key: String, owner: Int64, isRest: Bool = false, sums: UsageSums) {
        self.bucket = bucket
        self.key = key
        self.owner = owner
        self.isRest = isRest
        self.sums = sums
    }
}

/// A question for sums of the log.
public struct UsageQuery: Sendable, Hashable {
    public enum Order: String, Sendable, Hashable, CaseIterable { case cost, requests, tokens, errors }

    /// The rows with the most of something.
    public struct Top: Sendable, Hashable {
        public var order: Order
        public var limit: Int

        public init(_ order: Order, limit: Int) {
            self.order = order
            self.limit = limit
        }
    }

    /// Stretches of time in Unix seconds, whose ends are whole quarter hours.
    public var buckets: [Range<Int64>]
    public var filter: UsageFilter
    public var dimension: UsageDimension?
    /// Only these; nil = all.
    public var keys: [UsageRow]?
    /// Whether what is not among the keys is summed up as well, in one row for each bucket.
    public var sumsRest: Bool
    /// nil = all rows, which are as many as there are buckets and keys.
    public var top: Top?
    /// Whether times and what else a series has no use for are wanted as well.
    public var isWhole: Bool

    public init(
        _ buckets: [Range<Int64>], filter: UsageFilter = UsageFilter(), by dimension: UsageDimension? = nil, keys: [UsageRow]? = nil,
        sumsRest: Bool = false, top: Top? = nil, isWhole: Bool = true
    ) {
        self.buckets = buckets
        self.filter = filter
        self.dimension = dimension
        self.keys = keys
        self.sumsRest = sumsRest
        self.isWhole = isWhole
        self.top = top
    }
}
