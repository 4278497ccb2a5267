import Config
package import GatewayState
package import Logging
package import Platform
import RouterCore
import ServiceLifecycle
package import Storage

/// Syncs the price table with vendors' lists on a schedule (`models.sync_interval`). When the last sync was is kept in the store, so that a
/// restart does not repeat it and gateways that share a ledger take turns instead of all asking.
package struct CatalogueKeeper: Service {
    private let snapshots: SnapshotHolder
    private let store: any PricingStore & AdminStore
    private let client: VendorClient
    private let clock: ServerClock
    private let logger: Logger
    /// Takes up what has been written.
    private let takeUp: @Sendable () async throws -> Void

    package init(
        snapshots: SnapshotHolder, store: any PricingStore & AdminStore, client: VendorClient, clock: ServerClock, logger: Logger,
        takeUp: @escaping @Sendable () async throws -> Void
    ) {
        self.snapshots = snapshots
        self.store = store
        self.client = client
        self.clock = clock
        self.logger = logger
        self.takeUp = takeUp
    }

    package static let setting = "catalogue_synced_at"
    /// How often it is looked whether the time has come: the interval may change with a reload, and another gateway may have been faster.
    private static let tick = Duration.seconds(30)

    package func run() async throws {
        await cancelWhenGracefulShutdown {
            while !Task.isCancelled {
                await self.round()
                try? await Task.sleep(for: Self.tick)
            }
        }
    }

    private func round() async {
        guard let interval = snapshots.snapshot.configuration.models.syncInterval else { return }
        do {
            let now = clock.unixSeconds
            let last = try await store.setting(Self.setting).flatMap { Int64($0) } ?? 0
            // A time that lies ahead was written by a clock that was wrong.
            guard last > now || now - last >= interval.components.seconds else { return }
            // Before the calls: who comes next sees that somebody is at it, and a vendor that fails is asked again at the next turn only.
            try await store.setSetting(Self.setting, String(now))
            let sync = CatalogueSync(snapshot: snapshots.snapshot, store: store, client: client)
            for outcome in try await sync.run(provider: nil, isDryRun: false, now: now) where !outcome.hasNoList { log(outcome) }
            try await takeUp()
        } catch {
            logger.warning("models could not be synced", metadata: ["error": "\(error)"])
        }
    }

    private func log(_ outcome: CatalogueSync.Outcome) {
        if let problem = outcome.problem {
            logger.warning("models could not be synced", metadata: ["provider": "\(outcome.provider)", "error": "\(problem)"])
            return
        }
        logger.notice(
            "models synced", metadata: ["provider": "\(outcome.provider)", "result": "\(outcome.diff.summary)"])
        for line in outcome.diff.lines { logger.info("models synced: \(line)", metadata: ["provider": "\(outcome.provider)"]) }
    }
}
