public import RouterCore

extension PostgresStore {
    /// Balance and lease of users, as they are now.
    static func leaseStates(
        _ users: some Sequence<Int64>, _ holder: LeaseHolder, _ session: inout PGPool.Session
    ) throws -> [Int64: LeaseState] {
        let rows = try session.rows(
            """
            SELECT u.id AS id, u.balance_nanos AS balance, coalesce(l.amount_nanos, 0) AS lease
            FROM users u LEFT JOIN balance_leases l ON l.user_id = u.id AND l.incarnation = $2 WHERE u.id = ANY($1::bigint[])
            """, [idArray(users), holder.incarnation])
        var states: [Int64: LeaseState] = [:]
        for row in rows {
            states[try row.int("id")] = LeaseState(
                balance: NanoUSD(nanos: try row.int("balance")), lease: NanoUSD(nanos: try row.int("lease")))
        }
        return states
    }

    static func idArray(_ ids: some Sequence<Int64>) -> String {
        "{" + Set(ids).sorted().map(String.init).joined(separator: ",") + "}"
    }

    public func leases(of holder: LeaseHolder) async throws -> [Int64: LeaseState] {
        try await moneyWrite { session in
            let users = try session.rows("SELECT user_id FROM balance_leases WHERE incarnation = $1", [holder.incarnation])
            return try Self.leaseStates(try users.map { try $0.int("user_id") }, holder, &session)
        }
    }

    public func leaseState(userID: Int64, holder: LeaseHolder) async throws -> LeaseState? {
        try await moneyRead { session in try Self.leaseStates([userID], holder, &session)[userID] }
    }

    public func acquireLease(
        userID: Int64, needed: NanoUSD, floor: NanoUSD, holder: LeaseHolder, now: Int64
    ) async throws -> LeaseState? {
        try await moneyWrite { session in
            let user = try session.rows("SELECT balance_nanos FROM users WHERE id = $1 FOR UPDATE", [userID]).first
            guard let user else { return nil }
            // Users are locked before gateways everywhere.
            guard try Self.beat(holder, &session) else { throw StoreError.fenced }
            let rows = try session.rows("SELECT * FROM balance_leases WHERE user_id = $1", [userID]).map { row in
                LeaseRow(incarnation: try row.text("incarnation"), amount: NanoUSD(nanos: try row.int("amount_nanos")))
            }
            let grant = LeaseDesk.acquire(
                balance: NanoUSD(nanos: try user.int("balance_nanos")), floor: floor, rows: rows, holder: holder, needed: needed)
            try session.execute(
                """
                INSERT INTO balance_leases (user_id, incarnation, amount_nanos) VALUES ($1, $2, $3)
                ON CONFLICT (user_id, incarnation) DO UPDATE SET amount_nanos = excluded.amount_nanos
                """, [userID, holder.incarnation, grant.row.amount.nanos])
            if grant.wantsRecall {
                try session.execute("SELECT announce('recall', $1)", ["\(userID) \(holder.incarnation)"])
            }
            return grant.state
        }
    }

    public func returnLease(userID: Int64, amount: NanoUSD, holder: LeaseHolder, now: Int64) async throws {
        try await moneyWrite { session in
            try session.execute("SELECT 1 FROM users WHERE id = $1 FOR UPDATE", [userID])
            let row = try session.rows(
                "SELECT amount_nanos FROM balance_leases WHERE user_id = $1 AND incarnation = $2", [userID, holder.incarnation]
            ).first
            guard let row else { return }
            let left = LeaseDesk.lease(NanoUSD(nanos: try row.int("amount_nanos")), afterReturning: amount)
            if left == .zero {
                try session.execute(
                    "DELETE FROM balance_leases WHERE user_id = $1 AND incarnation = $2", [userID, holder.incarnation])
            } else {
                try session.execute(
                    "UPDATE balance_leases SET amount_nanos = $1 WHERE user_id = $2 AND incarnation = $3",
                    [left.nanos, userID, holder.incarnation])
            }
            try session.execute("SELECT announce('freed', $1)", ["\(userID) \(holder.incarnation)"])
        }
    }

