import Config
package import GatewayState
package import Logging
package import Platform
import RouterCore
import ServiceLifecycle
package import Storage

/// Looks at the open batches of all users in the background.
package struct BatchKeeper: Service {
    private let rounds: LongHoldRounds

    package init(settler: BatchSettler, snapshots: SnapshotHolder, store: any LongHoldStore, clock: ServerClock, logger: Logger) {
        rounds = LongHoldRounds(
            kind: .batch, group: 4, store: store, clock: clock, logger: logger,
            pollInterval: { snapshots.snapshot.configuration.batches.pollInterval }, attend: { await settler.attend($0) })
    }

    package func run() async throws {
        await cancelWhenGracefulShutdown { await rounds.run() }
    }
}
