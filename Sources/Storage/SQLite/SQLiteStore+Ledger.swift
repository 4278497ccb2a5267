import GRDB
public import RouterCore

extension SQLiteStore {
    public func post(_ records: [RequestRecord], holder: LeaseHolder?) async throws -> PostingResult {
        // Users in a fixed order, records of one user in the order of their settlement.
        let ordered = records.enumerated().sorted { ($0.element.userID, $0.offset) < ($1.element.userID, $1.offset) }
            .map(\.element)
        return try await write { db in
            var group = PostingGroup()
            do {
                try db.inSavepoint {
                    try Self.post(ordered, &group, db)
                    return .commit
                }
            } catch let error where Self.isFaultOfRecord(error) {
                // One bad record must not hold up its neighbours.
                group = PostingGroup()
                for record in ordered { try Self.postSingly(record, &group, db) }
            }
            try Self.noteEstimates(group.charged, db)
            try Self.addSpending(group.charged, db)
            if let holder {
                try Self.spendLeases(group.result.charges, holder, db)
                group.result.states = try Self.leaseStates(Set(records.map(\.userID)), holder, db)
            }
            return group.result
        }
    }

    /// True when posting the same record again would fail again. Anything else (a busy or full disk) is a fault of the
    /// moment: it must reach the caller, who keeps the records and comes back, or charges would be lost.
    private static func isFaultOfRecord(_ error: any Error) -> Bool {
        if error is MoneyError { return true }
        return (error as? DatabaseError)?.resultCode == .SQLITE_CONSTRAINT
    }

    private static func postSingly(_ record: RequestRecord, _ group: inout PostingGroup, _ db: Database) throws {
        let before = group
        do {
            try db.inSavepoint {
                try post([record], &group, db)
                return .commit
            }
        } catch let error where isFaultOfRecord(error) {
            group = before
            try setAside(record, (error as? DatabaseError)?.message ?? "\(error)", &group, db)
        }
    }

    static let logInsert = """
        INSERT INTO logs (\(RecordColumns.list)) VALUES (\(RecordColumns.marks)) ON CONFLICT (request_id) DO NOTHING
        """
    static let entryInsert = """
        INSERT INTO balance_transactions (user_id, amount_nanos, balance_after_nanos, type, reference_id, description, created_at)
        VALUES (?, ?, ?, 'usage', ?, ?, ?)
        """

    /// Log rows and ledger rows one by one, each user's balance once.
    private static func post(_ records: [RequestRecord], _ group: inout PostingGroup, _ db: Database) throws {
        let log = try BoundStatement(db, logInsert)
        let entry = try BoundStatement(db, entryInsert)
        let read = try db.cachedStatement(sql: "SELECT balance_nanos FROM users WHERE id = ?")
        var balances: [Int64: NanoUSD?] = [:]
        for record in records {
            try log.execute(RecordColumns.values(record))
            // The log row and the ledger row are born in one transaction: where the one is, the other is too.
            guard db.changesCount > 0 else { continue }
            guard let charge = record.charge else {
                group.result.added += 1
                continue
            }
            if balances[record.userID] == nil {
                let known = try Int64.fetchOne(read, arguments: [record.userID]).map { NanoUSD(nanos: $0) }
                balances.updateValue(known, forKey: record.userID)
            }
            guard let before = balances[record.userID] ?? nil else {
                try setAside(record, "the user does not exist", &group, db)
                continue
            }
            let after = try before.subtracting(charge)
            try entry.execute([
                .integer(record.userID), .integer(try charge.negated().nanos), .integer(after.nanos), .text(record.requestID.description),
                .text(record.ledgerDescription), .integer(record.createdAt),
            ])
            balances[record.userID] = after
            try group.add(record, charge)
        }
        let move = try db.cachedStatement(sql: "UPDATE users SET balance_nanos = ? WHERE id = ?")
        for case (let user, let balance?) in balances { try move.execute(arguments: [balance.nanos, user]) }
    }

    private static func setAside(
        _ record: RequestRecord, _ reason: String, _ group: inout PostingGroup, _ db: Database
    ) throws {
        try db.execute(
            sql: "INSERT OR IGNORE INTO poison_records (request_id, reason, record, created_at) VALUES (?, ?, ?, ?)",
            arguments: [record.requestID.description, reason, RecordColumns.json(record), record.createdAt])
        group.result.setAside[record.requestID] = reason
    }

    // MARK: Reading

