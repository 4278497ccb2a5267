public import RouterCore

/// The result of posting a group of requests.
public struct PostingResult: Sendable {
    /// Charges newly posted, per user, as positive amounts.
    public var charges: [Int64: NanoUSD] = [:]
    /// Records that the database refused, kept apart with the reason (`poison_records`); their charges are in no balance.
    public var setAside: [RequestID: String] = [:]
    /// Records that were not there before and are now; those that are set aside do not count.
    public var added = 0
    /// Balance and lease of every user in the group, after the posting.
    public var states: [Int64: LeaseState] = [:]

    public init() {}
}
