import Config
import GatewayState
import Logging
import Platform
import RouterCore
import ServiceLifecycle
import Storage

/// Lets rows of the log go that are older than `logs.keep`, in small portions with pauses, so that nothing that writes to the ledger waits
/// for more than one of them.
struct LogKeeper: Service {
    let store: any LogStore
    let snapshots: SnapshotHolder
    let clock: ServerClock
    let logger: Logger

    /// Rows of a transaction.
    private static let portion = 200
    /// Between two portions: fewer than a thousand rows a second go, and many more than a busy gateway writes.
    private static let pause = Duration.milliseconds(250)
    /// Between two looks when there is nothing to do.
    private static let interval = Duration.seconds(60)

    func run() async throws {
        await cancelWhenGracefulShutdown {
            while !Task.isCancelled {
                try? await Task.sleep(for: await portion() ? Self.pause : Self.interval)
            }
        }
    }

    /// - Returns: true when there may be more.
    private func portion() async -> Bool {
        do {
            return try await letGo(most: Self.portion) == Self.portion
        } catch {
            logger.debug("old rows of the log could not be deleted; it is tried again", metadata: ["error": "\(error)"])
            return false
        }
    }

    /// Deletes one portion. - Returns: how many rows.
    func letGo(most: Int) async throws -> Int {
        let keep = snapshots.snapshot.configuration.logs.keep.components.seconds
        guard keep > 0 else { return 0 }
        return try await store.letGoLogs(before: clock.unixSeconds - keep, most: most)
    }
}
