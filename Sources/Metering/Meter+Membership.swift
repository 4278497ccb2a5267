import Logging
import Platform
import RouterCore
import Storage
import Synchronization

/// How the gateway obtains its place at the ledger, keeps it, and detects its loss (docs/decisions/0007-one-gateway-one-life.md).
extension Meter {
    /// The identity of the present life, according to the journal.
    var present: LeaseHolder {
        LeaseHolder(
            gatewayID: journal.identity.gatewayID, incarnation: journal.lives.incarnation,
            isExclusive: holder.isExclusive,
            lifetime: holder.lifetime)
    }

    /// At start-up: claims the gateway's identity and takes over what its earlier lives have left.
    /// - Parameter mayChange: the journal contains no records that could belong to another gateway, so the gateway gets a new identity if
    ///   its own is taken.
    /// - Returns: false when another life has the identity. The gateway is then fenced.
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
        // A broken session also releases its lock. A life that merely lost its lock has noticed by the end of this wait.
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

    /// From here on calls are taken: this life may spend what the ledger has leased to it.
    /// - Throws: ``StoreError``; the state is then unchanged.
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

    /// Sends a heartbeat, and judges the silence of the others. - Throws: ``StoreError``.
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

    /// The counterpart for an exclusive ledger: checks whether the ledger answers.
    func ping() async {
        do {
            try await store.ping()
            membership.ledgerAnswers(true)
        } catch {
            membership.ledgerAnswers(false)
        }
    }

    /// At shutdown. Remaining leases are left for the next start. - Throws: ``StoreError``.
    func leave() async throws { try await gate.run { try await store.leave(holder) } }

    /// The ledger does not answer: leases are spent until others may take them.
    func ledgerIsAway() {
        membership.ledgerAnswers(false)
        extendTrust()
    }

    func extendTrust() {
        // Both under one lock, so that the latest of two answers takes effect.
        book.withLock { $0.trust(until: membership.trust) }
    }

    /// From now on no call is taken. Running requests continue, and ended ones are posted: that needs no lease.
    ///
    /// Any component that learns of the loss calls this, whichever connection it used, so that it takes effect even if heartbeats do not
    /// get through. Callers without a logger leave the reason to `GET /health/ready`.
    func lostPlace(_ reason: String, _ logger: Logger? = nil) {
        guard membership.fence(reason) else { return }
        extendTrust()
        logger?.error("fenced: \(reason); no calls are taken", metadata: ["gateway": "\(holder.gatewayID)"])
    }

    /// A fenced gateway that is still running begins another life: under its own identity if that is free, otherwise under a new one. First
    /// everything that has ended is posted, as far as possible out of the old leases.
    /// - Returns: false when it is too early.
    /// - Throws: ``StoreError``.
    func beginAnotherLife(logger: Logger) async throws -> Bool {
        guard unpostedCount == 0 else { return false }
        try await gate.run {
            // An earlier attempt that failed half-way has already begun the life.
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
