/// The findings of `apirouter ledger verify`.
public struct LedgerReport: Sendable, Hashable {
    public var users: Int64
    public var entries: Int64
    /// One line per difference, with ids and both amounts; empty = the books balance.
    public var differences: [String]
    public init(users: Int64, entries: Int64, differences: [String]) {
        self.users = users
        self.entries = entries
        self.differences = differences
    }
}
