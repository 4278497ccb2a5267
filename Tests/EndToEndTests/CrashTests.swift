import Foundation
import HTTPTypes
import NIOCore
import PostgresTesting
import RouterCore
import Simulator
import Synchronization
import Testing

/// The real binary under mixed load, killed with SIGKILL at random moments: what the ledger charges is what the vendor billed, request by
/// request; only requests that the kill cut are estimated; nothing is lost, nothing is there twice.
@Suite(.serialized) struct CrashTests {
    /// Fifty with `APIROUTER_LONG=1` (`make test-long`).
    private static let kills = ProcessInfo.processInfo.environment["APIROUTER_LONG"] == "1" ? 50 : 6

    @Test(.timeLimit(.minutes(20))) func `audit 21: killed again and again on SQLite, each life makes progress`() async throws {
        try await killed(environment: [:], seed: 4_004)
    }

    @Test(.timeLimit(.minutes(20))) func `audit 21: killed again and again on PostgreSQL, each life makes progress`() async throws {
        let url = try PostgresServer.shared.get().makeDatabase()
        try await killed(environment: ["SQL_DSN": url], seed: 4_005)
    }

    private func killed(environment: [String: String], seed: UInt64) async throws {
        var rng = SplitMix64(seed: seed)
        var world = try await MixedLoad.world(environment)
        let load = MixedLoad(seed: seed)
        do {
            let user = try await world.admin.makeUser("spender", usd: "1000")
            for kill in 0..<Self.kills {
                let delay = Duration.milliseconds(20 + Int64(rng.below(300)))
                try await load.run(world, key: user.key) {
                    try await load.progress("life \(kill + 1)")
                    // The moment of the kill is drawn; how much is done by then does not matter.
                    try await Task.sleep(for: delay)
                    try await world.gateway.kill9()
                }
                do {
                    world = try await world.restarted()
                } catch {
                    throw StringError("seed \(seed), after kill \(kill + 1): \(error)")
                }
            }
            // The last life is an orderly one.
            try await load.run(world, key: user.key) { try await load.progress("the last life") }
            try await load.check(world, "seed \(seed)")
        } catch {
            let log = world.gateway.log.suffix(4_000)
            try? await world.tearDown()
            throw StringError("seed \(seed): \(error)\n--- gateway log ---\n\(log)")
        }
        try await world.tearDown()
    }

    /// The ledger's database stops and starts under load, and the gateway is killed in between.
    @Test(.timeLimit(.minutes(10))) func `the database comes and goes`() async throws {
        let server = try PostgresServer()
        try server.start()
        defer { server.remove() }
        let seed: UInt64 = 4_006
        var rng = SplitMix64(seed: seed)
        var world = try await MixedLoad.world(["SQL_DSN": try server.makeDatabase()])
        let load = MixedLoad(seed: seed)
        do {
            let user = try await world.admin.makeUser("spender", usd: "1000")
            for round in 0..<6 {
                // A lease, so that there is something to go on with: a gateway that died while the server did has none at its start.
                try await load.run(world, key: user.key) { try await load.progress("round \(round), with the database") }
                try await load.run(world, key: user.key) {
                    server.stop()
                    try await load.progress("within the lease, round \(round)")
                    // Readiness is what was heard last, so it may be a second late.
                    try await eventually("round \(round): not ready") {
                        try await world.client.call(.get, "/health/ready").status == 503
                    }
                    if rng.below(2) == 0 { try await world.gateway.kill9() }
                    try server.start()
                }
                if world.gateway.processID == 0 { world = try await world.restarted() }
                try await eventually("the backlog drains", within: .seconds(60)) {
                    try await world.client.call(.get, "/health/ready").status == 200
                }
            }
            try await load.check(world, "seed \(seed)")
        } catch {
            let log = world.gateway.log.suffix(4_000)
            try? await world.tearDown()
            throw StringError("seed \(seed): \(error)\n--- gateway log ---\n\(log)")
        }
        try await world.tearDown()
    }
}

/// Requests of all kinds, in small steps, and the comparison of the books with the vendor's record.
final class MixedLoad: Sendable {
    private struct State {
        var rng: SplitMix64
        /// Request ids of answers that reached the client whole.
        var completed: Set<String> = []
        var isOver = false
    }
    private let state: Mutex<State>
    private static let clients = 8

    init(seed: UInt64) { state = Mutex(State(rng: SplitMix64(seed: seed ^ 0xC1))) }

    /// Waits until more calls are completed than were under way: some of them began after this was asked.
    func progress(_ what: String) async throws {
        let before = state.withLock { $0.completed.count }
        try await eventually("calls are completed: \(what)", within: .seconds(120)) {
            self.state.withLock { $0.completed.count } > before + Self.clients
        }
    }

    /// A world whose first channel refuses one model, so that requests for it fail over.
    static func world(_ environment: [String: String]) async throws -> World {
        let channels = [
            World.ChannelSpec(id: 1, key: "first-key", priority: 10), World.ChannelSpec(id: 2, key: "second-key"),
        ]
        let world = try await World.make(
            channels: channels, sections: "routing: { cooldown: { base: 1ms, max: 2ms } }", environment: environment)
        world.simulator.script.add(model: "sim/fine", key: "first-key", steps: ["status=503"], repeatsLast: true)
        return world
    }

    private static let kinds: [(model: String, controls: String, isStream: Bool, leaves: Bool)] = [
        ("sim/cheap", "ok", false, false), ("sim/dear", "chunks=12,pace=2ms", true, false),
        ("sim/cheap", "chunks=40,pace=5ms", true, false),
        ("sim/fine", "ok", true, false), ("sim/fine", "prompt_tokens=345,completion_tokens=67", false, false),
        ("sim/cheap", "chunks=60,pace=2ms", true, true), ("sim/dear", "reasoning=15,chunks=12,pace=2ms", true, false),
        ("sim/dear", "reasoning=40,chunks=20,pace=2ms", true, true),
        ("sim/dear", "first_byte=30ms,prompt_tokens=1000,cached_tokens=900", false, false),
    ]

