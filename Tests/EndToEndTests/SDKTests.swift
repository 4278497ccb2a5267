import Foundation
import HTTPTypes
import RouterCore
import Simulator
import Testing

@Suite(.serialized) struct SDKTests {
    @Test(.timeLimit(.minutes(10))) func `the official OpenAI SDK works against the gateway`() async throws {
        let python = GatewayProcess.repository.appendingPathComponent(".venv/bin/python").path
        try #require(FileManager.default.isExecutableFile(atPath: python), "run `make test`, which installs the SDK")
        try await World.with(
            channels: [World.ChannelSpec(id: 1), World.ChannelSpec(id: 2, provider: "simmedia")], openEnded: true, media: true
        ) { world in
            let rich = try await world.admin.makeUser("rich", usd: "10")
            let poor = try await world.admin.makeUser("poor", usd: "0.000001")
            let script = GatewayProcess.repository.appendingPathComponent("Tests/EndToEndTests/Python/sdk_checks.py").path
            let result = try await run(python, [script, world.gateway.base, rich.key, poor.key])
            #expect(result.status == 0, "\(result.output)")
            #expect(result.output.contains("checks passed"))

            // Every hold has ended, and the books agree with themselves.
            try await eventually("all holds have ended") {
                let balance = try await world.client.call(.get, "/api/balance", key: rich.token).json
                return balance["data"]?["held"]?.numberText == "0"
            }
            try await world.gateway.stop()
            let books = try await world.verifyLedger()
            #expect(books.status == 0, "\(books.output)")
        }
    }
}

/// Four dialects in, every family out, over real sockets.
@Suite(.serialized) struct DialectTests {
    /// Providers of every family with one model each; their vendors are one simulator.
    private func families(_ world: World) throws {
        let base = "http://127.0.0.1:\(world.simulator.port)"
        let files: [(family: String, base: String, auth: String)] = [
            ("openai", "/v1", "{ type: bearer }"), ("anthropic", "/anthropic/v1", "{ type: header, name: x-api-key }"),
            ("gemini", "/gemini/v1beta", "{ type: header, name: x-goog-api-key }"), ("cohere", "/cohere", "{ type: bearer }"),
            ("openrouter", "/api/v1", "{ type: bearer }"), ("azure-openai", "", "{ type: header, name: api-key }"),
            ("bedrock", "/bedrock", "{ type: bearer }"),
        ]
        var channels = "channels:\n"
        for (number, file) in files.enumerated() {
            try world.write(
                "providers/vendor\(file.family).yaml",
                """
                name: vendor\(file.family)
                adaptor: \(file.family)
                base_url: \(base)\(file.base)
                auth: \(file.auth)
                \(file.family == "azure-openai" ? "endpoints: { chat: /v1/chat/completions }" : "")
                models:
                  \(file.family == "openai" ? "- { id: deep/sim-openai, price: { input: \"3\", output: \"15\" } }" : "")
                  - { id: sim-\(file.family), max_output_tokens: 4096, price: { input: "3", output: "15", cache_read: "0.3", cache_write: "3.75" } }

                """)
            channels += """
                  - { id: \(number + 1), name: \(file.family), provider: vendor\(file.family), keys: [the-key-\(file.family)], models: ["*"] }

                """
        }
        try world.write("config/channels.yaml", channels)
    }

    private func withFamilies(_ body: (World) async throws -> Void) async throws {
        let prepared = try await World.make(start: false)
        try families(prepared)
        let world: World
        do {
            try await prepared.gateway.start()
            let client = try Client(base: prepared.gateway.base)
            world = World(simulator: prepared.simulator, gateway: prepared.gateway, client: client, admin: Admin(client: client))
            try await body(world)
        } catch {
            let log = prepared.gateway.log.suffix(4_000)
            try? await prepared.tearDown()
            throw StringError("\(error)\n--- gateway log ---\n\(log)")
        }
        try await world.tearDown()
        await prepared.client.shutdown()
    }

