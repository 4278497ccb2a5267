import CoreMetrics
import Gateway
import RouterCore
import Synchronization

/// Handles at a backend of swift-metrics, one for each series, and how far each count has been handed on.
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
        /// Nano-dollars of an amount.
        var published: Int128 = 0
        /// Whether the last readings had it.
        var isSeen = true
    }

    /// More series are not handed on: each takes up memory here and at the backend.
    static let maximumSeries = 10_000

    private let factory: any MetricsFactory
    private let handles = Mutex<[Key: Handle]>([:])

    init(_ factory: any MetricsFactory) { self.factory = factory }

    /// Counters grow by what is new since the last call, gauges are set, and series that are gone (channels that left the configuration)
    /// are given up. Histograms are not handed on here, because their single values are what a backend takes.
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
            // The ledger keeps the exact sums; this one is for curves.
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
