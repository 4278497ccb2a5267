import RouterCore

extension PostgresStore {
    // MARK: Money that administrators move

    public func post(_ posting: LedgerPosting, audit: AuditEntry) async throws -> (entry: LedgerEntry, isNew: Bool) {
        try await moneyWrite { session in
            // The lock on the user comes first: of two equal postings at once, the second sees the first.
            let users = try session.rows("SELECT id FROM users WHERE id = $1 FOR UPDATE", [posting.userID])
            let operation = MoneyOperation(posting)
            if let known = try Self.operation(operation.key, &session) {
                try operation.check(against: known)
                return (try Self.entry(of: known, &session), false)
            }
            guard !users.isEmpty else { throw StoreError.notFound }
            try Self.note(operation, at: posting.createdAt, &session)
            let entry = try Self.insertEntry(posting, &session)
            try Self.insertAudit(audit.adding(.init("entry_id", .integer(entry.id))), &session)
            // What is taken from a balance must not be spent from leases: everybody gives back what is not in use.
            // What comes in may be waited for by requests at any gateway.
            try session.execute(
                "SELECT announce($1, $2)", [posting.amount.isNegative ? "recall" : "freed", "\(posting.userID) admin"])
            return (entry, true)
        }
    }

    public func chargedUser(reference: String) async throws -> Int64? {
        try await read { session in
            try session.rows(
                "SELECT user_id FROM balance_transactions WHERE type = 'usage' AND reference_id = $1", [reference]
            ).first?.int("user_id")
        }
    }

    public func refund(_ refund: Refund, audit: AuditEntry) async throws -> (entry: LedgerEntry, isNew: Bool) {
        try await moneyWrite { session in
            let owner = try session.rows(
                "SELECT user_id FROM balance_transactions WHERE type = 'usage' AND reference_id = $1",
                [refund.reference]
            ).first
            guard let user = try owner?.int("user_id") else { throw StoreError.notFound }
            // From here on nobody else posts for this user.
            try session.execute("SELECT 1 FROM users WHERE id = $1 FOR UPDATE", [user])
            if let key = refund.key, let known = try Self.operation(key, &session) {
                let amount = refund.amount ?? known.amount
                try MoneyOperation(key: key, refund, userID: user, amount: amount).check(against: known)
                return (try Self.entry(of: known, &session), false)
            }
            let given = try session.rows(
                "SELECT * FROM balance_transactions WHERE type = 'refund' AND reference_id = $1", [refund.reference]
            ).first.map { try Decoding.entry($0) }
            if let given, given.amount != refund.amount ?? given.amount {
                throw StoreError.conflict("'\(refund.reference)' has been refunded already, with \(given.amount)")
            }
            let amount = try given?.amount ?? Self.refundable(refund, &session)
            if let key = refund.key {
                try Self.note(
                    MoneyOperation(key: key, refund, userID: user, amount: amount), at: refund.createdAt, &session)
            }
            if let given { return (given, false) }
            let entry = try Self.insertEntry(
                LedgerPosting(
                    userID: user, amount: amount, kind: .refund, referenceID: refund.reference,
                    description: refund.description,
                    createdAt: refund.createdAt), &session)
            // What was given back is not corrected any more.
            try session.execute(
                "UPDATE reconciliations SET state = 'unresolved', note = $1 WHERE request_id = $2 AND state = 'pending'",
                [Correction.refunded, refund.reference])
            try Self.insertAudit(audit.adding(.refunded(entry)), &session)
            return (entry, true)
        }
    }

    private static func refundable(_ refund: Refund, _ session: inout PGPool.Session) throws -> NanoUSD {
        let sum = try session.rows(
            """
            SELECT (-sum(amount_nanos))::bigint AS charged FROM balance_transactions
            WHERE (type = 'usage' AND reference_id = $1) OR (type = 'adjustment' AND reference_id = $1 || ':reconciled')
            """, [refund.reference])
        let charged = NanoUSD(nanos: try sum.first?.int("charged") ?? 0)
        return try Correction.refundAmount(refund.amount, charged: charged, reference: refund.reference)
    }

    private static func operation(_ key: String, _ session: inout PGPool.Session) throws -> MoneyOperation? {
        try session.rows("SELECT * FROM money_operations WHERE key = $1", [key]).first.map { try MoneyOperation($0) }
    }

    private static func entry(of operation: MoneyOperation, _ session: inout PGPool.Session) throws -> LedgerEntry {
        let row = try session.rows(
            "SELECT * FROM balance_transactions WHERE type = $1 AND reference_id = $2",
            [operation.kind.rawValue, operation.reference]
        ).first
        guard let row else { throw StoreError.database("the ledger lacks the row of the key '\(operation.key)'") }
        return try Decoding.entry(row)
    }

    /// The key may be taken at this very moment for another user, whose lock is another: the insertion waits for the
    /// end of that transaction.
    /// - Throws: ``StoreError/conflict(_:)`` when it was.
    private static func note(_ operation: MoneyOperation, at seconds: Int64, _ session: inout PGPool.Session) throws {
        let noted = try session.execute(
            """
            INSERT INTO money_operations (key, operation, user_id, amount_nanos, type, reference_id, created_at)
            VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (key) DO NOTHING
            """,
            [
                operation.key, operation.name.rawValue, operation.userID, operation.amount.nanos,
                operation.kind.rawValue,
                operation.reference, seconds,
            ])
        guard noted.changes == 0 else { return }
        guard let other = try Self.operation(operation.key, &session) else {
            throw StoreError.database("the key '\(operation.key)' is neither free nor taken")
        }
        try operation.check(against: other)
        throw StoreError.conflict("the key '\(operation.key)' was used at the same moment; ask again")
    }
}
