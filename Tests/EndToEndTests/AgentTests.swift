import Foundation
import HTTPTypes
import RouterCore
import Simulator
import Testing

/// The real coding agents before vendors of several families, which check every request as strictly as the vendors do. Each run has a plain
/// answer and a task whose tools really run; each is charged as the vendor bills it, and stays on the channel on which it began.
@Suite(.serialized, .enabled(if: CodingAgent.areInstalled, "`make test-agents` installs the agents")) struct AgentTests {
    /// Two channels of one vendor that serves the agents' models.
    private func withVendor(_ family: String, endpoints: String = "", _ body: (World) async throws -> Void) async throws {
        let world = try await World.make(start: false)
        let (adaptor, path, auth) =
            switch family {
            case "anthropic": ("anthropic", "/anthropic/v1", "{ type: header, name: x-api-key }")
            case "gemini": ("gemini", "/gemini/v1beta", "{ type: header, name: x-goog-api-key }")
            case "openrouter": ("openrouter", "/api/v1", "{ type: bearer }")
            case "bedrock": ("bedrock", "/bedrock", "{ type: bearer }")
            default: ("openai", "/v1", "{ type: bearer }")
            }
        try world.write(
            "providers/vendor.yaml",
            """
            name: vendor
            adaptor: \(adaptor)
            base_url: http://127.0.0.1:\(world.simulator.port)\(path)
            auth: \(auth)
            \(endpoints)
            models:
              - { id: claude-sonnet-4-5, max_output_tokens: 64000, price: { input: "3", output: "15", cache_read: "0.3", cache_write: "3.75" } }
              - { id: gpt-5.5, max_output_tokens: 64000, price: { input: "3", output: "15", cache_read: "0.3" } }

            """)
        try world.write(
            "config/channels.yaml",
            """
            channels:
              - { id: 1, name: first, provider: vendor, keys: [the-key-1111], models: ["*"] }
              - { id: 2, name: second, provider: vendor, keys: [the-key-2222], models: ["*"] }

            """)
        do {
            try await world.gateway.start()
            let client = try Client(base: world.gateway.base)
            try await body(
                World(simulator: world.simulator, gateway: world.gateway, client: client, admin: Admin(client: client)))
            await client.shutdown()
        } catch {
            let log = world.gateway.log.suffix(6_000)
            try? await world.tearDown()
            throw StringError("\(error)\n--- gateway log ---\n\(log)")
        }
        try await world.tearDown()
    }

    /// Runs the agent once and compares the books with the vendor's record.
    private func run(_ agent: CodingAgent, _ world: World, _ task: String, controls: String) async throws -> CodingAgent.Outcome {
        world.simulator.reset()
        world.simulator.script.add(steps: [controls], repeatsLast: true)
        let user = try await world.admin.makeUser("agent-\(UUID().uuidString.prefix(8))", usd: "10")
        let outcome = try await agent.run(task, base: world.gateway.base, key: user.key)
        let record = world.simulator.record.rows()
        #expect(outcome.status == 0 && !record.isEmpty, "\(outcome.output)\n\(world.gateway.log.suffix(3_000))")
        #expect(record.allSatisfy { $0.outcome == "completed" }, "\(record.map(\.outcome)) \(outcome.output)")
        // Each request has the same prompt as its beginning: it belongs where the vendor's cache has it.
        #expect(Set(record.map(\.key)).count == 1, "\(record.map(\.key))")
        let bill = record.reduce(Int64(0)) { $0 + Self.bill($1) }
        var balance: JSONValue?
        try await eventually("everything is settled") {
            balance = try await world.client.call(.get, "/api/balance", key: user.token).json["data"]
            return balance?["held"]?.numberText == "0"
        }
        let rows = try await world.logRows(record.count).map { "\($0.text)" }.joined(separator: "\n")
        #expect(balance?["balance"]?.numberText == NanoUSD(nanos: 10_000_000_000 - bill).usdText, "\(record)\n\(rows)")
        return outcome
    }

    /// NanoUSD of one row at the prices above.
    private static func bill(_ row: BillingRow) -> Int64 {
        (row.promptTokens - row.cachedTokens - row.cacheWriteTokens) * 3_000 + row.cachedTokens * 300 + row.cacheWriteTokens * 3_750
            + row.completionTokens * 15_000
    }

    private func check(
        _ agent: CodingAgent, _ family: String, endpoints: String = "", reasoning: String = ",reasoning=3", task: String
    ) async throws {
        try await withVendor(family, endpoints: endpoints) { world in
            let plain = try await run(agent, world, "tell me that all is well", controls: "strict,text,cached_tokens=100")
            #expect(plain.answer.contains("all is well"), "\(plain.output)")
            try FileManager.default.removeItem(at: plain.folder)

            let worked = try await run(agent, world, task, controls: "strict,text\(reasoning)")
            #expect(worked.answer.contains("The tool said: ") && worked.answer.contains("made by an agent"), "\(worked.output)")
            let made = try String(contentsOf: worked.folder.appendingPathComponent("work/two.txt"), encoding: .utf8)
            #expect(made == "made by an agent\n", "\(worked.output)")
            try FileManager.default.removeItem(at: worked.folder)
            #expect(world.simulator.record.rows().count >= 3, "\(worked.output)")

            try await world.gateway.stop()
            #expect(try await world.verifyLedger().status == 0)
        }
    }

    @Test(.timeLimit(.minutes(10)), arguments: ClientTable.claudeCode)
    func `Claude Code works before every family`(family: String) async throws {
        let task = """
            Make a file. [[call Bash {"command":"echo 'made by an agent' > one.txt"}]] [[call Bash {"command":"cp one.txt two.txt; cat two.txt"}]]
            """
        try await check(.claudeCode, family, task: task)
    }

    /// A custom tool with a grammar, and then a function.
    private static let patching = """
        Make a file. [[call apply_patch {"input":"*** Begin Patch\\n*** Add File: one.txt\\n+made by an agent\\n*** End Patch\\n"}]]
        [[call exec_command {"cmd":"cp one.txt two.txt; cat two.txt"}]]
        """

    @Test(.timeLimit(.minutes(10))) func `Codex works before a vendor that has Responses`() async throws {
        try await check(
            .codex, "openai", endpoints: "endpoints: { chat: true, responses: true }", reasoning: "", task: Self.patching)
    }

    @Test(.timeLimit(.minutes(10)), arguments: ClientTable.codex)
    func `Codex works before families that have no Responses`(family: String) async throws {
        try await check(.codex, family, task: Self.patching)
    }
}
