package import Platform
package import RouterCore
import Synchronization

/// Requests and tokens per minute and concurrency of keys and users: the ``LimitBook`` behind a lock, with the clock that it needs. In
/// memory: no request waits for anything here.
package final class RequestLimits: Sendable {
    private let book = Mutex(LimitBook())
    private let clock: ServerClock
    /// How this start of the gateway is called among those that share the limits.
    let gateway: String
    /// A limit is used that this gateway has asked no share of.
    private let isShareWanted = Atomic<Bool>(false)

    /// - Parameter gateway: random; another one at each start.
    package init(clock: ServerClock, gateway: String) {
        self.clock = clock
        self.gateway = gateway
    }

    /// - Parameters: as ``LimitBook/admit(_:tokens:expected:now:)``.
    package func admit(
        _ rules: [LimitRule], tokens: Int64, expected: Int64
    ) throws(LimitBook.Refusal) -> LimitPass {
        let now = clock.monotonic
        switch book.withLock({ $0.admit(rules, tokens: tokens, expected: expected, now: now) }) {
        case .success(let (ticket, standing, isNew)):
            if isNew { isShareWanted.store(true, ordering: .relaxed) }
            return LimitPass(self, ticket, standing)
        case .failure(let refusal):
            throw refusal
        }
    }

    fileprivate func end(_ ticket: LimitBook.Ticket, used: Int64) {
        let now = clock.monotonic
        book.withLock { $0.end(ticket, used: used, now: now) }
    }

    // MARK: Shares

    /// Whether a share is wanted at once; no more afterwards.
    func takeWish() -> Bool { isShareWanted.exchange(false, ordering: .relaxed) }

    func report(atMost maximum: Int, elapsed: Duration) -> [LimitReport] {
        let now = clock.monotonic
        return book.withLock { $0.report(atMost: maximum, elapsed: elapsed, now: now) }
    }

    func apply(_ grants: [BudgetScope: LimitGrant], gateways: [String]) {
        let now = clock.monotonic
        book.withLock { $0.apply(grants, gateways: gateways, own: gateway, now: now) }
    }

    func loseShares() {
        let now = clock.monotonic
        book.withLock { $0.loseShares(now: now) }
    }

    func forgetIdle() {
        let now = clock.monotonic
        book.withLock { $0.forgetIdle(now: now) }
    }
}

/// A request that its limits have let in. It counts until it is ended, once; if nobody does so, when the last one who knows it is gone, as
/// one that has used no tokens.
package final class LimitPass: Sendable {
    /// What was left when the request was let in.
    package let standing: LimitBook.Standing
    private let limits: RequestLimits
    private let ticket: Mutex<LimitBook.Ticket?>

    fileprivate init(_ limits: RequestLimits, _ ticket: LimitBook.Ticket, _ standing: LimitBook.Standing) {
        self.limits = limits
        self.standing = standing
        self.ticket = Mutex(ticket)
    }

    deinit { end(used: 0) }

    /// - Parameter used: tokens of the request, as it is settled.
    package func end(used: Int64) {
        let open = ticket.withLock { ticket -> LimitBook.Ticket? in
            defer { ticket = nil }
            return ticket
        }
        if let open { limits.end(open, used: used) }
    }
}
