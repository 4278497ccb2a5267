import GRDB
import RouterCore

extension SQLiteStore {
    // MARK: Money that administrators move

    public func post(_ posting: LedgerPosting, audit: AuditEntry) async throws -> (entry: LedgerEntry, isNew: Bool) {
        try await write { db in
            let operation = MoneyOperation(posting)
            if let known = try Self.operation(operation.key, db) {
                try operation.check(against: known)
                return (try Self.entry(of: known, db), false)
            }
            let entry = try Self.insertEntry(posting, db)
            try Self.note(operation, at: posting.createdAt, db)
            try Self.insertAudit(audit.adding(.init("entry_id", .integer(entry.id))), db)
            return (entry, true)
        }
    }

    public func chargedUser(reference: String) async throws -> Int64? {
        try await read { db in
            try Int64.fetchOne(
                db, sql: "SELECT user_id FROM balance_transactions WHERE type = 'usage' AND reference_id = ?",
                arguments: [reference])
        }
    }

    public func refund(_ refund: Refund, audit: AuditEntry) async throws -> (entry: LedgerEntry, isNew: Bool) {
        try await write { db in
            let usage = try Row.fetchOne(
                db,
                sql: """
                    SELECT user_id, -sum(amount_nanos) AS charged FROM balance_transactions
                    WHERE (type = 'usage' AND reference_id = ?1) OR (type = 'adjustment' AND reference_id = ?1 || ':reconciled')
                    """, arguments: [refund.reference])
            guard let usage, let user = usage["user_id"] as Int64? else { throw StoreError.notFound }
            if let key = refund.key, let known = try Self.operation(key, db) {
                let amount = refund.amount ?? known.amount
                try MoneyOperation(key: key, refund, userID: user, amount: amount).check(against: known)
                return (try Self.entry(of: known, db), false)
            }
            let given = try Row.fetchOne(
                db, sql: "SELECT * FROM balance_transactions WHERE type = 'refund' AND reference_id = ?",
                arguments: [refund.reference]
            ).map { try Decoding.entry($0) }
            if let given, given.amount != refund.amount ?? given.amount {
                throw StoreError.conflict("'\(refund.reference)' has been refunded already, with \(given.amount)")
            }
            let amount =
                try given?.amount
                ?? Correction.refundAmount(
                    refund.amount, charged: NanoUSD(nanos: usage["charged"]), reference: refund.reference)
            if let key = refund.key {
                try Self.note(MoneyOperation(key: key, refund, userID: user, amount: amount), at: refund.createdAt, db)
            }
            if let given { return (given, false) }
            let entry = try Self.insertEntry(
                LedgerPosting(
                    userID: user, amount: amount, kind: .refund, referenceID: refund.reference,
                    description: refund.description,
                    createdAt: refund.createdAt), db)
            // What was given back is not corrected any more.
            try db.execute(
                sql:
                    "UPDATE reconciliations SET state = 'unresolved', note = ? WHERE request_id = ? AND state = 'pending'",
                arguments: [Correction.refunded, refund.reference])
            try Self.insertAudit(audit.adding(.refunded(entry)), db)
            return (entry, true)
        }
    }

    private static func operation(_ key: String, _ db: Database) throws -> MoneyOperation? {
        try Row.fetchOne(db, sql: "SELECT * FROM money_operations WHERE key = ?", arguments: [key]).map {
            try MoneyOperation($0)
        }
    }

    private static func entry(of operation: MoneyOperation, _ db: Database) throws -> LedgerEntry {
        let row = try Row.fetchOne(
            db, sql: "SELECT * FROM balance_transactions WHERE type = ? AND reference_id = ?",
            arguments: [operation.kind.rawValue, operation.reference])
        guard let row else { throw StoreError.database("the ledger lacks the row of the key '\(operation.key)'") }
        return try Decoding.entry(row)
    }

    private static func note(_ operation: MoneyOperation, at seconds: Int64, _ db: Database) throws {
        try db.execute(
            sql: """
                INSERT INTO money_operations (key, operation, user_id, amount_nanos, type, reference_id, created_at)
                VALUES (?, ?, ?, ?, ?, ?, ?)
                """,
            arguments: [
                operation.key, operation.name.rawValue, operation.userID, operation.amount.nanos,
                operation.kind.rawValue,
                operation.reference, seconds,
            ])
    }
}
