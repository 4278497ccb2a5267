import GRDB
import RouterCore

/// One statement for each row: there is no round trip to save, and a prepared statement with its values bound directly is the fastest way
/// in.
extension SQLiteSession: LedgerSession {
    static let logInsert = """
        INSERT INTO logs (\(RecordColumns.list)) VALUES (\(RecordColumns.marks)) ON CONFLICT (request_id) DO NOTHING
        """
    static let entryInsert = """
        INSERT INTO balance_transactions (user_id, amount_nanos, balance_after_nanos, type, reference_id, description, created_at,
            account_id, gift_nanos)
        VALUES (?, ?, ?, 'usage', ?, ?, ?, ?, ?)
        """

    func insert(_ records: [RequestRecord], _ group: inout PostingGroup) throws {
        let log = try BoundStatement(db, Self.logInsert)
        let entry = try BoundStatement(db, Self.entryInsert)
        let read = try BoundStatement(db, "SELECT balance_nanos, gift_nanos FROM users WHERE id = ?1")
        var balances: [Int64: NanoUSD?] = [:]
        var gifts = GiftPurses()
        for record in records {
            // The log row and the ledger row are born in one transaction: where the one is, the other is too.
            guard try log.execute(RecordColumns.values(record)) > 0 else { continue }
            group.log(record, id: db.lastInsertedRowID)
            guard let charge = record.charge else {
                group.result.added += 1
                continue
            }
            let payer = record.payer
            if balances[payer] == nil {
                let row = try read.rows([.integer(payer)]).first
                balances.updateValue(try row.map { NanoUSD(nanos: try $0.int("balance_nanos")) }, forKey: payer)
                if let row, try row.int("gift_nanos") > 0 { try gifts.open([payer], self) }
            }
            guard let before = balances[payer] ?? nil else {
                try setAside(record, Self.unknownUser, &group)
                continue
            }
            let after = try before.subtracting(charge)
            try entry.execute([
                .integer(record.userID), .integer(try charge.negated().nanos), .integer(after.nanos), .text(record.requestID.description),
                .text(record.ledgerDescription), .integer(record.createdAt), SQLValue(record.accountID),
                SQLValue(gifts.pay(charge, of: payer, at: record.createdAt)?.nanos),
            ])
            group.ranges.add(.entry, id: db.lastInsertedRowID, createdAt: record.createdAt)
            balances[payer] = after
            try group.add(record, charge)
        }
        let move = try BoundStatement(db, "UPDATE users SET balance_nanos = ?1 WHERE id = ?2")
        for case (let user, let balance?) in balances { try move.execute([.integer(balance.nanos), .integer(user)]) }
        try gifts.write(self)
    }

    func addSpending(_ records: [RequestRecord]) throws {
        let add = try BoundStatement(
            db,
            """
            INSERT INTO budget_usage (subject, window, spent_nanos) VALUES (?1, ?2, ?3) ON CONFLICT (subject, window)
            DO UPDATE SET spent_nanos = min(spent_nanos, 9223372036854775807 - excluded.spent_nanos) + excluded.spent_nanos
            """)
        for (counter, amount) in SpendingDelta.sum(records) {
            try add.execute([.text(counter.scope.description), .integer(counter.window), .integer(amount.nanos)])
        }
    }

    func add(_ rows: [(key: UsageRowKey, value: UsageSums)], to table: UsageTable) throws {
        let marks = table.columns.map { _ in "?" }.joined(separator: ", ")
        let add = try BoundStatement(
            db, "INSERT INTO \(table.name) (\(table.columns.joined(separator: ", "))) VALUES (\(marks)) \(table.addition)")
        for (key, sums) in rows {
            try add.execute(key.values + sums.figures.map { .integer($0) } + sums.classes.map { SQLValue($0) })
        }
    }

    func spending(_ counters: [BudgetCounter]) throws -> [BudgetCounter: NanoUSD] {
        let read = try BoundStatement(db, "SELECT spent_nanos FROM budget_usage WHERE subject = ?1 AND window = ?2")
        var found: [BudgetCounter: NanoUSD] = [:]
        for counter in counters {
            let row = try read.rows([.text(counter.scope.description), .integer(counter.window)]).first
            if let row { found[counter] = NanoUSD(nanos: try row.int("spent_nanos")) }
        }
        return found
    }

    func spendLeases(_ charges: [Int64: NanoUSD], _ holder: LeaseHolder) throws {
        let read = try BoundStatement(db, "SELECT amount_nanos FROM balance_leases WHERE user_id = ?1 AND incarnation = ?2")
        let write = try BoundStatement(db, "UPDATE balance_leases SET amount_nanos = ?1 WHERE user_id = ?2 AND incarnation = ?3")
        for (user, charge) in charges {
            guard let row = try read.rows([.integer(user), .text(holder.incarnation)]).first else { continue }
            let left = LeaseDesk.lease(NanoUSD(nanos: try row.int("amount_nanos")), afterPosting: charge)
            try write.execute([.integer(left.nanos), .integer(user), .text(holder.incarnation)])
        }
    }

    func leaseStates(_ users: Set<Int64>, _ holder: LeaseHolder) throws -> [Int64: LeaseState] {
        var states: [Int64: LeaseState] = [:]
        for user in users { states[user] = try leaseState(userID: user, holder: holder) }
        return states
    }

    func beat(_ holder: LeaseHolder, now: Int64) throws -> Bool {
        try execute(
            "UPDATE gateways SET beats = beats + 1, seen_at = ?1 WHERE incarnation = ?2 AND NOT is_fenced", [now, holder.incarnation]) == 1
    }

    /// Streams the rows in order and recomputes every running balance: a sum in SQL would fail where it leaves the range, in place of
    /// saying where.
    func verifySums(_ report: inout LedgerReport) throws {
        var sums: [Int64: NanoUSD] = [:]
        var found = report
        let entries = try BoundStatement(
            db,
            """
            SELECT id, coalesce(account_id, user_id) AS payer, amount_nanos, balance_after_nanos FROM balance_transactions ORDER BY id
            """)
        try entries.forEach([]) { row in
            let user = try row.int("payer")
            let sum = try (sums[user] ?? .zero).adding(NanoUSD(nanos: try row.int("amount_nanos")))
            let after = NanoUSD(nanos: try row.int("balance_after_nanos"))
            if sum != after { found.addEntry(try row.int("id"), user: user, after: after, sum: sum) }
            sums[user] = sum
            found.entries += 1
        }
        let users = try BoundStatement(db, "SELECT id, balance_nanos, quota FROM users ORDER BY id")
        try users.forEach([]) { row in
            let user = try row.int("id")
            found.addUser(
                user, balance: NanoUSD(nanos: try row.int("balance_nanos")), sum: sums[user] ?? .zero, quota: try row.int("quota"))
            found.users += 1
        }
        report = found
    }
}
