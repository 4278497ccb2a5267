import GRDB
public import RouterCore

extension SQLiteStore {
    // MARK: Lives. The lock on the file (``open(path:migrationsDirectory:now:locksOut:)``) is what keeps a second gateway out.

    public func claim(_ holder: LeaseHolder, now: Int64) async throws -> LeaseClaim {
        try await write { db in
            try db.execute(
                sql: """
                    INSERT INTO gateways (incarnation, gateway_id, lifetime, started_at, seen_at) VALUES (?, ?, ?, ?, ?)
                    ON CONFLICT (incarnation) DO NOTHING
                    """,
                arguments: [holder.incarnation, holder.gatewayID, holder.lifetime, now, now])
            try db.execute(
                sql: "UPDATE gateways SET is_fenced = 1 WHERE gateway_id = ? AND incarnation <> ?",
                arguments: [holder.gatewayID, holder.incarnation])
            let earlier = db.changesCount
            return .granted(earlier: earlier)
        }
    }

    public func takeOver(_ earlier: [String], by holder: LeaseHolder) async throws -> [String] {
        try await write { db in
            var taken: [String] = []
            for life in Set(earlier).sorted() {
                let isGone = try Bool.fetchOne(
                    db, sql: "SELECT is_fenced FROM gateways WHERE incarnation = ? AND gateway_id = ?", arguments: [life, holder.gatewayID])
                guard isGone == true else { continue }
                try db.execute(
                    sql: """
                        INSERT INTO balance_leases (user_id, incarnation, amount_nanos)
                        SELECT user_id, ?2, amount_nanos FROM balance_leases WHERE incarnation = ?1
                        ON CONFLICT (user_id, incarnation) DO UPDATE SET amount_nanos = amount_nanos + excluded.amount_nanos
                        """, arguments: [life, holder.incarnation])
                try db.execute(sql: "DELETE FROM balance_leases WHERE incarnation = ?", arguments: [life])
                try db.execute(sql: "DELETE FROM gateways WHERE incarnation = ?", arguments: [life])
                taken.append(life)
            }
            // Nobody else can be running: what is left is of lives whose journal was lost.
            if holder.isExclusive {
                try db.execute(sql: "DELETE FROM balance_leases WHERE incarnation <> ?", arguments: [holder.incarnation])
                try db.execute(sql: "DELETE FROM gateways WHERE incarnation <> ?", arguments: [holder.incarnation])
            }
            return taken
        }
    }

    public func beat(_ holder: LeaseHolder, now: Int64) async throws -> [GatewayLife] {
        try await write { db in
            guard try Self.beat(holder, now, db) else { throw StoreError.fenced }
            return try Self.lives(now, db)
        }
    }

    private static func beat(_ holder: LeaseHolder, _ now: Int64, _ db: Database) throws -> Bool {
        let beat = try db.cachedStatement(
            sql: "UPDATE gateways SET beats = beats + 1, seen_at = ? WHERE incarnation = ? AND is_fenced = 0")
        try beat.execute(arguments: [now, holder.incarnation])
        return db.changesCount == 1
    }

    public func gateways(now: Int64) async throws -> [GatewayLife] { try await read { try Self.lives(now, $0) } }

    private static func lives(_ now: Int64, _ db: Database) throws -> [GatewayLife] {
        try Row.fetchAll(db, sql: "SELECT * FROM gateways ORDER BY incarnation").map { row in
            GatewayLife(
                incarnation: row["incarnation"], gatewayID: row["gateway_id"], beats: row["beats"], isFenced: row["is_fenced"],
                lifetime: row["lifetime"], startedAt: row["started_at"], seenAt: row["seen_at"],
                silence: max(0, now - (row["seen_at"] as Int64)))
        }
    }

    public func reap(_ incarnation: String, beats: Int64) async throws -> Bool {
        try await write { db in
            try db.execute(sql: "DELETE FROM gateways WHERE incarnation = ? AND beats = ?", arguments: [incarnation, beats])
            guard db.changesCount == 1 else { return false }
            try db.execute(sql: "DELETE FROM balance_leases WHERE incarnation = ?", arguments: [incarnation])
            return true
        }
    }

    public func leave(_ holder: LeaseHolder) async throws {
        try await write { db in
            try db.execute(
                sql: """
                    DELETE FROM gateways WHERE incarnation = ?1
                    AND NOT EXISTS (SELECT 1 FROM balance_leases WHERE incarnation = ?1 AND amount_nanos > 0)
                    """, arguments: [holder.incarnation])
            try db.execute(sql: "DELETE FROM balance_leases WHERE incarnation = ? AND amount_nanos = 0", arguments: [holder.incarnation])
        }
    }

