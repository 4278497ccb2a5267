public import RouterCore

/// Gifts: parts of balances that pay first and may have an end.
public protocol CreditStore: Sendable {
    /// Posts the `recharge` and makes the gift, in one transaction. Repeating a reference with the same account, amount and end returns the
    /// first gift, with no second audit row.
    /// - Throws: ``StoreError/conflict(_:)`` when the reference was used for something else, ``StoreError/notFound`` for an unknown
    ///   account.
    func grantCredit(_ grant: CreditGrant, audit: AuditEntry) async throws -> GrantedCredit
    /// Newest first, with ids below `before`.
    func credits(_ query: CreditQuery, before: Int64, size: Int) async throws -> CursorPage<Credit>
    /// The sum that an account's gifts have left in the ledger; zero for an unknown account.
    func giftsLeft(accountID: Int64) async throws -> NanoUSD
    /// Open gifts whose end has come, the earliest first.
    /// - Parameter now: Unix seconds.
    func dueCredits(now: Int64, limit: Int) async throws -> [Credit]
    /// Takes back what a gift has left, in one transaction: the `adjustment`, the gift's state, and the other gateways are asked for what
    /// they have leased and do not use.
    /// - Returns: nil when it is not due, or has ended before; nothing changes then.
    func expireCredit(_ id: Int64, now: Int64) async throws -> LedgerEntry?
}

/// Redemption codes.
public protocol RedemptionStore: Sendable {
    /// Makes a batch with its codes. - Throws: ``StoreError/duplicate(_:)`` (`hash`) for a code that is there already.
    func createRedemptionBatch(_ batch: RedemptionBatch, codes: [RedemptionSecret], audit: AuditEntry) async throws -> RedemptionBatch
    func redemptionBatch(id: Int64) async throws -> RedemptionBatch?
    /// Newest first, with ids below `before`.
    func redemptionBatches(before: Int64, size: Int) async throws -> CursorPage<RedemptionBatch>
    /// Newest first, with ids below `before`.
    func redemptionCodes(_ query: RedemptionQuery, before: Int64, size: Int) async throws -> CursorPage<RedemptionCode>
    /// Has no code of a batch be redeemed any more. Repeating it changes nothing and leaves no record.
    /// - Throws: ``StoreError/notFound``.
    func disableRedemptionBatch(id: Int64, now: Int64, audit: AuditEntry) async throws -> RedemptionBatch
    /// Redeems a code once: the code, the `recharge` and the gift in one transaction. The account that has redeemed it gets the same answer
    /// again.
    /// - Throws: ``RedemptionRefusal``, ``StoreError/notFound`` for an unknown account.
    func redeem(_ redemption: Redemption, audit: AuditEntry) async throws -> Redeemed
}

/// Levels that accounts reach by what they have recharged.
public protocol LevelStore: Sendable {
    /// The sum of what an account has recharged in cash, chargebacks taken off.
    func recharged(accountID: Int64) async throws -> NanoUSD
    /// Accounts that have recharged so much, in the order of their ids.
    /// - Parameter after: only larger ids.
    func accountsRecharged(atLeast amount: NanoUSD, after: Int64, limit: Int) async throws -> [Int64]
    /// Gives an account the group of the level that it has reached, unless an administrator has chosen its group, with a row of
    /// `audit_log`.
    /// - Returns: the account as it is now; nil when nothing has changed.
    func promote(accountID: Int64, levels: [AccountLevel], now: Int64) async throws -> User?
}
