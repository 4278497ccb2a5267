public import RouterCore

extension SQLStore {
    public func recharged(accountID: Int64) async throws -> NanoUSD { try await database.read { try $0.recharged(accountID: accountID) } }

    public func accountsRecharged(atLeast amount: NanoUSD, after: Int64, limit: Int) async throws -> [Int64] {
        try await database.read { session in
            // Each half comes in the order of its index; what a user recharges for an organisation is the organisation's.
            let halves = [("user_id", "user", "account_id IS NULL"), ("account_id", "account", "account_id IS NOT NULL")].map {
                column, name, condition in
                // SQLite would rather walk through the charges, too.
                let index = session.dialect == .sqlite ? "INDEXED BY balance_transactions_by_\(name)_type" : ""
                return """
                    SELECT * FROM (SELECT \(column) AS payer FROM balance_transactions \(index)
                        WHERE \(column) > ?1 AND \(condition) AND type <> 'usage' AND \(isCash)
                        GROUP BY \(column) HAVING sum(amount_nanos) >= ?2 ORDER BY 1 LIMIT ?3) AS half
                    """
            }
            return try session.rows(
                "SELECT payer FROM (\(halves.joined(separator: " UNION "))) AS halves ORDER BY 1 LIMIT ?3", [after, amount.nanos, limit]
            ).map { try $0.int("payer") }
        }
    }

    public func promote(accountID: Int64, levels: [AccountLevel], now: Int64) async throws -> User? {
        try await database.write { session in
            guard try session.lockUser(accountID), try session.promote(accountID, levels, now: now) else { return nil }
            return try session.user(id: accountID)
        }
    }
}

/// Rows of `balance_transactions` that count for levels: a condition for which no index is searched, so that rows come by account.
private let isCash = """
    CASE type WHEN 'recharge' THEN coalesce(source, '') <> '\(EntrySource.gift)'
        WHEN 'adjustment' THEN coalesce(source, '') = '\(EntrySource.chargeback)' ELSE FALSE END
    """

extension SQLSession {
    func recharged(accountID: Int64) throws -> NanoUSD {
        // Kinds one by one, by indexes that have no charges.
        let parts = ["user_id = ?1 AND account_id IS NULL", "account_id = ?1"].flatMap { account in
            [TransactionKind.recharge, .adjustment].map { kind in
                """
                SELECT amount_nanos FROM balance_transactions
                WHERE \(account) AND type = '\(kind.rawValue)' AND type <> 'usage' AND \(isCash)
                """
            }
        }
        let row = try first(
            "SELECT CAST(coalesce(sum(amount_nanos), 0) AS BIGINT) AS sum FROM (\(parts.joined(separator: " UNION ALL "))) AS parts",
            [accountID])
        return NanoUSD(nanos: try row?.int("sum") ?? 0)
    }

    /// Inside a transaction that has locked the account. - Returns: whether its group has changed.
    @discardableResult
    func promote(_ accountID: Int64, _ levels: [AccountLevel], now: Int64) throws -> Bool {
        guard !levels.isEmpty, let row = try first("SELECT \"group\", group_source FROM users WHERE id = ?1", [accountID]),
            try row.textOrNil("group_source") != User.GroupSource.admin.rawValue
        else { return false }
        let (group, sum) = (try row.text("group"), try recharged(accountID: accountID))
        guard let level = levels.promotion(from: group, recharged: sum) else { return false }
        try execute(
            "UPDATE users SET \"group\" = ?1, group_source = ?2 WHERE id = ?3",
            [level.group, User.GroupSource.level.rawValue, accountID])
        try insertAudit(
            AuditEntry(
                actorID: nil, action: "level.change",
                detail: [
                    .init("user_id", .integer(accountID)), .init("level", .string(level.name)), .init("group", .string(level.group)),
                    .init("group_before", .string(group)), .init("recharged", .usd(sum)),
                ], at: now))
        return true
    }
}
