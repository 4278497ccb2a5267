import Foundation
import RouterCore
import Testing

@testable import Config

@Suite struct ConfigTests {
    static let here = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
    static let repository = here.deletingLastPathComponent().deletingLastPathComponent()

    static let fixtures: [String] = {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: here.appendingPathComponent("Fixtures").path)) ?? []
        return names.filter { !$0.contains(".") }.sorted()
    }()

    /// Each fixture is a folder with gateway.yaml, channels.yaml and providers/; beside it the exact diagnostics. `UPDATE_GOLDEN=1`
    /// rewrites them.
    @Test(arguments: fixtures) func `bad files give exactly these diagnostics`(name: String) throws {
        let folder = Self.here.appendingPathComponent("Fixtures/\(name)")
        var lines: [String]
        do {
            let configuration = try ConfigLoader(environment: ["SECRET_KEY": "very-secret-value"])
                .load(path: folder.appendingPathComponent("gateway.yaml").path)
            lines = configuration.warnings.map(\.description)
        } catch {
            lines = error.diagnostics.map(\.description)
        }
        let found = lines.map { $0.replacingOccurrences(of: folder.path + "/", with: "") }.joined(separator: "\n") + "\n"
        #expect(!found.contains("very-secret-value"))
        let golden = Self.here.appendingPathComponent("Fixtures/\(name).diagnostics.golden")
        if ProcessInfo.processInfo.environment["UPDATE_GOLDEN"] != nil {
            try found.write(to: golden, atomically: true, encoding: .utf8)
        }
        #expect(found == (try String(contentsOf: golden, encoding: .utf8)))
    }

    @Test func `there are fixtures`() { #expect(Self.fixtures.count >= 4) }

    @Test func `the shipped configuration loads with one warning that names the variable`() throws {
        let path = Self.repository.appendingPathComponent("config/gateway.yaml").path
        let configuration = try ConfigLoader(environment: [:]).load(path: path)
        #expect(configuration.warnings.count == 1)
        #expect(configuration.warnings.first?.message.contains("OPENROUTER_API_KEY is not set") == true)
        #expect(configuration.server.port == 3000 && configuration.routes.settings.maxAttempts == 3)
        let demo = try #require(configuration.routes.channels.first { $0.name == "demo" })
        #expect(demo.isEnabled && demo.provider.baseURL == "builtin:simulator")
        let router = try #require(configuration.routes.channels.first { $0.id == 1000 })
        #expect(!router.isEnabled && router.keys.isEmpty)

        let with = try ConfigLoader(environment: ["OPENROUTER_API_KEY": "sk-or-test"]).load(path: path)
        #expect(with.warnings.isEmpty)
        #expect(with.routes.channels.first { $0.id == 1000 }?.keys == [Secret("sk-or-test")])
    }

    @Test func `OpenRouter's list has all models with exact prices`() throws {
        let path = Self.repository.appendingPathComponent("config/gateway.yaml").path
        let provider = try #require(
            try ConfigLoader(environment: [:]).load(path: path).providers.first { $0.name == "openrouter" })
        #expect(provider.models.count >= 349 && provider.family == .openrouter)
        func price(_ id: String) -> ModelPrice? { provider.models.first { $0.id == id }?.price }
        #expect(price("openrouter/auto") == .upstreamCost && price("openrouter/bodybuilder") == .upstreamCost)
        #expect(provider.models.filter { $0.price == nil }.isEmpty)
        #expect(price("openai/gpt-4o")?.rates.input.usdText == "0.0000025")
        #expect(price("openai/gpt-4o")?.rates.output.usdText == "0.00001")
        let finest = provider.models.contains { $0.price?.rates.input.usdText == "0.00000001703012" }
        #expect(finest, "the price with fourteen decimals is kept")
    }

    @Test func `vendors of other families are shipped with their prices`() throws {
        let path = Self.repository.appendingPathComponent("config/gateway.yaml").path
        let providers = try ConfigLoader(environment: ["AZURE_OPENAI_RESOURCE": "mine"]).load(path: path).providers
        func provider(_ name: String) throws -> ProviderSpec { try #require(providers.first { $0.name == name }) }
        func price(_ name: String, _ model: String) throws -> ModelPrice {
            try #require(try provider(name).models.first { $0.id == model }?.price)
        }
        for (name, header) in [("anthropic", "x-api-key"), ("gemini", "x-goog-api-key"), ("azure-openai", "api-key")] {
            #expect(try provider(name).auth == .header(name: header, prefix: ""))
            #expect(try provider(name).family.rawValue == name && provider(name).keyEnv != nil)
        }
        #expect(try provider("cohere").auth == .bearer && provider("azure-openai").baseURL == "https://mine.openai.azure.com")
        for name in ["anthropic", "gemini", "cohere", "azure-openai"] {
            #expect(try provider(name).models.allSatisfy { $0.price != nil } && provider(name).models.count >= 5)
        }
        let sonnet = try price("anthropic", "claude-sonnet-4-5")
        #expect(sonnet.rates.cacheWrite5m?.usdPerMillionText == "3.75" && sonnet.rates.cacheWrite1h?.usdPerMillionText == "6")
        // At 200,000 tokens the lower prices hold, above them the tier's for the whole request.
        #expect(sonnet.rates(promptTokens: 200_000).output.usdPerMillionText == "15")
        #expect(sonnet.rates(promptTokens: 200_001).cacheWrite1h?.usdPerMillionText == "12")
        let pro = try price("gemini", "gemini-2.5-pro")
        #expect(pro.rates.cacheRead?.usdPerMillionText == "0.125")
        #expect(pro.rates(promptTokens: 300_000).cacheRead?.usdPerMillionText == "0.25")
        #expect(try price("gemini", "gemini-2.5-flash").rates.audioInput?.usdPerMillionText == "1")
        // A price of another service tier is a whole price, with tiers of size of its own.
        let gpt = try price("openai", "gpt-5")
        #expect(gpt.serviceTiers.map(\.name) == ["flex", "priority"])
        #expect(gpt.rates(promptTokens: 1, serviceTier: "flex").cacheRead?.usdPerMillionText == "0.0625")
        #expect(gpt.rates(promptTokens: 1, serviceTier: "priority").output.usdPerMillionText == "20")
        #expect(gpt.rates(promptTokens: 1, serviceTier: "default") == gpt.rates)
        #expect(sonnet.rates(promptTokens: 200_000, serviceTier: "batch").output.usdPerMillionText == "7.5")
        #expect(sonnet.rates(promptTokens: 200_001, serviceTier: "batch").output.usdPerMillionText == "11.25")
        #expect(try price("cohere", "command-r7b-12-2024").rates.input.usdPerMillionText == "0.0375")
    }

    @Test(arguments: [("24h", 86_400), ("0s", 0), (nil, nil)] as [(String?, Int?)])
    func `a sync is scheduled only where the configuration says so`(text: String?, seconds: Int?) throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("config-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder.appendingPathComponent("providers"), withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let models = text.map { "models: { sync_interval: \($0) }\n" } ?? ""
        let path = folder.appendingPathComponent("gateway.yaml")
        try ("providers_dir: providers\n" + models).write(to: path, atomically: true, encoding: .utf8)
        try "channels: []\n".write(to: folder.appendingPathComponent("channels.yaml"), atomically: true, encoding: .utf8)
        #expect(try ConfigLoader(environment: [:]).load(path: path.path).models.syncInterval == seconds.map { .seconds($0) })
    }

    @Test(arguments: [("keep: 36h, keep_bytes: 0", 129_600, 0), ("keep: 0s", 0, 1 << 30), ("max_bytes: 65536", 86_400, 1 << 30)])
    func `cleared files are kept for a time and a size`(text: String, seconds: Int64, bytes: Int64) throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("keep-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder.appendingPathComponent("providers"), withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let file = folder.appendingPathComponent("gateway.yaml")
        try "providers_dir: providers\njournal: { \(text) }\n".write(to: file, atomically: true, encoding: .utf8)
        try "channels: []\n".write(to: folder.appendingPathComponent("channels.yaml"), atomically: true, encoding: .utf8)
        let journal = try ConfigLoader(environment: [:]).load(path: file.path).journal
        #expect(journal.keep == .seconds(seconds) && journal.keepBytes == bytes)
    }

    @Test(arguments: [("500ms", 500), ("30s", 30_000), ("5m", 300_000), ("1h", 3_600_000), ("5d", 432_000_000)])
    func `durations are read`(text: String, milliseconds: Int) {
        #expect(DurationText.parse(text) == .milliseconds(milliseconds))
    }

    @Test(arguments: ["", "5", "s", "-1s", "1.5s", "5 s", "5w"]) func `other durations are not`(text: String) {
        #expect(DurationText.parse(text) == nil)
    }

    @Test func `references expand`() {
        let expansion = Expansion(environment: ["A": "x", "EMPTY": ""])
        func expanded(_ text: String) -> String {
            switch expansion.expand(text) {
            case .plain(let text): "plain \(text)"
            case .expanded(let text): "expanded \(text)"
            case .unset(let names): "unset \(names)"
            case .malformed(let problem): "malformed \(problem)"
            }
        }
        #expect(expanded("none") == "plain none")
        #expect(expanded("<${A}>") == "expanded <x>")
        #expect(expanded("${B:-default}") == "expanded default")
        #expect(expanded("${EMPTY:-full}") == "expanded full")
        #expect(expanded("${B}${C}") == "unset [\"B\", \"C\"]")
        #expect(expanded("$${A}") == "plain ${A}")
        #expect(expanded("${A").hasPrefix("malformed"))
        #expect(expanded("${1x}").hasPrefix("malformed"))
    }

    @Test func `dotenv files are read and the real environment wins`() {
        let values = DotEnv.parse("# c\nA=1\nexport B=\"two words\"\nC='x' \nD=plain # comment\n\nbroken\n")
        #expect(values == ["A": "1", "B": "two words", "C": "x", "D": "plain"])
    }

    @Test func `the environment overrides the file`() throws {
        let path = Self.repository.appendingPathComponent("config/gateway.yaml").path
        let environment = [
            "PORT": "8080", "HOST": "0.0.0.0", "DATA_DIR": "/tmp/x", "LOG_LEVEL": "debug", "REDIS_CONN_STRING": "redis://",
            "INITIAL_ROOT_PASSWORD": "hidden-password",
        ]
        let configuration = try ConfigLoader(environment: environment).load(path: path)
        #expect(configuration.server.port == 8080 && configuration.server.host == "0.0.0.0")
        #expect(configuration.dataDirectory == "/tmp/x" && configuration.log.level == "debug")
        #expect(configuration.warnings.count == 2)
        #expect(!"\(configuration)".contains("hidden-password"))
        #expect(throws: ConfigErrors.self) { try ConfigLoader(environment: ["PORT": "80b0"]).load(path: path) }
    }

    @Test func `a broken provider file takes only itself out at a reload`() throws {
        let folder = Self.here.appendingPathComponent("Fixtures/bad-provider").path + "/gateway.yaml"
        #expect(throws: ConfigErrors.self) { try ConfigLoader(environment: [:]).load(path: folder) }
        let configuration = try ConfigLoader(environment: [:]).reload(path: folder)
        let channel = try #require(configuration.routes.channels.first)
        #expect(!channel.isEnabled && channel.disabledReason?.contains("has errors") == true)
        // One that is in force stays as it was.
        let old = ProviderSpec(name: "broken", family: AdaptorID(rawValue: "openai"), baseURL: "https://old.test/v1")
        let kept = try ConfigLoader(environment: [:]).reload(path: folder, keeping: [old])
        #expect(kept.routes.channels.first?.isEnabled == true && kept.routes.channels.first?.provider == old)
        #expect(kept.warnings.contains { $0.file.hasSuffix("broken.yaml") })
    }
}
