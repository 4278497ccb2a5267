/// Two pools, so that no number of slow questions keeps a request waiting for its money.
struct PostgresDriver: SQLDriver {
    /// For people and for what is not urgent: log pages, statistics, users, tokens, prices.
    let pool: PGPool
    /// For leases and postings.
    let money: PGPool

    func run<Value: Sendable>(
        _ access: SQLAccess, _ body: @escaping @Sendable (any LedgerSession) throws -> Value
    ) async throws -> Value {
        let pool =
            switch access {
            case .read, .write: pool
            case .moneyRead, .moneyWrite: money
            }
        // Reads are outside transactions: two round trips less, and each statement sees what is committed when it begins.
        return try await pool.run(inTransaction: access.isWrite) { session in try body(session) }
    }
}
