import GatewayState
import Logging
import ServiceLifecycle
import Storage

/// Takes up prices that a command has written into a ledger on SQLite. PostgreSQL tells gateways itself (``ChangeWatcher``).
struct PriceWatcher: Service {
    let store: any PricingStore
    let snapshots: SnapshotHolder
    let reloader: ConfigurationReloader
    let logger: Logger

    private static let interval = Duration.seconds(2)

    func run() async throws {
        await cancelWhenGracefulShutdown {
            while !Task.isCancelled {
                try? await Task.sleep(for: Self.interval)
                await look()
            }
        }
    }

    private func look() async {
        do {
            guard try await store.latestPriceVersion() > snapshots.snapshot.prices.latestVersion else { return }
            try await reloader.catalogueChanged()
        } catch {
            logger.debug("the price table could not be looked at", metadata: ["error": "\(error)"])
        }
    }
}