    public func entries(userID: Int64, kind: TransactionKind?, _ page: PageRequest) async throws -> Page<LedgerEntry> {
        try await read { db in
            let condition = "user_id = ?1 AND (?2 IS NULL OR type = ?2)"
            let rows = try Row.fetchAll(
                db, sql: "SELECT * FROM balance_transactions WHERE \(condition) ORDER BY id DESC LIMIT ?3 OFFSET ?4",
                arguments: [userID, kind?.rawValue, page.size, page.offset])
            let total = try Int64.fetchOne(
                db, sql: "SELECT count(*) FROM balance_transactions WHERE \(condition)",
                arguments: [userID, kind?.rawValue])
            return Page(items: try rows.map { try Decoding.entry($0) }, total: total ?? 0)
        }
    }

    public func verify() async throws -> LedgerReport {
        try await read { db in
            var report = LedgerReport(users: 0, entries: 0, differences: [])
            try Self.verifySums(db, &report)
            try Self.verifyLogs(db, &report)
            let leases = try Row.fetchCursor(
                db, sql: "SELECT * FROM balance_leases WHERE user_id NOT IN (SELECT id FROM users) OR amount_nanos < 0")
            while let row = try leases.next() {
                report.differences.append("lease of \(row["incarnation"] as String) for user \(row["user_id"] as Int64): no such user")
            }
            return report
        }
    }

    /// Streams the rows in order and recomputes every running balance.
    private static func verifySums(_ db: Database, _ report: inout LedgerReport) throws {
        var sums: [Int64: NanoUSD] = [:]
        let rows = try Row.fetchCursor(
            db, sql: "SELECT id, user_id, amount_nanos, balance_after_nanos FROM balance_transactions ORDER BY id")
        while let row = try rows.next() {
            let user: Int64 = row["user_id"]
            let sum = try (sums[user] ?? .zero).adding(NanoUSD(nanos: row["amount_nanos"]))
            let after = NanoUSD(nanos: row["balance_after_nanos"])
            if sum != after {
                report.differences.append(
                    "entry \(row["id"] as Int64) of user \(user): balance_after is \(after), the rows sum to \(sum)")
            }
            sums[user] = sum
            report.entries += 1
        }
        let users = try Row.fetchCursor(db, sql: "SELECT id, balance_nanos, quota FROM users ORDER BY id")
        while let row = try users.next() {
            let id: Int64 = row["id"]
            let balance = NanoUSD(nanos: row["balance_nanos"])
            let sum = sums[id] ?? .zero
            if balance != sum { report.differences.append("user \(id): balance is \(balance), the rows sum to \(sum)") }
            if row["quota"] != balance.wholeCents {
                report.differences.append("user \(id): quota is \(row["quota"] as Int64), not \(balance.wholeCents)")
            }
            report.users += 1
        }
    }

    private static func verifyLogs(_ db: Database, _ report: inout LedgerReport) throws {
        let pairs = try Row.fetchCursor(
            db,
            sql: """
                SELECT t.reference_id AS id, -t.amount_nanos - coalesce(a.amount_nanos, 0) AS charged, l.charge_nanos AS logged
                FROM balance_transactions t LEFT JOIN logs l ON l.request_id = t.reference_id
                LEFT JOIN balance_transactions a ON a.type = 'adjustment' AND a.reference_id = t.reference_id || ':reconciled'
                WHERE t.type = 'usage'
                AND (l.charge_nanos IS NOT -t.amount_nanos - coalesce(a.amount_nanos, 0) OR l.user_id IS NOT t.user_id)
                """)
        while let row = try pairs.next() {
            let logged = (row["logged"] as Int64?).map { NanoUSD(nanos: $0).description } ?? "nothing"
            report.differences.append(
                "request \(row["id"] as String): the ledger has \(NanoUSD(nanos: row["charged"])), the log has \(logged)")
        }
        let missing = try String.fetchCursor(
            db,
            sql: """
                SELECT request_id FROM logs WHERE charge_nanos IS NOT NULL
                AND NOT EXISTS (SELECT 1 FROM balance_transactions WHERE type = 'usage' AND reference_id = request_id)
                AND NOT EXISTS (SELECT 1 FROM poison_records p WHERE p.request_id = logs.request_id)
                """)
        while let id = try missing.next() { report.differences.append("request \(id): charged in the log, not in the ledger") }
        let versions = try String.fetchCursor(
            db,
            sql: """
                SELECT request_id FROM logs WHERE charge_nanos IS NOT NULL AND pricing_version <> 0
                AND pricing_version NOT IN (SELECT version FROM model_pricing_history)
                """)
        while let id = try versions.next() { report.differences.append("request \(id): its price version is not in the history") }
    }
}
