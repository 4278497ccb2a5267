import Logging
public import RouterCore
public import Storage
import Synchronization

/// The one place through which money moves while requests run: admits, settles, voids.
///
/// In memory (``AccountBook``) so that admission needs no database; every hold and every end is journaled before it
/// matters. The ``Poster`` carries what is journaled to the ledger.
public final class Meter: Sendable {
    private let book = Mutex(AccountBook())
    private let journal: any Journal
    private let store: any Store
    private let postSignal: PostSignal

    public init(journal: any Journal, store: any Store, postSignal: PostSignal) {
        self.journal = journal
        self.store = store
        self.postSignal = postSignal
    }

    // MARK: Accounts

    public func account(_ userID: Int64) -> AccountBook.Account? { book.withLock { $0.account(userID) } }
    public var openHolds: Int { book.withLock { $0.openHolds } }

    /// At start-up, and for every new user.
    public func setBalance(_ userID: Int64, _ balance: NanoUSD) { book.withLock { $0.setBalance(userID, balance) } }

    public func remove(_ userID: Int64) { book.withLock { $0.remove(userID) } }

    /// A settlement that the journal has and the ledger may not have yet (start-up).
    public func addUnposted(_ userID: Int64, _ charge: NanoUSD) {
        book.withLock { $0.addUnposted(userID, charge) }
    }

    /// Posts a recharge, refund or adjustment; the money can be spent when this returns.
    /// - Throws: ``StoreError``.
    public func credit(_ posting: LedgerPosting) async throws -> (entry: LedgerEntry, isNew: Bool) {
        let result = try await store.post(posting)
        if result.isNew {
            try book.withLock { book throws(MoneyError) in try book.credit(posting.userID, posting.amount) }
        }
        return result
    }

    /// The ledger has these charges now.
    func posted(_ charges: [Int64: NanoUSD]) {
        book.withLock { book in
            for (userID, charge) in charges { book.posted(userID, charge) }
        }
    }

    // MARK: Holds

    /// Reserves the hold's amount and journals it. When this returns, the upstream may be asked.
    /// - Throws: ``AccountBook/Refusal`` when it does not fit, ``StoreError`` when the journal fails (nothing is reserved then).
    func hold(_ record: HoldRecord) async throws {
        try book.withLock { book throws(AccountBook.Refusal) in
            _ = try book.hold(record.requestID, userID: record.userID, amount: record.amount)
        }
        do {
            try await journal.hold(record)
        } catch {
            _ = book.withLock { $0.void(record.requestID) }
            throw error
        }
    }

    /// Ends the request's hold: with a charge when the record has one, else as void. Journaled when this returns.
    ///
    /// The book is changed before the journal is asked, so that a failing journal cannot leave money reserved; the
    /// error is thrown all the same, because the caller must not tell the client that all is well.
    func end(_ record: RequestRecord) async throws {
        let ended = book.withLock { book in
            if let charge = record.charge { return book.settle(record.requestID, charge: charge) }
            return book.void(record.requestID)
        }
        guard ended else { return }
        try await journal.settle(record)
        postSignal.raise()
    }
}