    /// Keeps clients busy while `body` runs. Requests that a kill cuts fail, and that is all right.
    func run(_ world: World, key: String, _ body: () async throws -> Void) async throws {
        state.withLock { $0.isOver = false }
        try await withThrowingTaskGroup(of: Void.self) { group in
            for _ in 0..<Self.clients {
                group.addTask { while !self.state.withLock({ $0.isOver }) { await self.one(world, key) } }
            }
            let result: Result<Void, any Error>
            do { result = .success(try await body()) } catch { result = .failure(error) }
            state.withLock { $0.isOver = true }
            try await group.waitForAll()
            try result.get()
        }
    }

    private func one(_ world: World, _ key: String) async {
        let kind = Self.kinds[state.withLock { Int($0.rng.below(UInt64(Self.kinds.count))) }]
        var members: [JSONValue.Member] = [
            .init("model", .string(kind.model)), .init("messages", [["role": "user", "content": "one two three four"]]),
            .init("sim_control", .string(kind.controls)), .init("max_tokens", .integer(500)),
        ]
        if kind.isStream { members.append(.init("stream", true)) }
        do {
            let answer = try await world.client.call(
                .post, "/v1/chat/completions", key: key, body: JSONValue.object(members).text, leaveAfter: kind.leaves ? 3 : nil)
            let isWhole = answer.status == 200 && !answer.wasCut && !kind.leaves && (!kind.isStream || answer.events.last == "[DONE]")
            guard isWhole, let name = HTTPField.Name("X-Request-Id"), let id = answer.headers[name] else { return }
            state.withLock { _ = $0.completed.insert(id) }
        } catch {
            // The gateway is gone; a moment later it is back.
            try? await Task.sleep(for: .milliseconds(5))
        }
    }

    // MARK: The books

    /// Compares, request by request, once everything is posted.
    func check(_ world: World, _ name: String) async throws {
        try await eventually("everything is posted", within: .seconds(60)) {
            let metrics = try await world.client.call(.get, "/metrics").text
            return metrics.contains("apirouter_unposted_records 0\n") && metrics.contains("apirouter_open_holds 0\n")
        }
        let rows = try await logRows(world)
        var byGeneration: [String: JSONValue] = [:]
        var recoveredWithoutID = 0
        for row in rows {
            let isRecovered = row["outcome"]?.stringValue == "recovered"
            let isEstimated = row["usage_source"]?.stringValue == "estimated" && row["cost"]?.numberText != "0"
            // What the kill did not cut has the vendor's own figures, but for clients that left before the vendor told them.
            if isEstimated, row["outcome"]?.stringValue != "client_gone" {
                #expect(isRecovered, "\(name): \(row.text) is estimated and was not cut")
            }
            guard let generation = row["generation_id"]?.stringValue else {
                if isRecovered { recoveredWithoutID += 1 }
                continue
            }
            #expect(byGeneration.updateValue(row, forKey: generation) == nil, "\(name): \(generation) is in the books twice")
        }
        var unknown = 0
        for bill in world.simulator.record.rows() where bill.promptTokens > 0 {
            guard let row = byGeneration[bill.generationID] else {
                unknown += 1
                continue
            }
            guard row["usage_source"]?.stringValue == "upstream", let cost = row["cost"]?.numberText else { continue }
            let charged = try NanoUSD(usd: cost)
            #expect(charged == Self.bill(bill), "\(name): \(bill.generationID) was billed \(Self.bill(bill)), charged \(charged)")
        }
        // The vendor worked for these and the gateway died before the answer began: they are charged by the prompt.
        #expect(unknown <= recoveredWithoutID, "\(name): \(unknown) answers are in no book, \(recoveredWithoutID) were cut before content")
        let known = Set(rows.compactMap { $0["usage_source"]?.stringValue == "upstream" ? $0["request_id"]?.stringValue : nil })
        let lost = state.withLock { $0.completed.subtracting(known) }
        #expect(lost.isEmpty, "\(name): \(lost.count) answers reached their client and are not charged by usage: \(lost.prefix(3))")
        try await world.gateway.stop()
        let books = try await world.verifyLedger()
        #expect(books.status == 0, "\(name): \(books.output)")
    }

    private func logRows(_ world: World) async throws -> [JSONValue] {
        var rows: [JSONValue] = []
        var page = 1
        while true {
            let items = try await world.admin.get("/api/log?page=\(page)&page_size=100")["data"]?["items"]?.arrayValue ?? []
            rows += items
            if items.count < 100 { return rows }
            page += 1
        }
    }

    /// What a row of the vendor's record costs at the table's prices, rounded half up, with plain integers.
    private static func bill(_ row: BillingRow) -> NanoUSD {
        let model = World.models.first { $0.id == row.model } ?? ("", "0", "0", nil)
        let input = femtos(model.input)
        let cached = model.cacheRead.map(femtos) ?? input
        let sum = (row.promptTokens - row.cachedTokens) * input + row.cachedTokens * cached + row.completionTokens * femtos(model.output)
        return NanoUSD(nanos: (sum + 500_000) / 1_000_000)
    }

    /// USD per million tokens as femto-dollars per token.
    private static func femtos(_ text: String) -> Int64 {
        let parts = text.split(separator: ".")
        let fraction = parts.count > 1 ? String(parts[1]) : ""
        return (Int64(parts[0]) ?? 0) * 1_000_000_000 + (Int64(fraction + String(repeating: "0", count: 9 - fraction.count)) ?? 0)
    }
}
