import RouterCore

/// The values of a metric at one moment.
package struct MetricReading: Sendable {
    package let metric: Metric
    /// One value for each combination of labels that has occurred.
    package var series: [Series]

    package struct Series: Sendable {
        /// Values of the metric's labels, in their order.
        package var labels: [String]
        package var value: Value
    }

    package enum Value: Sendable {
        case count(Int64)
        /// 10⁻⁹ USD.
        case nanoUSD(Int128)
        case histogram(Histogram)
    }

    package struct Histogram: Sendable {
        /// Upper bounds in microseconds.
        package var bounds: [Int64]
        /// One more than the bounds: the last one counts values above the last bound.
        package var counts: [Int64]
        package var sumMicroseconds: Int64

        package var count: Int64 { counts.reduce(0, +) }
    }

    package init(_ metric: Metric, _ value: Int64) { self.init(metric, value: .count(value)) }

    package init(_ metric: Metric, value: Value) {
        self.metric = metric
        series = [Series(labels: [], value: value)]
    }

    package init(_ metric: Metric, counts: [(labels: [String], value: Int64)]) {
        self.metric = metric
        series = counts.map { Series(labels: $0.labels, value: .count($0.value)) }
    }
}

/// The text format of Prometheus, version 0.0.4.
package enum MetricExposition {
    package static func text(_ readings: [MetricReading]) -> String {
        var text = ""
        for reading in readings {
            let name = reading.metric.name
            let declaration = reading.metric.declaration
            text += "# HELP \(name) \(declaration.help)\n# TYPE \(name) \(declaration.kind.rawValue)\n"
            let series = reading.series.map { (labels: labels(declaration.labels, $0.labels), value: $0.value) }
            // Gauges keep the order of the configuration.
            for (labels, value) in declaration.kind == .gauge ? series : series.sorted(by: { $0.labels < $1.labels }) {
                switch value {
                case .count(let count): text += "\(name)\(labels) \(count)\n"
                case .nanoUSD(let nanos): text += "\(name)\(labels) \(NanoUSD(nanos: Int64(clamping: nanos)).usdText)\n"
                case .histogram(let histogram): text += lines(name, histogram)
                }
            }
        }
        return text
    }

    private static func labels(_ labels: [Metric.Label], _ values: [String]) -> String {
        labels.isEmpty ? "" : "{" + zip(labels, values).map { "\($0.name)=\"\($1)\"" }.joined(separator: ",") + "}"
    }

    private static func lines(_ name: String, _ histogram: MetricReading.Histogram) -> String {
        var text = ""
        var running: Int64 = 0
        for (bound, count) in zip(histogram.bounds, histogram.counts) {
            running += count
            text += "\(name)_bucket{le=\"\(seconds(bound))\"} \(running)\n"
        }
        text += "\(name)_bucket{le=\"+Inf\"} \(histogram.count)\n"
        return text + "\(name)_sum \(seconds(histogram.sumMicroseconds))\n\(name)_count \(histogram.count)\n"
    }

    private static func seconds(_ microseconds: Int64) -> String {
        let (whole, rest) = microseconds.quotientAndRemainder(dividingBy: 1_000_000)
        let digits = String(rest)
        return "\(whole)." + String(repeating: "0", count: 6 - digits.utf8.count) + digits
    }
}
