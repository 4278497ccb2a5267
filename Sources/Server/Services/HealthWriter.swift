import GatewayState
import Logging
import Platform
import RouterCore
import ServiceLifecycle
import Storage

/// Writes `channel_health` after changes, every few seconds and at shutdown, so that requests never do.
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
            // The table is for people; decisions use the health in memory.
            logger.debug("channel health not written", metadata: ["error": "\(error)"])
            return seen ?? revision
        }
    }
}
