import Foundation
import HTTPTypes
import RouterCore
import Testing

@Suite(.serialized) struct SDKTests {
    @Test(.timeLimit(.minutes(5))) func `the official OpenAI SDK works against the gateway`() async throws {
        let python = GatewayProcess.repository.appendingPathComponent(".venv/bin/python").path
        try #require(FileManager.default.isExecutableFile(atPath: python), "run `make test`, which installs the SDK")
        try await World.with(channels: [World.ChannelSpec(id: 1), World.ChannelSpec(id: 2, provider: "simmedia")], openEnded: true, media: true) { world in
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
