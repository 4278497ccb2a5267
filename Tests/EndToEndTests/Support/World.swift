import Foundation
import RouterCore
import Simulator

/// One gateway with its own configuration in front of one simulator, both real, both on free ports of the loopback.
struct World: Sendable {
    let simulator: Simulator
    let gateway: GatewayProcess
    let client: Client
    let admin: Admin
    /// Given to every gateway and command of this world: `SQL_DSN` puts the ledger on PostgreSQL.
    var environment: [String: String] = [:]

    struct ChannelSpec: Sendable {
        var id: Int64
        var provider = "sim"
        var key = "sim-key"
        var models = ["*"]
        var weight = 100
        var priority = 0
        var baseURL: String?
        /// More keys of the channel.
        var moreKeys: [String] = []
        /// Further lines of YAML.
        var extra: [String] = []
    }

    /// The models of the test provider with their prices, USD per million tokens.
    static let models: [(id: String, input: String, output: String, cacheRead: String?)] = [
        ("sim/cheap", "0.15", "0.6", nil), ("sim/dear", "3", "15", "0.3"),
        ("sim/fine", "0.01703012", "0.0333", nil), ("sim/free", "0", "0", nil), ("sim/embed", "0.02", "0", nil),
    ]

    static func providerYAML(name: String, adaptor: String, baseURL: String, billing: String = "") -> String {
        var text = """
            name: \(name)
            display_name: Test vendor \(name)
            adaptor: \(adaptor)
            base_url: \(baseURL)
            auth: { type: bearer }
            \(billing)
            models:

            """
        for model in models {
            let cache = model.cacheRead.map { ", cache_read: \"\($0)\"" } ?? ""
            text += "  - id: \(model.id)\n    context_length: 100000\n    max_output_tokens: 8192\n"
            text += "    price: { input: \"\(model.input)\", output: \"\(model.output)\"\(cache) }\n"
        }
        return text
    }

    /// A vendor of pictures, sound, moderation and ranking, one model for each way to be priced.
    private static func mediaYAML(baseURL: String) -> String {
        let models = [
            ("image", "image: \"0.04\""), ("voice", "character: \"15\""), ("listen", "audio_second: \"0.0001\""), ("moderate", ""),
            ("moderate-paid", "request: \"0.0005\""), ("rank", "search: \"0.002\""),
        ]
        var text = """
            name: simmedia
            adaptor: openai
            base_url: \(baseURL)
            endpoints:
              images: true
              image_edits: true
              speech: true
              transcriptions: true
              translations: true
              moderations: true
              rerank: true
            models:
              - { id: sim/image-tokens, price: { input: "5", output: "40" } }
              - { id: sim/edit-tokens, price: { input: 5, output: 40, image_input: 10 } }
              - id: sim/image-sizes
                price:
                  input: 0
                  output: 0
                  image: 0.04
                  image_sizes:
                    - { size: 1024x1024, price: 0.04 }
                    - { size: 1792x1024, price: 0.08 }
                    - { quality: standard, price: 0.04 }
                    - { quality: hd, price: 0.08 }
                    - { size: 1792x1024, quality: hd, price: 0.12 }
              - { id: sim/listen-tokens, price: { input: "2.5", output: "10", audio_input: "6" } }

            """
        for (name, price) in models {
            text += "  - { id: sim/\(name), price: { input: \"0\", output: \"0\"\(price.isEmpty ? "" : ", " + price) } }\n"
        }
        return text
    }

    /// - Parameters:
    ///   - gateway: further lines of gateway.yaml, whole sections.
    static func make(
        channels: [ChannelSpec] = [ChannelSpec(id: 1)], sections: String = "", modelRules: String = "",
        openEnded: Bool = false, media: Bool = false, start: Bool = true, environment: [String: String] = [:]
    ) async throws -> World {
        let simulator = Simulator(configuration: .init())
        try await simulator.start()
        let directory = FileManager.default.temporaryDirectory.appendingPathComponent("apirouter-\(UUID().uuidString)")
        for name in ["config", "providers", "data"] {
            try FileManager.default.createDirectory(
                at: directory.appendingPathComponent(name), withIntermediateDirectories: true)
        }
        let openai = "http://127.0.0.1:\(simulator.port)/v1"
        let openrouter = "http://127.0.0.1:\(simulator.port)/api/v1"
        try providerYAML(name: "sim", adaptor: "openai", baseURL: openai)
            .write(to: directory.appendingPathComponent("providers/sim.yaml"), atomically: true, encoding: .utf8)
        try providerYAML(name: "simrouter", adaptor: "openrouter", baseURL: openrouter)
            .write(to: directory.appendingPathComponent("providers/simrouter.yaml"), atomically: true, encoding: .utf8)
        try providerYAML(
            name: "simcancel", adaptor: "openai", baseURL: openai, billing: "billing: { cancel_stops_billing: true }"
        ).write(to: directory.appendingPathComponent("providers/simcancel.yaml"), atomically: true, encoding: .utf8)
        if openEnded {
            // Takes any name, so that controls can stand behind an @ in it.
            let text = """
                name: simopen
                adaptor: openai
                base_url: \(openai)
                default_price: { input: "0.15", output: "0.6" }
                """
            try text.write(to: directory.appendingPathComponent("providers/simopen.yaml"), atomically: true, encoding: .utf8)
        }
        if media {
            try mediaYAML(baseURL: openai)
                .write(to: directory.appendingPathComponent("providers/simmedia.yaml"), atomically: true, encoding: .utf8)
        }
        try gatewayYAML(sections)
            .write(to: directory.appendingPathComponent("config/gateway.yaml"), atomically: true, encoding: .utf8)
        let all = channels + (openEnded ? [ChannelSpec(id: 99, provider: "simopen", models: ["sim/*", "cut/*"])] : [])
        try (channelsYAML(all) + modelRules)
            .write(to: directory.appendingPathComponent("config/channels.yaml"), atomically: true, encoding: .utf8)
        let gateway = GatewayProcess(directory: directory)
        if start { try await gateway.start(environment: environment) }
        let client = try Client(base: gateway.base)
        return World(
            simulator: simulator, gateway: gateway, client: client, admin: Admin(client: client), environment: environment)
    }

