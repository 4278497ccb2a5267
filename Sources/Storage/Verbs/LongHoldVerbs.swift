public import RouterCore

extension SQLStore {
    public func openLongHold(_ hold: LongHold, holder: LeaseHolder, now: Int64) async throws -> LeaseState {
        try await database.moneyWrite { try $0.openLongHold(hold, holder: holder, now: now) }
    }

    public func bindLongHold(_ id: RequestID, objectID: String, nextAt: Int64) async throws -> Bool {
        try await database.write { try $0.bindLongHold(id, objectID: objectID, nextAt: nextAt) }
    }

    public func setLongHoldDetail(_ id: RequestID, _ detail: String) async throws {
        try await database.write { session in
            try session.execute(
                "UPDATE long_holds SET detail = ?1 WHERE request_id = ?2 AND state = 'open'", [detail, id.description])
        }
    }

    public func longHold(_ id: RequestID) async throws -> LongHold? { try await database.read { try $0.longHold(id) } }

    public func longHold(_ kind: LongHold.Kind, objectID: String, channelID: Int64) async throws -> LongHold? {
        try await database.read { session in
            try session.first(
                "SELECT * FROM long_holds WHERE kind = ?1 AND channel_id = ?2 AND object_id = ?3", [kind.rawValue, channelID, objectID]
            ).map { try Decoding.longHold($0) }
        }
    }

    public func countLongHolds(
        _ kind: LongHold.Kind, userID: Int64, accountID: Int64?, tokenID: Int64?
    ) async throws -> LongHoldCount {
        try await database.read { session in
            let row = try session.first(
                """
                SELECT count(*) AS number, count(CASE WHEN user_id = ?1 THEN 1 END) AS own,
                    count(CASE WHEN token_id = ?2 THEN 1 END) AS of_key,
                    count(CASE WHEN coalesce(account_id, user_id) = ?4 THEN 1 END) AS of_account,
                    count(CASE WHEN user_id = ?1 AND coalesce(account_id, user_id) = ?4 THEN 1 END) AS of_member
                FROM long_holds WHERE kind = ?3 AND state = 'open'
                """, [userID, tokenID ?? -1, kind.rawValue, accountID ?? userID])
            return LongHoldCount(
                ofKey: try row?.int("of_key") ?? 0, ofUser: try row?.int("own") ?? 0, ofMember: try row?.int("of_member") ?? 0,
                ofAccount: try row?.int("of_account") ?? 0, all: try row?.int("number") ?? 0)
        }
    }

    public func openLongHolds(_ kind: LongHold.Kind) async throws -> Set<RequestID> {
        try await database.read { session in
            let rows = try session.rows("SELECT request_id FROM long_holds WHERE kind = ?1 AND state = 'open'", [kind.rawValue])
            return Set(try rows.compactMap { RequestID(try $0.text("request_id")) })
        }
    }

    public func openLongHolds(userID: Int64) async throws -> (count: Int64, amount: NanoUSD) {
        try await database.read { session in
            let row = try session.first(
                """
                SELECT count(*) AS number, CAST(coalesce(sum(amount_nanos), 0) AS BIGINT) AS amount FROM long_holds
                WHERE coalesce(account_id, user_id) = ?1 AND state = 'open'
                """, [userID])
            return (try row?.int("number") ?? 0, NanoUSD(nanos: try row?.int("amount") ?? 0))
        }
    }

    public func openLongHolds(channelID: Int64) async throws -> Int64 {
        try await database.read { session in
            try session.first("SELECT count(*) AS number FROM long_holds WHERE state = 'open' AND channel_id = ?1", [channelID])?
                .int("number") ?? 0
        }
    }

    public func dueLongHolds(_ kind: LongHold.Kind, now: Int64, claim: Int64, limit: Int) async throws -> [LongHold] {
        try await database.write { try $0.dueLongHolds(kind, now: now, claim: claim, limit: limit) }
    }

    public func postponeLongHold(_ id: RequestID, nextAt: Int64, note: String) async throws {
        try await database.write { session in
            try session.execute(
                "UPDATE long_holds SET tries = tries + 1, next_at = ?1, note = ?2 WHERE request_id = ?3 AND state = 'open'",
                [nextAt, note, id.description])
        }
    }

