import Foundation
import HTTPTypes
import NIOCore
import PostgresTesting
import RouterCore
import Simulator
import Testing

/// Prices and models from a vendor's own list, with the real binary.
@Suite(.serialized) struct ModelsSyncTests {
    private static let channels = [World.ChannelSpec(id: 1, provider: "simrouter")]

    private static func model(_ id: String, _ prompt: String, _ completion: String, output: Int = 8_192) -> JSONValue {
        [
            "id": .string(id), "name": .string(id), "context_length": .integer(100_000),
            "architecture": ["input_modalities": ["text", "image"], "output_modalities": ["text"]],
            "pricing": ["prompt": .string(prompt), "completion": .string(completion), "request": "0", "image": "0"],
            "top_provider": ["max_completion_tokens": .integer(output)],
        ]
    }

    /// Beside the files' list: one as it is, one dearer, one new and too fine, one router, one that an admin has set; two are gone.
    private static let list: JSONValue = [
        "data": [
            model("sim/cheap", "0.00000015", "0.0000006"), model("sim/dear", "0.000004", "0.000015", output: 4_096),
            model("sim/new", "0.0000000000000014", "0.000002"), model("sim/router", "-1", "-1"), model("sim/free", "0.00001", "0.00001"),
            ["id": "sim/bare", "name": "Bare"],
        ]
    ]

    private func price(_ world: World, _ model: String) async throws -> JSONValue? {
        try await world.client.call(.get, "/api/models/pricing/\(model)").json["data"]
    }

