/// The money that one gateway may spend for its users right now, in memory: the leases granted by the ledger, what has been settled but not
/// yet posted, and the holds of running requests. A pure state machine; its owner keeps it behind a lock.
///
/// Invariant for every user: `available = lease − unposted − held`, and a hold is granted only while it fits and leaves `balance − unposted
/// − held` at or above the floor (a charge above its hold can have taken more of the balance than was leased). Each hold ends in exactly
/// one of ``settle(_:charge:)`` or ``void(_:)``; a second end is refused, so a bug in the caller cannot charge twice.
///
/// Budgets of keys and users are checked in the same step as the balance: a hold either counts against all of them or is not granted.
public struct AccountBook: Sendable {
    public struct Account: Sendable, Hashable {
        /// Sum of the ledger rows, as last reported.
        public var balance: NanoUSD
        /// The part of the balance that this gateway may spend.
        public var lease: NanoUSD
        /// Settled here and journaled, but not yet in the ledger.
        public var unposted = NanoUSD.zero
        /// Reserved for running requests.
        public var held = NanoUSD.zero
        public var lastUsed: MonotonicInstant

        public var available: NanoUSD { lease.minus(unposted).minus(held) }
        /// The amount that remains of the whole balance, leased here or not, if every running request costs its full hold.
        public var uncommitted: NanoUSD { balance.minus(unposted).minus(held) }

        /// The amount that remains above the floor that holds must not go below; negative when a charge took the balance lower.
        public func room(above floor: NanoUSD) -> NanoUSD { uncommitted.minus(floor) }

        /// Whether a hold of this size stays within the lease and above the floor.
        public func fits(_ amount: NanoUSD, floor: NanoUSD) -> Bool { amount <= available && amount <= room(above: floor) }
    }

    public enum Refusal: Error, Sendable, Hashable {
        /// The ledger has to be asked for a lease first: nothing is known about the user, or what was known has expired.
        case noLease
        /// The hold does not fit into the lease.
        case insufficient(needed: NanoUSD, available: NanoUSD)
        /// The hold does not fit into a budget.
        case overBudget(BudgetLimit, needed: NanoUSD, available: NanoUSD)
        /// The ledger has to be asked for the spending in these windows.
        case unknownSpending([BudgetCounter])
    }

    private struct Hold: Sendable {
        var userID: Int64
        var amount: NanoUSD
        var counters: [BudgetCounter]
    }

    /// Spending of one counter.
    private struct Spending: Sendable {
        /// In the ledger, as last reported.
        var posted: NanoUSD
        /// Held or settled here, but not yet in the ledger.
        var open = NanoUSD.zero
    }

    private var accounts: [Int64: Account] = [:]
    /// The time after which the ledger may have given the leases to other gateways; nil = never.
    private var validUntil: MonotonicInstant?
    private var holds: [RequestID: Hold] = [:]
    /// Settled but not posted: the charge of each request, so that a repeated posting counts once.
    private var settled: [RequestID: Hold] = [:]
    private var spending: [BudgetCounter: Spending] = [:]

    public init() {}

    public func account(_ userID: Int64) -> Account? { accounts[userID] }
    public var openHolds: Int { holds.count }
    public var unpostedCount: Int { settled.count }

    // MARK: Leases

    /// What the ledger answered to a request for a lease.
    public mutating func leased(_ userID: Int64, _ state: LeaseState, now: MonotonicInstant) {
        var account = accounts[userID] ?? Account(balance: state.balance, lease: state.lease, lastUsed: now)
        account.balance = state.balance
        account.lease = state.lease
        accounts[userID] = account
    }

    /// Sets how long all leases may be spent without another answer from the ledger. - Parameter until: nil = without limit.
    public mutating func trust(until: MonotonicInstant?) { validUntil = until }

    public func isTrusted(at now: MonotonicInstant) -> Bool { validUntil.map { now < $0 } ?? true }

    /// All leases are lost: the ledger has given them to other gateways, or to another life of this gateway. Holds and unposted settlements
    /// remain.
    public mutating func loseLeases() {
        for userID in accounts.keys { accounts[userID]?.lease = .zero }
    }

    /// Users whose lease has been idle since `before`, with the amount that can be given back.
    public func idle(before: MonotonicInstant) -> [(userID: Int64, amount: NanoUSD)] {
        accounts.compactMap { userID, account in
            account.lastUsed < before && account.available.isPositive ? (userID, account.available) : nil
        }
    }

    /// Takes the available amount out of the lease, so that it can be given back to the ledger.
    public mutating func takeBack(_ userID: Int64) -> NanoUSD {
        guard let account = accounts[userID], account.available.isPositive else { return .zero }
        let amount = account.available
        accounts[userID]?.lease = account.lease.minus(amount)
        return amount
    }

    /// Forgets users for whom nothing is leased, held or unposted, and the spending of windows that have ended.
    public mutating func forgetIdle(before: MonotonicInstant, currentWindows: Set<Int64>) {
        accounts = accounts.filter { _, account in
            account.lastUsed >= before || account.lease.isPositive || account.held.isPositive || account.unposted.isPositive
        }
        spending = spending.filter { counter, spending in
            currentWindows.contains(counter.window) || spending.open.isPositive
        }
    }

    public mutating func remove(_ userID: Int64) { accounts[userID] = nil }

