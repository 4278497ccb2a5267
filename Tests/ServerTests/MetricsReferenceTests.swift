import CoreMetrics
import Foundation
import HTTPTypes
import HummingbirdTesting
import MetricsTestKit
import NIOCore
import RouterCore
import Testing

@testable import Gateway
@testable import Server

/// The declarations of metrics, the exposition of a gateway and docs/metrics.md say the same.
@Suite(.timeLimit(.minutes(5))) struct MetricsReferenceTests {
    private var markdown: String {
        var text = """
            # Metrics

            Made from the declarations in `Sources/Gateway/Metrics/Metric.swift` (`make docs`); do not edit.

            `GET /metrics` answers in the text format of Prometheus, to the loopback address and to admins elsewhere
            ([configuration.md](configuration.md#behind-a-proxy)). Counters begin at zero with each start of the process. Labels are bounded: none holds anything that a
            client wrote.

            A program that runs a gateway in its own process can have the same in another backend: it sets one up with swift-metrics
            (`MetricsSystem.bootstrap`) before it makes the gateway. Names and labels are these; counters and gauges are handed on every ten seconds, the
            histogram is a timer that records as it happens ([0011](decisions/0011-metrics.md)).

            | name | type | labels | unit | |
            |---|---|---|---|---|

            """
        for metric in Metric.allCases {
            let declaration = metric.declaration
            let labels = declaration.labels.map { "`\($0.name)`: \($0.values)" }.joined(separator: "; ")
            text += "| `\(metric.name)` | \(declaration.kind.rawValue) | \(labels) | \(declaration.unit) | \(declaration.help) |\n"
        }
        let bounds = GatewayMetrics.bucketBoundsMicroseconds.map { "\(Double($0) / 1e6)" }.joined(separator: ", ")
        return text + "\nUpper bounds of the buckets of `\(Metric.overhead.name)`, seconds: \(bounds), and none.\n"
    }

    @Test func `docs_metrics_md is what is declared`() throws { try GeneratedDocument.check("docs/metrics.md", markdown) }

    /// Name, labels and type of each line of an exposition.
    private func parse(_ text: String) -> (types: [String: String], labels: [String: Set<[String]>]) {
        var types: [String: String] = [:]
        var labels: [String: Set<[String]>] = [:]
        for line in text.split(separator: "\n") {
            if line.hasPrefix("# TYPE ") {
                let words = line.split(separator: " ")
                types[String(words[2])] = String(words[3])
            } else if !line.hasPrefix("#") {
                let name = line.prefix { $0 != "{" && $0 != " " }
                let inside = line.contains("{") ? line.split(separator: "{")[1].split(separator: "}")[0] : ""
                labels[String(name), default: []].insert(inside.split(separator: ",").map { String($0.split(separator: "=")[0]) })
            }
        }
        return (types, labels)
    }

    @Test func `a scrape of a running gateway has exactly the declared metrics`() async throws {
        try await TestGateway.with { _, client in
            _ = try await client.call(
                .post, "/api/balance/admin/add", token: TestGateway.adminToken, body: #"{"user_id":1,"amount":1}"#)
            let chat = try await client.call(
                .post, "/v1/chat/completions", token: TestGateway.rootKey,
                body: #"{"model":"demo/echo","messages":[{"role":"user","content":"hi"}]}"#)
            #expect(chat.status == 200)
            let text = try await client.execute(
                uri: "/metrics", method: .get, headers: [.authorization: "Bearer \(TestGateway.adminToken)"], body: nil
            ) { String(buffer: $0.body) }
            let found = parse(text)
            #expect(found.types == Dictionary(uniqueKeysWithValues: Metric.allCases.map { ($0.name, $0.declaration.kind.rawValue) }))
            var expected: Set<String> = []
            for metric in Metric.allCases {
                let declaration = metric.declaration
                guard declaration.kind != .histogram else {
                    expected.formUnion(["_bucket", "_sum", "_count"].map { metric.name + $0 })
                    #expect(found.labels[metric.name + "_bucket"] == [["le"]])
                    continue
                }
                expected.insert(metric.name)
                // A metric that has not been counted yet has no lines.
                for labels in found.labels[metric.name] ?? [] { #expect(labels == declaration.labels.map(\.name), "\(metric.name)") }
                if declaration.labels.isEmpty { #expect(found.labels[metric.name] == [[]], "\(metric.name)") }
            }
            #expect(Set(found.labels.keys).isSubset(of: expected))
            for counted in [Metric.requests, .attempts, .outcomes, .channelUp, .drainsEnded] {
                #expect(found.labels[counted.name] != nil, "\(counted.name)")
            }
        }
    }

    @Test func `the exposition is in the text format of Prometheus`() {
        let histogram = MetricReading.Histogram(bounds: [50, 1_000_000], counts: [2, 1, 3], sumMicroseconds: 12_000_070)
        let text = MetricExposition.text([
            MetricReading(.outcomes, counts: [(["failed"], 2), (["completed"], 7)]),
            MetricReading(.charged, value: .nanoUSD(1_500_000_001)),
            MetricReading(.overhead, value: .histogram(histogram)), MetricReading(.fenced, 0),
        ])
        #expect(
            text == """
                # HELP apirouter_outcomes_total Finished model requests by outcome.
                # TYPE apirouter_outcomes_total counter
                apirouter_outcomes_total{outcome="completed"} 7
                apirouter_outcomes_total{outcome="failed"} 2
                # HELP apirouter_charged_usd_total Sum of charges in USD.
                # TYPE apirouter_charged_usd_total counter
                apirouter_charged_usd_total 1.500000001
                # HELP apirouter_overhead_seconds Time spent in the gateway itself, upstream waits excluded.
                # TYPE apirouter_overhead_seconds histogram
                apirouter_overhead_seconds_bucket{le="0.000050"} 2
                apirouter_overhead_seconds_bucket{le="1.000000"} 3
                apirouter_overhead_seconds_bucket{le="+Inf"} 6
                apirouter_overhead_seconds_sum 12.000070
                apirouter_overhead_seconds_count 6
                # HELP apirouter_fenced 1 while this gateway has lost its place at the ledger and takes no calls.
                # TYPE apirouter_fenced gauge
                apirouter_fenced 0

                """)
    }

    // MARK: Another backend

    @Test func `another backend gets the same counts, however often it is told`() throws {
        let backend = TestMetrics()
        let metrics = GatewayMetrics(overheadObserver: MetricsPublisher.overheadObserver(backend))
        let published = PublishedMetrics(backend)
        func publish(up: Int64) {
            published.publish(metrics.readings() + [MetricReading(.channelUp, counts: [(["1"], up)])])
        }
        metrics.attempt(channelID: 1, result: "ok")
        metrics.uncharged(NanoUSD(nanos: 500_000_000))
        metrics.overhead(.microseconds(120))
        publish(up: 1)
        publish(up: 1)
        metrics.attempt(channelID: 1, result: "ok")
        metrics.attempt(channelID: 2, result: "timeout")
        metrics.uncharged(NanoUSD(nanos: 250_000_000))
        publish(up: 0)

        let first = try backend.expectCounter(Metric.attempts.name, [("channel", "1"), ("result", "ok")])
        #expect(first.totalValue == 2)
        #expect(try backend.expectCounter(Metric.attempts.name, [("channel", "2"), ("result", "timeout")]).totalValue == 1)
        #expect(try backend.expectGauge(Metric.channelUp.name, [("channel", "1")]).lastValue == 0)
        #expect(try backend.expectTimer(Metric.overhead.name).values == [120_000])
        // Everything that is declared and counted here has a handle, under its own name.
        let names = Set(backend.counters.map(\.label) + backend.recorders.map(\.label) + backend.timers.map(\.label))
        #expect(names.isSubset(of: Set(Metric.allCases.map(\.name))))
        #expect(names.contains(Metric.refusedByLoad.name) && names.contains(Metric.uncharged.name))
    }

    @Test func `series that are gone are given up, and their number is bounded`() {
        let backend = TestMetrics()
        let published = PublishedMetrics(backend)
        func publish(_ channels: Range<Int>) {
            published.publish([MetricReading(.channelInFlight, counts: channels.map { (["\($0)"], 1) })])
        }
        publish(0..<3)
        #expect(backend.recorders.count == 3)
        publish(2..<4)
        #expect(Set(backend.recorders.flatMap { $0.dimensions.map(\.1) }) == ["2", "3"])
        publish(0..<PublishedMetrics.maximumSeries + 5)
        #expect(backend.recorders.count == PublishedMetrics.maximumSeries)
    }

    @Test func `without a backend nothing is handed on`() { #expect(MetricsPublisher.backend == nil) }
}
