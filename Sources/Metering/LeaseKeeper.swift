package import Logging
import Platform
import RouterCore
import ServiceLifecycle
import Storage

/// Maintains the gateway's place at the ledger and its leases in the background: sends a heartbeat every second and reads those of the
/// other gateways, gives idle leases back so that other gateways can use the money, refreshes what others have charged to shared budgets,
/// and regains the place when it is lost. Also observes whether the ledger answers.
///
/// All decisions depend on elapsed time, not on the number of iterations.
package final class LeaseKeeper: Service {
    private let meter: Meter
    private let recovery: Recovery
    private let logger: Logger

    private static let interval = Duration.seconds(1)
    private static let tidying = Duration.seconds(300)
    /// A lease that no request has used for this long is given back.
    private static let idle = Duration.seconds(10)

    package init(recovery: Recovery, logger: Logger) {
        meter = recovery.meter
        self.recovery = recovery
        self.logger = logger
    }

    package func run() async throws {
        await cancelWhenGracefulShutdown {
            await withTaskGroup(of: Void.self) { group in
                group.addTask { await self.every(Membership.beatInterval) { await self.pulse() } }
                group.addTask { await self.keepHouse() }
                await group.waitForAll()
            }
        }
        guard !meter.membership.isFenced else { return }
        await attempt("leases could not be given back; the next start takes them over") {
            if !meter.holder.isExclusive { try await meter.giveBackIdle(.zero) }
            try await meter.leave()
        }
    }

    private func every(_ interval: Duration, _ body: () async -> Void) async {
        while !Task.isCancelled {
            let next = meter.clock.monotonic.advanced(by: interval)
            await body()
            let rest = meter.clock.monotonic.duration(to: next)
            if rest > .zero { try? await Task.sleep(for: rest) } else { await Task.yield() }
        }
    }

    /// One heartbeat, or one attempt to regain the place.
    private func pulse() async {
        if meter.membership.isFenced {
            return await attempt("the gateway is still fenced") { try await self.comeBack() }
        }
        await withTaskGroup(of: Bool.self) { group in
            group.addTask {
                try? await Task.sleep(for: Membership.patience)
                if !Task.isCancelled { self.meter.ledgerIsAway() }
                return false
            }
            group.addTask {
                if self.meter.holder.isExclusive {
                    await self.meter.ping()
                } else {
                    await self.meter.beat(logger: self.logger)
                }
                return true
            }
            while let isAnswer = await group.next() { if isAnswer { group.cancelAll() } }
        }
    }

    private func comeBack() async throws {
        // The journal of a gateway that never had its place may contain requests of another gateway; the journal of one that has lost its
        // place contains only its own.
        if meter.membership.hasHadPlace {
            _ = try await meter.beginAnotherLife(logger: logger)
        } else {
            _ = try await recovery.startAgain()
        }
    }

    private func keepHouse() async {
        // The only gateway of a ledger leases everything permanently; only its memory has to be tidied.
        guard !meter.holder.isExclusive else { return await every(Self.tidying) { self.meter.forgetIdle(Self.idle) } }
        await every(Self.interval) {
            await self.attempt("idle leases could not be given back") { try await self.meter.giveBackIdle(Self.idle) }
            await self.attempt("budgets could not be read again") { try await self.meter.refreshSpending() }
        }
    }

    private func attempt(_ what: String, _ body: () async throws -> Void) async {
        do {
            try await body()
        } catch {
            // The poster reports that the database is unreachable; this would repeat it every second.
            logger.debug("\(what)", metadata: ["error": "\(error)"])
        }
    }
}
