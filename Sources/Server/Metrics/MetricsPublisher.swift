import CoreMetrics
import Gateway
import RouterCore
import ServiceLifecycle

/// Hands the gateway's metrics on to the backend that the program has set up with swift-metrics (`MetricsSystem.bootstrap`, before
/// ``GatewayProgram/make(_:options:logger:)``). Without one nothing of this runs, and `GET /metrics` is all that there is.
///
/// Requests do not pay for it: they count in ``GatewayMetrics``, and this looks every ten seconds at how far the counts have come.
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

    /// The backend of the process; nil = none has been set up.
    static var backend: (any MetricsFactory)? {
        let factory = MetricsSystem.factory
        return factory is NOOPMetricsHandler ? nil : factory
    }

    /// Records each overhead with a backend as it happens.
    static func overheadObserver(_ factory: any MetricsFactory) -> @Sendable (Duration) -> Void {
        let timer = Timer(label: Metric.overhead.name, dimensions: [], factory: factory)
        return { duration in timer.recordNanoseconds(max(0, Int64(duration / .nanoseconds(1)))) }
    }
}
