/// What one gateway may spend for its users right now, in memory: the balance it knows, what it has settled but not yet
/// posted to the ledger, and what its running requests hold. A pure state machine; the Server keeps it behind a lock.
///
/// Invariant for every user: `available = balance − unposted − held`, and a hold is granted only while it fits.
/// Each hold ends in exactly one of ``settle(_:charge:)`` or ``void(_:)``; a second end is refused, so a charge
/// cannot be doubled by a bug in the caller.
public struct AccountBook: Sendable {
    public struct Account: Sendable, Hashable {
        /// Sum of the ledger rows that this gateway knows.
        public var balance: NanoUSD
        /// Settled here, journaled, and not in the ledger yet.
        public var unposted: NanoUSD
        /// Reserved for running requests.
        public var held: NanoUSD

        public var available: NanoUSD {
            // Each term is bounded by the checks on the way in; a sum that leaves the range means "nothing left".
            (try? balance.subtracting(unposted).subtracting(held)) ?? NanoUSD(nanos: .min)
        }
    }

    public enum Refusal: Error, Sendable, Hashable {
        case unknownUser
        /// The hold does not fit.
        case insufficient(needed: NanoUSD, available: NanoUSD)
    }

    public struct Hold: Sendable, Hashable {
        public var requestID: RequestID
        public var userID: Int64
        public var amount: NanoUSD
    }

    private var accounts: [Int64: Account] = [:]
    private var holds: [RequestID: Hold] = [:]

    public init() {}

    public func account(_ userID: Int64) -> Account? { accounts[userID] }
    public var openHolds: Int { holds.count }

    /// Makes a user known or sets what the ledger says of them; holds and unposted charges stay.
    public mutating func setBalance(_ userID: Int64, _ balance: NanoUSD) {
        accounts[userID, default: Account(balance: balance, unposted: .zero, held: .zero)].balance = balance
    }

    /// Adds a ledger row that did not come from a settlement (recharge, refund, adjustment).
    public mutating func credit(_ userID: Int64, _ amount: NanoUSD) throws(MoneyError) {
        guard let account = accounts[userID] else { return }
        accounts[userID]?.balance = try account.balance.adding(amount)
    }

    public mutating func remove(_ userID: Int64) { accounts[userID] = nil }

    /// Reserves `amount`, or says why not. A request holds at most once.
    ///
    /// A hold of zero (free models) is granted to a balance of zero or more, never to an overdrawn one.
    public mutating func hold(
        _ requestID: RequestID, userID: Int64, amount: NanoUSD
    ) throws(Refusal) -> Hold {
        guard let account = accounts[userID] else { throw .unknownUser }
        let available = account.available
        precondition(!amount.isNegative && holds[requestID] == nil, "one hold per request, never negative")
        guard amount <= available, let held = try? account.held.adding(amount) else {
            throw .insufficient(needed: amount, available: available)
        }
        accounts[userID]?.held = held
        let hold = Hold(requestID: requestID, userID: userID, amount: amount)
        holds[requestID] = hold
        return hold
    }

    /// Ends a hold with a charge (which may be more than the hold: the answer has been delivered).
    /// - Returns: false when the request holds nothing, that is, when it was ended before. Nothing changes then.
    public mutating func settle(_ requestID: RequestID, charge: NanoUSD) -> Bool {
        guard let hold = holds.removeValue(forKey: requestID) else { return false }
        release(hold)
        if let account = accounts[hold.userID] {
            accounts[hold.userID]?.unposted = (try? account.unposted.adding(charge)) ?? .max
        }
        return true
    }

    /// Ends a hold without a charge.
    /// - Returns: false when the request holds nothing.
    public mutating func void(_ requestID: RequestID) -> Bool {
        guard let hold = holds.removeValue(forKey: requestID) else { return false }
        release(hold)
        return true
    }

    /// A settled charge that is found in the journal at start-up counts as unposted until the poster has written it.
    public mutating func addUnposted(_ userID: Int64, _ charge: NanoUSD) {
        guard let account = accounts[userID] else { return }
        accounts[userID]?.unposted = (try? account.unposted.adding(charge)) ?? .max
    }

    /// The ledger has the charge now: it moves from `unposted` into `balance`, `available` stays the same.
    public mutating func posted(_ userID: Int64, _ charge: NanoUSD) {
        guard let account = accounts[userID] else { return }
        accounts[userID]?.unposted = (try? account.unposted.subtracting(charge)) ?? .zero
        accounts[userID]?.balance = (try? account.balance.subtracting(charge)) ?? NanoUSD(nanos: .min)
    }

    private mutating func release(_ hold: Hold) {
        guard let account = accounts[hold.userID] else { return }
        accounts[hold.userID]?.held = (try? account.held.subtracting(hold.amount)) ?? .zero
    }
}
