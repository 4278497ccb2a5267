public import RouterCore

extension SQLStore {
    public func poisonRecords(limit: Int) async throws -> [PoisonRecord] {
        try await database.read { session in
            let rows = try session.rows(
                "SELECT request_id, reason, created_at FROM poison_records ORDER BY created_at DESC, request_id LIMIT ?1", [limit])
            return try rows.map {
                PoisonRecord(requestID: try $0.text("request_id"), reason: try $0.text("reason"), createdAt: try $0.int("created_at"))
            }
        }
    }

    public func chargedAccount(reference: String) async throws -> ChargedAccount? {
        try await database.read { try $0.chargedAccount(reference: reference) }
    }

    public func entries(userID: Int64, kind: TransactionKind?, _ page: PageRequest) async throws -> Page<LedgerEntry> {
        try await database.read { try $0.entries(userID: userID, kind: kind, page) }
    }

    public func spent(userID: Int64) async throws -> (balance: NanoUSD, charged: NanoUSD)? {
        try await database.read { try $0.spent(userID: userID) }
    }

    public func entry(kind: TransactionKind, referenceID: String) async throws -> LedgerEntry? {
        try await database.read { try $0.entry(kind: kind, referenceID: referenceID) }
    }

    public func entries(in range: Range<Int64>, after: Int64, limit: Int) async throws -> [LedgerEntry] {
        try await database.read { try $0.entries(in: range, after: after, limit: limit) }
    }
}

extension SQLSession {
    func chargedAccount(reference: String) throws -> ChargedAccount? {
        try first("SELECT user_id, account_id FROM balance_transactions WHERE type = 'usage' AND reference_id = ?1", [reference]).map {
            ChargedAccount(userID: try $0.int("user_id"), accountID: try $0.intOrNil("account_id"))
        }
    }

    func entries(userID: Int64, kind: TransactionKind?, _ page: PageRequest) throws -> Page<LedgerEntry> {
        var conditions = Conditions()
        conditions.add("user_id =", userID)
        conditions.add(term: "account_id IS NULL")
        conditions.add("type =", kind?.rawValue)
        return try self.page(Columns.entry, of: "balance_transactions", where: conditions, page) { try Decoding.entry($0) }
    }

    func spent(userID: Int64) throws -> (balance: NanoUSD, charged: NanoUSD)? {
        let row = try first(
            """
            SELECT u.balance_nanos AS balance, coalesce(b.spent_nanos, 0) AS charged FROM users u LEFT JOIN budget_usage b
                ON b.subject = CASE WHEN u.kind = 'organization' THEN ?3 ELSE ?2 END AND b."window" = 0 WHERE u.id = ?1
            """, [userID, BudgetScope.user(userID).description, BudgetScope.organization(userID).description])
        return try row.map { (NanoUSD(nanos: try $0.int("balance")), NanoUSD(nanos: try $0.int("charged"))) }
    }

    func entry(kind: TransactionKind, referenceID: String) throws -> LedgerEntry? {
        try first(
            "SELECT \(Columns.entry) FROM balance_transactions WHERE type = ?1 AND reference_id = ?2", [kind.rawValue, referenceID]
        ).map { try Decoding.entry($0) }
    }

    func entries(in range: Range<Int64>, after: Int64, limit: Int) throws -> [LedgerEntry] {
        try rows(
            """
            SELECT \(Columns.entry) FROM balance_transactions WHERE id > ?1 AND created_at >= ?2 AND created_at < ?3 ORDER BY id LIMIT ?4
            """, [after, range.lowerBound, range.upperBound, limit]
        ).map { try Decoding.entry($0) }
    }
}
