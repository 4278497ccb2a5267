public import RouterCore

public struct LogQuery: Sendable, Hashable {
    /// The user who asked, whoever pays.
    public var userID: Int64?
    /// The organisation that pays; nil = any account.
    public var accountID: Int64?
    public var tokenID: Int64?
    public var channelID: Int64?
    public var model: String?
    public var provider: String?
    public var outcome: RequestRecord.Outcome?
    public var requestID: RequestID?
    /// Unix seconds, inclusive.
    public var from: Int64?
    public var to: Int64?
    public var page: PageRequest
    public init(userID: Int64? = nil, page: PageRequest = PageRequest()) {
        self.userID = userID
        self.page = page
    }
}
