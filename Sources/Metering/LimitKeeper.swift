package import Logging
package import Platform
import RouterCore
import ServiceLifecycle
package import Storage

/// Keeps the limits of keys and users in order behind the requests: divides them between the gateways of one ledger, and forgets those that
/// nobody uses.
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

    /// How often a gateway tells what it is asked for and hears of its shares.
    private static let interval = Duration.seconds(2)
    /// How soon it does so when a limit is used that it has no share of: not at each look, so that the writes stay few.
    private static let soonest = Duration.milliseconds(500)
    private static let look = Duration.milliseconds(100)
    /// Seconds for which what was told counts; then the others may take it.
    private static let lifetime: Int64 = 15
    /// When the ledger could not be asked for this long, the shares are no longer relied on.
    private static let trust = Duration.seconds(10)
    private static let tidying = Duration.seconds(60)
    /// Limits in one report; what is beyond has its minimum.
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

    /// Before the first request: who else is there.
    package func begin() async {
        guard store.isShared else { return }
        _ = await share([])
    }

    /// - Returns: false when the ledger could not be asked.
    private func share(_ reports: [LimitReport]) async -> Bool {
        do {
            let shared = try await store.shareLimits(reports, gateway: limits.gateway, lifetime: Self.lifetime)
            limits.apply(shared.grants, gateways: shared.gateways)
            return true
        } catch {
            // The poster tells when the database is away; this would say it again every two seconds.
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
