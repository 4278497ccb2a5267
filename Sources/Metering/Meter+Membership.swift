import Logging
import Platform
import RouterCore
import Storage
import Synchronization

/// How the gateway gets its place at the ledger, keeps it, and notices that it has lost it
/// (docs/decisions/0007-one-gateway-one-life.md).
extension Meter {
    /// What the journal says who we are.
    var present: LeaseHolder {
        LeaseHolder(
            gatewayID: journal.identity.gatewayID, incarnation: journal.lives.incarnation,
            isExclusive: holder.isExclusive,
            lifetime: holder.lifetime)
    }

    /// At the start: claims the gateway's identity and takes over what its earlier lives have left.
    /// - Parameter mayChange: nothing in the journal belongs to another: when the identity is taken, the gateway gets
    ///   one of its own.
    /// - Returns: false when another life has the identity. The gateway is fenced then.
    /// - Throws: ``StoreError``.
    func join(mayChange: Bool, logger: Logger) async throws -> Bool {
        try await gate.run {
            var mayChange = mayChange
            while true {
                let holder = present
                switch try await store.claim(holder, now: clock.unixSeconds) {
                case .granted(let earlier):
                    try await takeOver(earlier, holder, logger)
                    return true
                case .taken(let other):
                    guard mayChange else {
                        lostPlace(Self.taken(other, holder), logger)
                        membership.ledgerAnswers(true)
                        return false
                    }
                    mayChange = false
                    try await journal.beginLife(asNewGateway: true)
                    logger.warning(
                        "another gateway runs with the identity in this data_dir, which looks like a copy; this one has got an identity of its own",
                        metadata: ["old": "\(holder.gatewayID)", "new": "\(journal.identity.gatewayID)"])
                }
            }
        }
    }

    private func takeOver(_ earlier: Int, _ holder: LeaseHolder, _ logger: Logger) async throws {
        let lives = journal.lives
        // A session that broke leaves its lock too. Who only lost that has noticed by then.
        if earlier > 0, !holder.isExclusive, !lives.isSamePlace { try await Task.sleep(for: LeaseTrust.grace) }
        let taken = try await store.takeOver(lives.earlier, by: holder)
        if !taken.isEmpty {
            logger.notice("leases of earlier lives were taken over", metadata: ["lives": "\(taken.count)"])
        }
        if earlier > taken.count {
            logger.notice(
                "leases of an earlier life stand until it has been silent for metering.lease_lifetime: it is not certain that it is gone",
                metadata: ["lives": "\(earlier - taken.count)"])
        }
    }

    /// From here on calls are taken: what the ledger says is leased to this life, it may spend.
    /// - Throws: ``StoreError``; the gateway stays where it is then.
    func takePlace() async throws {
        try await gate.run {
            let holder = present
            let asked = clock.monotonic
            if !holder.isExclusive { _ = try await store.beat(holder, now: clock.unixSeconds) }
            let states = try await store.leases(of: holder)
            book.withLock { book in
                book.loseLeases()
                for (userID, state) in states { book.leased(userID, state, now: asked) }
            }
            membership.joined(holder, proof: asked)
            extendTrust()
        }
    }

    static let placeTaken =
        "this gateway's identity was taken by another one, or its leases were given to others after it had been silent for too long"

    /// A sign of life; also what others' silence is judged by. - Throws: ``StoreError``.
    func beat(logger: Logger) async {
        let holder = holder
        let asked = clock.monotonic
        do {
            let lives = try await store.beat(holder, now: clock.unixSeconds)
            membership.heard(asked: asked, as: holder)
            extendTrust()
            for life in membership.saw(lives, asked: asked, answered: clock.monotonic) {
                guard try await store.reap(life.incarnation, beats: life.beats) else { continue }
                logger.notice(
                    "a gateway was silent for its lease_lifetime; its leases are free again",
                    metadata: ["gateway": "\(life.gatewayID)", "incarnation": "\(life.incarnation)"])
            }
        } catch StoreError.fenced {
            guard holder == self.holder else { return }
            lostPlace(Self.placeTaken, logger)
        } catch {
            ledgerIsAway()
        }
    }

    /// The same where nobody else can be: does the ledger answer?
    func ping() async {
        do {
            try await store.ping()
            membership.ledgerAnswers(true)
        } catch {
            membership.ledgerAnswers(false)
        }
    }

    /// At the end. What is still leased stays for the next start. - Throws: ``StoreError``.
    func leave() async throws { try await gate.run { try await store.leave(holder) } }

    /// The ledger does not answer: what is leased is spent until others may have it.
    func ledgerIsAway() {
        membership.ledgerAnswers(false)
        extendTrust()
    }

    func extendTrust() {
        // Together, so that of two words the one that was heard last is believed.
        book.withLock { $0.trust(until: membership.trust) }
    }

    /// From this moment on no call is taken. What runs goes on, and what has ended is posted: that needs no lease.
    ///
    /// Whoever is told takes no call from then on, on whichever connection it is told: also where no sign of life comes through. What has
    /// no logger leaves it to `GET /health/ready` to say why.
    func lostPlace(_ reason: String, _ logger: Logger? = nil) {
        guard membership.fence(reason) else { return }
        extendTrust()
        logger?.error("fenced: \(reason); no calls are taken", metadata: ["gateway": "\(holder.gatewayID)"])
    }

    /// A running gateway that was fenced begins another life: under its own identity when that is free, else under a
    /// new one. First everything that has ended is posted, as far as possible out of the old leases.
    /// - Returns: false when it is too early.
    /// - Throws: ``StoreError``.
    func beginAnotherLife(logger: Logger) async throws -> Bool {
        guard unpostedCount == 0 else { return false }
        try await gate.run {
            // A try that failed half-way has begun it already.
            if present == holder { try await journal.beginLife(asNewGateway: false) }
            if case .taken = try await store.claim(present, now: clock.unixSeconds) {
                try await journal.beginLife(asNewGateway: true)
                guard case .granted = try await store.claim(present, now: clock.unixSeconds) else {
                    throw StoreError.fenced
                }
            }
            book.withLock { $0.loseLeases() }
        }
        try await takePlace()
        logger.notice("the gateway takes calls again, in another life", metadata: ["gateway": "\(holder.gatewayID)"])
        return true
    }

    private static func taken(_ other: GatewayLife?, _ holder: LeaseHolder) -> String {
        let since = other.map { ", started at \($0.startedAt) (Unix seconds) and last seen \($0.silence) s ago" } ?? ""
        return """
            another gateway runs with this one's identity \(holder.gatewayID)\(since), and the journal here has requests without an end, which may be its; \
            if this data_dir is a copy, give this gateway an empty one; else it goes on when the other is gone
            """
    }
}
