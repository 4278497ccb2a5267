import Foundation
import HTTPTypes
import RouterCore
import Simulator
import Testing

/// OpenRouter's own SDK against the real program.
@Suite(.serialized) struct OpenRouterTests {
    /// As OpenRouter's list has models, for the provider that is synced.
    private static let list: JSONValue = [
        "data": [
            [
                "id": "sim/cheap", "canonical_slug": "sim/cheap-2026-11-01", "name": "Sim: Cheap", "created": .integer(1_790_000_000),
                "description": "A model of the simulator.", "context_length": .integer(100_000), "hugging_face_id": "sim/Cheap",
                "architecture": [
                    "modality": "text+image->text", "input_modalities": ["text", "image"], "output_modalities": ["text"],
                    "tokenizer": "GPT", "instruct_type": .null,
                ],
                "pricing": ["prompt": "0.00000015", "completion": "0.0000006"],
                "top_provider": [
                    "context_length": .integer(100_000), "max_completion_tokens": .integer(8_192), "is_moderated": true,
                ],
                "supported_parameters": ["tools", "tool_choice", "temperature"],
                "default_parameters": ["temperature": .number("0.7"), "top_p": .null],
            ],
            [
                "id": "sim/dear", "name": "Sim: Dear", "context_length": .integer(100_000),
                "architecture": ["input_modalities": ["text"], "output_modalities": ["text"]],
                "pricing": ["prompt": "0.000003", "completion": "0.000015", "input_cache_read": "0.0000003"], "top_provider": .object([]),
            ],
        ]
    ]

    @Test(.timeLimit(.minutes(10))) func `the official OpenRouter SDK works against the gateway`() async throws {
        let python = GatewayProcess.repository.appendingPathComponent(".venv/bin/python").path
        try #require(FileManager.default.isExecutableFile(atPath: python), "run `make test`, which installs the SDK")
        let world = try await World.make(
            channels: [
                World.ChannelSpec(id: 1, provider: "simrouter", key: "router-key", priority: 1),
                World.ChannelSpec(id: 2, priority: 0), World.ChannelSpec(id: 3, provider: "simvector"),
            ],
            sections: "models: { sync_interval: 24h }", start: false)
        try world.write(
            "providers/simvector.yaml",
            """
            name: simvector
            display_name: Vectors
            adaptor: openai
            base_url: http://127.0.0.1:\(world.simulator.port)/v1
            models:
              - { id: sim/vector, endpoints: [embeddings], price: { input: "0.02", output: "0" } }

            """)
        do {
            world.simulator.listedModels.set(Self.list)
            try await world.gateway.start()
            let client = try Client(base: world.gateway.base)
            let live = World(simulator: world.simulator, gateway: world.gateway, client: client, admin: Admin(client: client))
            try await check(live, python)
            await client.shutdown()
        } catch {
            let log = world.gateway.log.suffix(6_000)
            try? await world.tearDown()
            throw StringError("\(error)\n--- gateway log ---\n\(log)")
        }
        try await world.tearDown()
    }

    private func check(_ world: World, _ python: String) async throws {
        try await eventually("the list has come") {
            try await world.client.call(.get, "/api/v1/model/sim/cheap", key: GatewayProcess.rootKey).text.contains("sim/cheap-2026-11-01")
        }
        let rich = try await world.admin.makeUser("rich", usd: "10.000000003")
        let stranger = try await world.admin.makeUser("stranger", usd: "1")
        let made = try await world.client.call(.post, "/api/token", key: rich.token, body: #"{"name":"manager","management":true}"#).json
        let manager = try #require(made["data"]?["key"]?.stringValue)
        let script = GatewayProcess.repository.appendingPathComponent("Tests/EndToEndTests/Python/openrouter_checks.py").path
        let result = try await run(python, [script, world.gateway.base, rich.key, stranger.key, manager, rich.token])
        #expect(result.status == 0 && result.output.contains("checks passed"), "\(result.output)")
        try await world.gateway.stop()
        #expect(!world.gateway.log.contains(manager))
        let books = try await world.verifyLedger()
        #expect(books.status == 0, "\(books.output)")
    }
}
