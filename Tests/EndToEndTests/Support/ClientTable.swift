import Foundation

/// The table of docs/clients.md: which client was tried before vendors of which family. The tests take their families from here.
enum ClientTable {
    static let claudeCode = ["anthropic", "openai", "openrouter", "gemini", "bedrock"]
    /// Those that have no Responses; one that has them is a test of its own.
    static let codex = ["openai", "anthropic", "gemini"]
    /// All that ``DialectTests`` puts its SDKs before.
    static let everyFamily = ["openai", "openrouter", "anthropic", "gemini", "cohere", "bedrock", "azure-openai"]

    private struct Row {
        var client: String
        /// The package that pins its version in the Makefile; nil = it is not installed here.
        var package: String?
        var families: [String]
        var isRun = true
        var note = ""
    }

    private static let rows = [
        Row(client: "Claude Code", package: "claude-agent-sdk", families: claudeCode, note: "its program is 2.1.332"),
        Row(
            client: "Codex", package: "openai-codex-cli-bin", families: codex, note: "openai with and without Responses of the vendor's own"
        ),
        Row(client: "OpenAI's SDK", package: "openai", families: everyFamily),
        Row(client: "Anthropic's SDK", package: "anthropic", families: everyFamily),
        Row(client: "Google's SDK", package: "google-genai", families: everyFamily),
        Row(client: "OpenRouter's SDK", package: "openrouter", families: ["openai", "openrouter"]),
        Row(client: "LangChain (OpenAI)", package: "langchain-openai", families: everyFamily, note: "Chat Completions and Responses"),
        Row(client: "LangChain (Anthropic)", package: "langchain-anthropic", families: everyFamily),
        Row(client: "Cursor", families: ["openai"], isRun: false, note: "agent's request to Chat Completions"),
        Row(client: "n8n", families: ["openai", "anthropic", "gemini"], isRun: false, note: "stored responses, by OpenAI's SDK"),
        Row(client: "Cline, LibreChat, Open WebUI, Vercel AI SDK, aider, LlamaIndex", families: [], isRun: false, note: "not run"),
    ]

    /// Versions as the Makefile has them.
    static func table() throws -> String {
        let makefile = try String(contentsOf: GatewayProcess.repository.appendingPathComponent("Makefile"), encoding: .utf8)
        func version(_ package: String) -> String? {
            let words = makefile.split(whereSeparator: \.isWhitespace)
            return words.first { $0.hasPrefix(package + "==") }.map { String($0.dropFirst(package.count + 2)) }
        }
        var lines = [
            "| | version | " + everyFamily.joined(separator: " | ") + " | |",
            "|---|---|" + everyFamily.map { _ in "---|" }.joined() + "---|",
        ]
        for row in rows {
            let cells = everyFamily.map { row.families.contains($0) ? row.isRun ? "✓" : "shape" : "–" }
            let pinned = try row.package.map { package in
                guard let version = version(package) else { throw StringError("the Makefile pins no \(package)") }
                return version
            }
            lines.append("| \(row.client) | \(pinned ?? "") | \(cells.joined(separator: " | ")) | \(row.note) |")
        }
        return lines.joined(separator: "\n")
    }
}
