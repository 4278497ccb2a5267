import Platform
package import Storage

/// Gifts and codes: money that comes and goes beside requests and administrators' postings.
extension Meter {
    /// The meter's store, as the parts that move gifts see it.
    package typealias GiftStore = CreditStore & RedemptionStore

    /// Gives an account a gift; it can be spent when this returns. - Throws: ``StoreError``.
    package func grant(_ grant: CreditGrant, audit: AuditEntry, in store: any GiftStore) async throws -> GrantedCredit {
        let granted = try await gate.run { try await store.grantCredit(grant, audit: audit) }
        wake(grant.accountID)
        await noteCredit(granted.entry, isNew: granted.isNew)
        return granted
    }

    /// Redeems a code; the money can be spent when this returns. - Throws: ``RedemptionRefusal``, ``StoreError``.
    package func redeem(_ redemption: Redemption, audit: AuditEntry, in store: any GiftStore) async throws -> Redeemed {
        let redeemed = try await gate.run { try await store.redeem(redemption, audit: audit) }
        wake(redemption.accountID)
        await noteCredit(redeemed.entry, isNew: redeemed.isNew)
        return redeemed
    }

    /// Takes back what a gift has left, if its end has come. - Returns: nil when there was nothing to do. - Throws: ``StoreError``.
    package func expire(_ credit: Credit, in store: any GiftStore) async throws -> LedgerEntry? {
        // Requests that have ended here may still use it.
        await waitPosted(credit.accountID)
        return try await gate.run {
            // As with a withdrawal: the amount must no longer be spent from a lease.
            try await giveBack(credit.accountID)
            return try await store.expireCredit(credit.id, now: clock.unixSeconds)
        }
    }

    /// Records a new credit in the journal, where it is found if the ledger has to be restored. Best effort, because the ledger has it.
    private func noteCredit(_ entry: LedgerEntry, isNew: Bool) async {
        if isNew { try? await journal.note(entry) }
    }
}
