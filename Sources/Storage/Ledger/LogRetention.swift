import RouterCore

/// Rows of the log that have been let go. The ledger's rows and the sums of the log stay.
extension SQLStore {
    public func letGoLogs(before limit: Int64, most: Int) async throws -> Int {
        try await database.write { try $0.letGoLogs(before: limit, most: most) }
    }

    public func logsLetGo() async throws -> Int64? { try await database.read { try $0.logsLetGo() } }
}

extension SQLSession {
    private static var letGoKey: String { "logs.let_go_before" }

    /// Unix seconds: of requests that began earlier, rows of the log may be gone. nil = none are.
    func logsLetGo() throws -> Int64? { try setting(Self.letGoKey).flatMap { Int64($0) } }

    func letGoLogs(before limit: Int64, most: Int) throws -> Int {
        // A correction that is still to come needs the row.
        let gone = try execute(
            """
            DELETE FROM logs WHERE id IN (SELECT id FROM logs WHERE created_at < ?1 AND NOT EXISTS
                (SELECT 1 FROM reconciliations r WHERE r.request_id = logs.request_id AND r.state = 'pending')
            ORDER BY created_at LIMIT ?2 \(dialect.forUpdateOfFree))
            """, [limit, most])
        if gone > 0, try logsLetGo() ?? .min < limit { try set(Self.letGoKey, "\(limit)") }
        return gone
    }
}

extension LedgerSession {
    /// Leaves out what the ledger has had before, where the row of the log that would tell so may be gone.
    func withoutLetGo(_ records: [RequestRecord]) throws -> [RequestRecord] {
        guard let limit = try logsLetGo() else { return records }
        return try records.filter { record in
            if record.createdAt >= limit { return true }
            // Nothing tells whether one that was not charged was there; its row would be let go at once.
            guard record.charge != nil else { return false }
            return try !finds(
                "SELECT 1 AS found FROM balance_transactions WHERE type = 'usage' AND reference_id = ?1", [record.requestID.description])
        }
    }
}
