package import Logging
package import RouterCore
import ServiceLifecycle
import Storage

/// Ends requests whose handler was dropped before it could settle (the client left between head and body). Runs as a service, so that this
/// work has an owner.
package final class Settler: Service {
    private let meter: Meter
    private let logger: Logger
    private let stream: AsyncStream<RequestRecord>
    private let continuation: AsyncStream<RequestRecord>.Continuation

    package init(meter: Meter, logger: Logger) {
        self.meter = meter
        self.logger = logger
        // Deliberately unbounded: each entry is a request that was admitted, and admission bounds their number.
        (stream, continuation) = AsyncStream.makeStream(bufferingPolicy: .unbounded)
    }

    package func take(_ record: RequestRecord) { continuation.yield(record) }

    private static let retryDelay = Duration.milliseconds(500)

    package func run() async throws {
        await withGracefulShutdownHandler {
            await withTaskGroup(of: Void.self) { group in
                group.addTask { for await record in self.stream { await self.settle(record) } }
                group.addTask { for await record in self.meter.retries { await self.journalAgain(record) } }
                await group.waitForAll()
            }
        } onGracefulShutdown: {
            self.continuation.finish()
            self.meter.finishRetries()
        }
    }

    private func settle(_ record: RequestRecord) async {
        do {
            try await meter.end(record)
        } catch {
            logger.error(
                "a dropped request could not be journaled",
                metadata: ["request_id": "\(record.requestID)", "error": "\(error)"])
        }
    }

    /// Retries until the journal accepts the record, so that no delivered answer is forgotten; at shutdown the rest stays as holds in the
    /// journal, which are settled by estimate at the next start.
    private func journalAgain(_ record: RequestRecord) async {
        while true {
            do {
                try await meter.journalAgain(record)
                logger.notice("a request's end is in the journal now", metadata: ["request_id": "\(record.requestID)"])
                return
            } catch {
                if Task.isCancelled || Task.isShuttingDownGracefully {
                    logger.error(
                        "a request's end could not be journaled; its hold will be charged as estimated at the next start",
                        metadata: ["request_id": "\(record.requestID)", "error": "\(error)"])
                    return
                }
                try? await Task.sleep(for: Self.retryDelay)
            }
        }
    }
}
