/// What ``LedgerReplay`` asks of a ledger that was restored.
extension PostgresStore {
    public func entry(kind: TransactionKind, referenceID: String) async throws -> LedgerEntry? {
        try await read { session in
            try session.rows(
                "SELECT * FROM balance_transactions WHERE type = $1 AND reference_id = $2", [kind.rawValue, referenceID]
            ).first.map { try Decoding.entry($0) }
        }
    }

    public func priceVersions() async throws -> [Int64: Int64] {
        try await read { session in
            let rows = try session.rows("SELECT version, created_at FROM model_pricing_history")
            return Dictionary(try rows.map { (try $0.int("version"), try $0.int("created_at")) }) { min($0, $1) }
        }
    }

    public func dropLeases(of users: Set<Int64>) async throws {
        try await write { session in
            try session.execute("DELETE FROM balance_leases WHERE user_id = ANY($1::bigint[])", [Self.idArray(users)])
        }
    }
}
