import GRDB
public import RouterCore

extension SQLiteStore {
    static func noteEstimates(_ records: [RequestRecord], _ db: Database) throws {
        for row in records.compactMap(ReconciliationRow.of) {
            try db.execute(
                sql: """
                    INSERT OR IGNORE INTO reconciliations
                        (request_id, user_id, channel_id, provider, model_name, generation_id, charge_nanos, state, next_at, note, created_at)
                    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
                    """,
                arguments: [
                    row.requestID.description, row.userID, row.channelID, row.provider, row.model, row.generationID,
                    row.charge.nanos, row.state.rawValue, row.nextAt, row.note, row.createdAt,
                ])
        }
    }

    public func reconciliations(_ state: ReconciliationRow.State?, open: Bool, _ page: PageRequest) async throws -> Page<ReconciliationRow>
    {
        try await read { db in
            let rows = try Row.fetchAll(
                db,
                sql: """
                    SELECT * FROM reconciliations WHERE (?1 IS NULL OR state = ?1) AND (?4 = 0 OR state <> 'resolved') ORDER BY created_at DESC, request_id DESC LIMIT ?2 OFFSET ?3
                    """, arguments: [state?.rawValue, page.size, page.offset, open])
            let total = try Int64.fetchOne(
                db, sql: "SELECT count(*) FROM reconciliations WHERE (?1 IS NULL OR state = ?1) AND (?2 = 0 OR state <> 'resolved')",
                arguments: [state?.rawValue, open])
            return Page(items: try rows.map { try Decoding.reconciliation($0) }, total: total ?? 0)
        }
    }

    public func dueReconciliations(now: Int64, limit: Int) async throws -> [ReconciliationRow] {
        try await write { db in
            let rows = try Row.fetchAll(
                db, sql: "SELECT * FROM reconciliations WHERE state = 'pending' AND next_at <= ? ORDER BY next_at LIMIT ?",
                arguments: [now, limit]
            ).map { try Decoding.reconciliation($0) }
            for row in rows {
                try db.execute(
                    sql: "UPDATE reconciliations SET next_at = ? WHERE request_id = ?", arguments: [now + 60, row.requestID.description])
            }
            return rows
        }
    }

    public func postponeReconciliation(_ id: RequestID, nextAt: Int64?, note: String) async throws {
        try await write { db in
            try db.execute(
                sql: """
                    UPDATE reconciliations SET state = ?, tries = tries + 1, next_at = coalesce(?, next_at), note = ?
                    WHERE request_id = ? AND state = 'pending'
                    """,
                arguments: [nextAt == nil ? "unresolved" : "pending", nextAt, note, id.description])
        }
    }

    public func reconcile(_ id: RequestID, usage: Usage, bill: Bill, now: Int64) async throws {
        let charge = bill.charge
        try await write { db in
            guard
                let row = try Row.fetchOne(
                    db, sql: "SELECT * FROM reconciliations WHERE request_id = ? AND state = 'pending'", arguments: [id.description])
            else { return }
            let estimate = try Decoding.reconciliation(row)
            let difference = try estimate.charge.subtracting(charge)
            if difference != .zero {
                try Self.insertEntry(
                    LedgerPosting(
                        userID: estimate.userID, amount: difference, kind: .adjustment, referenceID: Correction.reference(id),
                        description: Correction.description(id, from: estimate.charge, to: charge), createdAt: now), db)
            }
            try db.execute(
                sql: """
                    UPDATE logs SET charge_nanos = ?, uncharged_nanos = ?, usage_source = 'reconciled', prompt_tokens = ?, completion_tokens = ?, cached_tokens = ?,
                        reasoning_tokens = ?, upstream_cost_nanos = ? WHERE request_id = ?
                    """,
                arguments: [
                    charge.nanos, bill.uncharged.nanos, usage.promptTokens, usage.completionTokens, usage.cacheRead, usage.reasoning,
                    usage.upstreamCost?.roundedToNano.nanos, id.description,
                ])
            try db.execute(
                sql: "UPDATE reconciliations SET state = 'resolved', tries = tries + 1, note = ? WHERE request_id = ?",
                arguments: ["the vendor says \(charge)", id.description])
        }
    }

    /// Moves the balance and writes the row, inside a transaction.
    @discardableResult
    static func insertEntry(_ posting: LedgerPosting, _ db: Database) throws -> LedgerEntry {
        guard
            let after = try Int64.fetchOne(
                db, sql: "UPDATE users SET balance_nanos = balance_nanos + ? WHERE id = ? RETURNING balance_nanos",
                arguments: [posting.amount.nanos, posting.userID])
        else { throw StoreError.notFound }
        try db.execute(
            sql: """
                INSERT INTO balance_transactions (user_id, amount_nanos, balance_after_nanos, type, reference_id, description, created_at)
                VALUES (?, ?, ?, ?, ?, ?, ?)
                """,
            arguments: [
                posting.userID, posting.amount.nanos, after, posting.kind.rawValue, posting.referenceID, posting.description,
                posting.createdAt,
            ])
        return LedgerEntry(
            id: db.lastInsertedRowID, userID: posting.userID, amount: posting.amount, balanceAfter: NanoUSD(nanos: after),
            kind: posting.kind, referenceID: posting.referenceID, description: posting.description, createdAt: posting.createdAt)
    }

    // MARK: Reports

    public func entries(in range: Range<Int64>, after: Int64, limit: Int) async throws -> [LedgerEntry] {
        try await read { db in
            try Row.fetchAll(
                db,
                sql: """
                    SELECT * FROM balance_transactions WHERE id > ? AND created_at >= ? AND created_at < ? ORDER BY id LIMIT ?
                    """, arguments: [after, range.lowerBound, range.upperBound, limit]
            ).map { try Decoding.entry($0) }
        }
    }

    public func margins(in range: Range<Int64>) async throws -> [MarginRow] {
        try await read { db in
            try Row.fetchAll(
                db,
                sql: """
                    SELECT model_name, channel_id, count(*) AS requests, sum(charge_nanos) AS charged,
                        coalesce(sum(upstream_cost_nanos), 0) AS cost, count(*) - count(upstream_cost_nanos) AS unknown
                    FROM logs WHERE charge_nanos IS NOT NULL AND created_at >= ? AND created_at < ?
                    GROUP BY model_name, channel_id ORDER BY charged DESC, model_name, channel_id
                    """, arguments: [range.lowerBound, range.upperBound]
            ).map { try Decoding.margin($0) }
        }
    }

    public func upstreamCosts(provider: String, in range: Range<Int64>) async throws -> [DailyCost] {
        try await read { db in
            try Row.fetchAll(
                db,
                sql: """
                    SELECT date(created_at, 'unixepoch') AS day, count(*) AS requests, coalesce(sum(upstream_cost_nanos), 0) AS cost
                    FROM logs WHERE provider = ? AND created_at >= ? AND created_at < ? AND charge_nanos IS NOT NULL GROUP BY day ORDER BY day
                    """, arguments: [provider, range.lowerBound, range.upperBound]
            ).map { try Decoding.dailyCost($0) }
        }
    }
}
