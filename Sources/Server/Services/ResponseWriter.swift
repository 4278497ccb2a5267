import Config
import GatewayState
import Logging
import RouterCore
import ServiceLifecycle

/// Writes stored responses behind the answers, and deletes those that have expired.
struct ResponseWriter: Service {
    let keeper: ResponseKeeper
    let snapshots: SnapshotHolder
    let logger: Logger

    /// How long a response waits for others, to be written with them.
    private static let gathering = Duration.milliseconds(20)
    private static let retry = Duration.seconds(1)
    private static let interval = Duration.seconds(60)

    private var limits: ResponseStoreLimits { snapshots.snapshot.configuration.responses.limits }

    func run() async throws {
        await withGracefulShutdownHandler {
            await withTaskGroup(of: Void.self) { group in
                group.addTask { await write() }
                group.addTask { await cancelWhenGracefulShutdown { await sweep() } }
                group.addTask { await stopUnwanted() }
                await group.waitForAll()
            }
        } onGracefulShutdown: {
            keeper.finish()
        }
        _ = await keeper.write(limits)
    }

    private func write() async {
        for await _ in keeper.events {
            try? await Task.sleep(for: Self.gathering)
            while await !keeper.write(limits), !Task.isShuttingDownGracefully { try? await Task.sleep(for: Self.retry) }
        }
    }

    /// Work that other gateways have had cancelled or deleted is stopped.
    private func stopUnwanted() async {
        await cancelWhenGracefulShutdown {
            while !Task.isCancelled {
                try? await Task.sleep(for: Self.retry)
                guard keeper.running.count > 0 else { continue }
                do { try await keeper.stopUnwanted() } catch {
                    logger.debug("background responses could not be looked up", metadata: ["error": "\(error)"])
                }
            }
        }
    }

    private func sweep() async {
        var lost: Int64 = 0
        while !Task.isCancelled {
            do { try await keeper.sweep() } catch {
                logger.warning("expired responses cannot be deleted; it is tried again", metadata: ["error": "\(error)"])
            }
            let now = keeper.counts.lost
            if let problem = keeper.takeProblem() {
                logger.error("responses cannot be written; they wait in memory as far as there is room", metadata: ["error": "\(problem)"])
            }
            if now > lost { logger.error("responses were not kept", metadata: ["count": "\(now - lost)"]) }
            lost = now
            try? await Task.sleep(for: Self.interval)
        }
    }
}
