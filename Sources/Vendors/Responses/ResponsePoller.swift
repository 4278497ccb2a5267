import Config
package import GatewayState
package import Logging
package import Platform
import RouterCore
import ServiceLifecycle
package import Storage

/// Looks at the background responses that vendors make for all users.
package struct ResponsePoller: Service {
    private let rounds: LongHoldRounds
    private let settler: ResponseSettler
    private let clock: ServerClock

    package init(settler: ResponseSettler, snapshots: SnapshotHolder, store: any LongHoldStore, clock: ServerClock, logger: Logger) {
        self.settler = settler
        self.clock = clock
        rounds = LongHoldRounds(
            kind: .response, group: 8, store: store, clock: clock, logger: logger,
            pollInterval: { snapshots.snapshot.configuration.responses.pollInterval }, attend: { await settler.attend($0) })
    }

    /// Between looks for holds that other gateways have ended.
    private static let passInterval = Duration.seconds(5)

    package func run() async throws {
        await cancelWhenGracefulShutdown {
            var nextPasses = clock.monotonic
            await rounds.run {
                guard clock.monotonic >= nextPasses else { return }
                await settler.endPasses()
                nextPasses = clock.monotonic.advanced(by: Self.passInterval)
            }
        }
    }
}
