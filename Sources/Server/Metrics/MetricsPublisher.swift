import CoreMetrics
import Gateway
import RouterCore
import ServiceLifecycle

/// Passes the gateway's metrics to the backend that the program has set up with swift-metrics (`MetricsSystem.bootstrap`, before
/// ``GatewayProgram/make(_:options:logger:)``). Without a backend this service does not run, and `GET /metrics` is the only output.
///
/// Requests do not pay for it: they update ``GatewayMetrics``, which this service reads every ten seconds.
struct MetricsPublisher: Service {
    private let published: PublishedMetrics
    private let read: @Sendable () -> [MetricReading]

    init(_ backend: any MetricsFactory, metrics: GatewayMetrics, gauges: GatewayGauges) {
        published = PublishedMetrics(backend)
        read = { metrics.readings() + gauges.readings() }
    }

    private static let interval = Duration.seconds(10)

    func run() async throws {
        await cancelWhenGracefulShutdown {
            while !Task.isCancelled {
                published.publish(read())
                try? await Task.sleep(for: Self.interval)
            }
        }
        published.publish(read())
    }

    /// The metrics backend of the process; nil = none has been set up.
    static var backend: (any MetricsFactory)? {
        let factory = MetricsSystem.factory
        return factory is NOOPMetricsHandler ? nil : factory
    }

    /// Records each overhead with a backend at once.
    static func overheadObserver(_ factory: any MetricsFactory) -> @Sendable (Duration) -> Void {
        let timer = Timer(label: Metric.overhead.name, dimensions: [], factory: factory)
        return { duration in timer.recordNanoseconds(max(0, Int64(duration / .nanoseconds(1)))) }
    }
}
