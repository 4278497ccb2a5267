import Foundation
import HTTPTypes
import NIOCore
import RouterCore
import Simulator
import Testing

/// The gateway as its operator sees it: start, reload, crash, stop.
@Suite(.serialized) struct OperationsTests {
    private let apirouter = GatewayProcess.binary.path

    @Test(.timeLimit(.minutes(10))) func `the shipped configuration answers a first request without any vendor`() async throws {
        let directory = FileManager.default.temporaryDirectory.appendingPathComponent("apirouter-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
        for name in ["config", "providers"] {
            try FileManager.default.copyItem(
                at: GatewayProcess.repository.appendingPathComponent(name), to: directory.appendingPathComponent(name))
        }
        let gateway = GatewayProcess(directory: directory)
        try await gateway.start()
        let warnings = gateway.log.split(separator: "\n").filter { $0.contains(" warning ") }
        #expect(warnings.count == 1 && warnings[0].contains("OPENROUTER_API_KEY"), "\(warnings)")
        let client = try Client(base: gateway.base)
        let admin = Admin(client: client)
        let user = try await admin.makeUser("newcomer", usd: "1")
        let answer = try await client.call(
            .post, "/v1/chat/completions", key: user.key,
            body: #"{"model":"demo/echo","stream":true,"messages":[{"role":"user","content":"hello out there"}]}"#)
        #expect(answer.events.last == "[DONE]")
        var rows: [JSONValue] = []
        try await eventually("the ledger row") {
            rows = try await admin.transactions(token: user.token)
            return rows.count == 1
        }
        // 6 × 1.00 + 3 × 2.00 dollars per million
        #expect(rows.first?["amount"]?.numberText == "-0.000012")
        #expect(rows.first?["balance_after"]?.numberText == "0.999988")
        await client.shutdown()
        #expect(try await gateway.stop() == 0)
    }

    @Test(.timeLimit(.minutes(10))) func `check names every mistake and exits with one`() async throws {
        let world = try await World.make(start: false)
        try world.write("config/channels.yaml", "channels:\n  - { id: one, name: a, provider: simm, models: [x], wieght: 3 }\n")
        let result = try await run(apirouter, ["check", "--config", "config/gateway.yaml"], directory: world.gateway.directory)
        #expect(result.status == 1)
        #expect(result.output.contains("config/channels.yaml:2:11: error: channels[0].id: found \"one\", expected a whole number"))
        #expect(result.output.contains("unknown key (did you mean weight?)"))
        #expect(result.output.contains("(did you mean sim?)") || result.output.contains("did you mean"))
        try world.write("config/channels.yaml", World.channelsYAML([World.ChannelSpec(id: 1)]))
        let fine = try await run(apirouter, ["check", "--config", "config/gateway.yaml"], directory: world.gateway.directory)
        #expect(fine.status == 0 && fine.output.contains("ok:"), "\(fine.output)")
        try await world.simulator.stop()
        await world.client.shutdown()
    }

    @Test(.timeLimit(.minutes(10))) func `a vendor added while running serves without a restart, and a broken change is refused whole`()
        async throws
    {
        try await World.with { world in
            try await world.admin.addBalance(1, usd: "1")
            func ask(_ model: String) async throws -> Client.Answer {
                try await world.client.call(
                    .post, "/v1/chat/completions", key: GatewayProcess.rootKey,
                    body: "{\"model\":\"\(model)\",\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]}")
            }
            #expect(try await ask("new/model").status == 404)
            try world.write(
                "providers/fresh.yaml",
                """
                name: fresh
                adaptor: openai
                base_url: http://127.0.0.1:\(world.simulator.port)/v1
                models:
                  - { id: new/model, price: { input: "1", output: "1" } }
                """)
            let channels = [World.ChannelSpec(id: 1), World.ChannelSpec(id: 2, provider: "fresh")]
            try world.write("config/channels.yaml", World.channelsYAML(channels))
            try await eventually("the new vendor serves") { try await ask("new/model").status == 200 }

            // A provider file with a mistake takes itself out and nothing else: what served before serves on, by its old file.
            try world.write("providers/fresh.yaml", "name: fresh\nadaptor: openai\nbase_url: nowhere\n")
            try await eventually("the broken provider file is told about") {
                world.gateway.log.contains("expected an absolute http:// or https:// URL")
            }
            #expect(try await ask("sim/cheap").status == 200)

            // A bad file changes nothing, and says why.
            try world.write("config/channels.yaml", "channels:\n  - { id: 1 }\n")
            world.gateway.signal(SIGHUP)
            try await eventually("the refusal is logged with its reason") {
                world.gateway.log.contains("configuration not reloaded") && world.gateway.log.contains("the key provider is missing")
            }
            #expect(try await ask("new/model").status == 200)
            let answer = try await world.client.call(.post, "/api/config/reload", key: GatewayProcess.rootToken)
            #expect(answer.status == 400 && answer.text.contains("the key name is missing"))
        }
    }

    @Test(.timeLimit(.minutes(10))) func `after kill -9 in mid-stream the hold is settled and the books balance`() async throws {
        try await World.with { world in
            try await world.admin.addBalance(1, usd: "10")
            let body =
                #"{"model":"sim/dear","stream":true,"messages":[{"role":"user","content":"hi"}],"sim_control":"chunks=40,stall_after=30"}"#
            let streams = (0..<20).map { _ in
                Task { try await world.client.call(.post, "/v1/chat/completions", key: GatewayProcess.rootKey, body: body) }
            }
            try await eventually("all streams run", within: .seconds(30)) { world.simulator.statistics.openConnections >= 20 }
            try await world.gateway.kill9()
            for stream in streams { _ = try? await stream.value }
            let other = try await world.verifyLedger()
            #expect(other.status == 0, "\(other.output)")
            try await world.gateway.start()
            let client = try Client(base: world.gateway.base)
            let admin = Admin(client: client)
            let log = try await admin.get("/api/log?page_size=100")
            let rows = log["data"]?["items"]?.arrayValue ?? []
            #expect(rows.count == 20)
            #expect(rows.allSatisfy { $0["outcome"]?.stringValue == "recovered" && $0["cost"]?.numberText != "0" })
            let balance = try await admin.get("/api/balance")
            #expect(balance["data"]?["held"]?.numberText == "0")
            await client.shutdown()
            #expect(try await world.gateway.stop() == 0)
            let books = try await world.verifyLedger()
            #expect(books.status == 0, "\(books.output)")
        }
    }

    @Test(.timeLimit(.minutes(10))) func `an orderly stop lets running answers end`() async throws {
        try await World.with { world in
            try await world.admin.addBalance(1, usd: "10")
            let body =
                #"{"model":"sim/dear","stream":true,"messages":[{"role":"user","content":"hi"}],"sim_control":"chunks=40,pace=20ms"}"#
            let stream = Task { try await world.client.call(.post, "/v1/chat/completions", key: GatewayProcess.rootKey, body: body) }
            try await eventually("the stream runs") { world.simulator.statistics.openConnections >= 1 }
            #expect(try await world.gateway.stop() == 0)
            let answer = try await stream.value
            #expect(answer.events.last == "[DONE]", "\(answer.text.suffix(200))")
            let books = try await world.verifyLedger()
            #expect(books.status == 0 && books.output.contains("2 entries"), "\(books.output)")
        }
    }

    @Test(.timeLimit(.minutes(10))) func `a body that does not end does not hold up an orderly stop`() async throws {
        try await World.with { world in
            let half =
                "POST /v1/chat/completions HTTP/1.1\\r\\nHost: g\\r\\nAuthorization: Bearer \(GatewayProcess.rootKey)\\r\\nContent-Length: 100\\r\\n\\r\\n{"
            let client = Process()
            client.executableURL = URL(fileURLWithPath: "/bin/bash")
            client.arguments = ["-c", "exec 3<>/dev/tcp/127.0.0.1/\(world.gateway.port); printf '\(half)' >&3; cat <&3"]
            client.standardOutput = FileHandle.nullDevice
            try client.run()
            defer { client.terminate() }
            try await eventually("its connection is open") {
                let metrics = try await world.client.call(.get, "/metrics").text
                // Ours that asks, and that one.
                return metrics.contains("apirouter_client_connections 2")
            }
            #expect(try await world.gateway.stop() == 0)
        }
    }

    @Test(.timeLimit(.minutes(10))) func `more calls than are allowed are refused at once, and the next is served`() async throws {
        let world = try await World.make(start: false)
        let text = World.gatewayYAML("").replacingOccurrences(of: "max_lag: 0s", with: "max_calls: 3")
        try world.write("config/gateway.yaml", text)
        try await world.gateway.start()
        let client = try Client(base: world.gateway.base)
        try await Admin(client: client).addBalance(1, usd: "10")
        func body(_ controls: String) -> String {
            #"{"model":"sim/cheap","stream":true,"messages":[{"role":"user","content":"hi"}],"sim_control":"\#(controls)"}"#
        }
        func call(_ controls: String) async throws -> Client.Answer {
            try await client.call(.post, "/v1/chat/completions", key: GatewayProcess.rootKey, body: body(controls), leaveAfter: 1)
        }
        let running = (0..<3).map { _ in
            Task { try await client.call(.post, "/v1/chat/completions", key: GatewayProcess.rootKey, body: body("chunks=40,pace=50ms")) }
        }
        try await eventually("three calls run") { world.simulator.statistics.openConnections >= 3 }
        let refused = try await call("ok")
        #expect(refused.status == 503 && refused.headers[.retryAfter] == "1", "\(refused.text)")
        #expect(refused.text.contains("limit of its load"))
        // The management API is not concerned.
        #expect(try await client.call(.get, "/api/status").status == 200)
        for task in running { #expect(try await task.value.events.last == "[DONE]") }
        try await eventually("there is room again") {
            try await client.call(.post, "/v1/chat/completions", key: GatewayProcess.rootKey, body: body("ok")).status == 200
        }
        await client.shutdown()
        try await world.tearDown()
    }

    /// Each request holds about 8192 × 15 dollars per million = 0.123; the balance covers four at a time.
    private func fortyAtOnce(_ world: World) async throws -> (statuses: Set<Int>, balance: JSONValue?) {
        let user = try await world.admin.makeUser("thrifty", usd: "0.5")
        let body = #"{"model":"sim/dear","max_tokens":8192,"messages":[{"role":"user","content":"hi"}],"sim_control":"first_byte=400ms"}"#
        let statuses = try await withThrowingTaskGroup(of: Int.self) { group in
            for _ in 0..<40 {
                group.addTask { try await world.client.call(.post, "/v1/chat/completions", key: user.key, body: body).status }
            }
            return try await group.reduce(into: Set<Int>()) { $0.insert($1) }
        }
        return (statuses, try await world.client.call(.get, "/api/balance", key: user.token).json["data"])
    }

    @Test(.timeLimit(.minutes(10))) func `concurrent requests cannot overspend a balance`() async throws {
        try await World.with(sections: "metering: { balance_wait: 0s }") { world in
            let result = try await fortyAtOnce(world)
            #expect(result.statuses == [200, 402])
            let left = try NanoUSD(usd: result.balance?["balance"]?.numberText ?? "")
            #expect(!left.isNegative)
            #expect(result.balance?["held"]?.numberText == "0")
        }
    }

    @Test(.timeLimit(.minutes(10))) func `a request waits for money that others hold and do not use`() async throws {
        try await World.with(sections: "metering: { balance_wait: 30s }") { world in
            let result = try await fortyAtOnce(world)
            #expect(result.statuses == [200])
            #expect(result.balance?["held"]?.numberText == "0")
        }
    }
}
