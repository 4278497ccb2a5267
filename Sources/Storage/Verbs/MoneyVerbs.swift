import RouterCore

extension SQLStore {
    public func post(_ posting: LedgerPosting, audit: AuditEntry) async throws -> (entry: LedgerEntry, isNew: Bool) {
        try await database.moneyWrite { try $0.post(posting, audit: audit) }
    }

    public func refund(_ refund: Refund, audit: AuditEntry) async throws -> (entry: LedgerEntry, isNew: Bool) {
        try await database.moneyWrite { try $0.refund(refund, audit: audit) }
    }
}

/// Money that administrators move.
extension SQLSession {
    func post(_ posting: LedgerPosting, audit: AuditEntry) throws -> (entry: LedgerEntry, isNew: Bool) {
        // The lock on the user comes first: of two equal postings at once, the second sees the first.
        let isThere = try lockUser(posting.payer)
        let operation = MoneyOperation(posting)
        if let known = try self.operation(operation.key) {
            try operation.check(against: known)
            let entry = try entry(of: known)
            guard entry.source == posting.source else {
                throw StoreError.conflict("the key '\(operation.key)' was used before and the source of the money differs")
            }
            return (entry, false)
        }
        guard isThere else { throw StoreError.notFound }
        try note(operation, at: posting.createdAt)
        let entry = try insertEntry(posting)
        try insertAudit(audit.adding(.init("entry_id", .integer(entry.id))))
        if posting.kind == .recharge, posting.source != EntrySource.gift {
            try promote(posting.payer, posting.levels, now: posting.createdAt)
        }
        // Money taken from a balance must not be spent from leases: every gateway gives back its unused part. Money that comes in may be
        // waited for by requests at any gateway.
        try announce(posting.amount.isNegative ? .recall : .freed, "\(posting.payer) admin")
        return (entry, true)
    }

    func refund(_ refund: Refund, audit: AuditEntry) throws -> (entry: LedgerEntry, isNew: Bool) {
        guard let charged = try chargedAccount(reference: refund.reference) else { throw StoreError.notFound }
        let user = charged.payer
        // From here on nobody else posts for this user.
        try lockUser(user)
        if let key = refund.key, let known = try operation(key) {
            let amount = refund.amount ?? known.amount
            try MoneyOperation(key: key, refund, userID: user, amount: amount).check(against: known)
            return (try entry(of: known), false)
        }
        let given = try entry(kind: .refund, referenceID: refund.reference)
        if let given, given.amount != refund.amount ?? given.amount {
            throw StoreError.conflict("'\(refund.reference)' has been refunded already, with \(given.amount)")
        }
        let amount = try given?.amount ?? refundable(refund)
        if let key = refund.key {
            try note(MoneyOperation(key: key, refund, userID: user, amount: amount), at: refund.createdAt)
        }
        if let given { return (given, false) }
        let entry = try insertEntry(
            LedgerPosting(
                userID: charged.userID, amount: amount, kind: .refund, referenceID: refund.reference, description: refund.description,
                createdAt: refund.createdAt, accountID: charged.accountID))
        // A refunded charge is not corrected any more.
        try execute(
            "UPDATE reconciliations SET state = 'unresolved', note = ?1 WHERE request_id = ?2 AND state = 'pending'",
            [Correction.refunded, refund.reference])
        try insertAudit(audit.adding(.refunded(entry)))
        return (entry, true)
    }

    private func refundable(_ refund: Refund) throws -> NanoUSD {
        let sum = try first(
            """
            SELECT CAST(-sum(amount_nanos) AS BIGINT) AS charged FROM balance_transactions
            WHERE (type = 'usage' AND reference_id = ?1) OR (type = 'adjustment' AND reference_id = ?2)
            """, [refund.reference, Correction.reference(refund.reference)])
        let charged = NanoUSD(nanos: try sum?.intOrNil("charged") ?? 0)
        return try Correction.refundAmount(refund.amount, charged: charged, reference: refund.reference)
    }

    private func operation(_ key: String) throws -> MoneyOperation? {
        try first("SELECT * FROM money_operations WHERE key = ?1", [key]).map { try MoneyOperation($0) }
    }

    private func entry(of operation: MoneyOperation) throws -> LedgerEntry {
        guard let entry = try entry(kind: operation.kind, referenceID: operation.reference) else {
            throw StoreError.database("the ledger lacks the row of the key '\(operation.key)'")
        }
        return entry
    }

    /// The key may be taken at this very moment for another user, whose lock is another: the insertion waits for the end of that
    /// transaction.
    /// - Throws: ``StoreError/conflict(_:)`` when it was.
    private func note(_ operation: MoneyOperation, at seconds: Int64) throws {
        let noted = try execute(
            """
            INSERT INTO money_operations (key, operation, user_id, amount_nanos, type, reference_id, created_at)
            VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT (key) DO NOTHING
            """,
            [
                operation.key, operation.name.rawValue, operation.userID, operation.amount.nanos, operation.kind.rawValue,
                operation.reference, seconds,
            ])
        guard noted == 0 else { return }
        guard let other = try self.operation(operation.key) else {
            throw StoreError.database("the key '\(operation.key)' is neither free nor taken")
        }
        try operation.check(against: other)
        throw StoreError.conflict("the key '\(operation.key)' was used at the same moment; ask again")
    }

    /// Nobody else posts for this user, or leases the user's money, until the transaction ends. Users are locked before everything else,
    /// several in the order of their ids, so that no two transactions wait for each other.
    /// - Returns: whether there is such a user.
    @discardableResult
    func lockUser(_ id: Int64) throws -> Bool { try finds("SELECT 1 AS found FROM users WHERE id = ?1 \(dialect.forUpdate)", [id]) }

    /// Moves the balance and writes the row, inside a transaction that has locked the user.
    @discardableResult
    func insertEntry(_ posting: LedgerPosting) throws -> LedgerEntry {
        let user = try first("SELECT balance_nanos FROM users WHERE id = ?1 \(dialect.forUpdate)", [posting.payer])
        guard let user else { throw StoreError.notFound }
        let after: NanoUSD
        do {
            after = try NanoUSD(nanos: try user.int("balance_nanos")).adding(posting.amount)
        } catch is MoneyError {
            throw SQLFailure(kind: .value, message: "the balance would leave the range of amounts")
        }
        try execute("UPDATE users SET balance_nanos = ?1 WHERE id = ?2", [after.nanos, posting.payer])
        let row = try unique("reference_id") {
            try first(
                """
                INSERT INTO balance_transactions
                    (user_id, amount_nanos, balance_after_nanos, type, reference_id, description, created_at, account_id, source)
                VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9) RETURNING \(Columns.entry)
                """,
                [
                    posting.userID, posting.amount.nanos, after.nanos, posting.kind.rawValue, posting.referenceID, posting.description,
                    posting.createdAt, posting.accountID, posting.source,
                ])
        }
        guard let row else { throw StoreError.notFound }
        let entry = try Decoding.entry(row)
        var ranges = RowRanges()
        ranges.add(.entry, id: entry.id, createdAt: entry.createdAt)
        try note(ranges)
        return entry
    }
}
