public import Logging
import RouterCore
public import ServiceLifecycle
import Storage

/// Owns the ends of requests whose handler was dropped before it could settle (the client left between head and
/// body). Runs as a service, so that nothing is fired and forgotten.
public final class Settler: Service {
    private let meter: Meter
    private let logger: Logger
    private let stream: AsyncStream<RequestRecord>
    private let continuation: AsyncStream<RequestRecord>.Continuation

    public init(meter: Meter, logger: Logger) {
        self.meter = meter
        self.logger = logger
        // Unbounded on purpose: each entry is a request that was admitted, and admission is what bounds them.
        (stream, continuation) = AsyncStream.makeStream(bufferingPolicy: .unbounded)
    }

    func take(_ record: RequestRecord) { continuation.yield(record) }

    public func run() async throws {
        await withGracefulShutdownHandler {
            for await record in stream { await settle(record) }
        } onGracefulShutdown: {
            self.continuation.finish()
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
}
