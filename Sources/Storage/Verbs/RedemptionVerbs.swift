import NIOCore
import RouterCore

extension SQLStore {
    public func createRedemptionBatch(
        _ batch: RedemptionBatch, codes: [RedemptionSecret], audit: AuditEntry
    ) async throws -> RedemptionBatch {
        try await database.write { try $0.createRedemptionBatch(batch, codes: codes, audit: audit) }
    }

    public func redemptionBatch(id: Int64) async throws -> RedemptionBatch? { try await database.read { try $0.redemptionBatch(id: id) } }

    public func redemptionBatches(before: Int64, size: Int) async throws -> CursorPage<RedemptionBatch> {
        try await database.read { session in
            try CursorScan("redemption_batches", .entry).page(session, "*", before: before, size: size) {
                try Decoding.redemptionBatch($0)
            }
        }
    }

    public func redemptionCodes(_ query: RedemptionQuery, before: Int64, size: Int) async throws -> CursorPage<RedemptionCode> {
        try await database.read { try $0.redemptionCodes(query, before: before, size: size) }
    }

    public func disableRedemptionBatch(id: Int64, now: Int64, audit: AuditEntry) async throws -> RedemptionBatch {
        try await database.write { session in
            let changed = try session.execute(
                "UPDATE redemption_batches SET disabled_at = ?1 WHERE id = ?2 AND disabled_at IS NULL", [now, id])
            guard let batch = try session.redemptionBatch(id: id) else { throw StoreError.notFound }
            if changed == 1 { try session.insertAudit(audit.adding(.init("batch_id", .integer(id)))) }
            return batch
        }
    }

    public func redeem(_ redemption: Redemption, audit: AuditEntry) async throws -> Redeemed {
        try await database.moneyWrite { try $0.redeem(redemption, audit: audit) }
    }
}

extension SQLSession {
    func redemptionBatch(id: Int64, _ lock: String = "") throws -> RedemptionBatch? {
        try first("SELECT * FROM redemption_batches WHERE id = ?1 \(lock)", [id]).map { try Decoding.redemptionBatch($0) }
    }

    func createRedemptionBatch(_ batch: RedemptionBatch, codes: [RedemptionSecret], audit: AuditEntry) throws -> RedemptionBatch {
        let row = try first(
            """
            INSERT INTO redemption_batches (name, amount_nanos, codes, kind, gift_seconds, expires_at, per_account, "groups", created_by,
                created_at)
            VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10) RETURNING *
            """,
            [
                batch.name, batch.amount.nanos, codes.count, batch.kind.rawValue, batch.giftSeconds, batch.expiresAt, batch.perAccount,
                JSONList.text(batch.groups), batch.createdBy, batch.createdAt,
            ])
        guard let row else { throw StoreError.notFound }
        let created = try Decoding.redemptionBatch(row)
        try unique("hash") { try insert(codes, batch: created.id) }
        try insertAudit(audit.adding(.init("batch_id", .integer(created.id))))
        return created
    }

    private func insert(_ codes: [RedemptionSecret], batch: Int64) throws {
        guard dialect == .postgres else {
            for code in codes {
                try execute("INSERT INTO redemption_codes (batch_id, hash, prefix) VALUES (?1, ?2, ?3)", [batch, code.hash, code.prefix])
            }
            return
        }
        let list = JSONValue.array(
            codes.map { .object([.init("h", .string(Hex.text($0.hash))), .init("p", .string($0.prefix))]) })
        try execute(
            """
            INSERT INTO redemption_codes (batch_id, hash, prefix) SELECT CAST(?1 AS BIGINT), decode(r.h, 'hex'), r.p
            FROM jsonb_to_recordset(CAST(?2 AS JSONB)) AS r(h text, p text)
            """, [batch, list.text])
    }

    func redemptionCodes(_ query: RedemptionQuery, before: Int64, size: Int) throws -> CursorPage<RedemptionCode> {
        var conditions = Conditions()
        conditions.add("id <", before)
        conditions.add("batch_id =", query.batchID)
        let state = query.isRedeemed.map { $0 ? " AND redeemed_at IS NOT NULL" : " AND redeemed_at IS NULL" } ?? ""
        let rows = try rows(
            """
            SELECT id, batch_id, prefix, account_id, redeemed_by, redeemed_at FROM redemption_codes WHERE \(conditions.sql)\(state)
            ORDER BY id DESC LIMIT ?\(conditions.parameters.count + 1)
            """, conditions.parameters + [size + 1])
        let items = try rows.prefix(size).map { try Decoding.redemptionCode($0) }
        return CursorPage(items: items, nextBefore: rows.count > size ? items.last?.id : nil)
    }

