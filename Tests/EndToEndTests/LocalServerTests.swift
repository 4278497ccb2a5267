import Foundation
import RouterCore
import Testing

/// The gateway in front of a real local server: llama.cpp's own, with a tiny model of random weights that the test makes (no model can be
/// downloaded here). `make test` installs it; where there is no build of it for the machine, the test is left out.
@Suite(.serialized) struct LocalServerTests {
    private static let python = GatewayProcess.repository.appendingPathComponent(".venv/bin/python").path
    /// Set up by `make .venv/.installed`.
    private static let isInstalled = FileManager.default.fileExists(
        atPath: GatewayProcess.repository.appendingPathComponent(".venv/.local-server").path)

    /// llama.cpp's server, stopped when the body is over.
    private func withServer(_ body: (_ base: String) async throws -> Void) async throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("llama-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let output = folder.appendingPathComponent("log")
        try Data().write(to: output)
        let process = Process()
        process.executableURL = URL(fileURLWithPath: Self.python)
        let script = GatewayProcess.repository.appendingPathComponent("Scripts/local-server.py").path
        // Port 0: the server takes a free one and says which.
        process.arguments = [script, "0", folder.path]
        process.standardOutput = try FileHandle(forWritingTo: output)
        process.standardError = try FileHandle(forWritingTo: output)
        try process.run()
        defer {
            // Children of a test run have the softer signals blocked.
            kill(process.processIdentifier, SIGKILL)
            process.waitUntilExit()
        }
        var base: String?
        try await eventually("llama.cpp's server is ready", within: .seconds(60)) {
            let text = String(decoding: (try? Data(contentsOf: output)) ?? Data(), as: UTF8.self)
            let line = text.split(separator: "\n").last { $0.hasPrefix("ready ") }
            base = line.map { String($0.dropFirst(6)) }
            if base == nil, !process.isRunning { throw StringError(text) }
            return base != nil
        }
        try await body(try #require(base))
    }

    @Test(.timeLimit(.minutes(10)), .enabled(if: isInstalled, "no build of llama.cpp for this machine"))
    func `the official OpenAI SDK talks to llama.cpp through the gateway`() async throws {
        try await withServer { base in
            let prepared = try await World.make(start: false)
            try prepared.write(
                "providers/local.yaml",
                """
                name: local
                adaptor: openai
                base_url: \(base)/v1
                auth: { type: none }
                endpoints: { chat: true, completions: true, models: true }
                models:
                  - { id: noise, max_output_tokens: 256, price: { input: "10", output: "20", cache_read: "1" } }
                """)
            try prepared.write("config/channels.yaml", "channels:\n  - { id: 1, name: local, provider: local, models: [\"*\"] }\n")
            try await prepared.gateway.start()
            let client = try Client(base: prepared.gateway.base)
            let world = World(simulator: prepared.simulator, gateway: prepared.gateway, client: client, admin: Admin(client: client))
            do {
                let user = try await world.admin.makeUser("local", usd: "1")
                let checks = GatewayProcess.repository.appendingPathComponent("Tests/EndToEndTests/Python/local_checks.py").path
                let result = try await run(Self.python, [checks, world.gateway.base, user.key])
                try #require(
                    result.status == 0 && result.output.contains("checks passed"), "\(result.output)\n\(world.gateway.log.suffix(3_000))")
                // All of it is in the books: what the server counted, and what was refused is free.
                let rows = try await world.logRows(6)
                #expect(rows.allSatisfy { $0["usage_source"]?.stringValue == "upstream" }, "\(rows.map(\.text))")
                try await world.gateway.stop()
                let books = try await world.verifyLedger()
                #expect(books.status == 0, "\(books.output)")
            } catch {
                try? await world.tearDown()
                await prepared.client.shutdown()
                throw error
            }
            try await world.tearDown()
            await prepared.client.shutdown()
        }
    }
}
