public import RouterCore

/// The ledger. Append-only: the database refuses UPDATE and DELETE on `balance_transactions`.
public protocol Ledger: Sendable {
    /// Posts finished requests in one transaction: for each its `logs` row and, when it has a charge, its ledger row (`usage`, reference id
    /// = request id), its spending by window and, when it was estimated, its row in `reconciliations`; moves the balances and takes the
    /// charges out of the holder's leases. A request that is there already is skipped, so posting again after a crash changes nothing. A
    /// record that the database refuses is set aside with the reason and does not hold up its neighbours.
    ///
    /// Locks users in the order of their ids, then everything else: whoever takes several does the same.
    /// - Parameter holder: whose leases the charges come out of; nil = nobody's.
    func post(_ records: [RequestRecord], holder: LeaseHolder?) async throws -> PostingResult
    /// Posts a credit or correction and returns its row. Repeating a reference id with the same user and amount returns the first row and
    /// `isNew` false, with no second audit row; so does the second of two at once.
    /// - Throws: ``StoreError/conflict(_:)`` that says what differs when the reference was used for something else, ``StoreError/notFound``
    ///   for an unknown user.
    func post(_ posting: LedgerPosting, audit: AuditEntry) async throws -> (entry: LedgerEntry, isNew: Bool)
    /// Gives back what a request was charged, or a part of it, once: the row is a `refund` with the same reference id.
    /// - Returns: `isNew` false when the same refund was given before, under this key or without one.
    /// - Throws: ``StoreError/notFound`` when there is no such charge, ``StoreError/conflict(_:)`` when it was refunded with another
    ///   amount, the amount is more than the charge, or the key was used for something else.
    func refund(_ refund: Refund, audit: AuditEntry) async throws -> (entry: LedgerEntry, isNew: Bool)
    /// Whose request a charge was for; nil when there is no such charge.
    func chargedAccount(reference: String) async throws -> ChargedAccount?
    func entries(userID: Int64, kind: TransactionKind?, _ page: PageRequest) async throws -> Page<LedgerEntry>
    /// The balance of an account and the sum of all that its requests were charged, corrections and refunds aside, at one moment; nil for
    /// an unknown user.
    func spent(userID: Int64) async throws -> (balance: NanoUSD, charged: NanoUSD)?
    /// The row of a (kind, referenceID), if there is one.
    func entry(kind: TransactionKind, referenceID: String) async throws -> LedgerEntry?
    /// The newest rows before an id that meet the query, in order of ids.
    func entries(_ query: EntryQuery, before: Int64, size: Int) async throws -> CursorPage<LedgerEntry>
    /// Rows of all users in the order of their ids, for exports.
    /// - Parameters:
    ///   - range: Unix seconds of `created_at`.
    ///   - after: the id of the last row that was read.
    func entries(in range: Range<Int64>, after: Int64, limit: Int) async throws -> [LedgerEntry]
    /// Records that the ledger has refused, newest first: their charges are in no balance.
    func poisonRecords(limit: Int) async throws -> [PoisonRecord]
    /// Recomputes every balance and every `balance_after`, checks that each usage row has its log row with the same amount (corrections
    /// included) and a price version that exists, that each long hold has its rows, and that no lease is negative or without its user.
    func verify() async throws -> LedgerReport
}