    // MARK: Leases

    public func leases(of holder: LeaseHolder) async throws -> [Int64: LeaseState] {
        try await read { db in
            let users = try Int64.fetchAll(
                db, sql: "SELECT user_id FROM balance_leases WHERE incarnation = ?", arguments: [holder.incarnation])
            return try Self.leaseStates(users, holder, db)
        }
    }

    public func leaseState(userID: Int64, holder: LeaseHolder) async throws -> LeaseState? {
        try await read { db in try Self.leaseStates([userID], holder, db)[userID] }
    }

    /// Balance and lease of users, as they are now.
    static func leaseStates(_ users: some Sequence<Int64>, _ holder: LeaseHolder, _ db: Database) throws -> [Int64: LeaseState] {
        let statement = try db.cachedStatement(
            sql: """
                SELECT u.balance_nanos AS balance, coalesce(l.amount_nanos, 0) AS lease
                FROM users u LEFT JOIN balance_leases l ON l.user_id = u.id AND l.incarnation = ?2 WHERE u.id = ?1
                """)
        var states: [Int64: LeaseState] = [:]
        for user in users {
            guard let row = try Row.fetchOne(statement, arguments: [user, holder.incarnation]) else { continue }
            states[user] = LeaseState(balance: NanoUSD(nanos: row["balance"]), lease: NanoUSD(nanos: row["lease"]))
        }
        return states
    }

    public func acquireLease(
        userID: Int64, needed: NanoUSD, floor: NanoUSD, holder: LeaseHolder, now: Int64
    ) async throws -> LeaseState? {
        try await write { db in
            guard let balance = try Int64.fetchOne(db, sql: "SELECT balance_nanos FROM users WHERE id = ?", arguments: [userID])
            else { return nil }
            guard try Self.beat(holder, now, db) else { throw StoreError.fenced }
            let rows = try Row.fetchAll(db, sql: "SELECT * FROM balance_leases WHERE user_id = ?", arguments: [userID]).map { row in
                LeaseRow(incarnation: row["incarnation"], amount: NanoUSD(nanos: row["amount_nanos"]))
            }
            let grant = LeaseDesk.acquire(balance: NanoUSD(nanos: balance), floor: floor, rows: rows, holder: holder, needed: needed)
            try db.execute(
                sql: """
                    INSERT INTO balance_leases (user_id, incarnation, amount_nanos) VALUES (?, ?, ?)
                    ON CONFLICT (user_id, incarnation) DO UPDATE SET amount_nanos = excluded.amount_nanos
                    """,
                arguments: [userID, holder.incarnation, grant.row.amount.nanos])
            return grant.state
        }
    }

    public func returnLease(userID: Int64, amount: NanoUSD, holder: LeaseHolder, now: Int64) async throws {
        try await write { db in
            let lease = try Int64.fetchOne(
                db, sql: "SELECT amount_nanos FROM balance_leases WHERE user_id = ? AND incarnation = ?",
                arguments: [userID, holder.incarnation])
            guard let lease else { return }
            let left = LeaseDesk.lease(NanoUSD(nanos: lease), afterReturning: amount)
            if left == .zero {
                try db.execute(
                    sql: "DELETE FROM balance_leases WHERE user_id = ? AND incarnation = ?", arguments: [userID, holder.incarnation])
            } else {
                try db.execute(
                    sql: "UPDATE balance_leases SET amount_nanos = ? WHERE user_id = ? AND incarnation = ?",
                    arguments: [left.nanos, userID, holder.incarnation])
            }
        }
    }

    /// Takes charges out of the holder's leases, in the transaction of their posting.
    static func spendLeases(_ charges: [Int64: NanoUSD], _ holder: LeaseHolder, _ db: Database) throws {
        let read = try db.cachedStatement(sql: "SELECT amount_nanos FROM balance_leases WHERE user_id = ? AND incarnation = ?")
        let write = try db.cachedStatement(sql: "UPDATE balance_leases SET amount_nanos = ? WHERE user_id = ? AND incarnation = ?")
        for (user, charge) in charges {
            guard let lease = try Int64.fetchOne(read, arguments: [user, holder.incarnation]) else { continue }
            let left = LeaseDesk.lease(NanoUSD(nanos: lease), afterPosting: charge)
            try write.execute(arguments: [left.nanos, user, holder.incarnation])
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
