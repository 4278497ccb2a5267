import CoreMetrics
import Gateway
import RouterCore
import Synchronization

/// Handles of a swift-metrics backend, one for each series, and how much of each count has been passed on.
final class PublishedMetrics: Sendable {
    private struct Key: Hashable {
        var metric: Metric
        var labels: [String]
    }

    private struct Handle {
        enum Kind {
            case counter(Counter)
            case amount(FloatingPointCounter)
            case gauge(Gauge)
        }
        var kind: Kind
        /// Nano-dollars that have been passed on.
        var published: Int128 = 0
        /// Whether the series was in the last readings.
        var isSeen = true
    }

    /// Maximum number of series that are passed on: each takes up memory here and at the backend.
    static let maximumSeries = 10_000

    private let factory: any MetricsFactory
    private let handles = Mutex<[Key: Handle]>([:])

    init(_ factory: any MetricsFactory) { self.factory = factory }

    /// Increments counters by the difference since the last call, sets gauges, and destroys series that have disappeared (channels that
    /// left the configuration). Histograms are excluded, because a backend needs their single values.
    func publish(_ readings: [MetricReading]) {
        handles.withLock { handles in
            for key in handles.keys { handles[key]?.isSeen = false }
            for reading in readings where reading.metric.declaration.kind != .histogram {
                for series in reading.series { publish(series, of: reading.metric, &handles) }
            }
            for (key, handle) in handles where !handle.isSeen {
                destroy(handle)
                handles[key] = nil
            }
        }
    }

    private func publish(_ series: MetricReading.Series, of metric: Metric, _ handles: inout [Key: Handle]) {
        let key = Key(metric: metric, labels: series.labels)
        guard handles[key] != nil || handles.count < Self.maximumSeries else { return }
        var handle = handles[key] ?? Handle(kind: make(key))
        handle.isSeen = true
        switch (handle.kind, series.value) {
        case (.counter(let counter), .count(let value)):
            counter.increment(by: Int64(value) - Int64(handle.published))
            handle.published = Int128(value)
        case (.amount(let counter), .nanoUSD(let nanos)):
            // The ledger holds the exact sums; this one is for graphs.
            counter.increment(by: Double(nanos - handle.published) / 1e9)
            handle.published = nanos
        case (.gauge(let gauge), .count(let value)): gauge.record(value)
        default: break
        }
        handles[key] = handle
    }

    private func make(_ key: Key) -> Handle.Kind {
        let declaration = key.metric.declaration
        let dimensions = zip(declaration.labels.map(\.name), key.labels).map { ($0, $1) }
        return switch (declaration.kind, declaration.unit) {
        case (.gauge, _): .gauge(Gauge(label: key.metric.name, dimensions: dimensions, factory: factory))
        case (_, "USD"): .amount(FloatingPointCounter(label: key.metric.name, dimensions: dimensions, factory: factory))
        default: .counter(Counter(label: key.metric.name, dimensions: dimensions, factory: factory))
        }
    }

    private func destroy(_ handle: Handle) {
        switch handle.kind {
        case .counter(let counter): counter.destroy()
        case .amount(let counter): counter.destroy()
        case .gauge(let gauge): gauge.destroy()
        }
    }
}
