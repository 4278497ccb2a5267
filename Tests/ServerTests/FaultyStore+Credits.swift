import RouterCore
import Storage

extension FaultyStore {
    func grantCredit(_ grant: CreditGrant, audit: AuditEntry) async throws -> GrantedCredit {
        try await faults.guarding { try await store.grantCredit(grant, audit: audit) }
    }
    func credits(_ query: CreditQuery, before: Int64, size: Int) async throws -> CursorPage<Credit> {
        try await faults.guarding { try await store.credits(query, before: before, size: size) }
    }
    func giftsLeft(accountID: Int64) async throws -> NanoUSD {
        try await faults.guarding { try await store.giftsLeft(accountID: accountID) }
    }
    func dueCredits(now: Int64, limit: Int) async throws -> [Credit] {
        try await faults.guarding { try await store.dueCredits(now: now, limit: limit) }
    }
    func expireCredit(_ id: Int64, now: Int64) async throws -> LedgerEntry? {
        try await faults.guarding { try await store.expireCredit(id, now: now) }
    }
    func createRedemptionBatch(
        _ batch: RedemptionBatch, codes: [RedemptionSecret], audit: AuditEntry
    ) async throws -> RedemptionBatch {
        try await faults.guarding { try await store.createRedemptionBatch(batch, codes: codes, audit: audit) }
    }
    func redemptionBatch(id: Int64) async throws -> RedemptionBatch? {
        try await faults.guarding { try await store.redemptionBatch(id: id) }
    }
    func redemptionBatches(before: Int64, size: Int) async throws -> CursorPage<RedemptionBatch> {
        try await faults.guarding { try await store.redemptionBatches(before: before, size: size) }
    }
    func redemptionCodes(_ query: RedemptionQuery, before: Int64, size: Int) async throws -> CursorPage<RedemptionCode> {
        try await faults.guarding { try await store.redemptionCodes(query, before: before, size: size) }
    }
    func disableRedemptionBatch(id: Int64, now: Int64, audit: AuditEntry) async throws -> RedemptionBatch {
        try await faults.guarding { try await store.disableRedemptionBatch(id: id, now: now, audit: audit) }
    }
    func redeem(_ redemption: Redemption, audit: AuditEntry) async throws -> Redeemed {
        try await faults.guarding { try await store.redeem(redemption, audit: audit) }
    }
    func recharged(accountID: Int64) async throws -> NanoUSD {
        try await faults.guarding { try await store.recharged(accountID: accountID) }
    }
    func accountsRecharged(atLeast amount: NanoUSD, after: Int64, limit: Int) async throws -> [Int64] {
        try await faults.guarding { try await store.accountsRecharged(atLeast: amount, after: after, limit: limit) }
    }
    func promote(accountID: Int64, levels: [AccountLevel], now: Int64) async throws -> User? {
        try await faults.guarding { try await store.promote(accountID: accountID, levels: levels, now: now) }
    }
}
