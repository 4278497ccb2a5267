package import Platform
package import RouterCore
import Synchronization

/// Requests and tokens per minute and concurrency of keys and users: the ``LimitBook`` behind a lock, with the clock that it needs. In
/// memory: no request waits here.
package final class RequestLimits: Sendable {
    private let book = Mutex(LimitBook())
    private let clock: ServerClock
    /// The name of this start of the gateway among those that share the limits.
    let gateway: String
    /// Whether a limit is in use for which this gateway has not requested a share.
    private let isShareWanted = Atomic<Bool>(false)

    /// - Parameter gateway: random, different at each start.
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

    /// Whether a share should be requested at once; the flag is cleared.
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

/// A request that was admitted by its limits. It counts until it is ended, once; if it is never ended explicitly, it ends with its last
/// reference, as one that has used no tokens.
package final class LimitPass: Sendable {
    /// The remaining limits when the request was admitted.
    package let standing: LimitBook.Standing
    private let limits: RequestLimits
    private let ticket: Mutex<LimitBook.Ticket?>

    fileprivate init(_ limits: RequestLimits, _ ticket: LimitBook.Ticket, _ standing: LimitBook.Standing) {
        self.limits = limits
        self.standing = standing
        self.ticket = Mutex(ticket)
    }

    deinit { end(used: 0) }

    /// - Parameter used: tokens of the request, as settled.
    package func end(used: Int64) {
        let open = ticket.withLock { ticket -> LimitBook.Ticket? in
            defer { ticket = nil }
            return ticket
        }
        if let open { limits.end(open, used: used) }
    }
}