    @Test(.timeLimit(.minutes(10)), arguments: [false, true])
    func `the command shows the difference, writes new versions and leaves an admin's price alone`(_ isPostgres: Bool) async throws {
        let environment = isPostgres ? ["SQL_DSN": try PostgresServer.shared.get().makeDatabase()] : [:]
        try await World.with(channels: Self.channels, environment: environment) { world in
            world.simulator.listedModels.set(Self.list)
            _ = try await world.admin.put(
                "/api/models/pricing", ["model_name": "sim/free", "pricing_input": .number("0.000001"), "pricing_output": .number("0")])
            let before = try #require(try await price(world, "sim/dear"))
            #expect(before["pricing_input"]?.numberText == "0.000003" && before["provider"]?.stringValue == "simrouter")

            let dry = try await world.command(["models", "sync", "--dry-run"])
            #expect(dry.status == 0, "\(dry.output)")
            for line in [
                "+ sim/new: input 0.000000001, output 2", "+ sim/router: the vendor's reported cost",
                "~ sim/dear: input 3 → 4; cache_read 0.3 → none; max_output_tokens 8192 → 4096",
                "= sim/free: an admin has set it; the list says input 1 → 10; output 0 → 10", "- sim/embed: no longer listed",
                "? sim/bare: the list has no price",
                "- sim/fine: no longer listed", "! sim/new: rounded to 10^-15 USD: prompt=0.0000000000000014",
                "simrouter: 2 new, 1 changed, 2 gone, 1 as they are, 1 kept as an admin has set them, 1 without a price (nothing written)",
            ] { #expect(dry.output.contains(line + "\n"), "\(line)\n---\n\(dry.output)") }
            #expect(try await world.command(["models", "sync", "--dry-run"]).output == dry.output)

            let done = try await world.command(["models", "sync", "--provider", "simrouter"])
            #expect(done.status == 0 && done.output.contains("; 3 written"), "\(done.output)")
            let again = try await world.command(["models", "sync"])
            #expect(
                again.output == """
                    = sim/free: an admin has set it; the list says input 1 → 10; output 0 → 10
                    - sim/embed: no longer listed
                    - sim/fine: no longer listed
                    ? sim/bare: the list has no price
                    ! sim/new: rounded to 10^-15 USD: prompt=0.0000000000000014
                    simrouter: 0 new, 0 changed, 2 gone, 4 as they are, 1 kept as an admin has set them, 1 without a price; 0 written

                    """, "\(again.output)")

            // PostgreSQL tells the gateway itself; SQLite has nobody to tell it.
            if !isPostgres { #expect(try await world.admin.post("/api/config/reload", [:])["success"]?.boolValue == true) }
            try await eventually("the gateway has the new price") {
                try await price(world, "sim/dear")?["pricing_input"]?.numberText == "0.000004"
            }
            let after = try #require(try await price(world, "sim/dear"))
            #expect((after["version"]?.integerValue ?? 0) > (before["version"]?.integerValue ?? 0))
            #expect(try await price(world, "sim/free")?["pricing_input"]?.numberText == "0.000001")
            #expect(try await price(world, "sim/fine")?["is_active"]?.boolValue == true)

            // A model that no file names is served and charged by the list's price.
            let user = try await world.admin.makeUser("modern", usd: "1")
            try await eventually("the new model is served") {
                try await world.client.call(.get, "/v1/models/sim/new", key: user.key).status == 200
            }
            let body: JSONValue = [
                "model": "sim/new", "messages": [["role": "user", "content": "hi"]],
                "sim_control": "prompt_tokens=10,completion_tokens=100,cost=0.000001",
            ]
            #expect(try await world.client.call(.post, "/v1/chat/completions", key: user.key, body: body.text).status == 200)
            try await eventually("it is charged") {
                try await world.admin.transactions(token: user.token).first?["amount"]?.numberText == "-0.0002"
            }
            let shown = try await world.client.call(.get, "/api/models?q=sim/&modality=image&max_price=2").json["data"]?.arrayValue ?? []
            #expect(shown.compactMap { $0["model_name"]?.stringValue } == ["sim/cheap", "sim/free", "sim/new"], "\(shown)")

            // One that the list names without a price waits for an admin's.
            #expect(try await world.client.call(.get, "/v1/models/sim/bare", key: user.key).status == 404)
            _ = try await world.admin.put(
                "/api/models/pricing", ["model_name": "sim/bare", "pricing_input": .number("0"), "pricing_output": .number("0.000001")])
            #expect(try await world.client.call(.get, "/v1/models/sim/bare", key: user.key).status == 200)

            // The file's price does not come back with a restart.
            try await world.gateway.stop()
            let restarted = try await world.restarted()
            #expect(try await price(restarted, "sim/dear")?["pricing_input"]?.numberText == "0.000004")
            #expect(try await restarted.client.call(.get, "/v1/models/sim/new", key: user.key).status == 200)
            try await restarted.gateway.stop()
            let books = try await restarted.verifyLedger()
            #expect(books.status == 0, "\(books.output)")
            await restarted.client.shutdown()
        }
    }

    @Test(.timeLimit(.minutes(10))) func `a list that cannot be had changes nothing and is said`() async throws {
        try await World.with(channels: Self.channels) { world in
            world.simulator.listedModels.set(["data": []])
            let empty = try await world.command(["models", "sync"])
            #expect(empty.status == 1 && empty.output.contains("simrouter: answered with an empty list of models"), "\(empty.output)")
            let nobody = try await world.command(["models", "sync", "--provider", "sim"])
            #expect(nobody.status != 0 && nobody.output.contains("those in use: simrouter"), "\(nobody.output)")
            try await world.simulator.stop()
            let away = try await world.command(["models", "sync"])
            #expect(away.status == 1 && away.output.contains("simrouter: could not be asked for its models"), "\(away.output)")
            #expect(try await price(world, "sim/dear")?["pricing_input"]?.numberText == "0.000003")
        }
    }

    @Test(.timeLimit(.minutes(10))) func `a gateway syncs by itself, with the channel that answers`() async throws {
        // Nobody listens on the first one's port.
        let deaf = World.ChannelSpec(id: 7, provider: "simrouter", priority: -1, baseURL: "http://127.0.0.1:9/api/v1")
        let world = try await World.make(channels: [deaf] + Self.channels, sections: "models: { sync_interval: 24h }", start: false)
        do {
            world.simulator.listedModels.set(Self.list)
            try await world.gateway.start()
            let client = try Client(base: world.gateway.base)
            let live = World(simulator: world.simulator, gateway: world.gateway, client: client, admin: Admin(client: client))
            try await eventually("the price is the list's") {
                try await price(live, "sim/dear")?["pricing_input"]?.numberText == "0.000004"
            }
            try await eventually("the new model is served") {
                try await client.call(.get, "/v1/models/sim/new", key: GatewayProcess.rootKey).status == 200
            }
            try await eventually("it is logged") { world.gateway.log.contains("models synced") }
            #expect(world.simulator.statistics.requests["/api/v1/models"] == 1)
            await client.shutdown()
        } catch {
            let log = world.gateway.log.suffix(3_000)
            try? await world.tearDown()
            throw StringError("\(error)\n--- gateway log ---\n\(log)")
        }
        try await world.tearDown()
    }
}
