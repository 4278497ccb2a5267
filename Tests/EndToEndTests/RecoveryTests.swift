import HTTPTypes
import NIOCore
import RouterCore
import Simulator
import Testing

/// A vendor that fails and is well again, behind the only channel of a model.
@Suite(.serialized, .timeLimit(.minutes(10))) struct RecoveryTests {
    /// Cool-downs outlast the test, and each request is one attempt.
    private static let sections = "routing: { cooldown: { base: 100s, max: 300s }, retry_wait: 0s }"

    private func lone(
        sections: String = Self.sections, channel: World.ChannelSpec = World.ChannelSpec(id: 1, key: "sk-only"),
        _ body: (World) async throws -> Void
    ) async throws {
        try await World.with(channels: [channel], sections: sections) { world in
            try await world.admin.addBalance(1, usd: "10")
            try await body(world)
        }
    }

    private func asked(_ simulator: Simulator) -> Int { simulator.statistics.requests["/v1/chat/completions"] ?? 0 }

    // MARK: Audit 12

    @Test func `audit 12: eight failures of the only channel, then a well vendor: the next request is answered`() async throws {
        try await lone { world in
            world.simulator.script.add(steps: ["status=500"], repeatsLast: true)
            for number in 1...8 {
                let failed = try await world.chat()
                #expect(failed.status == 502, "\(number): \(failed.text)")
                #expect(asked(world.simulator) == number, "each of them is asked: the channel is all that the model has")
            }
            let closed = try await world.channel(1)["health"]?.arrayValue?.first
            #expect(closed?["state"]?.stringValue == "open" && closed?["openings"]?.integerValue == 1, "\(closed?.text ?? "")")
            let plan = try await world.admin.get("/api/route/explain?model=sim/cheap")["data"]
            let candidate = plan?["candidates"]?.arrayValue?.first
            #expect(
                plan?["is_last_resort"]?.boolValue == true && (candidate?["cooling_for_ms"]?.integerValue ?? 0) > 1_000,
                "\(plan?.text ?? "")")

            world.simulator.script.clear()
            let served = try await world.chat()
            #expect(served.status == 200, "\(served.text)")
            let healed = try await world.channel(1)["health"]?.arrayValue
            #expect(healed?.isEmpty == true, "\(healed ?? [])")
            let metrics = try await world.client.call(.get, "/metrics").text
            #expect(metrics.contains("apirouter_last_resorts_total{channel=\"1\",result=\"ok\"} 1\n"))
            #expect(metrics.contains("apirouter_last_resorts_total{channel=\"1\",result=\"server\"} 5\n"))
            let normal = try await world.admin.get("/api/route/explain?model=sim/cheap")["data"]
            #expect(normal?["is_last_resort"]?.boolValue == false && normal?["candidates"]?.arrayValue?.count == 1)
        }
    }

    @Test func `audit 12: a vendor whose port opens is asked by the next request, streamed or not`() async throws {
        let reserved = Simulator(configuration: .init())
        try await reserved.start()
        let port = reserved.port
        try await reserved.stop()
        let channel = World.ChannelSpec(id: 1, key: "sk-only", baseURL: "http://127.0.0.1:\(port)/v1")
        for isStream in [false, true] {
            try await lone(channel: channel) { world in
                for _ in 0..<4 {
                    let refused = try await world.chat(stream: isStream)
                    #expect(refused.status == 502, "\(refused.text)")
                }
                let vendor = Simulator(
                    configuration: {
                        var one = Simulator.Configuration(); one.port = port; return one
                    }())
                try await vendor.start()
                let served = try await world.chat(stream: isStream)
                #expect(served.status == 200, "\(served.text)")
                try await vendor.stop()
            }
        }
    }

    @Test func `audit 12: one request finds out, the rest get 503 with Retry-After, and one that hangs is not waited for`() async throws {
        try await lone { world in
            world.simulator.script.add(steps: ["status=503", "stall_before_head"])
            let first = try await world.chat()
            #expect(first.status == 503)
            let stalled = Task { try await world.chat(stream: true) }
            try await eventually("the last resort is under way") { asked(world.simulator) == 2 }
            // The vendor would answer now. Those that come while the try is young are refused.
            let began = ContinuousClock.now
            var refused = 0
            var answer = try await world.chat()
            while answer.status != 200 {
                #expect(answer.status == 503 && answer.headers[.retryAfter] == "1", "\(answer.text)")
                refused += 1
                answer = try await world.chat()
            }
            let waited = began.duration(to: .now)
            #expect(asked(world.simulator) == 3 && refused > 0, "nobody else reached the vendor")
            // The gateway's own time-outs are minutes.
            #expect(waited < .seconds(30), "\(waited)")
            let plan = try await world.admin.get("/api/route/explain?model=sim/cheap")["data"]
            #expect(plan?["is_last_resort"]?.boolValue == false, "an answer closes the record, whatever hangs")
            stalled.cancel()
            _ = try? await stalled.value
        }
    }

    @Test func `audit 12: a rate limit is told as 429 with Retry-After, and the vendor is not asked before it is over`() async throws {
        try await lone { world in
            world.simulator.script.add(steps: ["status=429,retry_after=60"], repeatsLast: true)
            let limited = try await world.chat()
            #expect(limited.status == 429 && limited.headers[.retryAfter] == "60")
            for _ in 0..<5 {
                let answer = try await world.chat()
                #expect(answer.status == 429 && answer.text.contains("rate limited"), "\(answer.status) \(answer.text)")
                #expect(Int(answer.headers[.retryAfter] ?? "").map { $0 > 1 && $0 <= 66 } == true)
            }
            #expect(asked(world.simulator) == 1)
        }
    }

    @Test func `audit 12: a time that the vendor named and a refused key are respected, over a restart too`() async throws {
        try await lone { world in
            world.simulator.script.add(steps: ["status=503,retry_after=80"], repeatsLast: true)
            let first = try await world.chat()
            #expect(first.status == 503 && first.headers[.retryAfter] == "80")
            let again = try await world.chat()
            #expect(again.status == 503 && Int(again.headers[.retryAfter] ?? "").map { $0 > 1 } == true)
            try await world.gateway.stop()
            try await world.gateway.start()
            let client = try Client(base: world.gateway.base)
            let body = #"{"model":"sim/cheap","messages":[{"role":"user","content":"x"}]}"#
            let later = try await client.call(.post, "/v1/chat/completions", key: GatewayProcess.rootKey, body: body)
            #expect(later.status == 503 && asked(world.simulator) == 1)
            await client.shutdown()
        }
        try await lone { world in
            world.simulator.script.add(steps: ["status=401"], repeatsLast: true)
            _ = try await world.chat()
            let again = try await world.chat()
            #expect(again.status == 503 && asked(world.simulator) == 1)
        }
    }

    // MARK: Audit 11

    @Test func `audit 11: a kept connection that dies after the request was read is an attempt of its own`() async throws {
        try await lone { world in
            let ready = try await world.chat()
            #expect(ready.status == 200)
            // The vendor reads the request on the kept connection, and closes it without a word.
            world.simulator.script.add(steps: ["close_before_head"])
            let served = try await world.chat()
            #expect(served.status == 200, "\(served.text)")
            let row = try await world.logRows(2)[0]
            let list = row["attempt_list"]?.arrayValue ?? []
            #expect(row["attempts"]?.integerValue == 2 && list.count == 2, "\(row.text)")
            #expect(list.first?["failure"]?.stringValue == "connection_reset" && list.last?["failure"]?.isNull == true, "\(list)")
            // What the vendor may bill is what the log counts.
            let attempts = try await world.logRows(2).compactMap { $0["attempts"]?.integerValue }.reduce(0, +)
            #expect(Int64(world.simulator.record.count) == attempts)
            let health = try await world.channel(1)["health"]?.arrayValue
            #expect(health?.isEmpty == true, "a dead connection says nothing of the vendor: \(health ?? [])")
        }
    }

    @Test func `audit 11: where one attempt is allowed, the vendor is asked once`() async throws {
        try await lone(sections: "routing: { max_attempts: 1 }") { world in
            _ = try await world.chat()
            world.simulator.script.add(steps: ["close_before_head"])
            let failed = try await world.chat()
            #expect(failed.status == 502 && world.simulator.record.count == 2, "\(failed.text)")
            let next = try await world.chat()
            #expect(next.status == 200)
        }
    }
}
