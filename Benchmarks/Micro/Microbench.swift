import RouterCore

/// Micro-benchmarks. `swift run -c release microbench [path | plan | journal | tokens [VOCABULARY]]`; prints a table and nothing else.
/// `microbench count [VOCABULARY]` reads JSON strings, a line each, and prints our count of their tokens.
/// `microbench transport …` measures the transports (``TransportBench``).
/// `microbench instructions` and `microbench journal REQUESTS` are what Benchmarks/instructions.py runs under valgrind.
///
/// Each figure is the fastest of several rounds: noise of a shared machine only adds.
@main
enum Microbench {
    static func main() async throws {
        let wanted = CommandLine.arguments.dropFirst()
        let vocabulary = try wanted.last.flatMap { $0.hasSuffix(".tokens") ? try VocabularyBench.load($0) : nil }
        if wanted.first == "count" {
            if let vocabulary { try VocabularyBench.countLines(vocabulary) } else { TokenBench.countLines() }
            return
        }
        if wanted.first == "transport" { return try await TransportBench.run(Array(wanted.dropFirst())) }
        if wanted.first == "instructions" { return try HotPathBench.count() }
        print("| benchmark | ns per call |\n|---|---:|")
        if wanted.isEmpty || wanted.contains("path") { try HotPathBench.run() }
        if wanted.isEmpty || wanted.contains("journal") { try JournalBench.run(requests: wanted.last.flatMap { Int($0) } ?? 2_000) }
        if wanted.isEmpty || wanted.contains("plan") { PlanBench.run() }
        if wanted.isEmpty || wanted.contains("tokens") { TokenBench.run() }
        if let vocabulary { VocabularyBench.run(vocabulary) }
    }

    /// Nanoseconds of one call, or of 1 KB of it where `unit` is the bytes of a call.
    static func measure(_ name: String, calls: Int, rounds: Int = 7, unit: Int = 1_024, _ body: () -> Int) {
        measureThrowing(name, calls: calls, rounds: rounds, unit: unit, body)
    }

    static func measureThrowing(_ name: String, calls: Int, rounds: Int = 7, unit: Int = 1_024, _ body: () throws -> Int) rethrows {
        var best = Duration.seconds(3_600)
        var sink = 0
        for _ in 0..<rounds {
            let clock = ContinuousClock()
            let time = try clock.measure { for _ in 0..<calls { sink &+= try body() } }
            best = min(best, time)
        }
        precondition(sink != Int.min, "keeps the work alive")
        let nanoseconds = Int64(best / .nanoseconds(1)) * 1_024 / Int64(calls * unit)
        print("| \(name) | \(nanoseconds) |")
    }
}

/// `Router.plan` with 10, 100 and 1,000 channels that all serve the model, among 10,000 models.
enum PlanBench {
    private static let now = MonotonicInstant(nanoseconds: 1_000_000_000_000)
    private static let facts = RouteFacts(endpoints: { _ in [.chat] })

    private static func fleet(_ count: Int) -> [Channel] {
        let models = (0..<10_000).map { ProviderModel(id: "vendor/model-\($0)") }
        let provider = ProviderSpec(name: "p", family: .openai, baseURL: "http://h", models: models)
        return (1...count).map { id in
            // Each of the thousand channels lists a hundred models, and all have the one that is asked for.
            var channel = Channel(
                id: Int64(id), name: "c\(id)", provider: provider, keys: [Secret("k")], models: [], weight: UInt32(id % 7 + 1),
                priority: id % 2)
            channel.models = [Channel.Model(pattern: "vendor/model-77")]
            let share = count >= 1_000 ? 10 : 10_000 / count
            for number in 0..<share { channel.models.append(Channel.Model(pattern: "vendor/model-\((id - 1) * share + number)")) }
            return channel
        }
    }

    static func run() {
        for count in [10, 100, 1_000] {
            let channels = fleet(count)
            for strategy in RoutingStrategy.configurable {
                let settings = RoutingSettings(strategy: strategy)
                let table = RouteTable(channels: channels, settings: settings)
                let health = HealthTable(settings: settings)
                var rng = SplitMix64(seed: 1)
                let query = RouteQuery(model: "vendor/model-77", limit: 6)
                Microbench.measure("plan, \(count) channels, \(strategy.rawValue)", calls: 20_000 / count) {
                    Router.plan(query, table: table, health: health, now: now, facts: facts, rng: &rng).candidates.count
                }
            }
            let settings = RoutingSettings()
            let table = RouteTable(channels: channels, settings: settings)
            var rng = SplitMix64(seed: 1)
            var sick = HealthTable(settings: settings)
            for channel in channels where channel.id % 10 == 0 {
                let target = HealthTarget(channelID: channel.id, keyIndex: 0, model: "vendor/model-77")
                sick.count(UpstreamFailure(kind: .connect), target, startedAt: now, now: now, rng: &rng)
            }
            let query = RouteQuery(model: "vendor/model-77", limit: 6)
            Microbench.measure("plan, \(count) channels, a tenth of them cooling", calls: 20_000 / count) {
                Router.plan(query, table: table, health: sick, now: now, facts: facts, rng: &rng).candidates.count
            }
            let session = RouteQuery(model: "vendor/model-77", affinity: AffinityKey("conversation"), limit: 6)
            let well = HealthTable(settings: settings)
            Microbench.measure("plan, \(count) channels, by conversation", calls: 20_000 / count) {
                Router.plan(session, table: table, health: well, now: now, facts: facts, rng: &rng).candidates.count
            }
            let lone = RouteQuery(model: "vendor/model-\(count >= 1_000 ? 5_000 : 9_000)", limit: 6)
            Microbench.measure("plan, \(count) channels, one serves the model", calls: 20_000) {
                Router.plan(lone, table: table, health: well, now: now, facts: facts, rng: &rng).candidates.count
            }
        }
    }
}
