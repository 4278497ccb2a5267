import Logging
package import Platform
package import RouterCore
package import Storage
import Synchronization

/// The one component that moves money while requests run: admits, settles, voids, posts. A user id here is that of the account that pays
/// (``Paid/payer``): a user's, or an organisation's.
///
/// Works in memory (``AccountBook``), so that admission needs no database while the lease lasts; every hold and every end is journaled
/// before it takes effect. Ledger operations that change a lease go through one gate, one after the other, so that the book's view of a
/// lease is always the ledger's latest.
package final class Meter: Sendable {
    let book = Mutex(AccountBook())
    let journal: any Journal
    let store: any Ledger & LeaseStore & ReconciliationStore & LongHoldStore
    let postSignal: PostSignal
    let clock: ServerClock
    /// Work inside the gate uses the connections that the store reserves for money; otherwise slow queries of other parts would delay
    /// everyone's leases.
    let gate = AsyncGate()
    private let waiting = BalanceWaiters()
    /// Calls that go on at a vendor, until their long-lived holds end.
    package let passes = LongPasses()
    /// Settlements of this life that are journaled and not posted, so that the poster need not read them back.
    let postingQueue = PostingQueue()
    private let unjournaled: AsyncStream<RequestRecord>.Continuation
    /// Settlements that the journal did not accept (a full disk), to be retried by the ``Settler``.
    let retries: AsyncStream<RequestRecord>
    /// The present life of the gateway, and whether it takes calls.
    package let membership: Membership
    package var holder: LeaseHolder { membership.holder }
    /// No metering at all (`metering.admission: off`).
    package let isOff: Bool

    /// Users for whom the ledger had no more money, and until when it is not asked again: a key without money that is used in a loop must
    /// not keep the ledger busy.
    private let exhausted = Mutex<[Int64: MonotonicInstant]>([:])
    private static let exhaustion = Duration.milliseconds(250)

    /// How often a request that waits for money checks again without a wake-up.
    private static let recheck = Duration.milliseconds(100)

    package init(
        journal: any Journal, store: any Ledger & LeaseStore & ReconciliationStore & LongHoldStore, postSignal: PostSignal,
        clock: ServerClock = .system, leaseLifetime: Int64 = 120, isOff: Bool = false
    ) {
        self.isOff = isOff
        self.journal = journal
        self.store = store
        self.postSignal = postSignal
        self.clock = clock
        membership = Membership(
            LeaseHolder(
                gatewayID: journal.identity.gatewayID, incarnation: journal.lives.incarnation, isExclusive: !store.isShared,
                lifetime: leaseLifetime))
        // Deliberately unbounded: each entry is a request that was admitted, and admission bounds their number.
        (retries, unjournaled) = AsyncStream.makeStream(bufferingPolicy: .unbounded)
    }

    // MARK: Accounts

    package func account(_ userID: Int64) -> AccountBook.Account? { book.withLock { $0.account(userID) } }
    package var openHolds: Int { book.withLock { $0.openHolds } }
    package var unpostedCount: Int { book.withLock { $0.unpostedCount } }
    package var journalBytes: Int64 { journal.size }

    package func remove(_ userID: Int64) { book.withLock { $0.remove(userID) } }

    /// A user's balance: what has been settled here counts as spent, whether or not its row has been written.
    /// - Returns: nil for an unknown user.
    /// - Throws: ``StoreError``, ``MoneyError``.
    package func standing(_ userID: Int64) async throws -> (balance: NanoUSD, held: NanoUSD, available: NanoUSD)? {
        // Inside the gate, so that no posting happens between the two reads.
        try await gate.run {
            guard let state = try await store.leaseState(userID: userID, holder: holder) else { return nil }
            let account = account(userID)
            let balance = try state.balance.subtracting(account?.unposted ?? .zero)
            let held = account?.held ?? .zero
            return (balance, held, try balance.subtracting(held))
        }
    }

    /// Posts a recharge or adjustment with its row of `audit_log`; the money is available when this returns.
    /// - Throws: ``StoreError``.
    package func credit(_ posting: LedgerPosting, audit: AuditEntry) async throws -> (entry: LedgerEntry, isNew: Bool) {
        try await crediting(posting.payer, takesBack: posting.amount.isNegative) { try await self.store.post(posting, audit: audit) }
    }

    /// - Throws: ``StoreError``.
    package func refund(_ refund: Refund, audit: AuditEntry) async throws -> (entry: LedgerEntry, isNew: Bool) {
        let result = try await gate.run { try await store.refund(refund, audit: audit) }
        wake(result.entry.payer)
        await note(result)
        return result
    }

    /// Corrects a charge afterwards, in either direction. - Throws: ``StoreError``.
    package func reconcile(_ row: ReconciliationRow, usage: Usage, bill: Bill, cost: VendorCost?) async throws {
        let now = clock.unixSeconds
        try await gate.run {
            // As with a withdrawal: the money of a higher charge must no longer be spent from a lease.
            if bill.charge > row.charge { try await giveBack(row.payer) }
            try await store.reconcile(row.requestID, usage: usage, bill: bill, cost: cost, now: now)
        }
        wake(row.payer)
    }

    private func crediting(
        _ userID: Int64, takesBack: Bool, _ body: () async throws -> (entry: LedgerEntry, isNew: Bool)
    ) async throws -> (entry: LedgerEntry, isNew: Bool) {
        let result = try await gate.run {
            // A withdrawn amount must no longer be spent from a lease.
            if takesBack { try await giveBack(userID) }
            return try await body()
        }
        wake(userID)
        await note(result)
        return result
    }

    /// Records a new credit in the journal, where it is found if the ledger has to be restored. Best effort: the credit is in the ledger,
    /// and the caller must not be told otherwise.
    private func note(_ result: (entry: LedgerEntry, isNew: Bool)) async {
        if result.isNew { try? await journal.note(result.entry) }
    }

    // MARK: Holds

    /// Reserves the hold's amount within the lease and the budgets, and journals it. When this returns, the upstream call may begin.
    /// - Parameters:
    ///   - floor: the least that must remain of the balance after all holds.
    ///   - wait: how long to wait for money that exists but is leased to another gateway, or held by requests that are about to end.
    /// - Throws: ``AccountBook/Refusal`` when it does not fit, ``MeterError/unknownUser``, ``StoreError`` when the ledger or the journal
    ///   fails (nothing is reserved then).
    package func hold(
        _ record: HoldRecord, floor: NanoUSD = .zero, limits: [BudgetLimit] = [], wait: Duration = .zero
    ) async throws {
        if isOff { return }
        try await reserve(record, floor, limits, until: clock.monotonic.advanced(by: wait))
        do {
            try await journal.hold(record)
        } catch {
            _ = book.withLock { $0.void(record.requestID) }
            throw error
        }
    }

    private func tryHold(_ record: HoldRecord, _ floor: NanoUSD, _ limits: [BudgetLimit]) -> AccountBook.Refusal? {
        let now = clock.monotonic
        return book.withLock { book in
            do throws(AccountBook.Refusal) {
                try book.hold(
                    record.requestID, userID: record.payer, amount: record.amount, floor: floor, limits: limits,
                    at: record.createdAt, now: now)
                return nil
            } catch {
                return error
            }
        }
    }

    func reserve(
        _ record: HoldRecord, _ floor: NanoUSD, _ limits: [BudgetLimit], until deadline: MonotonicInstant
    ) async throws {
        var failedLeases = 0
        while let refusal = tryHold(record, floor, limits) {
            switch refusal {
            case .overBudget: throw refusal
            case .unknownSpending(let counters): try await learnSpending(counters)
            case .noLease, .insufficient:
                try await lease(record.payer, needed: record.amount, floor)
                guard let again = tryHold(record, floor, limits) else { return }
                // A gateway without a place at the ledger trusts no lease; asking again and again would not change that.
                if case .noLease = again { failedLeases += 1 }
                if failedLeases == Self.triesOfLease { throw again }
                guard case .insufficient(let needed, _) = again else { continue }
                let account = account(record.payer)
                let room = account?.room(above: floor) ?? .zero
                // Money held by running requests may be released, and so may money of other gateways; money that does not exist never will
                // be.
                guard let all = try? room.adding(account?.held ?? .zero), needed <= all, clock.monotonic < deadline else {
                    throw AccountBook.Refusal.insufficient(needed: needed, available: max(room, .zero))
                }
                await waiting.wait(record.payer, atMost: Self.recheck)
            }
        }
    }

    /// How often an unusable lease is requested again.
    private static let triesOfLease = 3

    /// Asks the ledger for the missing amount, unless it has just reported that there is no more.
    /// - Throws: ``StoreError/fenced`` when this gateway takes no calls.
    private func lease(_ userID: Int64, needed: NanoUSD, _ floor: NanoUSD) async throws {
        if isExhausted(userID), knows(userID) { return }
        try await gate.run {
            if membership.isFenced { throw StoreError.fenced }
            // An earlier caller in the gate may have leased enough for both.
            let known = knows(userID) ? account(userID) : nil
            if let known, known.fits(needed, floor: floor) { return }
            let available = known?.available ?? .zero
            let holder = holder
            let asked = clock.monotonic
            let missing = (try? needed.subtracting(available)) ?? needed
            let state: LeaseState?
            do {
                state = try await store.acquireLease(
                    userID: userID, needed: missing, floor: floor, holder: holder, now: clock.unixSeconds)
            } catch StoreError.fenced {
                if holder == self.holder { lostPlace(Self.placeTaken) }
                throw StoreError.fenced
            }
            guard let state else { throw MeterError.unknownUser }
            membership.heard(asked: asked, as: holder)
            book.withLock { $0.leased(userID, state, now: asked) }
            extendTrust()
            let above = (try? state.balance.subtracting(floor)) ?? .zero
            let isFree = above > ((try? state.lease.adding(state.leasedElsewhere)) ?? .zero)
            let isEnough = isFree || account(userID).map { $0.fits(needed, floor: floor) } ?? false
            exhausted.withLock { $0[userID] = isEnough ? nil : clock.monotonic.advanced(by: Self.exhaustion) }
        }
    }

    private func isExhausted(_ userID: Int64) -> Bool {
        exhausted.withLock { exhausted in
            guard let until = exhausted[userID] else { return false }
            return clock.monotonic < until
        }
    }

    /// Whether the user's lease is known and may be spent now.
    private func knows(_ userID: Int64) -> Bool {
        book.withLock { $0.account(userID) != nil && $0.isTrusted(at: clock.monotonic) }
    }

    private func learnSpending(_ counters: [BudgetCounter]) async throws {
        try await gate.run {
            let spent = try await store.spending(counters)
            book.withLock { $0.spent(spent, asked: counters) }
        }
    }

    /// Ends the request's hold: with a charge when the record has one, otherwise as void. Journaled when this returns.
    ///
    /// The book is changed before the journal is written, so that a failing journal cannot leave money reserved. The error is still thrown,
    /// because the caller must not report success to the client, and the record is retried until the journal accepts it.
    package func end(_ record: RequestRecord) async throws {
        if isOff { return }
        let ended = book.withLock { book in
            if let charge = record.charge { return book.settle(record.requestID, charge: charge) }
            return book.void(record.requestID)
        }
        guard ended else { return }
        waiting.wake(record.payer)
        do {
            try await journal.settle(record)
        } catch {
            unjournaled.yield(record)
            throw error
        }
        postingQueue.add(record)
        postSignal.raise()
    }

    /// Retries a record whose journaling failed. - Throws: ``StoreError`` when it fails again.
    func journalAgain(_ record: RequestRecord) async throws {
        try await journal.settle(record)
        postingQueue.add(record)
        postSignal.raise()
    }

    func finishRetries() { unjournaled.finish() }

    /// Records the progress of a request, in case the process dies.
    package func progress(_ record: ProgressRecord) { if !isOff { journal.progress(record) } }

    // MARK: The ledger's side

    /// Posts a group of journaled requests and takes the charges out of the leases. - Throws: ``StoreError``.
    func post(_ records: [RequestRecord]) async throws -> PostingResult {
        try await gate.run {
            let result = try await store.post(records, holder: holder)
            book.withLock { book in
                book.posted(records.map(\.requestID), setAside: Set(result.setAside.keys), states: result.states)
            }
            return result
        }
    }

    /// Waits until the ledger has the settlements of a user that were made here, so that a client that has just received an answer finds
    /// its row. Gives up soon, because the ledger's database may be unreachable.
    package func waitPosted(_ userID: Int64, atMost limit: Duration = .milliseconds(500)) async {
        let deadline = clock.monotonic.advanced(by: limit)
        while account(userID)?.unposted.isPositive == true, clock.monotonic < deadline {
            try? await Task.sleep(for: .milliseconds(5))
        }
    }

    /// Returns the available part of a user's lease to the ledger.
    package func recall(_ userID: Int64) async throws { try await gate.run { try await giveBack(userID) } }

    func giveBack(_ userID: Int64) async throws {
        let amount = book.withLock { $0.takeBack(userID) }
        guard amount.isPositive else { return }
        try await store.returnLease(userID: userID, amount: amount, holder: holder, now: clock.unixSeconds)
    }

    /// Returns leases that have not been used for a while. - Parameter idle: `.zero` = all of them.
    func giveBackIdle(_ idle: Duration) async throws {
        let before = clock.monotonic.advanced(by: .zero - idle)
        for (userID, _) in book.withLock({ $0.idle(before: before) }) { try await recall(userID) }
        forgetIdle(idle)
    }

    /// Drops entries that are no longer useful: users without a lease, spending of past windows.
    func forgetIdle(_ idle: Duration) {
        let before = clock.monotonic.advanced(by: .zero - idle)
        let now = clock.unixSeconds
        let windows = Set(BudgetWindow.allCases.map { $0.number(at: now) })
        book.withLock { $0.forgetIdle(before: before, currentWindows: windows) }
        let current = clock.monotonic
        exhausted.withLock { exhausted in exhausted = exhausted.filter { $0.value > current } }
    }

    /// Reads what other gateways have charged to budgets that are in use here.
    func refreshSpending() async throws {
        let counters = book.withLock { $0.knownCounters }
        if !counters.isEmpty { try await learnSpending(counters) }
    }

    /// Wakes requests that wait for a user's money.
    package func wake(_ userID: Int64) {
        _ = exhausted.withLock { $0.removeValue(forKey: userID) }
        waiting.wake(userID)
    }
}

/// The reason why no hold is possible.
package enum MeterError: Error, Sendable {
    case unknownUser
}