    public func hastenLongHold(_ id: RequestID, nextAt: Int64) async throws {
        try await database.write { session in
            try session.execute(
                "UPDATE long_holds SET next_at = ?1 WHERE request_id = ?2 AND state = 'open' AND next_at > ?1", [nextAt, id.description])
        }
    }

    public func endLongHold(_ record: RequestRecord, now: Int64) async throws -> Bool {
        try await database.moneyWrite { try $0.endLongHold(record, now: now) }
    }
}

extension SQLSession {
    func longHold(_ id: RequestID) throws -> LongHold? {
        try first("SELECT * FROM long_holds WHERE request_id = ?1", [id.description]).map { try Decoding.longHold($0) }
    }

    func bindLongHold(_ id: RequestID, objectID: String, nextAt: Int64) throws -> Bool {
        try unique("object_id") {
            try execute(
                """
                UPDATE long_holds SET object_id = ?1, next_at = ?2
                WHERE request_id = ?3 AND state = 'open' AND (object_id IS NULL OR object_id = ?1)
                """, [objectID, nextAt, id.description]) == 1
        }
    }

    func dueLongHolds(_ kind: LongHold.Kind, now: Int64, claim: Int64, limit: Int) throws -> [LongHold] {
        let due = try rows(
            """
            SELECT * FROM long_holds WHERE state = 'open' AND kind = ?1 AND next_at <= ?2 ORDER BY next_at, request_id LIMIT ?3
            \(dialect.forUpdateOfFree)
            """, [kind.rawValue, now, limit]
        ).map { try Decoding.longHold($0) }
        for hold in due {
            try execute("UPDATE long_holds SET next_at = ?1 WHERE request_id = ?2", [now + claim, hold.requestID.description])
        }
        return due
    }

    func insert(_ hold: LongHold) throws {
        _ = try unique("request_id") {
            try execute(
                """
                INSERT INTO long_holds (request_id, kind, user_id, token_id, channel_id, key_mark, provider, model_name, upstream_model,
                    endpoint, object_id, amount_nanos, ceiling_nanos, price_ratio_millionths, pricing_version, detail, client_ip, state,
                    next_at, deadline, created_at, account_id)
                VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, 'open', ?18, ?19, ?20, ?21)
                """,
                [
                    hold.requestID.description, hold.kind.rawValue, hold.userID, hold.tokenID, hold.channelID, hold.keyMark, hold.provider,
                    hold.model, hold.upstreamModel, hold.endpoint.rawValue, hold.objectID, hold.amount.nanos, hold.ceiling?.nanos,
                    hold.ratio.millionths, hold.pricingVersion, hold.detail, hold.clientIP, hold.nextAt, hold.deadline, hold.createdAt,
                    hold.accountID,
                ])
        }
    }

    /// Counts an open hold towards the budgets of its key and user, or takes it out of them again. A sum stays within its range.
    private func countLongHold(_ hold: LongHold, isOpen: Bool) throws {
        let counters = BudgetCounter.all(hold, tokenID: hold.tokenID, at: hold.createdAt)
        // In the order of the key, as every posting does, so that two of them cannot wait for each other.
        for counter in counters.sorted(by: { ($0.scope.description, $0.window) < ($1.scope.description, $1.window) }) {
            if isOpen {
                try execute(
                    """
                    INSERT INTO budget_usage (subject, "window", spent_nanos) VALUES (?1, ?2, ?3) ON CONFLICT (subject, "window")
                    DO UPDATE SET spent_nanos = CASE
                        WHEN budget_usage.spent_nanos > 9223372036854775807 - excluded.spent_nanos THEN 9223372036854775807
                        ELSE budget_usage.spent_nanos + excluded.spent_nanos END
                    """, [counter.scope.description, counter.window, hold.amount.nanos])
            } else {
                try execute(
                    """
                    UPDATE budget_usage SET spent_nanos = CASE WHEN spent_nanos < ?1 THEN 0 ELSE spent_nanos - ?1 END
                    WHERE subject = ?2 AND "window" = ?3
                    """, [hold.amount.nanos, counter.scope.description, counter.window])
            }
        }
    }