    func redeem(_ redemption: Redemption, audit: AuditEntry) throws -> Redeemed {
        guard let found = try first("SELECT id, batch_id FROM redemption_codes WHERE hash = ?1", [redemption.hash]) else {
            throw RedemptionRefusal.unknown
        }
        let (id, batchID) = (try found.int("id"), try found.int("batch_id"))
        // Users are locked before everything else; then the code, which another account may be redeeming now, then the batch.
        guard try lockUser(redemption.accountID) else { throw StoreError.notFound }
        let code = try first(
            "SELECT id, batch_id, prefix, account_id, redeemed_by, redeemed_at FROM redemption_codes WHERE id = ?1 \(dialect.forUpdate)",
            [id]
        ).map { try Decoding.redemptionCode($0) }
        guard let code, let batch = try redemptionBatch(id: batchID, dialect.forUpdate) else { throw RedemptionRefusal.unknown }
        let reference = RedemptionCode.reference(id)
        if code.redeemedAt != nil {
            guard code.accountID == redemption.accountID, let entry = try entry(kind: .recharge, referenceID: reference) else {
                throw RedemptionRefusal.used
            }
            let credit = try first("SELECT * FROM credits WHERE reference = ?1", [reference]).map { try Decoding.credit($0) }
            return Redeemed(batch: batch, entry: entry, credit: credit, isNew: false)
        }
        try check(redemption, batch)
        try execute(
            "UPDATE redemption_codes SET account_id = ?1, redeemed_by = ?2, redeemed_at = ?3 WHERE id = ?4",
            [redemption.accountID, redemption.userID, redemption.now, id])
        try execute("UPDATE redemption_batches SET redeemed = redeemed + 1 WHERE id = ?1", [batchID])
        return try pay(redemption, batch, reference, audit.adding(.init("code_id", .integer(id)), .init("batch_id", .integer(batchID))))
    }

    /// Whether an account may redeem a code of a batch now.
    private func check(_ redemption: Redemption, _ batch: RedemptionBatch) throws {
        if batch.disabledAt != nil { throw RedemptionRefusal.disabled }
        if let end = batch.expiresAt, end <= redemption.now { throw RedemptionRefusal.expired }
        guard let account = try user(id: redemption.accountID), let actor = try user(id: redemption.userID) else {
            throw StoreError.notFound
        }
        guard account.status == .enabled, actor.status == .enabled else { throw RedemptionRefusal.notForAccount }
        guard batch.groups.isEmpty || batch.groups.contains(account.group) else { throw RedemptionRefusal.notForAccount }
        if actor.role == .admin, let creator = batch.createdBy, try user(id: creator)?.role != .root {
            // Administrators could make money for themselves, or for each other.
            throw RedemptionRefusal.notForAccount
        }
        guard let most = batch.perAccount else { return }
        let own = try first(
            "SELECT count(*) AS n FROM redemption_codes WHERE batch_id = ?2 AND (account_id = ?1 OR redeemed_by = ?3)",
            [redemption.accountID, batch.id, redemption.userID])
        guard try own?.int("n") ?? 0 < most else { throw RedemptionRefusal.notForAccount }
    }

    private func pay(_ redemption: Redemption, _ batch: RedemptionBatch, _ reference: String, _ audit: AuditEntry) throws -> Redeemed {
        let wallet = try wallet(redemption.accountID)
        let posting = LedgerPosting(
            userID: wallet == nil ? redemption.accountID : redemption.userID, amount: batch.amount, kind: .recharge, referenceID: reference,
            description: "redeemed: \(batch.name)", createdAt: redemption.now, accountID: wallet,
            source: batch.kind == .gift ? EntrySource.gift : EntrySource.code)
        let entry = try insertEntry(posting)
        let credit =
            batch.kind == .gift
            ? try insertCredit(posting, source: .code, expiresAt: batch.giftSeconds.map { redemption.now + $0 }) : nil
        if batch.kind == .cash { try promote(redemption.accountID, redemption.levels, now: redemption.now) }
        try insertAudit(
            audit.adding(
                .init("account_id", .integer(redemption.accountID)), .init("amount", .usd(batch.amount)),
                .init("entry_id", .integer(entry.id))
            ))
        try announce(.freed, "\(redemption.accountID) code")
        var batch = batch
        batch.redeemed += 1
        return Redeemed(batch: batch, entry: entry, credit: credit, isNew: true)
    }
}

extension Decoding {
    static func redemptionBatch(_ row: some ColumnReader) throws -> RedemptionBatch {
        guard let kind = RedemptionBatch.Kind(rawValue: try row.text("kind")) else {
            throw StoreError.database("a row of redemption_batches has an unknown kind")
        }
        var batch = RedemptionBatch(
            name: try row.text("name"), amount: NanoUSD(nanos: try row.int("amount_nanos")), codes: try row.int("codes"), kind: kind,
            giftSeconds: try row.intOrNil("gift_seconds"), expiresAt: try row.intOrNil("expires_at"),
            perAccount: try row.intOrNil("per_account"), groups: JSONList.strings(try row.text("groups")),
            createdBy: try row.intOrNil("created_by"), createdAt: try row.int("created_at"))
        batch.id = try row.int("id")
        batch.redeemed = try row.int("redeemed")
        batch.disabledAt = try row.intOrNil("disabled_at")
        return batch
    }

    static func redemptionCode(_ row: some ColumnReader) throws -> RedemptionCode {
        RedemptionCode(
            id: try row.int("id"), batchID: try row.int("batch_id"), prefix: try row.text("prefix"),
            accountID: try row.intOrNil("account_id"), redeemedBy: try row.intOrNil("redeemed_by"),
            redeemedAt: try row.intOrNil("redeemed_at"))
    }
}
