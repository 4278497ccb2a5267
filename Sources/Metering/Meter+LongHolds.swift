import Platform
package import RouterCore
import Storage
import Synchronization

/// Holds that last for days (docs/decisions/0014-long-lived-holds.md). They are in the ledger, not in the journal: a restart finds
/// nothing to settle, and their owner ends them when the vendor is done.
extension Meter {
    /// Takes a hold's amount out of the balance, within the lease and the budgets. When this returns, the vendor may be called.
    ///
    /// A caller that gets an error must not call the vendor. The hold may be in the ledger all the same, when only the answer was lost: its
    /// owner finds it there without an object and voids it.
    /// - Parameters: as ``hold(_:floor:limits:wait:)``.
    ///   - firstLook: how long after the hold is made its owner may look at it; nil = at its own `nextAt`. A hold is known to its owner
    ///     from the moment on in which it is in the ledger, which can be long after the request has come.
    /// - Returns: the hold as it is in the ledger.
    /// - Throws: as ``hold(_:floor:limits:wait:)``; ``StoreError/duplicate(_:)`` when the request or the object has a hold.
    @discardableResult
    package func holdLong(
        _ hold: LongHold, floor: NanoUSD = .zero, limits: [BudgetLimit] = [], wait: Duration = .zero, firstLook: Duration? = nil
    ) async throws -> LongHold {
        var hold = hold
        if let firstLook { hold.nextAt = clock.unixSeconds + firstLook.components.seconds }
        if isOff { return hold }
        let reservation = HoldRecord(
            requestID: hold.requestID, userID: hold.userID, tokenID: hold.tokenID, amount: hold.amount, model: hold.model,
            endpoint: hold.endpoint, isStream: false, promptTokens: 0, promptCharge: .zero, pricingVersion: hold.pricingVersion,
            clientIP: hold.clientIP, createdAt: hold.createdAt, accountID: hold.accountID)
        try await reserve(reservation, floor, limits, until: clock.monotonic.advanced(by: wait))
        return try await gate.run {
            let holder = holder
            if let firstLook { hold.nextAt = clock.unixSeconds + firstLook.components.seconds }
            do {
                let state = try await store.openLongHold(hold, holder: holder, now: clock.unixSeconds)
                book.withLock { book in
                    // As a charge that has been posted: it is out of the balance, out of the lease, and in the budgets.
                    _ = book.settle(hold.requestID, charge: hold.amount)
                    book.posted([hold.requestID], setAside: [], states: [hold.payer: state])
                }
                return hold
            } catch {
                book.withLock { book in
                    _ = book.void(hold.requestID)
                    book.doubt(hold.payer, hold.amount)
                }
                if case StoreError.fenced = error, holder == self.holder { lostPlace(Self.placeTaken) }
                throw error
            }
        }
    }

    /// Notes the vendor's id of the object that a hold is for.
    /// - Parameter nextAt: Unix seconds, when its owner asks for it.
    /// - Returns: false when the hold has been ended as one without an object, so that nobody would pay for it.
    /// - Throws: ``StoreError``.
    package func bindLong(_ id: RequestID, objectID: String, nextAt: Int64) async throws -> Bool {
        if isOff { return true }
        return try await store.bindLongHold(id, objectID: objectID, nextAt: nextAt)
    }

    /// Open long-lived holds of one kind. - Throws: ``StoreError``.
    package func countLong(
        _ kind: LongHold.Kind, userID: Int64, accountID: Int64? = nil, tokenID: Int64? = nil
    ) async throws -> LongHoldCount {
        if isOff { return LongHoldCount() }
        return try await store.countLongHolds(kind, userID: userID, accountID: accountID, tokenID: tokenID)
    }

    /// Forgets the passes of holds that another gateway has ended, or whose end was not confirmed to this one.
    /// - Throws: ``StoreError``.
    package func endPassesOfEnded(_ kind: LongHold.Kind) async throws {
        let held = passes.held
        guard !held.isEmpty else { return }
        let open = try await store.openLongHolds(kind)
        for id in held where !open.contains(id) { passes.end(id) }
    }

    /// Ends a long-lived hold: with a charge when the record has one, otherwise as void. The ledger has it when this returns.
    /// - Parameter record: with the id, the user and the time of the hold.
    /// - Returns: false when the hold has ended before; nothing changes then.
    /// - Throws: ``StoreError``; calling again is safe.
    package func endLong(_ record: RequestRecord) async throws -> Bool {
        if isOff { return false }
        let hasEnded = try await gate.run {
            guard let hold = try await store.longHold(record.requestID), hold.state == .open else { return false }
            // As with a withdrawal: money of a charge beyond the hold must no longer be spent from a lease.
            if let charge = record.charge, charge > hold.amount { try await giveBack(record.payer) }
            guard try await store.endLongHold(record, now: clock.unixSeconds) else { return false }
            await forgetSpending(of: hold)
            return true
        }
        guard hasEnded else { return false }
        passes.end(record.requestID, used: record.usage.promptTokens + record.usage.completionTokens)
        wake(record.payer)
        // For a ledger that is restored from a backup; posting it again changes nothing. Best effort, because the ledger has it.
        if (try? await journal.settle(record)) != nil {
            postingQueue.add(record)
            postSignal.raise()
        }
        return true
    }

    /// Reads budgets that a hold counted towards again. Where that fails they stay too high until they are read the next time.
    private func forgetSpending(of hold: LongHold) async {
        let its = Set(BudgetCounter.all(hold, tokenID: hold.tokenID, at: hold.createdAt))
        let counters = book.withLock { $0.knownCounters }.filter(its.contains)
        guard !counters.isEmpty, let spent = try? await store.spending(counters) else { return }
        book.withLock { $0.spent(spent, asked: counters) }
    }
}
