public import RouterCore

/// Who did what: a row of `audit_log` to be. It is written in the transaction of the change that it tells of, so that
/// there is neither without the other.
public struct AuditEntry: Sendable, Hashable {
    /// nil = the gateway itself, its command line, or somebody unknown.
    public var actorID: Int64?
    /// A short verb phrase: `user.create`, `balance.add`.
    public var action: String
    /// Ids, amounts, names of fields. Never a secret, and never a text into which somebody may have typed one.
    public var detail: [JSONValue.Member]
    public var clientIP: String
    /// Unix seconds.
    public var at: Int64

    public init(actorID: Int64?, action: String, detail: [JSONValue.Member] = [], clientIP: String = "", at: Int64) {
        self.actorID = actorID
        self.action = action
        self.detail = detail
        self.clientIP = clientIP
        self.at = at
    }

    /// The entry with what only the transaction knows (the id of a new row); a member that is there already stays.
    func adding(_ members: JSONValue.Member...) -> AuditEntry { adding(members) }

    func adding(_ members: [JSONValue.Member]) -> AuditEntry {
        var entry = self
        for member in members where !detail.contains(where: { $0.name == member.name }) { entry.detail.append(member) }
        return entry
    }

    var detailText: String { JSONValue.object(detail).text }
}

extension [JSONValue.Member] {
    /// What a refund has come to: whose money it is and how much are the charge's to say.
    static func refunded(_ entry: LedgerEntry) -> [JSONValue.Member] {
        [
            .init("user_id", .integer(entry.userID)), .init("amount", .usd(entry.amount)),
            .init("reference_id", .string(entry.referenceID)), .init("entry_id", .integer(entry.id)),
        ]
    }
}
