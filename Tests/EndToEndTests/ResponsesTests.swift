import Foundation
import HTTPTypes
import PostgresTesting
import RouterCore
import Simulator
import Testing

/// Responses that are kept: at vendors that keep them, and by the gateway before all others.
@Suite(.serialized) struct ResponsesTests {
    private static let models = ["held", "native", "chat", "anthropic", "gemini"]

    /// One vendor that keeps responses, one with the format alone, one with chat alone, and two of other families.
    private func withVendors(
        sections: String = "", environment: [String: String] = [:], _ body: (World) async throws -> Void
    ) async throws {
        let world = try await World.make(sections: sections, start: false, environment: environment)
        let base = "http://127.0.0.1:\(world.simulator.port)"
        let files = [
            ("held", "openai", "/v1", "endpoints: { chat: true, responses: true, compact: true }\nresponses: { stateful: true }", "bearer"),
            ("native", "openai", "/stateless/v1", "endpoints: { responses: true }", "bearer"), ("chat", "openai", "/v1", "", "bearer"),
            ("anthropic", "anthropic", "/anthropic/v1", "", "header, name: x-api-key"),
            ("gemini", "gemini", "/gemini/v1beta", "", "header, name: x-goog-api-key"),
        ]
        var channels = "channels:\n"
        for (number, file) in files.enumerated() {
            try world.write(
                "providers/v\(file.0).yaml",
                """
                name: v\(file.0)
                adaptor: \(file.1)
                base_url: \(base)\(file.2)
                auth: { type: \(file.4) }
                \(file.3)
                models:
                  - { id: up-\(file.0), max_output_tokens: 4096, price: { input: "3", output: "15" } }

                """)
            channels += """
                  - { id: \(number + 1), name: \(file.0), provider: v\(file.0), keys: [\(file.0)-key-a\(file.0 == "held" ? ", held-key-b" : "")],
                      models: [{ name: \(file.0), upstream: up-\(file.0) }] }

                """
        }
        try world.write("config/channels.yaml", channels)
        let started = try await world.restarted()
        do {
            try await started.admin.addBalance(1, usd: "10")
            try await body(started)
        } catch {
            let log = started.gateway.log.suffix(6000)
            try? await started.tearDown()
            throw StringError("\(error)\n--- gateway log ---\n\(log)")
        }
        try await started.tearDown()
    }

    private func respond(
        _ world: World, _ model: String, key: String = GatewayProcess.rootKey, text: String = "a b c", _ more: [JSONValue.Member] = []
    ) async throws -> Client.Answer {
        let body = JSONValue.object([.init("model", .string(model)), .init("input", .string(text))] + more)
        return try await world.client.call(.post, "/v1/responses", key: key, body: body.text)
    }

    private func get(_ world: World, _ id: String, key: String = GatewayProcess.rootKey) async throws -> Client.Answer {
        try await world.client.call(.get, "/v1/responses/\(id)", key: key)
    }

    private func id(_ answer: Client.Answer) throws -> String {
        try #require(answer.status == 200, "\(answer.text)")
        return try #require(try answer.json["id"]?.stringValue)
    }

    // MARK: The official SDK