    /// The ledger may have taken this amount out of the balance and the lease, but its answer was lost. It counts as gone until the ledger
    /// has been asked again.
    public mutating func doubt(_ userID: Int64, _ amount: NanoUSD) {
        guard let account = accounts[userID] else { return }
        accounts[userID]?.balance = account.balance.minus(amount)
        accounts[userID]?.lease = max(.zero, account.lease.minus(amount))
    }

    // MARK: Budgets

    /// Counters that are known here and have to be refreshed.
    public var knownCounters: [BudgetCounter] { Array(spending.keys) }

    /// Records the spending that the ledger reports; counters that it was asked for and does not name have no spending.
    public mutating func spent(_ amounts: [BudgetCounter: NanoUSD], asked: [BudgetCounter]) {
        for counter in asked {
            spending[counter, default: Spending(posted: .zero)].posted = amounts[counter] ?? .zero
        }
    }

    // MARK: Holds

    /// Reserves `amount`, or throws the reason why not. A request has at most one hold.
    ///
    /// A hold of zero (free models) is granted while the balance less the holds is at or above the floor.
    /// - Parameters:
    ///   - floor: the least that must remain of the balance after all holds; negative = credit, positive = a reserve.
    ///   - limits: all budgets of the key and its user; `at` (Unix seconds) selects their windows.
    public mutating func hold(
        _ requestID: RequestID, userID: Int64, amount: NanoUSD, floor: NanoUSD = .zero, limits: [BudgetLimit] = [],
        at unixSeconds: Int64 = 0, now: MonotonicInstant
    ) throws(Refusal) {
        precondition(!amount.isNegative && holds[requestID] == nil, "one hold per request, never negative")
        try check(limits, amount: amount, at: unixSeconds)
        guard isTrusted(at: now), var account = accounts[userID] else { throw .noLease }
        account.lastUsed = now
        accounts[userID] = account
        guard account.fits(amount, floor: floor), let held = try? account.held.adding(amount) else {
            throw .insufficient(needed: amount, available: min(account.available, account.room(above: floor)))
        }
        accounts[userID]?.held = held
        let counters = limits.map { $0.counter(at: unixSeconds) }
        for counter in counters { spending[counter]?.open.add(amount) }
        holds[requestID] = Hold(userID: userID, amount: amount, counters: counters)
    }

    private func check(_ limits: [BudgetLimit], amount: NanoUSD, at unixSeconds: Int64) throws(Refusal) {
        let unknown = limits.map { $0.counter(at: unixSeconds) }.filter { spending[$0] == nil }
        guard unknown.isEmpty else { throw .unknownSpending(unknown) }
        for limit in limits {
            guard let spent = spending[limit.counter(at: unixSeconds)] else { continue }
            let left = limit.amount.minus(spent.posted).minus(spent.open)
            guard amount <= left else {
                throw .overBudget(limit, needed: amount, available: max(left, .zero))
            }
        }
    }

    /// Ends a hold with a charge, which may exceed the hold, because the answer has been delivered.
    /// - Returns: false when the request has no hold, that is, when it has already ended. Nothing changes then.
    public mutating func settle(_ requestID: RequestID, charge: NanoUSD) -> Bool {
        guard let hold = holds.removeValue(forKey: requestID) else { return false }
        release(hold)
        accounts[hold.userID]?.unposted.add(charge)
        for counter in hold.counters { spending[counter]?.open.add(charge) }
        settled[requestID] = Hold(userID: hold.userID, amount: charge, counters: hold.counters)
        return true
    }

    /// Ends a hold without a charge.
    /// - Returns: false when the request has no hold.
    public mutating func void(_ requestID: RequestID) -> Bool {
        guard let hold = holds.removeValue(forKey: requestID) else { return false }
        release(hold)
        return true
    }

    private mutating func release(_ hold: Hold) {
        accounts[hold.userID]?.held.take(hold.amount)
        for counter in hold.counters { spending[counter]?.open.take(hold.amount) }
    }

    /// The ledger has stored these requests. Repeating the call does no harm.
    /// - Parameters:
    ///   - setAside: those that the ledger refused and set aside: nothing was charged for them.
    ///   - states: the users' balances and leases after the posting.
    public mutating func posted(_ requests: [RequestID], setAside: Set<RequestID>, states: [Int64: LeaseState]) {
        for id in requests {
            guard let charge = settled.removeValue(forKey: id) else { continue }
            accounts[charge.userID]?.unposted.take(charge.amount)
            for counter in charge.counters {
                spending[counter]?.open.take(charge.amount)
                if !setAside.contains(id) { spending[counter]?.posted.add(charge.amount) }
            }
        }
        for (userID, state) in states {
            accounts[userID]?.balance = state.balance
            accounts[userID]?.lease = state.lease
        }
    }
}

extension NanoUSD {
    /// A difference that cannot leave the range of the type; an overflow means "nothing left".
    fileprivate func minus(_ other: NanoUSD) -> NanoUSD { (try? subtracting(other)) ?? NanoUSD(nanos: .min) }
    fileprivate mutating func add(_ other: NanoUSD) { self = (try? adding(other)) ?? .max }
    fileprivate mutating func take(_ other: NanoUSD) { self = (try? subtracting(other)) ?? .zero }
}
