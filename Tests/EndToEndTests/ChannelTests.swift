import HTTPTypes
import NIOCore
import RouterCore
import Simulator
import Testing

/// What operators and clients can say about channels, on the real binary.
@Suite(.serialized, .timeLimit(.minutes(10))) struct ChannelTests {
    private func twoChannels(
        _ sections: String = "", first: [String] = [], second: [String] = [], rules: String = "", moreKeys: [String] = [],
        _ body: (World) async throws -> Void
    ) async throws {
        let channels = [
            World.ChannelSpec(id: 1, key: "sk-prim", priority: 1, moreKeys: moreKeys, extra: first),
            World.ChannelSpec(id: 2, key: "sk-back", extra: second),
        ]
        try await World.with(channels: channels, sections: sections, modelRules: rules) { world in
            try await world.admin.addBalance(1, usd: "10")
            try await body(world)
        }
    }

    // MARK: Operators

    @Test func `channels are disabled, drained and enabled at once, and stay so over a restart`() async throws {
        try await twoChannels { world in
            let off = try await world.admin.post("/api/channel/1/disable", .object([]))
            #expect(off["data"]?["status"]?.stringValue == "disabled")
            _ = try await world.chat()
            #expect(world.calls(key: "prim") == 0 && world.calls(key: "back") == 1)

            try await world.gateway.stop()
            try await world.gateway.start()
            let client = try Client(base: world.gateway.base)
            let admin = Admin(client: client)
            let channels = try await admin.get("/api/channel")["data"]?.arrayValue ?? []
            #expect(channels.first?["status"]?.stringValue == "disabled", "\(channels)")
            let on = try await admin.post("/api/channel/1/enable", .object([]))
            #expect(on["data"]?["status"]?.stringValue == "on")

            // A stream is under way while its channel is drained: it ends as if nothing had happened.
            async let streaming = client.call(
                .post, "/v1/chat/completions", key: GatewayProcess.rootKey,
                body: #"{"model":"sim/cheap","stream":true,"sim_control":"chunks=40,pace=20ms","messages":[{"role":"user","content":"x"}]}"#
            )
            try await eventually("the stream runs") {
                try await admin.get("/api/channel")["data"]?.arrayValue?.first?["in_flight"]?.integerValue == 1
            }
            let draining = try await admin.post("/api/channel/1/drain", .object([]))
            #expect(draining["data"]?["status"]?.stringValue == "draining" && draining["data"]?["in_flight"]?.integerValue == 1)
            let plain = try await client.call(
                .post, "/v1/chat/completions", key: GatewayProcess.rootKey,
                body: #"{"model":"sim/cheap","messages":[{"role":"user","content":"x"}]}"#)
            #expect(plain.status == 200 && world.calls(key: "back") == 2)
            let whole = try await streaming
            #expect(whole.status == 200 && whole.text.contains("[DONE]") && !whole.wasCut)
            try await eventually("it is drained") {
                try await admin.get("/api/channel")["data"]?.arrayValue?.first?["status"]?.stringValue == "drained"
            }
            let unknown = try await client.call(.post, "/api/channel/77/enable", key: GatewayProcess.rootToken)
            #expect(unknown.status == 404)
            await client.shutdown()
        }
    }

    @Test func `a channel can be tested with one real call`() async throws {
        try await twoChannels { world in
            let good = try await world.admin.post("/api/channel/1/test", ["model": "sim/dear"])
            let data = good["data"]
            #expect(data?["ok"]?.boolValue == true, "\(good.text)")
            #expect(data?["first_content_ms"]?.integerValue != nil && data?["model"]?.stringValue == "sim/dear")
            // 4 tokens in at 3, 1 out at 15 per million.
            #expect(data?["charge"]?.numberText == "0.000027", "\(good.text)")
            let cheapest = try await world.client.call(.post, "/api/channel/2/test", key: GatewayProcess.rootToken)
            let found1 = try cheapest.json["data"]?["model"]?.stringValue
            #expect(found1 == "sim/free")
            world.simulator.script.add(key: "sk-prim", steps: ["status=401"], repeatsLast: true)
            let bad = try await world.admin.post("/api/channel/1/test", .object([]))
            #expect(bad["data"]?["ok"]?.boolValue == false && bad["data"]?["failure"]?.stringValue == "credential_refused")
            let wrong = try await world.client.call(
                .post, "/api/channel/1/test", key: GatewayProcess.rootToken, body: #"{"model":"nobody/knows"}"#)
            #expect(wrong.status == 400)
            let balance = try await world.admin.get("/api/balance")
            #expect(balance["data"]?["balance"]?.numberText == "10", "nobody pays for the operator's question")
        }
    }

    @Test func `the explanation names candidates in order and every dropped channel with its reason`() async throws {
        try await twoChannels { world in
            let plain = try await world.admin.get("/api/route/explain?model=sim/cheap")["data"]
            #expect(plain?["candidates"]?.arrayValue?.map { $0["channel_id"]?.integerValue } == [1, 2])
            #expect(plain?["dropped"]?.arrayValue?.isEmpty == true && plain?["strategy"]?.stringValue == "weighted_random")
            _ = try await world.admin.post("/api/channel/2/disable", .object([]))
            world.simulator.script.add(key: "sk-prim", steps: ["status=429,retry_after=30"], repeatsLast: true)
            let refused = try await world.chat()
            #expect(refused.status == 429 && refused.headers[.retryAfter] == "30")
            let none = try await world.admin.get("/api/route/explain?model=sim/cheap&session=s1")["data"]
            #expect(none?["candidates"]?.arrayValue?.isEmpty == true && none?["by_session"]?.boolValue == true)
            let reasons = none?["dropped"]?.arrayValue?.compactMap { $0["reason"]?.stringValue } ?? []
            #expect(reasons == ["rate limited by the vendor", "disabled: by an operator"])
            #expect((none?["retry_after_ms"]?.integerValue ?? 0) > 25_000)
            let elsewhere = try await world.admin.get("/api/route/explain?model=nothing")["data"]
            #expect(elsewhere?["is_known"]?.boolValue == false)
            #expect(elsewhere?["dropped"]?.arrayValue?.first?["reason"]?.stringValue == "does not serve the model")
            let wish = try await world.admin.get(
                "/api/route/explain?model=sim/dear&provider=%7B%22only%22%3A%5B%22channel-2%22%5D%7D")["data"]
            #expect(wish?["dropped"]?.arrayValue?.first?["reason"]?.stringValue?.contains("provider.only") == true, "\(wish?.text ?? "")")
            for query in ["", "?model=m&group=none", "?model=m&endpoint=x", "?model=m&provider=3"] {
                let answer = try await world.client.call(.get, "/api/route/explain\(query)", key: GatewayProcess.rootToken)
                #expect(answer.status == 400, "\(query): \(answer.text)")
            }
        }
    }

    @Test func `cool-downs are visible, and survive a restart unless they are about credentials`() async throws {
        try await twoChannels { world in
            world.simulator.script.add(key: "sk-prim", steps: ["status=503,retry_after=60"], repeatsLast: true)
            world.simulator.script.add(key: "sk-back", steps: ["status=401"], repeatsLast: true)
            let answer = try await world.chat()
            #expect(answer.status == 502)
            let health = try await world.channel(1)["health"]?.arrayValue?.first
            #expect(health?["state"]?.stringValue == "open" && health?["last_failure"]?.stringValue == "overloaded")
            #expect((health?["open_for_ms"]?.integerValue ?? 0) > 50_000)
            let metrics = try await world.client.call(.get, "/metrics").text
            #expect(
                metrics.contains("apirouter_channel_cooling{channel=\"1\"} 1") && metrics.contains("apirouter_channel_up{channel=\"2\"} 1"))
            try await world.gateway.stop()
            try await world.gateway.start()
            let client = try Client(base: world.gateway.base)
            let channels = try await Admin(client: client).get("/api/channel")["data"]?.arrayValue ?? []
            #expect(channels[0]["health"]?.arrayValue?.first?["state"]?.stringValue == "open", "\(channels)")
            #expect(channels[1]["health"]?.arrayValue?.isEmpty == true, "whoever restarts may have renewed the key")
            await client.shutdown()
        }
    }

    @Test func `an active probe takes a dead channel out before any request does`() async throws {
        let probe = ["probe: { interval: 1s, timeout: 1s }", "base_url: http://127.0.0.1:9/v1"]
        try await twoChannels(first: probe) { world in
            try await eventually("the probe failed") {
                try await world.channel(1)["health"]?.arrayValue?.first?["last_failure"]?.stringValue == "connect"
            }
            let answer = try await world.chat()
            #expect(answer.status == 200)
            let found2 = try await world.logRows(1)[0]["attempts"]?.integerValue
            #expect(found2 == 1, "nobody had to find out")
        }
    }

    // MARK: Limits and keys

    @Test func `a full channel is skipped, not hit, and when all are full the client is told`() async throws {
        try await twoChannels(first: ["limits: { rpm: 2 }"], second: ["limits: { concurrency: 1 }"]) { world in
            for _ in 0..<4 {
                let found3 = try await world.chat().status
                #expect(found3 == 200)
            }
            #expect(world.calls(key: "prim") == 2 && world.calls(key: "back") == 2)
            async let slow = world.chat(stream: true, controls: "chunks=30,pace=20ms")
            try await eventually("the slow one runs") { try await world.channel(2)["in_flight"]?.integerValue == 1 }
            let refused = try await world.chat()
            #expect(refused.status == 429 && refused.text.contains("limit"), "\(refused.text)")
            #expect(Int(refused.headers[.retryAfter] ?? "").map { $0 >= 1 && $0 <= 30 } == true)
            let found4 = try await slow.status
            #expect(found4 == 200)
            let found5 = try await world.admin.get("/api/balance")["data"]?["held"]?.numberText
            #expect(found5 == "0")
        }
    }

    @Test func `a refused key goes on with its sibling in the same request`() async throws {
        let channels = [World.ChannelSpec(id: 1, key: "sk-bad1", moreKeys: ["sk-good"])]
        try await World.with(channels: channels) { world in
            try await world.admin.addBalance(1, usd: "10")
            world.simulator.script.add(key: "sk-bad1", steps: ["status=401"], repeatsLast: true)
            for _ in 0..<12 {
                let found6 = try await world.chat().status
                #expect(found6 == 200)
            }
            #expect(world.calls(key: "bad1") == 1 && world.calls(key: "good") == 12)
        }
    }

    // MARK: Clients

    @Test func `the client's wishes are honoured over our channels`() async throws {
        try await twoChannels { world in
            let ordered = try await world.chat(more: [.init("provider", ["order": ["channel-2"]])])
            #expect(ordered.status == 200 && world.calls(key: "back") == 1 && world.calls(key: "prim") == 0)
            let ignored = try await world.chat(more: [.init("provider", ["ignore": ["sim"]])])
            #expect(ignored.status == 404)
            let found7 = try ignored.json["error"]?["code"]?.stringValue
            #expect(found7 == "no_allowed_channel")
            let dear = try await world.chat(more: [.init("provider", ["max_price": ["completion": .number("0.5")]])])
            #expect(dear.status == 404 && dear.text.contains("max_price"))
            let fits = try await world.chat(more: [.init("provider", ["max_price": ["completion": .number("0.6")]])])
            #expect(fits.status == 200)
            let wrong = try await world.chat(more: [.init("provider", ["sort": "beauty"])])
            #expect(wrong.status == 400)
            let found8 = try wrong.json["error"]?["param"]?.stringValue
            #expect(found8 == "provider.sort")
            world.simulator.script.add(key: "sk-prim", steps: ["status=500"], repeatsLast: true)
            let alone = try await world.chat(more: [.init("provider", ["allow_fallbacks": false])])
            #expect(alone.status == 502, "no fallback was wanted")
        }
    }

    @Test func `a conversation stays on its channel, by body or by header`() async throws {
        let channels = (1...4).map { World.ChannelSpec(id: Int64($0), key: "sk-key\($0)") }
        try await World.with(channels: channels) { world in
            try await world.admin.addBalance(1, usd: "10")
            var homes: Set<String> = []
            for session in 0..<8 {
                world.simulator.reset()
                let id: JSONValue = .string("conversation-\(session)")
                for _ in 0..<3 {
                    _ = try await world.chat(more: [.init("session_id", id)])
                    _ = try await world.chat(headers: [("x-session-id", "conversation-\(session)")])
                    _ = try await world.chat(more: [.init("prompt_cache_key", id)])
                }
                let keys = Set(world.simulator.record.rows().map(\.key))
                #expect(keys.count == 1, "\(session): \(keys)")
                homes.formUnion(keys)
            }
            #expect(homes.count > 1)
        }
    }

    @Test func `while nothing has come, comments keep the client's connection alive and failing over stays possible`() async throws {
        let sections = """
            routing:
              keep_alive: 100ms
              timeouts: { connect: 2s, first_byte: 500ms, first_content: 600ms, idle: 2s, total: 20s }
            """
        try await twoChannels(sections) { world in
            world.simulator.script.add(key: "sk-prim", steps: ["stall_before_head"], repeatsLast: true)
            let served = try await world.chat(stream: true)
            #expect(served.status == 200 && served.text.hasPrefix(": keep-alive\n\n"), "\(served.text.prefix(200))")
            #expect(served.text.contains("[DONE]") && !served.wasCut)
            // Nobody answers: the status is gone, so the error comes in band and the stream does not look complete.
            world.simulator.script.add(key: "sk-back", steps: ["stall_before_head"], repeatsLast: true)
            let failed = try await world.chat(stream: true)
            #expect(failed.status == 200 && failed.wasCut && failed.events.last?.contains("\"code\":\"timeout\"") == true, "\(failed.text)")
            let rows = try await world.logRows(2)
            #expect(rows[0]["outcome"]?.stringValue == "failed" && rows[0]["cost"]?.numberText == "0")
            #expect(rows[1]["outcome"]?.stringValue == "completed" && rows[1]["attempts"]?.integerValue == 2)
            let found9 = try await world.admin.get("/api/balance")["data"]?["held"]?.numberText
            #expect(found9 == "0")
            // Whole answers keep their status.
            let found10 = try await world.chat().status
            #expect(found10 == 504)
        }
    }

    @Test func `Google's clients are kept waiting without comments, which they would take for data`() async throws {
        try await twoChannels("routing: { keep_alive: 100ms }") { world in
            let body = #"{"contents":[{"parts":[{"text":"one two"}]}]}"#
            // One JSON array has room for nothing but elements, and waits.
            for (query, first) in [("?alt=sse", "\n"), ("", "[{")] {
                world.simulator.script.add(key: "sk-prim", steps: ["first_byte=500ms"])
                let path = "/v1beta/models/sim/cheap:streamGenerateContent\(query)"
                let google = try await world.client.call(.post, path, key: GatewayProcess.rootKey, body: body)
                #expect(google.status == 200 && google.text.hasPrefix(first) && google.text.contains("finishReason"), "\(google.text)")
                #expect(!google.text.contains("keep-alive") && !google.wasCut)
            }
        }
    }

    @Test func `no further attempt for a client that has left`() async throws {
        let sections = """
            metering: { on_client_disconnect: cancel }
            routing:
              keep_alive: 50ms
              timeouts: { first_byte: 3s, first_content: 3s }
            """
        try await twoChannels(sections) { world in
            world.simulator.script.add(key: "sk-prim", steps: ["stall_before_head"], repeatsLast: true)
            _ = try await world.chat(stream: true, leaveAfter: 2)
            try await eventually("the call was ended") { world.calls(key: "prim") == 1 }
            let row = try await world.logRows(1)[0]
            #expect(row["outcome"]?.stringValue == "client_gone" && row["attempts"]?.integerValue == 1, "\(row.text)")
            #expect(world.calls(key: "back") == 0)
            let found11 = try await world.channel(1)["in_flight"]?.integerValue
            #expect(found11 == 0)
        }
    }

    @Test func `models have their own strategy and timeouts`() async throws {
        let rules = """
            models:
              - { name: "sim/dear", max_attempts: 1 }
              - { name: "sim/f*", timeouts: { first_byte: 200ms } }

            """
        // The gateway's own timers are longer than this test may take.
        try await twoChannels("routing: { timeouts: { first_byte: 900s, total: 1000s } }", rules: rules) { world in
            world.simulator.script.add(key: "sk-prim", steps: ["status=500"], repeatsLast: true)
            let found12 = try await world.chat("sim/cheap").status
            #expect(found12 == 200)
            let found13 = try await world.chat("sim/dear").status
            #expect(found13 == 502, "one attempt only")
            world.simulator.script.clear()
            world.simulator.script.add(key: "sk-prim", steps: ["stall_before_head"], repeatsLast: true)
            let found14 = try await world.chat("sim/fine").status
            #expect(found14 == 200)
        }
    }

    @Test func `an attempt that the vendor bills although it failed is kept with the request`() async throws {
        try await twoChannels { world in
            world.simulator.script.add(key: "sk-prim", steps: ["error_event_after=0,usage_in_error"], repeatsLast: true)
            let found15 = try await world.chat(stream: true).status
            #expect(found15 == 200)
            let attempts = try await world.logRows(1)[0]["attempt_list"]?.arrayValue ?? []
            #expect(
                attempts.first?["failure"]?.stringValue == "server" && attempts.first?["billed_tokens"]?.integerValue == 9, "\(attempts)")
            #expect(attempts.last?["failure"]?.isNull == true)
        }
    }
}
