public import RouterCore

extension SQLStore {
    public func reconciliations(_ state: ReconciliationRow.State?, open: Bool, _ page: PageRequest) async throws -> Page<ReconciliationRow>
    {
        try await database.read { try $0.reconciliations(state, open: open, page) }
    }

    public func dueReconciliations(now: Int64, limit: Int) async throws -> [ReconciliationRow] {
        try await database.write { try $0.dueReconciliations(now: now, limit: limit) }
    }

    public func postponeReconciliation(_ id: RequestID, nextAt: Int64?, note: String) async throws {
        try await database.write { try $0.postponeReconciliation(id, nextAt: nextAt, note: note) }
    }

    public func reconcile(_ id: RequestID, usage: Usage, bill: Bill, cost: VendorCost?, now: Int64) async throws {
        try await database.moneyWrite { try $0.reconcile(id, usage: usage, bill: bill, cost: cost, now: now) }
    }
}

extension SQLSession {
    /// Inside the transaction of the posting.
    func noteEstimates(_ records: [RequestRecord]) throws {
        for row in records.compactMap(ReconciliationRow.of) {
            try execute(
                """
                INSERT INTO reconciliations
                    (request_id, user_id, channel_id, provider, model_name, generation_id, charge_nanos, state, next_at, note, created_at,
                    account_id)
                VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12) ON CONFLICT DO NOTHING
                """,
                [
                    row.requestID.description, row.userID, row.channelID, row.provider, row.model, row.generationID, row.charge.nanos,
                    row.state.rawValue, row.nextAt, row.note, row.createdAt, row.accountID,
                ])
        }
    }

    func reconciliations(_ state: ReconciliationRow.State?, open: Bool, _ page: PageRequest) throws -> Page<ReconciliationRow> {
        var conditions = Conditions()
        conditions.add("state =", state?.rawValue)
        // Most are resolved; the index has the others together.
        if open { conditions.require("state IN ('pending', 'unresolved')") }
        return try self.page("*", of: "reconciliations", where: conditions, order: "created_at DESC, request_id DESC", page) {
            try Decoding.reconciliation($0)
        }
    }

    func dueReconciliations(now: Int64, limit: Int) throws -> [ReconciliationRow] {
        let due = try rows(
            """
            SELECT * FROM reconciliations WHERE state = 'pending' AND next_at <= ?1 ORDER BY next_at LIMIT ?2 \(dialect.forUpdateOfFree)
            """, [now, limit]
        ).map { try Decoding.reconciliation($0) }
        for row in due {
            try execute("UPDATE reconciliations SET next_at = ?1 WHERE request_id = ?2", [now + 60, row.requestID.description])
        }
        return due
    }

    func postponeReconciliation(_ id: RequestID, nextAt: Int64?, note: String) throws {
        try execute(
            """
            UPDATE reconciliations SET state = ?1, tries = tries + 1, next_at = coalesce(?2, next_at), note = ?3
            WHERE request_id = ?4 AND state = 'pending'
            """, [nextAt == nil ? "unresolved" : "pending", nextAt, note, id.description])
    }
}

extension LedgerSession {
    func reconcile(_ id: RequestID, usage: Usage, bill: Bill, cost: VendorCost?, now: Int64) throws {
        let charge = bill.charge
        let payer = try first("SELECT coalesce(account_id, user_id) AS payer FROM reconciliations WHERE request_id = ?1", [id.description])
        guard let payer else { return }
        try lockUser(try payer.int("payer"))
        let row = try first(
            "SELECT * FROM reconciliations WHERE request_id = ?1 AND state = 'pending' \(dialect.forUpdate)", [id.description])
        guard let row else { return }
        let estimate = try Decoding.reconciliation(row)
        let difference = try estimate.charge.subtracting(charge)
        if difference != .zero {
            try insertEntry(
                LedgerPosting(
                    userID: estimate.userID, amount: difference, kind: .adjustment, referenceID: Correction.reference(id.description),
                    description: Correction.description(id, from: estimate.charge, to: charge), createdAt: now,
                    accountID: estimate.accountID))
            // Gateways that have leased money which is gone must hear of it, as after any other change of the balance.
            try announce(difference.isNegative ? .recall : .freed, "\(estimate.payer) reconciled")
        }
        let logged = try first("SELECT \(RecordColumns.list) FROM logs WHERE request_id = ?1", [id.description])
        try execute(
            """
            UPDATE logs SET charge_nanos = ?1, uncharged_nanos = ?2, usage_source = 'reconciled', prompt_tokens = ?3,
                completion_tokens = ?4, cached_tokens = ?5, reasoning_tokens = ?6, upstream_cost_nanos = ?7,
                vendor_cost_nanos = ?8, vendor_cost_source = ?9 WHERE request_id = ?10
            """,
            [
                charge.nanos, bill.uncharged.nanos, usage.promptTokens, usage.completionTokens, usage.cacheRead, usage.reasoning,
                usage.upstreamCost?.roundedToNano.nanos, cost?.amount.nanos, cost?.source.rawValue, id.description,
            ])
        if let old = try logged.map({ try RecordColumns.record($0) }) {
            var new = old
            new.charge = charge
            new.usage = usage
            new.vendorCost = cost
            try addUsage([UsageKey(old): UsageSums(new).difference(from: UsageSums(old))])
        }
        try execute(
            "UPDATE reconciliations SET state = 'resolved', tries = tries + 1, note = ?1 WHERE request_id = ?2",
            ["the vendor says \(charge)", id.description])
    }
}
