public import RouterCore

extension SQLStore {
    public func leases(of holder: LeaseHolder) async throws -> [Int64: LeaseState] {
        try await database.moneyRead { try $0.leases(of: holder) }
    }

    public func leaseState(userID: Int64, holder: LeaseHolder) async throws -> LeaseState? {
        try await database.moneyRead { try $0.leaseState(userID: userID, holder: holder) }
    }

    public func acquireLease(
        userID: Int64, needed: NanoUSD, floor: NanoUSD, holder: LeaseHolder, now: Int64
    ) async throws -> LeaseState? {
        try await database.moneyWrite { try $0.acquireLease(userID: userID, needed: needed, floor: floor, holder: holder, now: now) }
    }

    public func returnLease(userID: Int64, amount: NanoUSD, holder: LeaseHolder, now: Int64) async throws {
        try await database.moneyWrite { try $0.returnLease(userID: userID, amount: amount, holder: holder) }
    }

    public func dropLeases(of users: Set<Int64>) async throws {
        try await database.write { session in
            for user in users.sorted() { try session.execute("DELETE FROM balance_leases WHERE user_id = ?1", [user]) }
        }
    }

    public func spending(_ counters: [BudgetCounter]) async throws -> [BudgetCounter: NanoUSD] {
        try await database.moneyRead { try $0.spending(counters) }
    }
}

extension SQLSession {
    func leases(of holder: LeaseHolder) throws -> [Int64: LeaseState] {
        var states: [Int64: LeaseState] = [:]
        let rows = try rows(
            """
            SELECT u.id AS id, u.balance_nanos AS balance, l.amount_nanos AS lease
            FROM balance_leases l JOIN users u ON u.id = l.user_id WHERE l.incarnation = ?1
            """, [holder.incarnation])
        for row in rows { states[try row.int("id")] = try Decoding.lease(row) }
        return states
    }

    /// Balance and lease of a user, as they are now.
    func leaseState(userID: Int64, holder: LeaseHolder) throws -> LeaseState? {
        try first(
            """
            SELECT u.balance_nanos AS balance, coalesce(l.amount_nanos, 0) AS lease
            FROM users u LEFT JOIN balance_leases l ON l.user_id = u.id AND l.incarnation = ?2 WHERE u.id = ?1
            """, [userID, holder.incarnation]
        ).map { try Decoding.lease($0) }
    }

    func returnLease(userID: Int64, amount: NanoUSD, holder: LeaseHolder) throws {
        try lockUser(userID)
        let row = try first(
            "SELECT amount_nanos FROM balance_leases WHERE user_id = ?1 AND incarnation = ?2", [userID, holder.incarnation])
        guard let row else { return }
        let left = LeaseDesk.lease(NanoUSD(nanos: try row.int("amount_nanos")), afterReturning: amount)
        if left == .zero {
            try execute("DELETE FROM balance_leases WHERE user_id = ?1 AND incarnation = ?2", [userID, holder.incarnation])
        } else {
            try execute(
                "UPDATE balance_leases SET amount_nanos = ?1 WHERE user_id = ?2 AND incarnation = ?3",
                [left.nanos, userID, holder.incarnation])
        }
        try announce(.freed, "\(userID) \(holder.incarnation)")
    }
}

extension LedgerSession {
    func acquireLease(userID: Int64, needed: NanoUSD, floor: NanoUSD, holder: LeaseHolder, now: Int64) throws -> LeaseState? {
        let user = try first("SELECT balance_nanos FROM users WHERE id = ?1 \(dialect.forUpdate)", [userID])
        guard let user else { return nil }
        // Users are locked before gateways everywhere.
        guard try beat(holder, now: now) else { throw StoreError.fenced }
        let rows = try rows("SELECT incarnation, amount_nanos FROM balance_leases WHERE user_id = ?1", [userID]).map { row in
            LeaseRow(incarnation: try row.text("incarnation"), amount: NanoUSD(nanos: try row.int("amount_nanos")))
        }
        let grant = LeaseDesk.acquire(
            balance: NanoUSD(nanos: try user.int("balance_nanos")), floor: floor, rows: rows, holder: holder, needed: needed)
        try execute(
            """
            INSERT INTO balance_leases (user_id, incarnation, amount_nanos) VALUES (?1, ?2, ?3)
            ON CONFLICT (user_id, incarnation) DO UPDATE SET amount_nanos = excluded.amount_nanos
            """, [userID, holder.incarnation, grant.row.amount.nanos])
        if grant.wantsRecall { try announce(.recall, "\(userID) \(holder.incarnation)") }
        return grant.state
    }
}
