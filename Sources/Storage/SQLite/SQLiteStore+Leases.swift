import GRDB
public import RouterCore

extension SQLiteStore {
    /// No other gateway has the file: rows of others are left behind by a lost journal and are deleted.
    public func adoptLeases(_ holder: LeaseHolder, now: Int64) async throws -> [Int64: LeaseState] {
        try await write { db in
            try db.execute(sql: "DELETE FROM balance_leases WHERE gateway_id <> ?", arguments: [holder.gatewayID])
            let newest = try Int64.fetchOne(db, sql: "SELECT max(epoch) FROM balance_leases") ?? 0
            guard newest <= holder.epoch else { throw StoreError.fenced }
            try db.execute(
                sql: "UPDATE balance_leases SET epoch = ?, expires_at = ?", arguments: [holder.epoch, now + holder.lifetime])
            let users = try Int64.fetchAll(db, sql: "SELECT user_id FROM balance_leases")
            return try Self.leaseStates(users, holder, db)
        }
    }

    /// Balance and lease of users, as they are now.
    static func leaseStates(_ users: some Sequence<Int64>, _ holder: LeaseHolder, _ db: Database) throws -> [Int64: LeaseState] {
        let statement = try db.cachedStatement(
            sql: """
                SELECT u.balance_nanos AS balance, coalesce(l.amount_nanos, 0) AS lease
                FROM users u LEFT JOIN balance_leases l ON l.user_id = u.id AND l.gateway_id = ?2 WHERE u.id = ?1
                """)
        var states: [Int64: LeaseState] = [:]
        for user in users {
            guard let row = try Row.fetchOne(statement, arguments: [user, holder.gatewayID]) else { continue }
            states[user] = LeaseState(balance: NanoUSD(nanos: row["balance"]), lease: NanoUSD(nanos: row["lease"]))
        }
        return states
    }

    public func acquireLease(userID: Int64, needed: NanoUSD, holder: LeaseHolder, now: Int64) async throws -> LeaseState? {
        try await write { db in
            guard let balance = try Int64.fetchOne(db, sql: "SELECT balance_nanos FROM users WHERE id = ?", arguments: [userID])
            else { return nil }
            let rows = try Row.fetchAll(db, sql: "SELECT * FROM balance_leases WHERE user_id = ?", arguments: [userID]).map { row in
                LeaseRow(
                    gatewayID: row["gateway_id"], epoch: row["epoch"], amount: NanoUSD(nanos: row["amount_nanos"]),
                    expiresAt: row["expires_at"])
            }
            let grant: LeaseDesk.Grant
            do {
                grant = try LeaseDesk.acquire(
                    balance: NanoUSD(nanos: balance), rows: rows, holder: holder, needed: needed, now: now)
            } catch {
                throw StoreError.fenced
            }
            for gateway in grant.expired {
                try db.execute(
                    sql: "DELETE FROM balance_leases WHERE user_id = ? AND gateway_id = ?", arguments: [userID, gateway])
            }
            try db.execute(
                sql: """
                    INSERT INTO balance_leases (user_id, gateway_id, epoch, amount_nanos, expires_at) VALUES (?, ?, ?, ?, ?)
                    ON CONFLICT (user_id, gateway_id) DO UPDATE SET
                        epoch = excluded.epoch, amount_nanos = excluded.amount_nanos, expires_at = excluded.expires_at
                    """,
                arguments: [userID, holder.gatewayID, holder.epoch, grant.row.amount.nanos, grant.row.expiresAt])
            return grant.state
        }
    }

    public func returnLease(userID: Int64, amount: NanoUSD, holder: LeaseHolder, now: Int64) async throws {
        try await write { db in
            let lease = try Int64.fetchOne(
                db, sql: "SELECT amount_nanos FROM balance_leases WHERE user_id = ? AND gateway_id = ? AND epoch = ?",
                arguments: [userID, holder.gatewayID, holder.epoch])
            guard let lease else { return }
            let left = LeaseDesk.lease(NanoUSD(nanos: lease), afterReturning: amount)
            if left == .zero {
                try db.execute(
                    sql: "DELETE FROM balance_leases WHERE user_id = ? AND gateway_id = ?", arguments: [userID, holder.gatewayID])
            } else {
                try db.execute(
                    sql: "UPDATE balance_leases SET amount_nanos = ? WHERE user_id = ? AND gateway_id = ?",
                    arguments: [left.nanos, userID, holder.gatewayID])
            }
        }
    }

    public func renewLeases(_ holder: LeaseHolder, now: Int64) async throws -> [Int64: NanoUSD] {
        try await write { db in
            let rows = try Row.fetchAll(
                db,
                sql: "UPDATE balance_leases SET expires_at = ? WHERE gateway_id = ? AND epoch = ? RETURNING user_id, amount_nanos",
                arguments: [now + holder.lifetime, holder.gatewayID, holder.epoch])
            return Dictionary(rows.map { ($0["user_id"] as Int64, NanoUSD(nanos: $0["amount_nanos"])) }) { first, _ in first }
        }
    }

    /// Takes charges out of the holder's leases, in the transaction of their posting.
    static func spendLeases(_ charges: [Int64: NanoUSD], _ holder: LeaseHolder, _ db: Database) throws {
        let read = try db.cachedStatement(
            sql: "SELECT amount_nanos FROM balance_leases WHERE user_id = ? AND gateway_id = ? AND epoch = ?")
        let write = try db.cachedStatement(
            sql: "UPDATE balance_leases SET amount_nanos = ? WHERE user_id = ? AND gateway_id = ?")
        for (user, charge) in charges {
            guard let lease = try Int64.fetchOne(read, arguments: [user, holder.gatewayID, holder.epoch]) else { continue }
            let left = LeaseDesk.lease(NanoUSD(nanos: lease), afterPosting: charge)
            try write.execute(arguments: [left.nanos, user, holder.gatewayID])
        }
    }

    // MARK: Budgets

    public func spending(_ counters: [BudgetCounter]) async throws -> [BudgetCounter: NanoUSD] {
        try await read { db in
            let statement = try db.cachedStatement(sql: "SELECT spent_nanos FROM budget_usage WHERE subject = ? AND window = ?")
            var found: [BudgetCounter: NanoUSD] = [:]
            for counter in counters {
                guard let spent = try Int64.fetchOne(statement, arguments: [counter.scope.description, counter.window]) else { continue }
                found[counter] = NanoUSD(nanos: spent)
            }
            return found
        }
    }

    static func addSpending(_ records: [RequestRecord], _ db: Database) throws {
        let statement = try db.cachedStatement(
            sql: """
                INSERT INTO budget_usage (subject, window, spent_nanos) VALUES (?, ?, ?)
                ON CONFLICT (subject, window) DO UPDATE SET spent_nanos = min(spent_nanos, 9223372036854775807 - excluded.spent_nanos) + excluded.spent_nanos
                """)
        for (counter, amount) in SpendingDelta.sum(records) {
            try statement.execute(arguments: [counter.scope.description, counter.window, amount.nanos])
        }
    }
}
