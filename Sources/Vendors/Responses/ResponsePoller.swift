import Config
package import GatewayState
package import Logging
package import Platform
import RouterCore
import ServiceLifecycle
package import Storage

/// Looks at the background responses that vendors make for all users, a few at a time. Gateways that share a ledger share the work: a hold
/// is claimed while one of them looks at it.
package struct ResponsePoller: Service {
    private let settler: ResponseSettler
    private let snapshots: SnapshotHolder
    private let store: any LongHoldStore
    private let clock: ServerClock
    private let logger: Logger

    package init(settler: ResponseSettler, snapshots: SnapshotHolder, store: any LongHoldStore, clock: ServerClock, logger: Logger) {
        self.settler = settler
        self.snapshots = snapshots
        self.store = store
        self.clock = clock
        self.logger = logger
    }

    /// Responses that are looked at together.
    private static let group = 8
    /// Between looks for holds that other gateways have ended.
    private static let passInterval = Duration.seconds(5)

    package func run() async throws {
        await cancelWhenGracefulShutdown {
            var nextPasses = clock.monotonic
            while !Task.isCancelled {
                if clock.monotonic >= nextPasses {
                    await settler.endPasses()
                    nextPasses = clock.monotonic.advanced(by: Self.passInterval)
                }
                let isBusy = await round()
                if isBusy { continue }
                try? await Task.sleep(for: min(snapshots.snapshot.configuration.responses.pollInterval, .seconds(1)))
            }
        }
    }

    /// - Returns: whether there may be more to do at once.
    private func round() async -> Bool {
        let poll = snapshots.snapshot.configuration.responses.pollInterval.components.seconds
        do {
            let due = try await store.dueLongHolds(
                .response, now: clock.unixSeconds, claim: min(max(2 * poll, 5), 60), limit: Self.group)
            await withTaskGroup(of: Void.self) { group in
                for hold in due { group.addTask { await settler.attend(hold) } }
            }
            // With intervals below a second, the same ones are due again.
            return due.count == Self.group && poll > 0
        } catch {
            logger.debug("background responses could not be looked up", metadata: ["error": "\(error)"])
            return false
        }
    }
}
