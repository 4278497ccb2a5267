package import Logging
import Platform
import RouterCore
import ServiceLifecycle
import Storage

/// Keeps the gateway's place at the ledger and its leases in order behind the requests: gives a sign of life every
/// second and hears those of the others, gives idle leases back so that other gateways can use the money, reads again
/// what others have charged to shared budgets, and when the place is lost, comes back. Also observes whether the ledger
/// answers.
///
/// Everything goes by what a clock says has passed, not by how often a loop has run.
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

    /// One sign of life, or one try to get the place back.
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
        // A gateway that never had its place has requests in its journal that may be another's; one that has lost it
        // has only its own.
        if meter.membership.hasHadPlace {
            _ = try await meter.beginAnotherLife(logger: logger)
        } else {
            _ = try await recovery.startAgain()
        }
    }

    private func keepHouse() async {
        // The only gateway of its ledger leases everything and for good; only its memory has to be kept tidy.
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
            // The poster tells when the database is away; this would say it again every second.
            logger.debug("\(what)", metadata: ["error": "\(error)"])
        }
    }
}
