/// Rows from newest to oldest, and where to go on.
public struct CursorPage<Row: Sendable>: Sendable {
    public var items: [Row]
    /// Rows with smaller ids have not been looked at; nil = there are none. May be there although `items` is not full, or empty: a call
    /// looks at a bounded number of rows, however few of them are asked for.
    public var nextBefore: Int64?

    public init(items: [Row], nextBefore: Int64?) {
        self.items = items
        self.nextBefore = nextBefore
    }
}

/// A question about the ledger's rows.
public struct EntryQuery: Sendable, Hashable {
    /// Those that a user has caused to the user's own account; with ``accountID``, to that organisation's. nil = all.
    public var userID: Int64?
    /// An organisation.
    public var accountID: Int64?
    /// Whether the reader may see the balance after each row.
    public var showsBalance = true
    public var kind: TransactionKind?
    /// Unix seconds, inclusive.
    public var from: Int64?
    public var to: Int64?

    public init(userID: Int64? = nil, kind: TransactionKind? = nil, from: Int64? = nil, to: Int64? = nil, accountID: Int64? = nil) {
        self.userID = userID
        self.accountID = accountID
        self.kind = kind
        self.from = from
        self.to = to
    }
}

/// Names of what rows mention by id; what has been deleted has none.
public struct RecordNames: Sendable, Hashable {
    public var tokens: [Int64: String] = [:]
    public var users: [Int64: String] = [:]
    /// Owners of the tokens.
    public var owners: [Int64: Int64] = [:]

    public init() {}
}
