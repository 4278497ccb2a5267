/// A row of `audit_log`.
public struct AuditRow: Sendable, Hashable {
    public var id: Int64
    public var actorID: Int64?
    /// nil where nobody is known by the id, or where it was not asked for.
    public var actorName: String?
    public var action: String
    /// JSON object text.
    public var detail: String
    public var clientIP: String
    /// Unix seconds.
    public var createdAt: Int64

    public init(id: Int64, actorID: Int64?, actorName: String? = nil, action: String, detail: String, clientIP: String, createdAt: Int64) {
        self.id = id
        self.actorID = actorID
        self.actorName = actorName
        self.action = action
        self.detail = detail
        self.clientIP = clientIP
        self.createdAt = createdAt
    }
}

/// The rows of `audit_log` that are asked for; all conditions hold together.
public struct AuditQuery: Sendable, Hashable {
    /// Rows with smaller ids; nil = from the newest on.
    public var beforeID: Int64?
    public var actorID: Int64?
    /// The action itself, or the part of it before a point: `config` = `config.change` and `config.reload`.
    public var action: String?
    /// Unix seconds of `created_at`.
    public var range: Range<Int64>

    public init(beforeID: Int64? = nil, actorID: Int64? = nil, action: String? = nil, range: Range<Int64> = 0..<Int64.max) {
        self.beforeID = beforeID
        self.actorID = actorID
        self.action = action
        self.range = range
    }
}
