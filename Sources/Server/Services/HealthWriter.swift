import GatewayState
import Logging
import Platform
import RouterCore
import ServiceLifecycle
import Storage

/// Writes `channel_health` when something has changed, every few seconds and at the end; a request never does.
struct HealthWriter: Service {
    let health: HealthRegistry
    let store: any HealthStore
    let clock: ServerClock
    let logger: Logger

    private static let interval = Duration.seconds(2)

    func run() async throws {
        await cancelWhenGracefulShutdown {
            var seen = health.revision
            while !Task.isCancelled {
                try? await Task.sleep(for: Self.interval)
                seen = await write(unless: seen)
            }
        }
        _ = await write(unless: nil)
    }

    private func write(unless seen: UInt64?) async -> UInt64 {
        let revision = health.revision
        guard revision != seen else { return revision }
        do {
            try await store.saveHealth(health.rows(), now: clock.unixSeconds)
            return revision
        } catch {
            // For people to look at; the table in memory is what counts.
            logger.debug("channel health not written", metadata: ["error": "\(error)"])
            return seen ?? revision
        }
    }
}
