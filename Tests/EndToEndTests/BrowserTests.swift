import Foundation
import RouterCore
import Testing

/// The console in a real browser (Debian's Chromium), before the real binary with the shipped configuration.
@Suite(.serialized) struct BrowserTests {
    /// A new gateway as `make run` starts it: the shipped files, nobody's keys, an empty ledger.
    private static func withShippedGateway(
        environment: [String: String] = [:], _ body: (GatewayProcess) async throws -> Void
    ) async throws {
        let directory = FileManager.default.temporaryDirectory.appendingPathComponent("console-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
        for name in ["config", "providers"] {
            try FileManager.default.copyItem(
                at: GatewayProcess.repository.appendingPathComponent(name), to: directory.appendingPathComponent(name))
        }
        // A busy machine must not refuse for another reason than the test's.
        let file = directory.appendingPathComponent("config/gateway.yaml")
        let text = try String(contentsOf: file, encoding: .utf8)
        let patient = text.replacingOccurrences(of: "server:   { ", with: "server:   { max_lag: 0s, ")
        try #require(patient != text)
        try patient.write(to: file, atomically: true, encoding: .utf8)
        let gateway = GatewayProcess(directory: directory)
        // Without the tests' own key and token: a new gateway has none.
        let web = [
            "APIROUTER_WEB_DIR": GatewayProcess.repository.appendingPathComponent("web").path, "INITIAL_ROOT_TOKEN": "",
            "INITIAL_ROOT_ACCESS_TOKEN": "",
        ]
        try await gateway.start(environment: web.merging(environment) { _, new in new })
        do {
            try await body(gateway)
        } catch {
            let log = gateway.log.suffix(4_000)
            _ = try? await gateway.stop()
            throw StringError("\(error)\n--- gateway log ---\n\(log)")
        }
        try await gateway.stop()
        let books = try await run(
            GatewayProcess.binary.path, ["ledger", "verify", "--config", "config/gateway.yaml"],
            environment: ["APIROUTER_SQL_DIR": GatewayProcess.migrations], directory: directory)
        #expect(books.status == 0, "\(books.output)")
    }

    private func check(_ script: String, _ gateway: GatewayProcess, _ arguments: [String] = []) async throws {
        let python = GatewayProcess.repository.appendingPathComponent(".venv/bin/python").path
        try #require(FileManager.default.isExecutableFile(atPath: python), "run `make test`, which installs Playwright")
        try #require(FileManager.default.isExecutableFile(atPath: "/usr/bin/chromium"), "run `make test`, which installs Chromium")
        let path = GatewayProcess.repository.appendingPathComponent("Tests/EndToEndTests/Python/\(script)").path
        let result = try await run(python, [path, gateway.base] + arguments, within: .seconds(900))
        #expect(result.status == 0, "\(result.output)")
        #expect(result.output.contains("checks passed"), "\(result.output)")
    }

    @Test(.timeLimit(.minutes(20))) func `every page, for every role and in both languages`() async throws {
        let isLong = ProcessInfo.processInfo.environment["APIROUTER_LONG"] != nil
        try await Self.withShippedGateway { gateway in
            try await check("console_pages.py", gateway, isLong ? ["--all"] : [])
        }
    }

    @Test(.timeLimit(.minutes(10))) func `the first five minutes of a new gateway`() async throws {
        try await Self.withShippedGateway { gateway in try await check("console_first_minutes.py", gateway) }
    }

    /// Written where `make pictures` says, else into a folder that goes: the script checks that they can be taken.
    @Test(.timeLimit(.minutes(10))) func `pictures of the pages`() async throws {
        let wanted = ProcessInfo.processInfo.environment["PICTURES"].map { GatewayProcess.repository.appendingPathComponent($0) }
        let folder = wanted ?? FileManager.default.temporaryDirectory.appendingPathComponent("pictures-\(UUID().uuidString)")
        defer { if wanted == nil { try? FileManager.default.removeItem(at: folder) } }
        try await Self.withShippedGateway { gateway in try await check("console_pictures.py", gateway, [folder.path]) }
    }

    @Test(.timeLimit(.minutes(10))) func `errors, empty places, hostile texts and the keyboard`() async throws {
        try await Self.withShippedGateway { gateway in try await check("console_states.py", gateway) }
    }

    @Test(.timeLimit(.minutes(15))) func `late answers, and what is typed and must not be lost`() async throws {
        try await Self.withShippedGateway { gateway in try await check("console_races.py", gateway) }
    }
}
