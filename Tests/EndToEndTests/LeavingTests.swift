import Foundation
import HTTPTypes
import NIOCore
import RouterCore
import Simulator
import Testing

/// Leaving early is not free: what the books say of clients that hang up, against the vendor's own record of what it
/// bills.
@Suite(.serialized) struct LeavingTests {
    private static let cancels = World.ChannelSpec(id: 1, provider: "simcancel")
    private static let thinks: [JSONValue.Member] = [.init("reasoning_effort", "high")]

    /// What the vendor bills: USD per million tokens of `sim/dear` or `sim/cheap`, in nano-dollars.
    private func bill(_ row: BillingRow) throws -> NanoUSD {
        let (input, output): (Int64, Int64) =
            row.model.hasPrefix("sim/dear") || row.model.hasPrefix("sim-dear") ? (3_000, 15_000) : (150, 600)
        return NanoUSD(nanos: row.promptTokens * input + row.completionTokens * output)
    }

    private func cost(_ row: JSONValue) throws -> NanoUSD { try NanoUSD(usd: row["cost"]?.numberText ?? "0") }

    /// A request whose client hangs up when the vendor has it, before anything of an answer has come.
    private func leaveBeforeHead(_ world: World, _ body: String) async throws {
        let before = world.simulator.statistics.requests["/v1/chat/completions"] ?? 0
        let cancellation = UpstreamCancellation()
        async let answer = world.client.call(
            .post, "/v1/chat/completions", key: GatewayProcess.rootKey, body: body, cancellation: cancellation)
        try await eventually("the vendor has the request") {
            world.simulator.statistics.requests["/v1/chat/completions"] ?? 0 > before
        }
        cancellation.cancel()
        _ = try? await answer
    }

    private func body(
        _ model: String, _ text: String, stream: Bool, controls: String, more: [JSONValue.Member] = []
    ) -> String {
        var members: [JSONValue.Member] = [
            .init("model", .string(model)), .init("messages", [["role": "user", "content": .string(text)]]),
            .init("stream", .boolean(stream)),
        ]
        if !controls.isEmpty { members.append(.init("sim_control", .string(controls))) }
        return JSONValue.object(members + more).text
    }

