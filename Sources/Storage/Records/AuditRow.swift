/// A row of `audit_log`.
public struct AuditRow: Sendable, Hashable {
    public var id: Int64
    public var actorID: Int64?
    public var action: String
    /// JSON object text.
    public var detail: String
    public var clientIP: String
    /// Unix seconds.
    public var createdAt: Int64

    public init(id: Int64, actorID: Int64?, action: String, detail: String, clientIP: String, createdAt: Int64) {
        self.id = id
        self.actorID = actorID
        self.action = action
        self.detail = detail
        self.clientIP = clientIP
        self.createdAt = createdAt
    }
}
