public import RouterCore

extension SQLStore {
    public func grantCredit(_ grant: CreditGrant, audit: AuditEntry) async throws -> GrantedCredit {
        try await database.moneyWrite { try $0.grant(grant, audit: audit) }
    }

    public func credits(_ query: CreditQuery, before: Int64, size: Int) async throws -> CursorPage<Credit> {
        try await database.read { try $0.credits(query, before: before, size: size) }
    }

    public func giftsLeft(accountID: Int64) async throws -> NanoUSD {
        try await database.read { session in
            NanoUSD(nanos: try session.first("SELECT gift_nanos FROM users WHERE id = ?1", [accountID])?.int("gift_nanos") ?? 0)
        }
    }

    public func dueCredits(now: Int64, limit: Int) async throws -> [Credit] {
        try await database.read { session in
            try session.rows(
                "SELECT * FROM credits WHERE state = 'open' AND expires_at <= ?1 ORDER BY expires_at, id LIMIT ?2", [now, limit]
            ).map { try Decoding.credit($0) }
        }
    }

    public func expireCredit(_ id: Int64, now: Int64) async throws -> LedgerEntry? {
        try await database.moneyWrite { try $0.expireCredit(id, now: now) }
    }
}

extension SQLSession {
    /// The account of rows that no user has caused: nil = a user's own (``Paid/accountID``).
    func wallet(_ accountID: Int64) throws -> Int64? {
        try finds("SELECT 1 AS found FROM users WHERE id = ?1 AND kind = 'organization'", [accountID]) ? accountID : nil
    }

    func grant(_ grant: CreditGrant, audit: AuditEntry) throws -> GrantedCredit {
        let posting = LedgerPosting(
            userID: grant.accountID, amount: grant.amount, kind: .recharge, referenceID: grant.reference, description: grant.description,
            createdAt: grant.createdAt, accountID: try wallet(grant.accountID), source: EntrySource.gift)
        // Locks the account; of two equal grants at once, the second sees the first.
        let (entry, isNew) = try post(posting, audit: audit)
        if isNew {
            let credit = try insertCredit(posting, source: .grant, expiresAt: grant.expiresAt)
            return GrantedCredit(credit: credit, entry: entry, isNew: true)
        }
        let known = try first("SELECT * FROM credits WHERE reference = ?1", [grant.reference]).map { try Decoding.credit($0) }
        guard let known else { throw StoreError.database("the ledger lacks the gift '\(grant.reference)'") }
        guard known.source == .grant, known.expiresAt == grant.expiresAt else {
            throw StoreError.conflict("the key '\(grant.reference)' was used before and the end of the gift differs")
        }
        return GrantedCredit(credit: known, entry: entry, isNew: false)
    }

    /// Inside the transaction that has posted the recharge.
    func insertCredit(_ posting: LedgerPosting, source: Credit.Source, expiresAt: Int64?) throws -> Credit {
        let row = try unique("reference") {
            try first(
                """
                INSERT INTO credits (account_id, amount_nanos, left_nanos, source, reference, expires_at, created_at)
                VALUES (?1, ?2, ?2, ?3, ?4, ?5, ?6) RETURNING *
                """, [posting.payer, posting.amount.nanos, source.rawValue, posting.referenceID, expiresAt, posting.createdAt])
        }
        guard let row else { throw StoreError.notFound }
        try execute("UPDATE users SET gift_nanos = gift_nanos + ?1 WHERE id = ?2", [posting.amount.nanos, posting.payer])
        return try Decoding.credit(row)
    }

    func credits(_ query: CreditQuery, before: Int64, size: Int) throws -> CursorPage<Credit> {
        var scan = CursorScan("credits", .entry)
        if let account = query.accountID { scan.index = [("account_id", .integer(account))] }
        scan.require("state =", query.state.map { .text($0.rawValue) })
        return try scan.page(self, "*", before: before, size: size) { try Decoding.credit($0) }
    }

    func expireCredit(_ id: Int64, now: Int64) throws -> LedgerEntry? {
        guard let found = try first("SELECT account_id FROM credits WHERE id = ?1", [id]) else { return nil }
        // Users are locked before everything else. Postings take from gifts behind the same lock.
        try lockUser(try found.int("account_id"))
        let row = try first("SELECT * FROM credits WHERE id = ?1 AND state = 'open' AND expires_at <= ?2", [id, now])
        guard let credit = try row.map({ try Decoding.credit($0) }) else { return nil }
        let entry = try insertEntry(
            LedgerPosting(
                userID: credit.accountID, amount: try credit.left.negated(), kind: .adjustment,
                referenceID: Credit.expiredReference(id), description: "the gift of \(credit.amount) (\(credit.reference)) has expired",
                createdAt: now, accountID: try wallet(credit.accountID), source: EntrySource.giftExpired))
        try execute(
            "UPDATE credits SET left_nanos = 0, expired_nanos = ?1, state = 'expired', ended_at = ?2 WHERE id = ?3",
            [credit.left.nanos, now, id])
        try execute("UPDATE users SET gift_nanos = gift_nanos - ?1 WHERE id = ?2", [credit.left.nanos, credit.accountID])
        // As money that was withdrawn, it must not be spent from leases.
        try announce(.recall, "\(credit.accountID) gift")
        return entry
    }
}

extension Decoding {
    static func credit(_ row: some ColumnReader) throws -> Credit {
        guard let state = Credit.State(rawValue: try row.text("state")), let source = Credit.Source(rawValue: try row.text("source")) else {
            throw StoreError.database("a row of credits has an unknown state or source")
        }
        return Credit(
            id: try row.int("id"), accountID: try row.int("account_id"), amount: NanoUSD(nanos: try row.int("amount_nanos")),
            left: NanoUSD(nanos: try row.int("left_nanos")), expired: NanoUSD(nanos: try row.int("expired_nanos")), source: source,
            reference: try row.text("reference"), expiresAt: try row.intOrNil("expires_at"), state: state,
            createdAt: try row.int("created_at"), endedAt: try row.intOrNil("ended_at"))
    }
}
