package import RouterCore
import Synchronization

/// Counts events. Each gateway has its own instance, so that several in one process do not mix; ``MetricsPublisher`` passes the counts on
/// to another backend.
package final class GatewayMetrics: Sendable {
    private struct State {
        var requests: [Labels: Int64] = [:]
        var attempts: [Labels: Int64] = [:]
        var lastResorts: [Labels: Int64] = [:]
        var probes: [Labels: Int64] = [:]
        var outcomes: [Labels: Int64] = [:]
        var chargedNanos: Int128 = 0
        var unchargedNanos: Int128 = 0
        var refusedByLoad: Int64 = 0
        var refusedConnections: Int64 = 0
        var overheadBuckets = [Int64](repeating: 0, count: GatewayMetrics.bucketBoundsMicroseconds.count + 1)
        var overheadSumMicroseconds: Int64 = 0
    }
    private let state = Mutex(State())

    /// The values of up to two labels; their text is made only when the metrics are read.
    private struct Labels: Hashable {
        var name: String
        var number: Int64 = 0

        init(_ name: String, _ number: Int64 = 0) {
            self.name = name
            self.number = number
        }
    }

    /// Upper bounds of the overhead histogram in microseconds.
    package static let bucketBoundsMicroseconds: [Int64] = [
        50, 100, 200, 300, 500, 750, 1_000, 2_000, 5_000, 10_000, 25_000, 50_000, 100_000, 1_000_000,
    ]

    /// Receives each overhead as well, because single values cannot be recovered from buckets; nil = there is no observer.
    private let overheadObserver: (@Sendable (Duration) -> Void)?

    package init(overheadObserver: (@Sendable (Duration) -> Void)? = nil) { self.overheadObserver = overheadObserver }

    package func request(route: String, status: Int) {
        state.withLock { $0.requests[Labels(route, Int64(status)), default: 0] += 1 }
    }

    package func attempt(channelID: Int64, result: String, isLastResort: Bool = false) {
        state.withLock { state in
            state.attempts[Labels(result, channelID), default: 0] += 1
            if isLastResort { state.lastResorts[Labels(result, channelID), default: 0] += 1 }
        }
    }

    package func probe(channelID: Int64, result: String) {
        state.withLock { $0.probes[Labels(result, channelID), default: 0] += 1 }
    }

    package func refusedConnection() { state.withLock { $0.refusedConnections += 1 } }

    package func refusedByLoad() { state.withLock { $0.refusedByLoad += 1 } }

    /// Counts amounts that strict admission does not charge, because a vendor's usage exceeded the hold.
    package func uncharged(_ amount: NanoUSD) { state.withLock { $0.unchargedNanos += Int128(amount.nanos) } }

    package func ended(_ record: RequestRecord) {
        state.withLock { state in
            state.outcomes[Labels(record.outcome.rawValue), default: 0] += 1
            state.chargedNanos += Int128(record.charge?.nanos ?? 0)
        }
    }

    /// Records the gateway's own part of a request's time: the total minus the time spent waiting for the upstream.
    package func overhead(_ duration: Duration) {
        let microseconds = max(0, Int64(duration / .microseconds(1)))
        let index = Self.bucketBoundsMicroseconds.firstIndex { microseconds <= $0 }
        state.withLock { state in
            state.overheadBuckets[index ?? Self.bucketBoundsMicroseconds.count] += 1
            state.overheadSumMicroseconds += microseconds
        }
        overheadObserver?(duration)
    }

    /// The counts since the start.
    package func readings() -> [MetricReading] {
        let state = state.withLock { $0 }
        func counts(_ metric: Metric, _ values: [Labels: Int64], _ labels: (Labels) -> [String]) -> MetricReading {
            MetricReading(metric, counts: values.map { (labels($0.key), $0.value) })
        }
        func byChannel(_ labels: Labels) -> [String] { ["\(labels.number)", labels.name] }
        return [
            counts(.requests, state.requests) { [$0.name, "\($0.number)"] },
            counts(.attempts, state.attempts, byChannel), counts(.lastResorts, state.lastResorts, byChannel),
            counts(.probes, state.probes, byChannel), counts(.outcomes, state.outcomes) { [$0.name] },
            MetricReading(.refusedByLoad, state.refusedByLoad), MetricReading(.refusedConnections, state.refusedConnections),
            MetricReading(.charged, value: .nanoUSD(state.chargedNanos)),
            MetricReading(.uncharged, value: .nanoUSD(state.unchargedNanos)),
            MetricReading(
                .overhead,
                value: .histogram(
                    .init(
                        bounds: Self.bucketBoundsMicroseconds, counts: state.overheadBuckets,
                        sumMicroseconds: state.overheadSumMicroseconds))),
        ]
    }

    /// The exposition of these counts, with gauges that other parts provide.
    package func exposition(gauges: [MetricReading]) -> String { MetricExposition.text(readings() + gauges) }
}