    /// Inside a transaction that has locked the user: the amount leaves the balance and counts as spent.
    func takeLongHold(_ hold: LongHold, now: Int64) throws {
        try insertEntry(
            LedgerPosting(
                userID: hold.userID, amount: try hold.amount.negated(), kind: .adjustment,
                referenceID: LongHold.heldReference(hold.requestID), description: "held for a \(hold.kind.rawValue) (\(hold.model))",
                createdAt: now, accountID: hold.accountID))
        try countLongHold(hold, isOpen: true)
    }

    /// The opposite of ``takeLongHold(_:now:)``.
    func releaseLongHold(_ hold: LongHold, now: Int64) throws {
        try insertEntry(
            LedgerPosting(
                userID: hold.userID, amount: hold.amount, kind: .adjustment, referenceID: LongHold.releasedReference(hold.requestID),
                description: "released: the \(hold.kind.rawValue) (\(hold.model)) has ended", createdAt: now, accountID: hold.accountID))
        try countLongHold(hold, isOpen: false)
    }
}

extension LedgerSession {
    func openLongHold(_ hold: LongHold, holder: LeaseHolder, now: Int64) throws -> LeaseState {
        guard try lockUser(hold.payer) else { throw StoreError.notFound }
        // Users are locked before gateways everywhere.
        guard try beat(holder, now: now) else { throw StoreError.fenced }
        try insert(hold)
        if hold.amount.isPositive {
            try takeLongHold(hold, now: now)
            try spendLeases([hold.payer: hold.amount], holder)
        }
        guard let state = try leaseStates([hold.payer], holder)[hold.payer] else { throw StoreError.notFound }
        return state
    }

    func endLongHold(_ record: RequestRecord, now: Int64) throws -> Bool {
        let isThere = try lockUser(record.payer)
        let row = try first(
            "SELECT * FROM long_holds WHERE request_id = ?1 AND user_id = ?2 AND state = 'open' \(dialect.forUpdate)",
            [record.requestID.description, record.userID])
        guard let hold = try row.map({ try Decoding.longHold($0) }) else { return false }
        if hold.amount.isPositive, isThere { try releaseLongHold(hold, now: now) }
        // The charge comes out of the balance that has just grown, and out of nobody's lease.
        _ = try post([record], holder: nil)
        try execute(
            "UPDATE long_holds SET state = 'ended', ended_at = ?1 WHERE request_id = ?2", [now, record.requestID.description])
        let isOver = record.charge.map { $0 > hold.amount } ?? false
        try announce(isOver ? .recall : .freed, "\(record.payer) long")
        return true
    }
}

extension Decoding {
    static func longHold(_ row: some ColumnReader) throws -> LongHold {
        guard let id = RequestID(try row.text("request_id")), let kind = LongHold.Kind(rawValue: try row.text("kind")),
            let endpoint = Endpoint(rawValue: try row.text("endpoint")), let state = LongHold.State(rawValue: try row.text("state"))
        else { throw StoreError.database("a row of long_holds has an unknown id, kind, endpoint or state") }
        return LongHold(
            requestID: id, kind: kind, userID: try row.int("user_id"), tokenID: try row.intOrNil("token_id"),
            channelID: try row.int("channel_id"), keyMark: try row.text("key_mark"), provider: try row.text("provider"),
            model: try row.text("model_name"), upstreamModel: try row.text("upstream_model"), endpoint: endpoint,
            objectID: try row.textOrNil("object_id"), amount: NanoUSD(nanos: try row.int("amount_nanos")),
            ceiling: try row.intOrNil("ceiling_nanos").map { NanoUSD(nanos: $0) },
            ratio: PriceRatio(millionths: try row.int("price_ratio_millionths")), pricingVersion: try row.int("pricing_version"),
            detail: try row.text("detail"), clientIP: try row.text("client_ip"), state: state, tries: Int(try row.int("tries")),
            nextAt: try row.int("next_at"), deadline: try row.int("deadline"), note: try row.text("note"),
            createdAt: try row.int("created_at"), endedAt: try row.intOrNil("ended_at"), accountID: try row.intOrNil("account_id"))
    }
}