    @Test(.timeLimit(.minutes(10))) func `the official SDKs in four dialects work with models of every family`() async throws {
        let python = GatewayProcess.repository.appendingPathComponent(".venv/bin/python").path
        try await withFamilies { world in
            let rich = try await world.admin.makeUser("rich", usd: "10")
            let poor = try await world.admin.makeUser("poor", usd: "0.000001")
            let script = GatewayProcess.repository.appendingPathComponent("Tests/EndToEndTests/Python/dialect_checks.py").path
            let simulator = "http://127.0.0.1:\(world.simulator.port)"
            let result = try await run(python, [script, world.gateway.base, rich.key, poor.key, simulator])
            #expect(result.status == 0 && result.output.contains("checks passed"), "\(result.output)")
            try await world.gateway.stop()
            // A key that came in the query is in no line of the log.
            #expect(!world.gateway.log.contains(rich.key) && world.gateway.log.contains("/v1beta/models"))
            let books = try await world.verifyLedger()
            #expect(books.status == 0, "\(books.output)")
        }
    }

    @Test(.timeLimit(.minutes(10))) func `LangChain works with models of every family`() async throws {
        let python = GatewayProcess.repository.appendingPathComponent(".venv/bin/python").path
        try await withFamilies { world in
            let user = try await world.admin.makeUser("chain", usd: "10")
            let script = GatewayProcess.repository.appendingPathComponent("Tests/EndToEndTests/Python/langchain_checks.py").path
            let result = try await run(python, [script, world.gateway.base, user.key])
            #expect(result.status == 0 && result.output.contains("checks passed"), "\(result.output)")
            try await world.gateway.stop()
            #expect(try await world.verifyLedger().status == 0)
        }
    }

    @Test(
        .timeLimit(.minutes(10)), arguments: ["openai", "anthropic", "gemini", "cohere", "bedrock"],
        ["chat/completions", "messages", "responses", "gemini"])
    func `every family and dialect is charged exactly, and a broken stream never looks complete`(
        _ family: String, _ path: String
    ) async throws {
        try await withFamilies { world in
            let user = try await world.admin.makeUser("dialect", usd: "10")
            var members: [JSONValue.Member] = [.init("model", .string("sim-\(family)")), .init("stream", true)]
            switch path {
            case "responses": members += [.init("input", "one two three"), .init("max_output_tokens", .integer(100))]
            case "gemini":
                members = [
                    .init("contents", [["parts": [["text": "one two three"]]]]),
                    .init("generationConfig", ["maxOutputTokens": .integer(100)]),
                ]
            default: members += [.init("messages", [["role": "user", "content": "one two three"]]), .init("max_tokens", .integer(100))]
            }
            let body = JSONValue.object(members).text
            let url = path == "gemini" ? "/v1beta/models/sim-\(family):streamGenerateContent?alt=sse" : "/v1/\(path)"
            func ask(_ controls: String) async throws -> Client.Answer {
                world.simulator.script.add(model: "sim-\(family)", steps: [controls])
                return try await world.client.call(.post, url, key: user.key, body: body)
            }
            let markers = ["messages": "message_stop", "responses": "response.completed", "gemini": "finishReason"]
            let marker = markers[path] ?? "[DONE]"
            let whole = try await ask("prompt_tokens=1000,cached_tokens=400,chunks=7")
            #expect(whole.status == 200 && whole.text.contains(marker), "\(whole.text)")
            let row = try #require(try await world.logRows(1).first)
            // Cohere tells no cached tokens.
            let cached: Int64 = family == "cohere" ? 0 : 400
            let cost = NanoUSD(nanos: (1_000 - cached) * 3_000 + cached * 300 + 7 * 15_000)
            #expect(row["cost"]?.numberText == cost.usdText, "\(row.text)")
            #expect(row["cached_tokens"]?.integerValue == cached && row["prompt_tokens"]?.integerValue == 1_000)

            let cut = try await ask("chunks=9,close_after=4")
            #expect(cut.wasCut && !cut.text.contains(marker) && cut.text.contains("error"), "\(cut.text)")
            // Anthropic has told one token by then, the others none; four words have come.
            let paid = try #require(try await world.logRows(2).first)
            #expect(paid["usage_source"]?.stringValue == "estimated" && (paid["completion_tokens"]?.integerValue ?? 0) >= 3, "\(paid.text)")
            let refused = try await ask("status=400,message=so-not")
            #expect(refused.status == 400 && refused.text.contains("so-not"), "\(refused.text)")
            let broken = try await ask("status=529")
            #expect(broken.status >= 500, "\(broken.text)")
            try await world.gateway.stop()
            #expect(try await world.verifyLedger().status == 0)
        }
    }
}
