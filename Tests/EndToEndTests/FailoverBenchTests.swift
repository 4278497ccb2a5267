import HTTPTypes
import NIOCore
import RouterCore
import Simulator
import Testing

/// The sixteen scenarios of failoverbench (methodology v0.1), against the real binary: a primary channel with a fault, and a backup. Scored
/// from both sides: what the client saw, and how often each vendor was asked.
@Suite(.serialized, .timeLimit(.minutes(10))) struct FailoverBenchTests {
    private static let sections = """
        routing:
          timeouts: { connect: 2s, first_byte: 600ms, first_content: 800ms, idle: 500ms, total: 20s }
          cooldown: { base: 400ms, max: 2s }
        """

    /// A primary and a backup; the primary answers as the script says, then as it likes.
    private func bench(_ steps: [String], forever: Bool = true, backup: Bool = true, _ body: (World) async throws -> Void) async throws {
        var channels = [World.ChannelSpec(id: 1, key: "sk-prim", priority: 1)]
        if backup { channels.append(World.ChannelSpec(id: 2, key: "sk-back")) }
        try await World.with(channels: channels, sections: Self.sections) { world in
            try await world.admin.addBalance(1, usd: "10")
            world.simulator.script.add(key: "sk-prim", steps: steps, repeatsLast: forever)
            try await body(world)
        }
    }

    private func expectServed(_ answer: Client.Answer, _ comment: Comment? = nil) {
        #expect(answer.status == 200 && !answer.wasCut, comment)
        #expect(answer.text.contains("[DONE]") || answer.text.contains("\"choices\""), comment)
    }

    /// Content, then a clear error, and nothing that looks like an end.
    private func expectBroken(_ answer: Client.Answer) {
        #expect(answer.status == 200 && answer.wasCut)
        #expect(answer.events.last?.contains("\"error\"") == true, "\(answer.text)")
        #expect(!answer.text.contains("[DONE]"))
        #expect(answer.events.contains { $0.contains("\"content\":\"a") }, "\(answer.text)")
    }

    @Test func `S01 a 429 with Retry-After fails over, and is waited for when nobody else is there`() async throws {
        try await bench(["status=429,retry_after=2"]) { world in
            expectServed(try await world.chat())
            expectServed(try await world.chat())
            #expect(world.calls(key: "prim") == 1, "the cool-down keeps the second request away")
        }
        try await bench(["status=429,retry_after=2", "ok"], forever: false, backup: false) { world in
            let clock = ContinuousClock()
            let start = clock.now
            expectServed(try await world.chat(stream: true))
            #expect(clock.now - start >= .seconds(2) && world.calls(key: "prim") == 2)
        }
    }

    @Test func `S02 a 429 for ever without a header: off to the backup, the primary asked ever more rarely`() async throws {
        try await bench(["status=429"]) { world in
            let clock = ContinuousClock()
            let start = clock.now
            var requests = 0
            while clock.now - start < .seconds(3) || requests < 21 {
                expectServed(try await world.chat())
                requests += 1
            }
            // After 0.4, 0.8, 1.6 … seconds it may be asked once more: however slow the machine is, ever more rarely.
            var most = 1
            var wait = Duration.milliseconds(300)
            var elapsed = Duration.zero
            while elapsed < clock.now - start {
                most += 1
                elapsed += wait
                wait = wait * 2
            }
            #expect((2...most).contains(world.calls(key: "prim")), "\(world.calls(key: "prim")) of \(requests), at most \(most)")
        }
    }

    @Test func `S03 one 500 is nobody's concern`() async throws {
        try await bench(["status=500", "ok"], forever: false) { world in
            expectServed(try await world.chat())
            expectServed(try await world.chat())
            #expect(world.calls(key: "prim") == 2, "one failure takes nobody out")
        }
        try await bench(["status=500", "ok"], forever: false, backup: false) { world in
            expectServed(try await world.chat(), "the only host is asked again")
        }
    }

    @Test func `S04 a 503 for ever fails over at once`() async throws {
        try await bench(["status=503"]) { world in
            for stream in [false, true] { expectServed(try await world.chat(stream: stream)) }
            // Without a second try at the primary, and without waiting for one.
            let lists = try await world.logRows(2).map { $0["attempt_list"]?.arrayValue?.map { $0["channel_id"]?.integerValue } ?? [] }
            #expect(lists.last == [1, 2] && lists.first != [1, 1, 2], "\(lists)")
        }
    }

    @Test(arguments: ["reset_before_head", "close_before_head"]) func `S05 the connection breaks before the head`(
        fault: String
    ) async throws {
        try await bench([fault, "ok"], forever: false) { world in expectServed(try await world.chat(stream: true)) }
        try await bench([fault, "ok"], forever: false, backup: false) { world in expectServed(try await world.chat()) }
    }

    @Test func `S06 a host that never answers is given up in time and not asked again`() async throws {
        try await bench(["stall_before_head"]) { world in
            let clock = ContinuousClock()
            let start = clock.now
            expectServed(try await world.chat())
            // Not before its time; and served at all means before the 20 seconds of the whole request.
            #expect(clock.now - start >= .milliseconds(600))
            try await eventually("the call was given up") { world.calls(key: "prim") == 1 }
        }
        try await bench(["stall_before_head"], backup: false) { world in
            let answer = try await world.chat()
            #expect(answer.status == 504)
            try await eventually("one call") { world.calls(key: "prim") == 1 }
        }
    }

    @Test func `S07 a first token that takes too long fails over, comments or not`() async throws {
        try await bench(["first_content=20s"]) { world in
            let answer = try await world.chat(stream: true)
            expectServed(answer)
            #expect(!answer.text.contains("still working"), "nothing of the primary's reached the client")
        }
    }

    @Test func `S08 a stream that is cut at 40 of 60 tokens is a clear error`() async throws {
        let text = (0..<60).map { "a\($0)" }.joined(separator: " ")
        for fault in ["close_after=40", "end_after=40", "reset_after=40"] {
            try await bench([fault]) { world in
                expectBroken(try await world.chat(stream: true, text: text))
                #expect(world.calls(key: "back") == 0, "half an answer is not followed by another one")
                let row = try await world.logRows(1)[0]
                #expect(row["outcome"]?.stringValue == "truncated" && row["cost"]?.numberText != "0")
            }
        }
    }

    @Test func `S09 a stream that stalls is noticed, and the gateway lives on`() async throws {
        try await bench(["stall_after=3"], forever: true) { world in
            expectBroken(try await world.chat(stream: true))
            _ = try await world.admin.post("/api/channel/1/disable", .object([]))
            expectServed(try await world.chat(stream: true))
        }
    }

    @Test func `S10 a malformed chunk fails over before content and fails cleanly after it`() async throws {
        try await bench(["malformed_after=0"]) { world in expectServed(try await world.chat(stream: true)) }
        try await bench(["malformed_after=3"]) { world in expectBroken(try await world.chat(stream: true)) }
    }

    @Test func `S11 without a DONE the stream ends promptly and with its usage`() async throws {
        try await bench(["no_done"]) { world in
            let answer = try await world.chat(stream: true, more: [.init("stream_options", ["include_usage": true])])
            expectServed(answer)
            #expect(answer.text.contains("\"total_tokens\""))
            let found1 = try await world.logRows(1)[0]["usage_source"]?.stringValue
            #expect(found1 == "upstream")
        }
    }

    @Test func `a stream of nothing but its end is no answer`() async throws {
        try await bench(["chunks=0,no_finish,no_usage"]) { world in
            let answer = try await world.chat(stream: true)
            expectServed(answer)
            #expect(world.calls(key: "back") == 1 && answer.text.contains("\"content\":\"a"))
        }
    }

    @Test func `S12 a prompt that is too long is not retried on the same model`() async throws {
        try await bench(["status=400,error_code=context_length_exceeded"]) { world in
            let answer = try await world.chat()
            #expect(answer.status == 400 && answer.text.contains("context_length_exceeded"))
            #expect(world.calls(key: "back") == 0)
            // Only the first model is too small.
            world.simulator.script.clear()
            world.simulator.script.add(model: "sim/cheap", steps: ["status=400,error_code=context_length_exceeded"], repeatsLast: true)
            let other = try await world.chat(more: [.init("models", ["sim/dear"])])
            expectServed(other, "the client's own other model may have more room")
            #expect(other.text.contains("sim/dear"))
        }
    }

    @Test func `S13 a refusal for its content goes to the client`() async throws {
        try await bench(["status=400,error_code=content_policy_violation,message=no"]) { world in
            let answer = try await world.chat()
            #expect(answer.status == 400 && answer.text.contains("content_policy_violation"))
            #expect(world.calls(key: "back") == 0)
        }
    }

    @Test func `S14 a cut stream is told as such, never as a fallback's 400`() async throws {
        try await bench(["close_after=3"]) { world in
            world.simulator.script.add(key: "sk-back", steps: ["status=400,message=prefill"], repeatsLast: true)
            let answer = try await world.chat(stream: true)
            expectBroken(answer)
            #expect(!answer.text.contains("prefill") && world.calls(key: "back") == 0)
        }
    }

    @Test func `S15 down for a while, then up: served by the backup, back after recovery`() async throws {
        try await bench(["status=503"]) { world in
            for _ in 0..<20 { expectServed(try await world.chat()) }
            #expect(world.calls(key: "prim") <= 3)
            world.simulator.script.clear()
            let before = world.calls(key: "prim")
            try await eventually("the primary serves again") {
                expectServed(try await world.chat())
                return world.calls(key: "prim") > before
            }
            let served = world.calls(key: "back")
            for _ in 0..<10 { expectServed(try await world.chat()) }
            #expect(world.calls(key: "back") == served, "all of the traffic is back")
        }
    }

    @Test func `S16 the answer names its model, the books have one charge, failed tries are listed and not billed`() async throws {
        try await bench(["status=503,message=busy"]) { world in
            let answer = try await world.chat(more: [.init("models", ["sim/dear"])])
            expectServed(answer)
            let row = try await world.logRows(1)[0]
            #expect(row["model_name"]?.stringValue == "sim/cheap" && row["channel_id"]?.integerValue == 2)
            let attempts = row["attempt_list"]?.arrayValue ?? []
            #expect(attempts.map { $0["channel_id"]?.integerValue } == [1, 2])
            #expect(attempts.map { $0["failure"]?.stringValue } == ["overloaded", nil])
            #expect(attempts.map { $0["status"]?.integerValue } == [503, 200])
            #expect(attempts.allSatisfy { ($0["ms"]?.integerValue ?? -1) >= 0 })
            // 9 tokens in (3 + 6 words), 6 out, at 0.15 and 0.60 per million.
            #expect(row["cost"]?.numberText == "0.00000495", "\(row.text)")
            let balance = try await world.admin.get("/api/balance")
            #expect(balance["data"]?["balance"]?.numberText == "9.99999505" && balance["data"]?["held"]?.numberText == "0")
        }
        // Billed as the model that answered.
        try await bench(["status=404,error_code=model_not_found"], backup: false) { world in
            world.simulator.script.clear()
            world.simulator.script.add(model: "sim/cheap", steps: ["status=404"], repeatsLast: true)
            let answer = try await world.chat(more: [.init("models", ["sim/dear"])])
            expectServed(answer)
            let found2 = try answer.json["model"]?.stringValue
            #expect(found2 == "sim/dear")
            let row = try await world.logRows(1)[0]
            // 9 in at 3, 6 out at 15 per million.
            #expect(row["model_name"]?.stringValue == "sim/dear" && row["cost"]?.numberText == "0.000117", "\(row.text)")
        }
    }
}
