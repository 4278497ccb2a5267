/// A finished request that the ledger has refused and set aside (`poison_records`).
public struct PoisonRecord: Sendable, Hashable {
    public var requestID: String
    /// In the database's words.
    public var reason: String
    /// Unix seconds.
    public var createdAt: Int64

    public init(requestID: String, reason: String, createdAt: Int64) {
        self.requestID = requestID
        self.reason = reason
        self.createdAt = createdAt
    }
}