    /// Takes charges out of the holder's leases, in the transaction of their posting; the users are locked.
    static func spendLeases(_ charges: [Int64: NanoUSD], _ holder: LeaseHolder, _ session: inout PGPool.Session) throws {
        let rows = try session.rows(
            "SELECT user_id, amount_nanos FROM balance_leases WHERE incarnation = $1 AND user_id = ANY($2::bigint[])",
            [holder.incarnation, idArray(charges.keys)])
        var left: [String] = []
        var uncovered = charges
        for row in rows {
            let user = try row.int("user_id")
            let lease = NanoUSD(nanos: try row.int("amount_nanos"))
            let charge = charges[user] ?? .zero
            left.append("{\"id\":\(user),\"after\":\(LeaseDesk.lease(lease, afterPosting: charge).nanos)}")
            if charge <= lease { uncovered[user] = nil }
        }
        if !left.isEmpty {
            try session.execute(
                """
                UPDATE balance_leases SET amount_nanos = r.after FROM jsonb_to_recordset($1::jsonb) AS r(id bigint, after bigint)
                WHERE user_id = r.id AND incarnation = $2
                """, ["[" + left.joined(separator: ",") + "]", holder.incarnation])
        }
        try recallOverdrawn(uncovered.keys.sorted(), holder, &session)
    }

    /// A charge that came late has taken money that may be leased to others by now: they give back what is not in use.
    private static func recallOverdrawn(_ users: [Int64], _ holder: LeaseHolder, _ session: inout PGPool.Session) throws {
        guard !users.isEmpty else { return }
        try session.execute(
            """
            SELECT announce('recall', u.id || ' ' || $2) FROM users u WHERE u.id = ANY($1::bigint[]) AND u.balance_nanos <
                (SELECT coalesce(sum(l.amount_nanos), 0) FROM balance_leases l WHERE l.user_id = u.id AND l.amount_nanos > 0)
            """, [idArray(users), holder.incarnation])
    }

    // MARK: Budgets

    public func spending(_ counters: [BudgetCounter]) async throws -> [BudgetCounter: NanoUSD] {
        try await moneyRead { session in
            let subjects = Set(counters.map(\.scope.description)).sorted()
            let rows = try session.rows(
                """
                SELECT subject, "window", spent_nanos FROM budget_usage
                WHERE subject = ANY($1::text[]) AND "window" = ANY($2::bigint[])
                """, ["{" + subjects.joined(separator: ",") + "}", Self.idArray(counters.map(\.window))])
            let asked = Set(counters)
            var found: [BudgetCounter: NanoUSD] = [:]
            for row in rows {
                guard let counter = BudgetCounter(subject: try row.text("subject"), window: try row.int("window")), asked.contains(counter)
                else { continue }
                found[counter] = NanoUSD(nanos: try row.int("spent_nanos"))
            }
            return found
        }
    }

    static func addSpending(_ records: [RequestRecord], _ session: inout PGPool.Session) throws {
        let deltas = SpendingDelta.sum(records).map { counter, amount in
            "{\"s\":\"\(counter.scope)\",\"w\":\(counter.window),\"n\":\(amount.nanos)}"
        }
        guard !deltas.isEmpty else { return }
        // In the order of the key, as every other posting does, so that two of them cannot wait for each other.
        try session.execute(
            """
            INSERT INTO budget_usage (subject, "window", spent_nanos)
            SELECT s, w, n FROM jsonb_to_recordset($1::jsonb) AS r(s text, w bigint, n bigint) ORDER BY s, w
            ON CONFLICT (subject, "window") DO UPDATE SET
                spent_nanos = least(budget_usage.spent_nanos, 9223372036854775807 - excluded.spent_nanos) + excluded.spent_nanos
            """, ["[" + deltas.joined(separator: ",") + "]"])
    }
}