    @Test(.timeLimit(.minutes(10))) func `the official SDK keeps its state before every vendor, over a restart`() async throws {
        let python = GatewayProcess.repository.appendingPathComponent(".venv/bin/python").path
        try #require(FileManager.default.isExecutableFile(atPath: python), "run `make test`, which installs the SDK")
        let script = GatewayProcess.repository.appendingPathComponent("Tests/EndToEndTests/Python/responses_checks.py").path
        try await withVendors { world in
            let mine = try await world.admin.makeUser("mine", usd: "10")
            let strangers = try await world.admin.makeUser("stranger", usd: "10")
            let state = world.gateway.directory.appendingPathComponent("state.json").path
            func checks(_ world: World, _ phase: String) async throws {
                let result = try await run(python, [script, world.gateway.base, mine.key, strangers.key, state, phase] + Self.models)
                #expect(result.status == 0 && result.output.contains("checks passed"), "\(result.output)")
            }
            try await checks(world, "first")
            // The charges equal the vendors' bills, including the tokens that they have read again.
            let billed = world.simulator.record.rows().filter { $0.outcome == "completed" }
            let rows = try await allLogRows(world, billed.count)
            func pairs(_ rows: [(Int64, Int64)]) -> [String] { rows.map { "\($0.0)+\($0.1)" }.sorted() }
            #expect(
                pairs(rows.map { ($0["prompt_tokens"]?.integerValue ?? 0, $0["completion_tokens"]?.integerValue ?? 0) })
                    == pairs(billed.map { ($0.promptTokens, $0.completionTokens) }))
            try await world.gateway.stop()
            try await checks(try await world.restarted(), "again")
        }
    }

    private func allLogRows(_ world: World, _ count: Int) async throws -> [JSONValue] {
        var rows: [JSONValue] = []
        try await eventually("\(count) charged rows") {
            rows = []
            for page in 1...9 {
                let batch = try await world.admin.get("/api/log?page_size=100&page=\(page)")["data"]?["items"]?.arrayValue ?? []
                rows += batch.filter { $0["status"]?.integerValue == 200 }
                if batch.count < 100 { break }
            }
            return rows.count >= count
        }
        return rows
    }

    // MARK: Pins

    @Test(.timeLimit(.minutes(5))) func `a response at a vendor is continued with the key that made it, and with no other`() async throws {
        try await withVendors { world in
            for _ in 0..<6 {
                var previous = try id(try await respond(world, "held"))
                for _ in 0..<4 {
                    previous = try id(try await respond(world, "held", [.init("previous_response_id", .string(previous))]))
                }
                #expect(try await get(world, previous).status == 200)
            }
            let keys = world.simulator.record.rows().map(\.key)
            #expect(keys.count == 30)
            for start in stride(from: 0, to: keys.count, by: 5) { #expect(Set(keys[start..<min(start + 5, keys.count)]).count == 1) }

            // The key is gone, and with it what it has made.
            let last = try id(try await respond(world, "held"))
            let kept = try String(
                contentsOf: world.gateway.directory.appendingPathComponent("config/channels.yaml"), encoding: .utf8)
            try world.write("config/channels.yaml", kept.replacing("held-key-a, held-key-b", with: "held-key-c"))
            _ = try await world.admin.post("/api/config/reload", .object([]))
            for answer in [
                try await get(world, last), try await respond(world, "held", [.init("previous_response_id", .string(last))]),
            ] {
                #expect(answer.status == 410, "\(answer.text)")
                #expect(try answer.json["error"]?["code"] == "response_out_of_reach")
            }
        }
    }

    /// The vendor reads the whole conversation again: a hold for the few words of this turn would be too small.
    @Test(.timeLimit(.minutes(5))) func `what a vendor has kept counts for the hold`() async throws {
        try await withVendors { world in
            let user = try await world.admin.makeUser("nearly-broke", usd: "0.01")
            let long = String(repeating: "word ", count: 2_000)
            let first = try await respond(world, "held", key: user.key, text: long, [.init("max_output_tokens", .integer(1))])
            let second = try await respond(
                world, "held", key: user.key, text: "x",
                [.init("max_output_tokens", .integer(1)), .init("previous_response_id", .string(try id(first)))])
            // 2,003 tokens at 3 dollars a million leave less than as many cost again.
            #expect(second.status == 402, "\(second.text)")
            #expect(world.simulator.record.rows().count == 1)
        }
    }

    /// Nothing lies with a vendor then: the whole input is in each request, and has a bound.
    @Test(.timeLimit(.minutes(5))) func `with strict admission the gateway keeps all responses itself`() async throws {
        try await withVendors(sections: "metering: { admission: strict }") { world in
            for model in Self.models {
                let limit: [JSONValue.Member] = [.init("max_output_tokens", .integer(50))]
                let first = try id(try await respond(world, model, limit))
                let second = try await respond(world, model, text: "d", limit + [.init("previous_response_id", .string(first))])
                // Three tokens, three words, three words of the answer, and one.
                #expect(try second.json["usage"]?["input_tokens"]?.integerValue == 10, "\(model): \(second.text)")
                #expect(try await get(world, try id(second)).status == 200)
            }
            #expect(world.simulator.responses.ids.isEmpty)
        }
    }

    // MARK: Bounds and switches

    @Test(.timeLimit(.minutes(5))) func `a full store refuses who asks for it and serves everybody else`() async throws {
        try await withVendors(sections: "responses: { max_bytes: 200000, max_bytes_per_user: 65536 }") { world in
            let big = String(repeating: "word ", count: 5_500)
            let kept = try id(try await respond(world, "chat", text: big))
            let refused = try await respond(world, "chat", text: big, [.init("store", true)])
            #expect(refused.status == 429, "\(refused.text)")
            #expect(try refused.json["error"]?["code"] == "response_store_full")
            #expect(refused.headers[HTTPField.Name("x-should-retry")!] == "false")
            let served = try id(try await respond(world, "chat", text: big))
            #expect(try await get(world, served).status == 404)
            // Others have room of their own, and what is deleted makes room.
            let other = try await world.admin.makeUser("other", usd: "1")
            #expect(try await respond(world, "chat", key: other.key, text: big, [.init("store", true)]).status == 200)
            #expect(try await world.client.call(.delete, "/v1/responses/\(kept)", key: GatewayProcess.rootKey).status == 200)
            try await eventually("there is room again") {
                try await respond(world, "chat", text: big, [.init("store", true)]).status == 200
            }
            let metrics = try await world.client.call(.get, "/metrics").text
            #expect(metrics.contains("apirouter_stored_responses{fate=\"kept\"}"))
        }
    }

    @Test(.timeLimit(.minutes(5)), arguments: ["held", "chat"]) func `a gateway that keeps nothing says so to whom it matters`(
        _ model: String
    ) async throws {
        try await withVendors(sections: "responses: { store: false }") { world in
            let answer = try id(try await respond(world, model))
            #expect(try await get(world, answer).status == 404)
            #expect(try await respond(world, model, [.init("store", false)]).status == 200)
            for (name, value) in [("store", true), ("previous_response_id", .string(answer)), ("conversation", "conv_1")]
                as [(String, JSONValue)]
            {
                let refused = try await respond(world, model, [.init(name, value)])
                #expect(refused.status == 400, "\(refused.text)")
                #expect(try refused.json["error"]?["message"]?.stringValue?.contains("responses.store is off") == true)
                #expect(try refused.json["error"]?["param"]?.stringValue == name)
            }
            let made = try await world.client.call(.post, "/v1/conversations", key: GatewayProcess.rootKey, body: "{}")
            #expect(made.status == 400, "\(made.text)")
            let path = world.gateway.directory.appendingPathComponent("data/responses.sqlite").path
            #expect(!FileManager.default.fileExists(atPath: path))
        }
    }

    @Test(.timeLimit(.minutes(5))) func `a response that outlives kill -9 was written, and its file is private`() async throws {
        try await withVendors { world in
            let kept = try id(try await respond(world, "anthropic"))
            try await eventually("it is written") {
                try await world.client.call(.get, "/metrics").text.contains("apirouter_responses_waiting 0\n")
            }
            try await world.gateway.kill9()
            let again = try await world.restarted()
            #expect(try await get(again, kept).status == 200)
            let path = again.gateway.directory.appendingPathComponent("data/responses.sqlite").path
            let mode = try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? Int
            #expect(mode == 0o600)
        }
    }

    @Test(.timeLimit(.minutes(5))) func `gateways on one PostgreSQL share what is kept`() async throws {
        let url = try PostgresServer.shared.get().makeDatabase()
        try await withVendors(environment: ["SQL_DSN": url]) { world in
            let other = try await world.another()
            do {
                for model in ["held", "gemini"] {
                    let first = try id(try await respond(world, model))
                    try await eventually("the other gateway has it") { try await get(other, first).status == 200 }
                    let second = try id(try await respond(other, model, [.init("previous_response_id", .string(first))]))
                    try await eventually("the first gateway has it") { try await get(world, second).status == 200 }
                    let deleted = try await other.client.call(.delete, "/v1/responses/\(first)", key: GatewayProcess.rootKey)
                    #expect(deleted.status == 200, "\(deleted.text)")
                    #expect(try await get(world, first).status == 404)
                }
            } catch {
                try? await other.stopGateway()
                throw error
            }
            try await other.stopGateway()
            let path = world.gateway.directory.appendingPathComponent("data/responses.sqlite").path
            #expect(!FileManager.default.fileExists(atPath: path))
        }
    }
}
