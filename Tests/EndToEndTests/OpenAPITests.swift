import Foundation
import HTTPTypes
import Testing

@Suite(.serialized) struct OpenAPITests {
    @Test(.timeLimit(.minutes(5))) func `the served OpenAPI document is valid and the published one`() async throws {
        let python = GatewayProcess.repository.appendingPathComponent(".venv/bin/python").path
        try #require(FileManager.default.isExecutableFile(atPath: python), "run `make test`, which installs the validator")
        try await World.with { world in
            let answer = try await world.client.call(.get, "/api/openapi.json")
            #expect(answer.status == 200)
            let file = FileManager.default.temporaryDirectory.appendingPathComponent("openapi-\(UUID().uuidString).json")
            try answer.text.write(to: file, atomically: true, encoding: .utf8)
            defer { try? FileManager.default.removeItem(at: file) }
            let script = GatewayProcess.repository.appendingPathComponent("Tests/EndToEndTests/Python/openapi_checks.py").path
            let published = GatewayProcess.repository.appendingPathComponent("docs/openapi.yaml").path
            let result = try await run(python, [script, file.path, published])
            #expect(result.status == 0 && result.output.contains("checks passed"), "\(result.output)")
        }
    }
}
