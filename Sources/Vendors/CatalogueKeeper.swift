import Config
package import GatewayState
package import Logging
package import Platform
import RouterCore
import ServiceLifecycle
package import Storage

/// Syncs the price table with vendors' lists and the price list on a schedule (`models.sync_interval`, `catalogue.refresh` of a provider
/// file). When the last sync of a list was is kept in the store, so that a restart does not repeat it and gateways that share a ledger take
/// turns instead of all asking.
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

    private static let vendorSetting = "catalogue_synced_at."
    private static let priceListSetting = "price_list_synced_at"
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
        let snapshot = snapshots.snapshot
        let configuration = snapshot.configuration
        do {
            let now = clock.unixSeconds
            var due: Set<String> = []
            for provider in Set(configuration.routes.channels.filter(\.isEnabled).map(\.provider)) {
                let setting = Self.vendorSetting + provider.name
                if try await claim(setting, every: configuration.refreshInterval(of: provider), now) { due.insert(provider.name) }
            }
            // New models of a vendor want prices at once.
            let isPriceListDue = try await claim(Self.priceListSetting, every: configuration.priceListInterval, now)
            guard isPriceListDue || !due.isEmpty else { return }
            let sync = CatalogueSync(snapshot: snapshot, store: store, client: client)
            var outcomes = try await sync.vendors(due, isDryRun: false, now: now)
            if configuration.priceListInterval != nil { outcomes += try await sync.priceList(only: nil, isDryRun: false, now: now) }
            for outcome in outcomes where !outcome.hasNoList { log(outcome) }
            try await takeUp()
        } catch {
            logger.warning("models could not be synced", metadata: ["error": "\(error)"])
        }
    }

    /// Whether a list is due; it is marked as read before it is, so that who comes next sees that somebody is at it, and a vendor that
    /// fails is asked again at the next turn only.
    private func claim(_ setting: String, every interval: Duration?, _ now: Int64) async throws -> Bool {
        guard let interval else { return false }
        let last = try await store.setting(setting).flatMap { Int64($0) } ?? 0
        // A time that lies ahead was written by a clock that was wrong.
        guard last > now || now - last >= interval.components.seconds else { return false }
        try await store.setSetting(setting, String(now))
        return true
    }

    private func log(_ outcome: CatalogueSync.Outcome) {
        if let problem = outcome.problem {
            logger.warning("models could not be synced", metadata: ["provider": "\(outcome.provider)", "error": "\(problem)"])
            return
        }
        logger.notice(
            "models synced", metadata: ["provider": "\(outcome.provider)", "result": "\(outcome.diff.summary)"])
        for held in outcome.diff.held {
            logger.warning(
                "a price fell too far to be believed; it is held back until an admin accepts it (apirouter models accept)",
                metadata: [
                    "provider": "\(outcome.provider)", "model": "\(held.row.modelName)", "change": "\(held.fields.joined(separator: "; "))",
                ])
        }
        for line in outcome.diff.lines { logger.info("models synced: \(line)", metadata: ["provider": "\(outcome.provider)"]) }
    }
}
