public import RouterCore

extension PostgresStore {
    static func noteEstimates(_ records: [RequestRecord], _ session: inout PGPool.Session) throws {
        for row in records.compactMap(ReconciliationRow.of) {
            try session.execute(
                """
                INSERT INTO reconciliations
                    (request_id, user_id, channel_id, provider, model_name, generation_id, charge_nanos, state, next_at, note, created_at)
                VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) ON CONFLICT DO NOTHING
                """,
                [
                    row.requestID.description, row.userID, row.channelID, row.provider, row.model, row.generationID,
                    row.charge.nanos, row.state.rawValue, row.nextAt, row.note, row.createdAt,
                ])
        }
    }

    public func reconciliations(_ state: ReconciliationRow.State?, open: Bool, _ page: PageRequest) async throws -> Page<ReconciliationRow>
    {
        try await read { session in
            let rows = try session.rows(
                """
                SELECT * FROM reconciliations WHERE ($1::text IS NULL OR state = $1) AND (NOT $4::boolean OR state <> 'resolved')
                ORDER BY created_at DESC, request_id DESC LIMIT $2 OFFSET $3
                """, [state?.rawValue, page.size, page.offset, open])
            let total = try session.rows(
                """
                SELECT count(*) AS total FROM reconciliations
                WHERE ($1::text IS NULL OR state = $1) AND (NOT $2::boolean OR state <> 'resolved')
                """, [state?.rawValue, open]
            ).first?.int("total")
            return Page(items: try rows.map { try Decoding.reconciliation($0) }, total: total ?? 0)
        }
    }

    public func dueReconciliations(now: Int64, limit: Int) async throws -> [ReconciliationRow] {
        try await write { session in
            try session.rows(
                """
                UPDATE reconciliations SET next_at = $1 + 60 WHERE request_id IN (
                    SELECT request_id FROM reconciliations WHERE state = 'pending' AND next_at <= $1
                    ORDER BY next_at LIMIT $2 FOR UPDATE SKIP LOCKED) RETURNING *
                """, [now, limit]
            ).map { try Decoding.reconciliation($0) }
        }
    }

    public func postponeReconciliation(_ id: RequestID, nextAt: Int64?, note: String) async throws {
        try await write { session in
            try session.execute(
                """
                UPDATE reconciliations SET state = $1, tries = tries + 1, next_at = coalesce($2, next_at), note = $3
                WHERE request_id = $4 AND state = 'pending'
                """, [nextAt == nil ? "unresolved" : "pending", nextAt, note, id.description])
        }
    }

    public func reconcile(_ id: RequestID, usage: Usage, bill: Bill, now: Int64) async throws {
        let charge = bill.charge
        try await moneyWrite { session in
            guard let user = try session.rows("SELECT user_id FROM reconciliations WHERE request_id = $1", [id.description]).first
            else { return }
            try session.execute("SELECT 1 FROM users WHERE id = $1 FOR UPDATE", [try user.int("user_id")])
            let row = try session.rows(
                "SELECT * FROM reconciliations WHERE request_id = $1 AND state = 'pending' FOR UPDATE", [id.description]
            ).first
            guard let row else { return }
            let estimate = try Decoding.reconciliation(row)
            let difference = try estimate.charge.subtracting(charge)
            if difference != .zero {
                try Self.insertEntry(
                    LedgerPosting(
                        userID: estimate.userID, amount: difference, kind: .adjustment, referenceID: Correction.reference(id),
                        description: Correction.description(id, from: estimate.charge, to: charge), createdAt: now), &session)
                // Gateways that have leased money which is gone must hear of it, as after any other change of the balance.
                try session.execute(
                    "SELECT announce($1, $2)", [difference.isNegative ? "recall" : "freed", "\(estimate.userID) reconciled"])
            }
            try session.execute(
                """
                UPDATE logs SET charge_nanos = $1, uncharged_nanos = $2, usage_source = 'reconciled', prompt_tokens = $3,
                    completion_tokens = $4, cached_tokens = $5, reasoning_tokens = $6, upstream_cost_nanos = $7 WHERE request_id = $8
                """,
                [
                    charge.nanos, bill.uncharged.nanos, usage.promptTokens, usage.completionTokens, usage.cacheRead, usage.reasoning,
                    usage.upstreamCost?.roundedToNano.nanos, id.description,
                ])
            try session.execute(
                "UPDATE reconciliations SET state = 'resolved', tries = tries + 1, note = $1 WHERE request_id = $2",
                ["the vendor says \(charge)", id.description])
        }
    }

    /// Moves the balance and writes the row, inside a transaction that has locked the user.
    @discardableResult
    static func insertEntry(_ posting: LedgerPosting, _ session: inout PGPool.Session) throws -> LedgerEntry {
        guard let user = try session.rows("SELECT balance_nanos FROM users WHERE id = $1 FOR UPDATE", [posting.userID]).first
        else { throw StoreError.notFound }
        let after: NanoUSD
        do {
            after = try NanoUSD(nanos: try user.int("balance_nanos")).adding(posting.amount)
        } catch is MoneyError {
            throw StoreError.database(StoreError.constraintPrefix + "the balance would leave the range of amounts")
        }
        try session.execute("UPDATE users SET balance_nanos = $1 WHERE id = $2", [after.nanos, posting.userID])
        let rows = try session.rows(
            """
            INSERT INTO balance_transactions (user_id, amount_nanos, balance_after_nanos, type, reference_id, description, created_at)
            VALUES ($1, $2, $3, $4, $5, $6, $7) RETURNING *
            """,
            [
                posting.userID, posting.amount.nanos, after.nanos, posting.kind.rawValue, posting.referenceID, posting.description,
                posting.createdAt,
            ])
        guard let row = rows.first else { throw StoreError.notFound }
        return try Decoding.entry(row)
    }

    // MARK: Reports

    public func entries(in range: Range<Int64>, after: Int64, limit: Int) async throws -> [LedgerEntry] {
        try await read { session in
            try session.rows(
                "SELECT * FROM balance_transactions WHERE id > $1 AND created_at >= $2 AND created_at < $3 ORDER BY id LIMIT $4",
                [after, range.lowerBound, range.upperBound, limit]
            ).map { try Decoding.entry($0) }
        }
    }

    public func margins(in range: Range<Int64>) async throws -> [MarginRow] {
        try await read { session in
            try session.rows(
                """
                SELECT model_name, channel_id, count(*) AS requests, sum(charge_nanos)::bigint AS charged,
                    coalesce(sum(upstream_cost_nanos), 0)::bigint AS cost, count(*) - count(upstream_cost_nanos) AS unknown
                FROM logs WHERE charge_nanos IS NOT NULL AND created_at >= $1 AND created_at < $2
                GROUP BY model_name, channel_id ORDER BY charged DESC, model_name, channel_id
                """, [range.lowerBound, range.upperBound]
            ).map { try Decoding.margin($0) }
        }
    }

    public func upstreamCosts(provider: String, in range: Range<Int64>) async throws -> [DailyCost] {
        try await read { session in
            try session.rows(
                """
                SELECT to_char(to_timestamp(created_at) AT TIME ZONE 'UTC', 'YYYY-MM-DD') AS day, count(*) AS requests,
                    coalesce(sum(upstream_cost_nanos), 0)::bigint AS cost
                FROM logs WHERE provider = $1 AND created_at >= $2 AND created_at < $3 AND charge_nanos IS NOT NULL GROUP BY day ORDER BY day
                """, [provider, range.lowerBound, range.upperBound]
            ).map { try Decoding.dailyCost($0) }
        }
    }
}
