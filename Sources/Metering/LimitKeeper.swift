package import Logging
package import Platform
import RouterCore
import ServiceLifecycle
package import Storage

/// Maintains the limits of keys and users in the background: divides them between the gateways of one ledger, and forgets unused ones.
package struct LimitKeeper: Service {
    private let limits: RequestLimits
    private let store: any LimitStore
    private let clock: ServerClock
    private let logger: Logger

    package init(limits: RequestLimits, store: any LimitStore, clock: ServerClock, logger: Logger) {
        self.limits = limits
        self.store = store
        self.clock = clock
        self.logger = logger
    }

    /// How often a gateway reports its demand and receives its shares.
    private static let interval = Duration.seconds(2)
    /// The minimum delay before it does so early, when a limit without a share is used: not for every request, so that writes stay few.
    private static let soonest = Duration.milliseconds(500)
    private static let look = Duration.milliseconds(100)
    /// Seconds for which a report is valid; after that the others may take the shares.
    private static let lifetime: Int64 = 15
    /// When the ledger has been unreachable for this long, the shares are no longer relied on.
    private static let trust = Duration.seconds(10)
    private static let tidying = Duration.seconds(60)
    /// Maximum number of limits in one report; the rest get their minimum.
    private static let maximum = 1_000

    package func run() async throws {
        guard store.isShared else { return await tidy() }
        await cancelWhenGracefulShutdown {
            var last = clock.monotonic
            var confirmed = last
            while !Task.isCancelled {
                try? await Task.sleep(for: Self.look)
                let elapsed = last.duration(to: clock.monotonic)
                guard elapsed >= Self.interval || (elapsed >= Self.soonest && limits.takeWish()) else { continue }
                last = clock.monotonic
                let reports = limits.report(atMost: Self.maximum, elapsed: elapsed)
                if await share(reports) { confirmed = last }
                if confirmed.duration(to: clock.monotonic) > Self.trust { limits.loseShares() }
                limits.forgetIdle()
            }
        }
        try? await store.leaveLimits(gateway: limits.gateway)
    }

    /// Finds the other gateways, before the first request.
    package func begin() async {
        guard store.isShared else { return }
        _ = await share([])
    }

    /// - Returns: false when the ledger could not be reached.
    private func share(_ reports: [LimitReport]) async -> Bool {
        do {
            let shared = try await store.shareLimits(reports, gateway: limits.gateway, lifetime: Self.lifetime)
            limits.apply(shared.grants, gateways: shared.gateways)
            return true
        } catch {
            // The poster reports that the database is unreachable; this would repeat it every two seconds.
            logger.debug("the shares of limits could not be asked for", metadata: ["error": "\(error)"])
            return false
        }
    }

    private func tidy() async {
        await cancelWhenGracefulShutdown {
            while !Task.isCancelled {
                try? await Task.sleep(for: Self.tidying)
                _ = limits.report(atMost: 0, elapsed: Self.tidying)
                limits.forgetIdle()
            }
        }
    }
}
