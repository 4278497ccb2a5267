public import RouterCore

extension PostgresStore {
    /// The database's own clock, so that gateways whose clocks differ agree on what has expired. `now()` would be the start of the transaction.
    private static let clock = "floor(extract(epoch FROM clock_timestamp()))::bigint"

    public func adoptLeases(_ holder: LeaseHolder, now: Int64) async throws -> [Int64: LeaseState] {
        try await write { session in
            // Users are locked before leases everywhere, in the order of their ids.
            let users = try session.rows(
                """
                SELECT id FROM users WHERE id IN (SELECT user_id FROM balance_leases WHERE gateway_id = $1) ORDER BY id FOR UPDATE
                """, [holder.gatewayID]
            ).map { try $0.int("id") }
            let newest = try session.rows(
                "SELECT coalesce(max(epoch), 0) AS newest FROM balance_leases WHERE gateway_id = $1", [holder.gatewayID]
            ).first?.int("newest")
            guard newest ?? 0 <= holder.epoch else { throw StoreError.fenced }
            try session.execute(
                "UPDATE balance_leases SET epoch = $1, expires_at = \(Self.clock) + $2 WHERE gateway_id = $3",
                [holder.epoch, holder.lifetime, holder.gatewayID])
            return try Self.leaseStates(users, holder, &session)
        }
    }

    /// Balance and lease of users, as they are now.
    static func leaseStates(
        _ users: some Sequence<Int64>, _ holder: LeaseHolder, _ session: inout PGPool.Session
    ) throws -> [Int64: LeaseState] {
        let rows = try session.rows(
            """
            SELECT u.id AS id, u.balance_nanos AS balance, coalesce(l.amount_nanos, 0) AS lease
            FROM users u LEFT JOIN balance_leases l ON l.user_id = u.id AND l.gateway_id = $2 WHERE u.id = ANY($1::bigint[])
            """, [idArray(users), holder.gatewayID])
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

    public func acquireLease(userID: Int64, needed: NanoUSD, holder: LeaseHolder, now: Int64) async throws -> LeaseState? {
        try await write { session in
            let user = try session.rows(
                "SELECT balance_nanos, \(Self.clock) AS clock FROM users WHERE id = $1 FOR UPDATE", [userID]
            ).first
            guard let user else { return nil }
            let rows = try session.rows("SELECT * FROM balance_leases WHERE user_id = $1", [userID]).map { row in
                LeaseRow(
                    gatewayID: try row.text("gateway_id"), epoch: try row.int("epoch"),
                    amount: NanoUSD(nanos: try row.int("amount_nanos")), expiresAt: try row.int("expires_at"))
            }
            let grant: LeaseDesk.Grant
            do {
                grant = try LeaseDesk.acquire(
                    balance: NanoUSD(nanos: try user.int("balance_nanos")), rows: rows, holder: holder, needed: needed,
                    now: try user.int("clock"))
            } catch is LeaseDesk.Refusal {
                throw StoreError.fenced
            }
            for gateway in grant.expired {
                try session.execute("DELETE FROM balance_leases WHERE user_id = $1 AND gateway_id = $2", [userID, gateway])
            }
            try session.execute(
                """
                INSERT INTO balance_leases (user_id, gateway_id, epoch, amount_nanos, expires_at) VALUES ($1, $2, $3, $4, $5)
                ON CONFLICT (user_id, gateway_id) DO UPDATE SET
                    epoch = excluded.epoch, amount_nanos = excluded.amount_nanos, expires_at = excluded.expires_at
                """,
                [userID, holder.gatewayID, holder.epoch, grant.row.amount.nanos, grant.row.expiresAt])
            if grant.wantsRecall {
                try session.execute("SELECT announce('recall', $1)", ["\(userID) \(holder.gatewayID)"])
            }
            return grant.state
        }
    }

    public func returnLease(userID: Int64, amount: NanoUSD, holder: LeaseHolder, now: Int64) async throws {
        try await write { session in
            try session.execute("SELECT 1 FROM users WHERE id = $1 FOR UPDATE", [userID])
            let row = try session.rows(
                "SELECT amount_nanos FROM balance_leases WHERE user_id = $1 AND gateway_id = $2 AND epoch = $3",
                [userID, holder.gatewayID, holder.epoch]
            ).first
            guard let row else { return }
            let left = LeaseDesk.lease(NanoUSD(nanos: try row.int("amount_nanos")), afterReturning: amount)
            if left == .zero {
                try session.execute(
                    "DELETE FROM balance_leases WHERE user_id = $1 AND gateway_id = $2", [userID, holder.gatewayID])
            } else {
                try session.execute(
                    "UPDATE balance_leases SET amount_nanos = $1 WHERE user_id = $2 AND gateway_id = $3",
                    [left.nanos, userID, holder.gatewayID])
            }
            try session.execute("SELECT announce('freed', $1)", ["\(userID) \(holder.gatewayID)"])
        }
    }

    public func renewLeases(_ holder: LeaseHolder, now: Int64) async throws -> [Int64: NanoUSD] {
        try await write { session in
            try session.execute(
                """
                SELECT 1 FROM users WHERE id IN (SELECT user_id FROM balance_leases WHERE gateway_id = $1) ORDER BY id FOR UPDATE
                """, [holder.gatewayID])
            let rows = try session.rows(
                """
                UPDATE balance_leases SET expires_at = \(Self.clock) + $1 WHERE gateway_id = $2 AND epoch = $3
                RETURNING user_id, amount_nanos
                """, [holder.lifetime, holder.gatewayID, holder.epoch])
            var leases: [Int64: NanoUSD] = [:]
            for row in rows { leases[try row.int("user_id")] = NanoUSD(nanos: try row.int("amount_nanos")) }
            return leases
        }
    }

    /// Takes charges out of the holder's leases, in the transaction of their posting; the users are locked.
    static func spendLeases(_ charges: [Int64: NanoUSD], _ holder: LeaseHolder, _ session: inout PGPool.Session) throws {
        let rows = try session.rows(
            "SELECT user_id, amount_nanos FROM balance_leases WHERE gateway_id = $1 AND epoch = $2 AND user_id = ANY($3::bigint[])",
            [holder.gatewayID, holder.epoch, idArray(charges.keys)])
        let left = try rows.map { row in
            let user = try row.int("user_id")
            let after = LeaseDesk.lease(NanoUSD(nanos: try row.int("amount_nanos")), afterPosting: charges[user] ?? .zero)
            return "{\"id\":\(user),\"after\":\(after.nanos)}"
        }
        guard !left.isEmpty else { return }
        try session.execute(
            """
            UPDATE balance_leases SET amount_nanos = r.after FROM jsonb_to_recordset($1::jsonb) AS r(id bigint, after bigint)
            WHERE user_id = r.id AND gateway_id = $2
            """, ["[" + left.joined(separator: ",") + "]", holder.gatewayID])
    }

    // MARK: Budgets

    public func spending(_ counters: [BudgetCounter]) async throws -> [BudgetCounter: NanoUSD] {
        try await read { session in
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
