import Foundation

/// The coding agents that are to be had as programs, run as a person runs them: in a git folder of their own, against a base URL.
///
/// Their wheels hold the programs themselves (`claude-agent-sdk`, `openai-codex-cli-bin`); `make test-agents` installs them.
enum CodingAgent: String, CaseIterable, Sendable {
    case claudeCode = "Claude Code"
    case codex = "Codex"

    /// Made by `make test-agents`, so that a plain `make test` does not load 320 MB.
    static let areInstalled = FileManager.default.fileExists(
        atPath: GatewayProcess.repository.appendingPathComponent(".venv/.agents").path)

    /// The model that the agent is told to use.
    var model: String {
        switch self {
        case .claudeCode: "claude-sonnet-4-5"
        case .codex: "gpt-5.5"
        }
    }

    private var program: URL {
        get throws {
            let libraries = GatewayProcess.repository.appendingPathComponent(".venv/lib")
            let python = try FileManager.default.contentsOfDirectory(atPath: libraries.path).first { $0.hasPrefix("python3") } ?? "python3"
            let packages = libraries.appendingPathComponent("\(python)/site-packages")
            switch self {
            case .claudeCode: return packages.appendingPathComponent("claude_agent_sdk/_bundled/claude")
            case .codex: return packages.appendingPathComponent("codex_cli_bin/bin/codex")
            }
        }
    }

    struct Outcome {
        var status: Int32
        var output: String
        /// The agent's last words.
        var answer: String
        /// The folder that it worked in; the caller removes it.
        var folder: URL
    }

    /// Gives the agent one task and waits until it has ended.
    /// - Parameters:
    ///   - base: address of the gateway, without a path.
    ///   - key: a key of the gateway.
    func run(_ task: String, base: String, key: String) async throws -> Outcome {
        // Codex refuses a home below the temporary folder.
        let folder = GatewayProcess.products.appendingPathComponent("agents/\(UUID().uuidString)")
        let work = folder.appendingPathComponent("work")
        let home = folder.appendingPathComponent("home")
        for one in [work, home] { try FileManager.default.createDirectory(at: one, withIntermediateDirectories: true) }
        _ = try await EndToEndTests.run("/usr/bin/env", ["git", "init", "--quiet", work.path])
        let answer = folder.appendingPathComponent("answer")
        var environment = ["HOME": home.path]
        var arguments: [String]
        switch self {
        case .claudeCode:
            environment.merge([
                "ANTHROPIC_BASE_URL": base, "ANTHROPIC_AUTH_TOKEN": key, "ANTHROPIC_MODEL": model, "ANTHROPIC_API_KEY": "",
                "ANTHROPIC_SMALL_FAST_MODEL": model, "DISABLE_TELEMETRY": "1", "DISABLE_AUTOUPDATER": "1", "IS_SANDBOX": "1",
                "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1", "CLAUDE_CODE_MAX_RETRIES": "0",
            ]) { _, new in new }
            arguments = ["-p", task, "--output-format", "text", "--dangerously-skip-permissions", "--max-turns", "6"]
        case .codex:
            try """
            model = "\(model)"
            model_provider = "gateway"
            [model_providers.gateway]
            name = "gateway"
            base_url = "\(base)/v1"
            env_key = "GATEWAY_KEY"
            wire_api = "responses"
            request_max_retries = 0
            stream_max_retries = 0
            """.write(to: home.appendingPathComponent("config.toml"), atomically: true, encoding: .utf8)
            environment.merge(["CODEX_HOME": home.path, "GATEWAY_KEY": key]) { _, new in new }
            arguments = [
                "exec", "--skip-git-repo-check", "--dangerously-bypass-approvals-and-sandbox", "--output-last-message", answer.path, task,
            ]
        }
        let result = try await EndToEndTests.run(try program.path, arguments, environment: environment, directory: work)
        let said = self == .codex ? (try? String(contentsOf: answer, encoding: .utf8)) ?? "" : result.output
        return Outcome(status: result.status, output: result.output, answer: said, folder: folder)
    }
}
