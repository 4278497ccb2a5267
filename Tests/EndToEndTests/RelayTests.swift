import Foundation
import HTTPTypes
import NIOCore
import RouterCore
import Simulator
import Testing

/// What clients see, byte for byte and fault for fault.
@Suite(.serialized) struct RelayTests {
    private func body(_ model: String, stream: Bool = false, controls: String = "", text: String = "a b c d e f") -> String {
        var members: [JSONValue.Member] = [
            .init("model", .string(model)), .init("messages", [["role": "user", "content": .string(text)]]),
        ]
        if stream { members.append(.init("stream", true)) }
        if !controls.isEmpty { members.append(.init("sim_control", .string(controls))) }
        return JSONValue.object(members).text
    }

    private func chat(_ world: World, _ body: String, leaveAfter: Int? = nil) async throws -> Client.Answer {
        try await world.client.call(
            .post, "/v1/chat/completions", key: GatewayProcess.rootKey, body: body, leaveAfter: leaveAfter)
    }

    @Test(.timeLimit(.minutes(10))) func `what a vendor does after the end of a stream does not touch the next one`() async throws {
        try await World.with { world in
            try await world.admin.addBalance(1, usd: "10")
            func stream(_ controls: String) async throws -> Client.Answer {
                try await world.client.call(
                    .post, "/v1/chat/completions", key: GatewayProcess.rootKey,
                    body: #"{"model":"sim/cheap","stream":true,"messages":[{"role":"user","content":"hi"}],"sim_control":"\#(controls)"}"#)
            }
            // The vendor keeps its body open for a while behind [DONE]; the client goes on at once, on the same connection.
            #expect(try await stream("linger=600ms").events.last == "[DONE]")
            let next = try await stream("chunks=40,pace=40ms")
            #expect(!next.wasCut && next.events.last == "[DONE]" && next.events.count >= 41, "\(next.text.suffix(300))")
        }
    }

    @Test(.timeLimit(.minutes(10))) func `every kind of failure before content moves on to the next channel`() async throws {
        let channels = [
            World.ChannelSpec(id: 1, key: "bad-key", priority: 1), World.ChannelSpec(id: 2, key: "good-key"),
        ]
        let faults = [
            "status=500", "status=503", "status=429", "status=401", "status=402", "status=404", "reset_before_head",
            "close_before_head", "body_error", "choice_error", "error_event_after=0", "end_after=0", "close_after=0",
            "malformed_after=0", "redirect=http://127.0.0.1:9/",
        ]
        for stream in [false, true] {
            try await World.with(channels: channels) { world in
                try await world.admin.addBalance(1, usd: "10")
                var rounds: Int64 = 0
                for fault in faults where !(stream == false && fault.contains("_after")) && !(stream && fault == "choice_error") {
                    // No fault is answered by the cool-down of the one before.
                    _ = try await world.admin.post("/api/channel/1/enable", .object([]))
                    world.simulator.script.clear()
                    world.simulator.script.add(key: "bad-key", steps: [fault], repeatsLast: true)
                    let answer = try await chat(world, body("sim/cheap", stream: stream))
                    #expect(answer.status == 200 && !answer.wasCut, "\(fault) stream=\(stream): \(answer.text)")
                    #expect(answer.text.contains("\"cost\"") || stream, "\(fault)")
                    // Rows follow the answer by some milliseconds; the database keeps those of earlier rounds.
                    rounds += 1
                    let expected = rounds
                    var log = JSONValue.null
                    try await eventually("the log row after \(fault)") {
                        log = try await world.admin.get("/api/log")
                        return log["data"]?["total"]?.integerValue == expected
                    }
                    // A kept connection that breaks is an attempt of its own.
                    let attempts = log["data"]?["items"]?.arrayValue?.first?["attempts"]?.integerValue ?? 0
                    #expect(attempts == 2 || (attempts == 3 && fault.hasSuffix("before_head")), "\(fault): \(log.text)")
                }
            }
        }
    }

    @Test(.timeLimit(.minutes(10))) func `the client's mistakes and refusals are not retried and not charged`() async throws {
        try await World.with(channels: [World.ChannelSpec(id: 1), World.ChannelSpec(id: 2)]) { world in
            try await world.admin.addBalance(1, usd: "10")
            let answer = try await chat(world, body("sim/cheap", controls: "status=400,message=no,error_code=bad_field"))
            #expect(answer.status == 400)
            #expect(try answer.json["error"]?["code"]?.stringValue == "bad_field")
            #expect(world.simulator.record.count == 1)
            let balance = try await world.admin.get("/api/balance")
            #expect(balance["data"]?["balance"]?.numberText == "10")
            #expect(balance["data"]?["held"]?.numberText == "0")
        }
    }

    @Test(.timeLimit(.minutes(10))) func `when every channel fails the client gets the mapped status`() async throws {
        try await World.with(openEnded: true) { world in
            try await world.admin.addBalance(1, usd: "10")
            let expected = [
                ("status=500", 502), ("status=503", 503), ("status=429,retry_after=9", 429), ("status=401", 502),
                ("status=402", 502), ("status=504", 504), ("reset_before_head", 502),
            ]
            for (number, (fault, status)) in expected.enumerated() {
                // A model of its own, so that no fault is answered by the cool-down of another; and credentials last.
                let answer = try await chat(world, body("cut/\(number)", controls: fault))
                if fault.contains("401") || fault.contains("402") {
                    #expect(answer.status == 502 || answer.status == 503, "\(fault): \(answer.text)")
                    try await world.gateway.stop()
                    try await world.gateway.start()
                    return
                }
                #expect(answer.status == status, "\(fault): \(answer.text)")
                #expect(try answer.json["error"]?["type"]?.stringValue == "upstream_error")
                if fault.contains("retry_after") { #expect(answer.headers[.retryAfter] == "9") }
            }
        }
    }

    @Test(.timeLimit(.minutes(10))) func `bytes of the same family pass unchanged but for the cost`() async throws {
        try await World.with { world in
            try await world.admin.addBalance(1, usd: "10")
            let controls = "split=utf8,comments=1,prompt_tokens=10,reasoning=2"
            let text = "héllo wörld 你好 🙂 end"
            let plain =
                "{\"model\":\"sim/cheap\",\"x_unknown\":[1.0,1e3],\"stream\":true,\"stream_options\":{\"include_usage\":true},"
                + "\"messages\":[{\"role\":\"user\",\"content\":\"\(text)\"}],\"sim_control\":\"\(controls)\"}"
            let through = try await chat(world, plain)
            let direct = try Client(base: "http://127.0.0.1:\(world.simulator.port)")
            let straight = try await direct.call(.post, "/v1/chat/completions", key: "k", body: plain)
            await direct.shutdown()
            func comparable(_ answer: Client.Answer) -> String {
                // Ids differ from request to request.
                answer.text.replacing(try! Regex("chatcmpl-[0-9]+-[0-9]+"), with: "ID")
            }
            // 10 × 0.15 + (6 + 2) × 0.60 per million
            let expected = comparable(straight).replacing("\"reasoning_tokens\":2}}", with: "\"reasoning_tokens\":2},\"cost\":0.0000057}")
            #expect(comparable(through) == expected)
            #expect(through.text.contains("\"cost\":0.0000057"))
        }
    }

    @Test(.timeLimit(.minutes(10))) func `awkward streams arrive whole`() async throws {
        try await World.with { world in
            try await world.admin.addBalance(1, usd: "10")
            for controls in [
                "crlf", "split=1", "multiline", "no_done", "after_done", "usage_with_content", "usage_in_every_chunk",
                "chunk_bytes=1048576", "content_type_none", "first_content=250ms", "comments=3",
            ] {
                let answer = try await chat(world, body("sim/cheap", stream: true, controls: controls))
                #expect(answer.status == 200 && !answer.wasCut, "\(controls)")
                #expect(answer.text.contains("[DONE]"), "\(controls): \(answer.text.suffix(300))")
                #expect(!answer.text.contains("after the end"))
            }
            let gzip = try await chat(world, body("sim/cheap", controls: "gzip"))
            #expect(gzip.status == 200 && gzip.text.contains("a b c d e f"))
        }
    }

    @Test(.timeLimit(.minutes(10))) func `a stream that breaks after content ends with an error and is charged for what came`() async throws
    {
        try await World.with(channels: [World.ChannelSpec(id: 1), World.ChannelSpec(id: 2)], openEnded: true) { world in
            try await world.admin.addBalance(1, usd: "10")
            for (number, fault) in [
                "close_after=2", "end_after=2", "error_event_after=2", "error_event_empty_choices_after=2", "malformed_after=2",
            ].enumerated() {
                let answer = try await chat(world, body("cut/\(number)", stream: true, controls: fault))
                #expect(answer.status == 200)
                #expect(answer.wasCut, "\(fault)")
                #expect(answer.events.last?.contains("upstream_error") == true, "\(fault): \(answer.text)")
                #expect(!answer.text.contains("[DONE]"))
            }
            let rows = try await eventualRows(world, 5)
            for row in rows {
                #expect(row["outcome"]?.stringValue == "truncated")
                #expect(row["usage_source"]?.stringValue == "estimated")
                #expect(row["cost"]?.numberText != "0")
            }
        }
    }

    private func eventualRows(_ world: World, _ count: Int) async throws -> [JSONValue] {
        var rows: [JSONValue] = []
        try await eventually("\(count) log rows") {
            rows = try await world.admin.get("/api/log?page_size=100")["data"]?["items"]?.arrayValue ?? []
            return rows.count >= count
        }
        return rows
    }

    @Test(.timeLimit(.minutes(10))) func `a client that leaves stops a vendor that bills by connection, and drains the others`()
        async throws
    {
        let channels = [
            World.ChannelSpec(id: 1, provider: "simcancel", models: ["sim/cheap"]),
            World.ChannelSpec(id: 2, provider: "sim", models: ["sim/dear"]),
        ]
        try await World.with(channels: channels) { world in
            try await world.admin.addBalance(1, usd: "10")
            _ = try await chat(world, body("sim/cheap", stream: true, controls: "chunks=2000,pace=5ms"), leaveAfter: 2)
            try await eventually("the vendor saw the client go") {
                world.simulator.record.rows().contains { $0.outcome == "client_gone" }
            }
            _ = try await chat(world, body("sim/dear", stream: true, controls: "chunks=50,pace=2ms"), leaveAfter: 2)
            let rows = try await eventualRows(world, 2)
            #expect(rows.allSatisfy { $0["outcome"]?.stringValue == "client_gone" })
            #expect(rows.first { $0["model_name"]?.stringValue == "sim/cheap" }?["usage_source"]?.stringValue == "estimated")
            let drained = rows.first { $0["model_name"]?.stringValue == "sim/dear" }
            #expect(drained?["usage_source"]?.stringValue == "upstream")
            #expect(drained?["completion_tokens"]?.integerValue == 50)
        }
    }

    @Test(.timeLimit(.minutes(10))) func `silent upstreams are given up in time`() async throws {
        let sections = "routing: { timeouts: { connect: 2s, first_byte: 300ms, first_content: 400ms, idle: 300ms, total: 20s } }"
        try await World.with(sections: sections, openEnded: true) { world in
            try await world.admin.addBalance(1, usd: "10")
            let head = try await chat(world, body("cut/1", controls: "stall_before_head"))
            #expect(head.status == 504, "\(head.text)")
            let content = try await chat(world, body("cut/2", stream: true, controls: "first_content=5s"))
            #expect(content.status == 504, "\(content.text)")
            let middle = try await chat(world, body("cut/3", stream: true, controls: "stall_after=2"))
            #expect(middle.status == 200 && middle.wasCut && middle.text.contains("went silent"), "\(middle.text)")
        }
    }

    @Test(.timeLimit(.minutes(10))) func `OpenRouter's own shape is served and its generation id is kept`() async throws {
        try await World.with(channels: [World.ChannelSpec(id: 1, provider: "simrouter")]) { world in
            try await world.admin.addBalance(1, usd: "10")
            let whole = try await world.client.call(
                .post, "/api/v1/chat/completions", key: GatewayProcess.rootKey, body: body("sim/cheap", controls: "cost=0.0012345"))
            #expect(whole.status == 200)
            let streamed = try await chat(world, body("sim/cheap", stream: true))
            #expect(streamed.text.contains(": OPENROUTER PROCESSING"))
            #expect(!streamed.text.contains("\"choices\":[]"))
            let rows = try await eventualRows(world, 2)
            for row in rows {
                #expect(row["generation_id"]?.stringValue?.hasPrefix("gen-") == true)
                #expect(row["upstream_cost"]?.numberText != nil)
            }
            #expect(rows.last?["upstream_cost"]?.numberText == "0.0012345")
        }
    }
}