    /// One more gateway with the same configuration and a data folder of its own, in front of the same simulator.
    func another(environment more: [String: String] = [:]) async throws -> World {
        let directory = FileManager.default.temporaryDirectory.appendingPathComponent("apirouter-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
        for name in ["config", "providers"] {
            try FileManager.default.copyItem(
                at: gateway.directory.appendingPathComponent(name), to: directory.appendingPathComponent(name))
        }
        let other = GatewayProcess(directory: directory)
        try await other.start(environment: environment.merging(more) { _, new in new })
        let client = try Client(base: other.base)
        return World(
            simulator: simulator, gateway: other, client: client, admin: Admin(client: client), environment: environment)
    }

    /// Stops a gateway that ``another(environment:)`` made.
    func stopGateway() async throws {
        await client.shutdown()
        try await gateway.stop()
    }

    /// The same world after its gateway was started again, on another port.
    func restarted() async throws -> World {
        await client.shutdown()
        try await gateway.start(environment: environment)
        let client = try Client(base: gateway.base)
        return World(
            simulator: simulator, gateway: gateway, client: client, admin: Admin(client: client), environment: environment)
    }

    static func gatewayYAML(_ sections: String) -> String {
        """
        server: { host: 127.0.0.1, port: 3000, drain_timeout: 5s, max_lag: 0s }
        data_dir: ../data
        storage: { url: "sqlite:../data/apirouter.db" }
        providers_dir: ../providers
        channels: channels.yaml
        \(sections)
        """
    }

    static func channelsYAML(_ channels: [ChannelSpec]) -> String {
        var text = "channels:\n"
        for channel in channels {
            text += """
                  - id: \(channel.id)
                    name: channel-\(channel.id)
                    provider: \(channel.provider)
                    keys: [\(([channel.key] + channel.moreKeys).map { "\"\($0)\"" }.joined(separator: ", "))]
                    models: [\(channel.models.map { "\"\($0)\"" }.joined(separator: ", "))]
                    weight: \(channel.weight)
                    priority: \(channel.priority)
                    groups: [default]

                """
            if let base = channel.baseURL { text += "    base_url: \(base)\n" }
            for line in channel.extra { text += "    \(line)\n" }
        }
        return text
    }

    func write(_ path: String, _ text: String) throws {
        try text.write(to: gateway.directory.appendingPathComponent(path), atomically: true, encoding: .utf8)
    }

    func tearDown() async throws {
        await client.shutdown()
        try await gateway.stop()
        try await simulator.stop()
    }

    /// Runs a test in a world and takes it down whatever happens.
    static func with(
        channels: [ChannelSpec] = [ChannelSpec(id: 1)], sections: String = "", modelRules: String = "",
        openEnded: Bool = false, media: Bool = false, environment: [String: String] = [:], _ body: (World) async throws -> Void
    ) async throws {
        let world = try await make(
            channels: channels, sections: sections, modelRules: modelRules, openEnded: openEnded, media: media, environment: environment)
        do {
            try await body(world)
        } catch {
            let log = world.gateway.log.suffix(6000)
            try? await world.tearDown()
            throw StringError("\(error)\n--- gateway log ---\n\(log)")
        }
        try await world.tearDown()
    }

    /// `apirouter ledger verify` on this world's database.
    func verifyLedger() async throws -> (status: Int32, output: String) { try await command(["ledger", "verify"]) }

    /// A command of the real binary with this world's configuration.
    func command(_ arguments: [String], environment more: [String: String] = [:]) async throws -> (status: Int32, output: String) {
        let sql = ["APIROUTER_SQL_DIR": GatewayProcess.migrations]
        return try await run(
            GatewayProcess.binary.path, arguments + ["--config", "config/gateway.yaml"],
            environment: sql.merging(environment) { _, new in new }.merging(more) { _, new in new }, directory: gateway.directory)
    }
}
