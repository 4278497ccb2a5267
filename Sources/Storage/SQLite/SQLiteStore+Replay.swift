import GRDB

/// What ``LedgerReplay`` asks of a ledger that was restored.
extension SQLiteStore {
    public func entry(kind: TransactionKind, referenceID: String) async throws -> LedgerEntry? {
        try await read { db in
            try Row.fetchOne(
                db, sql: "SELECT * FROM balance_transactions WHERE type = ? AND reference_id = ?", arguments: [kind.rawValue, referenceID]
            ).map { try Decoding.entry($0) }
        }
    }

    public func priceVersions() async throws -> [Int64: Int64] {
        try await read { db in
            let rows = try Row.fetchAll(db, sql: "SELECT version, created_at FROM model_pricing_history")
            return Dictionary(rows.map { ($0["version"] as Int64, $0["created_at"] as Int64) }) { min($0, $1) }
        }
    }

    public func dropLeases(of users: Set<Int64>) async throws {
        try await write { db in
            for user in users { try db.execute(sql: "DELETE FROM balance_leases WHERE user_id = ?", arguments: [user]) }
        }
    }
}
