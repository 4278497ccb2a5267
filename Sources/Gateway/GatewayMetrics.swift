package import RouterCore
import Synchronization

/// Counters and a histogram for `GET /metrics`, in the text format of Prometheus. Labels are bounded: route templates, status
/// classes, failure kinds; never model names of clients, users or URLs.
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
        var overheadCount: Int64 = 0
    }
    private let state = Mutex(State())

    /// Values of two labels at most; their text is made when somebody asks for it.
    private struct Labels: Hashable {
        var name: String
        var number: Int64 = 0

        init(_ name: String, _ number: Int64 = 0) {
            self.name = name
            self.number = number
        }
    }

    /// Upper bounds of the overhead histogram, microseconds.
    package static let bucketBoundsMicroseconds: [Int64] = [
        50, 100, 200, 300, 500, 750, 1_000, 2_000, 5_000, 10_000, 25_000, 50_000, 100_000, 1_000_000,
    ]

    package init() {}

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

    /// What strict admission does not charge, because a vendor's usage went beyond the hold.
    package func uncharged(_ amount: NanoUSD) { state.withLock { $0.unchargedNanos += Int128(amount.nanos) } }

    package func ended(_ record: RequestRecord) {
        state.withLock { state in
            state.outcomes[Labels(record.outcome.rawValue), default: 0] += 1
            state.chargedNanos += Int128(record.charge?.nanos ?? 0)
        }
    }

    /// Our own share of a request's time: total minus the time spent waiting for the upstream.
    package func overhead(_ duration: Duration) {
        let microseconds = max(0, Int64(duration / .microseconds(1)))
        let index = Self.bucketBoundsMicroseconds.firstIndex { microseconds <= $0 }
        state.withLock { state in
            state.overheadBuckets[index ?? Self.bucketBoundsMicroseconds.count] += 1
            state.overheadSumMicroseconds += microseconds
            state.overheadCount += 1
        }
    }

    /// A value that is read when it is asked for.
    package struct Gauge: Sendable {
        var name: String
        var help: String
        /// By labels; no labels = one value.
        var values: [(labels: String, value: Int64)]

        public init(_ name: String, _ help: String, _ value: Int64) { self.init(name, help, values: [("", value)]) }

        public init(_ name: String, _ help: String, values: [(labels: String, value: Int64)]) {
            self.name = name
            self.help = help
            self.values = values
        }
    }

    /// The exposition, with gauges that others know.
    package func exposition(gauges: [Gauge]) -> String {
        let state = state.withLock { $0 }
        var text = ""
        func counter(_ name: String, _ help: String, _ values: [Labels: Int64], _ words: (Labels) -> String) {
            text += "# HELP \(name) \(help)\n# TYPE \(name) counter\n"
            for (labels, value) in values.map({ (words($0.key), $0.value) }).sorted(by: { $0.0 < $1.0 }) {
                text += "\(name){\(labels)} \(value)\n"
            }
        }
        counter("apirouter_requests_total", "Requests by route template and status.", state.requests) {
            "route=\"\($0.name)\",status=\"\($0.number)\""
        }
        counter("apirouter_attempts_total", "Upstream attempts by channel and result.", state.attempts) {
            "channel=\"\($0.number)\",result=\"\($0.name)\""
        }
        counter(
            "apirouter_last_resorts_total",
            "Those of the attempts that asked a channel although it cooled, because nobody else was left.",
            state.lastResorts
        ) { "channel=\"\($0.number)\",result=\"\($0.name)\"" }
        counter("apirouter_probes_total", "Active probes by channel and result.", state.probes) {
            "channel=\"\($0.number)\",result=\"\($0.name)\""
        }
        counter("apirouter_outcomes_total", "Finished model requests by outcome.", state.outcomes) { "outcome=\"\($0.name)\"" }
        text += "# HELP apirouter_refused_by_load_total Model calls refused because the gateway was at its limit.\n"
        text += "# TYPE apirouter_refused_by_load_total counter\napirouter_refused_by_load_total \(state.refusedByLoad)\n"
        text += "# HELP apirouter_refused_connections_total Connections closed at once because there were too many.\n"
        text += "# TYPE apirouter_refused_connections_total counter\n"
        text += "apirouter_refused_connections_total \(state.refusedConnections)\n"
        text += "# HELP apirouter_charged_usd_total Sum of charges in USD.\n# TYPE apirouter_charged_usd_total counter\n"
        text += "apirouter_charged_usd_total \(NanoUSD(nanos: Int64(clamping: state.chargedNanos)).usdText)\n"
        text += "# HELP apirouter_uncharged_usd_total Usage beyond the hold that strict admission did not charge, in USD.\n"
        text += "# TYPE apirouter_uncharged_usd_total counter\n"
        text += "apirouter_uncharged_usd_total \(NanoUSD(nanos: Int64(clamping: state.unchargedNanos)).usdText)\n"
        let name = "apirouter_overhead_seconds"
        text += "# HELP \(name) Time spent in the gateway itself, upstream waits excluded.\n# TYPE \(name) histogram\n"
        var running: Int64 = 0
        for (bound, count) in zip(Self.bucketBoundsMicroseconds, state.overheadBuckets) {
            running += count
            text += "\(name)_bucket{le=\"\(seconds(bound))\"} \(running)\n"
        }
        text += "\(name)_bucket{le=\"+Inf\"} \(state.overheadCount)\n"
        text += "\(name)_sum \(seconds(state.overheadSumMicroseconds))\n\(name)_count \(state.overheadCount)\n"
        for gauge in gauges {
            text += "# HELP \(gauge.name) \(gauge.help)\n# TYPE \(gauge.name) gauge\n"
            for (labels, value) in gauge.values { text += "\(gauge.name)\(labels.isEmpty ? "" : "{\(labels)}") \(value)\n" }
        }
        return text
    }

    private func seconds(_ microseconds: Int64) -> String {
        let (whole, rest) = microseconds.quotientAndRemainder(dividingBy: 1_000_000)
        let digits = String(rest)
        return "\(whole)." + String(repeating: "0", count: 6 - digits.utf8.count) + digits
    }
}