    @Test("audit 2: answer, END, filler: closed at END, the hidden thoughts are paid for", .timeLimit(.minutes(10)))
    func answerEndFiller() async throws {
        try await World.with(channels: [Self.cancels]) { world in
            try await world.admin.addBalance(1, usd: "10")
            let text = "the answer is 42 END " + (0..<60).map { "filler\($0) " }.joined()
            _ = try await world.client.call(
                .post, "/v1/chat/completions", key: GatewayProcess.rootKey,
                body: body(
                    "sim/dear", text, stream: true, controls: "think_tokens=20000,think=200ms,pace=15ms",
                    more: Self.thinks),
                leaveWhen: { $0.contains("END") })
            let row = try await world.logRows(1)[0]
            try await eventually("the vendor has billed") { world.simulator.record.count == 1 }
            let billed = try #require(world.simulator.record.rows().first)
            #expect(billed.completionTokens > 20_000 && billed.reasoningTokens == 20_000)
            #expect(
                row["outcome"]?.stringValue == "client_gone" && row["usage_source"]?.stringValue == "upstream",
                "\(row.text)")
            #expect(try cost(row) == bill(billed), "\(row.text)")
            #expect(try cost(row) > NanoUSD(usd: "0.30"))
        }
    }

    @Test(
        "audit 2: a model that thinks by its provider file is drained, one that does not is cancelled",
        .timeLimit(.minutes(10)))
    func providerFile() async throws {
        try await World.with(channels: [Self.cancels]) { world in
            try await world.admin.addBalance(1, usd: "10")
            let base = "http://127.0.0.1:\(world.simulator.port)/v1"
            let price = #"price: { input: "3", output: "15" }"#
            try world.write(
                "providers/simthink.yaml",
                """
                name: simthink
                adaptor: openai
                base_url: \(base)
                auth: { type: bearer }
                billing: { cancel_stops_billing: true }
                models:
                  - { id: house-model, reasoning: true, \(price) }
                  - { id: o3-in-name-only, reasoning: false, \(price) }

                """)
            let channel = World.ChannelSpec(id: 2, provider: "simthink")
            try world.write("config/channels.yaml", World.channelsYAML([Self.cancels, channel]))
            let reloaded = try await world.admin.post("/api/config/reload", .object([]))
            #expect(reloaded["success"]?.boolValue == true, "\(reloaded.text)")
            _ = try await world.chat(
                "house-model", stream: true, controls: "think_tokens=500,chunks=40,pace=5ms", leaveAfter: 1)
            let drained = try await world.logRows(1)[0]
            #expect(
                drained["usage_source"]?.stringValue == "upstream" && drained["completion_tokens"]?.integerValue == 540,
                "\(drained.text)")
            _ = try await world.chat("o3-in-name-only", stream: true, controls: "chunks=2000,pace=5ms", leaveAfter: 1)
            try await eventually("the call was ended") {
                world.simulator.record.rows().contains { $0.outcome == "client_gone" }
            }
            let cancelled = try await world.logRows(2)[0]
            #expect(cancelled["usage_source"]?.stringValue == "estimated", "\(cancelled.text)")
        }
    }

    @Test(
        "audit 2: leaving before the first content costs the prompt of 40,000 words", .timeLimit(.minutes(10)),
        arguments: [true, false])
    func beforeContent(_ stream: Bool) async throws {
        try await World.with(channels: [Self.cancels]) { world in
            try await world.admin.addBalance(1, usd: "10")
            let text = String(repeating: "word ", count: 40_000)
            // The whole answer comes after the client has left, and is charged by its figures.
            let controls = stream ? "first_byte=30s" : "first_byte=500ms,completion_tokens=7"
            try await leaveBeforeHead(world, body("sim/cheap", text, stream: stream, controls: controls))
            let row = try await world.logRows(1)[0]
            try await eventually("the vendor has billed") { world.simulator.record.count == 1 }
            let billed = try #require(world.simulator.record.rows().first)
            #expect(billed.promptTokens == 40_003)
            #expect(row["outcome"]?.stringValue == "client_gone", "\(row.text)")
            #expect(row["usage_source"]?.stringValue == (stream ? "estimated" : "upstream"), "\(row.text)")
            #expect(try cost(row) >= bill(billed), "\(row.text) for \(billed)")
            #expect(try cost(row) < NanoUSD(usd: "0.012"), "twice the prompt would be wrong as well: \(row.text)")
        }
    }

    @Test(
        "audit 2: attempts that failed at vendors, and calls that no vendor had, cost a leaving client nothing",
        .timeLimit(.minutes(10)))
    func nothingOwed() async throws {
        let sections = "routing: { keep_alive: 50ms, retry_wait: 10s, timeouts: { connect: 20s } }"
        try await World.with(channels: [Self.cancels], sections: sections) { world in
            try await world.admin.addBalance(1, usd: "10")
            // The vendor refuses; the client leaves while the gateway waits to ask again.
            world.simulator.script.add(steps: ["status=503,retry_after=5"], repeatsLast: true)
            _ = try await world.chat(stream: true, leaveAfter: 2)
            let refused = try await world.logRows(1)[0]
            #expect(
                refused["outcome"]?.stringValue == "client_gone" && refused["cost"]?.numberText == "0",
                "\(refused.text)")
            #expect(try await world.admin.get("/api/balance")["data"]?["balance"]?.numberText == "10")
        }
    }

    @Test("audit 2: a server that bills nothing is let go at once, whatever its model", .timeLimit(.minutes(10)))
    func freeServer() async throws {
        try await World.with(channels: [Self.cancels]) { world in
            try await world.admin.addBalance(1, usd: "10")
            try world.write(
                "providers/simhome.yaml",
                """
                name: simhome
                adaptor: openai
                base_url: http://127.0.0.1:\(world.simulator.port)/v1
                auth: { type: none }
                default_price: { input: "0", output: "0" }

                """)
            let home = World.ChannelSpec(id: 2, provider: "simhome", models: ["deepseek-r1"])
            try world.write("config/channels.yaml", World.channelsYAML([Self.cancels, home]))
            _ = try await world.admin.post("/api/config/reload", .object([]))
            _ = try await world.chat(
                "deepseek-r1", stream: true, controls: "chunks=3000,pace=20ms", more: Self.thinks, leaveAfter: 1)
            try await eventually("the stream was ended") {
                world.simulator.record.rows().contains { $0.outcome == "client_gone" }
            }
            try await leaveBeforeHead(world, body("deepseek-r1", "hello", stream: false, controls: "first_byte=60s"))
            try await eventually("the whole answer was ended") {
                world.simulator.record.rows().count { $0.outcome == "client_gone" } == 2
            }
            let rows = try await world.logRows(2)
            #expect(
                rows.allSatisfy { $0["outcome"]?.stringValue == "client_gone" && $0["cost"]?.numberText == "0" },
                "\(rows)")
        }
    }

    @Test("audit 2: drains are bounded in number, counted, and settled when the gateway stops", .timeLimit(.minutes(10)))
    func number() async throws {
        let world = try await World.make(sections: "metering: { max_drains: 1 }")
        try await world.admin.addBalance(1, usd: "10")
        for leaver in 1...3 {
            _ = try await world.chat("sim/dear", stream: true, controls: "chunks=3000,pace=20ms", leaveAfter: 2)
            try await eventually("leaver \(leaver) is drained, the one before is cut") {
                let metrics = try await world.client.call(.get, "/metrics").text
                return metrics.contains("apirouter_drains 1\n")
                    && metrics.contains("apirouter_drains_ended{end=\"room\"} \(leaver - 1)\n")
            }
        }
        try await eventually("two calls were cut") {
            world.simulator.record.rows().count { $0.outcome == "client_gone" } == 2
        }
        try await world.gateway.stop()
        let again = try await world.restarted()
        let rows = try await again.logRows(3)
        #expect(rows.count == 3)
        for row in rows {
            #expect(
                row["outcome"]?.stringValue == "client_gone" && row["usage_source"]?.stringValue == "estimated",
                "\(row.text)")
            #expect(try cost(row) > .zero)
        }
        // Whoever crowds out the draining of his own answers, which this vendor bills on, pays what was held for them.
        let held = try NanoUSD(usd: "0.06144")
        #expect(try rows.count { try cost($0) >= held } >= 2, "\(rows.map(\.text))")
        try await again.gateway.stop()
        let books = try await again.verifyLedger()
        #expect(books.status == 0, "\(books.output)")
        try await again.tearDown()
    }

    @Test(
        "audit 2: where a drain is cut, thoughts are charged by their time and the measured speed",
        .timeLimit(.minutes(10)))
    func measured() async throws {
        let sections = """
            metering: { max_drains: 0 }
            routing: { keep_alive: 50ms }
            """
        try await World.with(channels: [Self.cancels], sections: sections) { world in
            try await world.admin.addBalance(1, usd: "10")
            // A whole answer tells how fast the model thinks: some thousand tokens a second.
            _ = try await world.chat(
                "sim/dear", stream: true, controls: "think_tokens=4000,think=400ms", more: Self.thinks)
            // Slower the next time, and far above the speed that is taken for granted.
            _ = try await world.chat(
                "sim/dear", stream: true, controls: "think_tokens=40000,think=40s", more: Self.thinks, leaveAfter: 6)
            let rows = try await world.logRows(2)
            let row = rows[0]
            try await eventually("the call was cut") { world.simulator.record.rows().count == 2 }
            let billed = try #require(world.simulator.record.rows().last)
            #expect(billed.outcome == "client_gone")
            #expect(
                row["outcome"]?.stringValue == "client_gone" && row["usage_source"]?.stringValue == "estimated",
                "\(row.text)")
            #expect(try cost(row) >= bill(billed), "\(row.text) for \(billed)")
            // More than a quarter of a second at some thousand tokens each.
            #expect(row["completion_tokens"]?.integerValue ?? 0 > 300, "\(row.text)")
            // The hold was 4,096 tokens and the prompt.
            #expect(try cost(row) <= NanoUSD(usd: "0.062"), "\(row.text)")
        }
    }

    /// The families with thinking models whose vendor stops when it is left, and with vendors that go on.
    private func families(_ world: World) throws -> [String] {
        let bases = [
            ("openai", "/v1"), ("openrouter", "/api/v1"), ("anthropic", "/anthropic/v1"), ("gemini", "/gemini/v1beta"),
            ("cohere", "/cohere"),
            ("bedrock", "/bedrock"),
        ]
        var specs: [World.ChannelSpec] = []
        for (number, (family, path)) in bases.enumerated() {
            for stops in [true, false] {
                let name = "\(family)-\(stops ? "stops" : "goes-on")"
                try world.write(
                    "providers/\(name).yaml",
                    """
                    name: \(name)
                    adaptor: \(family)
                    base_url: http://127.0.0.1:\(world.simulator.port)\(path)
                    auth: { type: bearer }
                    billing: { cancel_stops_billing: \(stops) }
                    models:
                      - { id: sim-dear-\(name), max_output_tokens: 4096, price: { input: "3", output: "15" } }
                      - { id: sim-dear-\(name)-thinking, max_output_tokens: 4096, price: { input: "3", output: "15" } }

                    """)
                specs.append(World.ChannelSpec(id: Int64(number * 2 + (stops ? 10 : 11)), provider: name))
            }
        }
        try world.write("config/channels.yaml", World.channelsYAML(specs))
        return bases.map(\.0)
    }

    /// Leaves after the n-th event and compares the charge with the vendor's bill.
    private func leave(
        _ world: World, _ model: String, after events: Int, _ controls: String
    ) async throws -> (row: JSONValue, billed: BillingRow) {
        let (rows, bills) = (
            try await world.admin.get("/api/log")["data"]?["total"]?.integerValue ?? 0, world.simulator.record.count
        )
        world.simulator.script.add(steps: [controls])
        // One more than anybody waits for: a stream that has said all is complete.
        let marks = ["one", "two", "three", "four", "five", "six", "seven"]
        _ = try await world.client.call(
            .post, "/v1/chat/completions", key: GatewayProcess.rootKey,
            body: body(model, marks.joined(separator: " "), stream: true, controls: ""),
            leaveWhen: { events == 0 ? $0.contains(": ") : $0.contains(marks[events - 1]) })
        try await eventually("\(model) after \(events): the vendor has billed") {
            world.simulator.record.count == bills + 1
        }
        try await eventually("\(model) after \(events): the books have it") {
            try await world.admin.get("/api/log")["data"]?["total"]?.integerValue == rows + 1
        }
        let row = try #require(try await world.admin.get("/api/log")["data"]?["items"]?.arrayValue?.first)
        return (row, try #require(world.simulator.record.rows().last))
    }

    @Test("audit 2: leaving at every event, every family, against the vendor's record", .timeLimit(.minutes(10)))
    func everyEvent() async throws {
        let sections = """
            metering: { drain_timeout: 1s }
            routing: { keep_alive: 30ms, affinity: "off" }
            """
        try await World.with(sections: sections) { world in
            let families = try families(world)
            let reloaded = try await world.admin.post("/api/config/reload", .object([]))
            #expect(reloaded["success"]?.boolValue == true, "\(reloaded.text)")
            try await world.admin.addBalance(1, usd: "100")
            for family in families {
                for events in [0, 1, 3, 6] {
                    // The vendor stops when it is left, after exactly these events.
                    let stall = "stall_after=\(events)"
                    let plain = try await leave(world, "sim-dear-\(family)-stops", after: events, stall)
                    #expect(plain.row["outcome"]?.stringValue == "client_gone", "\(plain.row.text)")
                    #expect(
                        try cost(plain.row) >= bill(plain.billed),
                        "\(family), \(events): \(plain.row.text) for \(plain.billed)")
                    // It had thought before, slower than is taken for granted; the drain is cut by its time.
                    let thinking = try await leave(
                        world, "sim-dear-\(family)-stops-thinking", after: events, "think_tokens=10,think=50ms,\(stall)"
                    )
                    // An aggregator may have been asked for its record by now.
                    let source = thinking.row["usage_source"]?.stringValue
                    #expect(source == "estimated" || source == "reconciled", "\(thinking.row.text)")
                    #expect(
                        try cost(thinking.row) >= bill(thinking.billed),
                        "\(family), \(events): \(thinking.row.text) for \(thinking.billed)")
                    // The vendor goes on and bills the whole: drained to its end.
                    let whole = try await leave(
                        world, "sim-dear-\(family)-goes-on", after: events,
                        "bills_whole,think_tokens=300,think=60ms,pace=1ms")
                    #expect(whole.row["usage_source"]?.stringValue == "upstream", "\(whole.row.text)")
                    #expect(
                        try cost(whole.row) == bill(whole.billed),
                        "\(family), \(events): \(whole.row.text) for \(whole.billed)")
                }
            }
        }
    }
}
