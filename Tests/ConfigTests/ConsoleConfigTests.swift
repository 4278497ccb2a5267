import Foundation
import NIOCore
import RouterCore
import Testing

@testable import Config

/// Channels and providers of the console beside those of the files.
@Suite struct ConsoleConfigTests {
    /// A folder with one provider file and the given channels.yaml.
    private func with<Value>(_ channels: String, _ body: (String) throws -> Value) throws -> Value {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("console-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder.appendingPathComponent("providers"), withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        func write(_ name: String, _ text: String) throws {
            try text.write(to: folder.appendingPathComponent(name), atomically: true, encoding: .utf8)
        }
        try write("gateway.yaml", "providers_dir: providers\ngroups: { vip: { ratio: 0.5 } }\n")
        try write("channels.yaml", channels)
        try write(
            "providers/acme.yaml",
            """
            name: acme
            adaptor: openai
            base_url: https://api.acme.example/v1
            key_env: ACME_API_KEY
            models: [{ id: large, price: { input: 1, output: 2 } }]
            """)
        return try body(folder.appendingPathComponent("gateway.yaml").path)
    }

    private func json(_ text: String) throws -> JSONValue { try JSONValue(parsing: ByteBuffer(string: text)) }

    private func stored(
        _ id: Int64, _ text: String, keys: [String]? = ["sk-console-key"], problem: String? = nil
    ) throws -> ConsoleConfiguration.Channel {
        ConsoleConfiguration.Channel(
            id: id, config: try json(text), secrets: .init(keys: keys?.map { Secret($0) }), problem: problem)
    }

    private static let files = """
        channels:
          - { id: 1, name: first, provider: acme, models: ["*"] }
          - id: 2
            name: second
            provider: acme
            keys: ["${SECOND_KEY}", "${THIRD_KEY:-fallback}"]
            models: ["*"]

        """

    @Test func `both sources are one table, each with its place`() throws {
        let full = """
            {"name":"third","provider":"acme","models":["large",{"name":"mine","upstream":"large"}],"weight":7,"priority":-2,
             "groups":["vip"],"limits":{"rpm":5},"timeouts":{"first_byte":"1500ms","total":"5m"},"account":"a","probe":{"interval":"30s"},
             "conversion":"strict","base_url":"http://127.0.0.1:8000/v1/","enabled":true}
            """
        var channel = try stored(1_000_000, full)
        channel.secrets.proxy = Secret("http://user:pw@proxy:8080")
        channel.secrets.headers = [StaticHeader(name: "X-Org", value: Secret("o-1"))]
        let console = ConsoleConfiguration(channels: [channel])
        try with(Self.files) { path in
            let configuration = try ConfigLoader(environment: ["ACME_API_KEY": "k"], console: console).load(path: path)
            let channels = configuration.routes.channels
            #expect(channels.map(\.id) == [1, 2, 1_000_000])
            let third = try #require(channels.last)
            #expect(third.isEnabled && third.keys == [Secret("sk-console-key")] && third.weight == 7 && third.priority == -2)
            #expect(third.groups == ["vip"] && third.limits.requestsPerMinute == 5 && third.timeouts.firstByte == .milliseconds(1_500))
            #expect(third.baseURL == "http://127.0.0.1:8000/v1" && third.proxy == Secret("http://user:pw@proxy:8080"))
            #expect(third.headers == [StaticHeader(name: "X-Org", value: Secret("o-1"))])
            #expect(third.upstreamModel(for: "mine") == "large" && third.conversion == .strict && third.account == "a")
            let origins = configuration.origins
            #expect(origins.channels[1_000_000] == .console)
            let file = path.replacingOccurrences(of: "gateway.yaml", with: "channels.yaml")
            #expect(origins.channels[1] == .file(file, line: 2) && origins.channels[2] == .file(file, line: 3))
            #expect(origins.missingSecrets(2) == ["SECOND_KEY"] && origins.missingSecrets(1) == [])
            #expect(origins.secrets == ["SECOND_KEY": .missing, "ACME_API_KEY": .environment])
        }
    }

    /// `text`: of the stored channel; `reason`: why it is off.
    @Test(arguments: [
        (#"{"name":"x","provider":"gone","models":["*"]}"#, "provider: found \"gone\""),
        (#"{"name":"x","provider":"acme"}"#, "the key models is missing"),
        (#"{"name":"x","provider":"acme","models":["*"],"weight":-1}"#, "weight: found -1, expected a whole number from 0"),
        (#"{"name":"x","provider":"acme","models":["*"],"weight":"7"}"#, "weight: found \"7\", expected a whole number"),
        (#"{"name":"first","provider":"acme","models":["*"]}"#, "name: another channel has the name first"),
        (#"{"name":"x","provider":"acme","models":["*"],"groups":["nobody"]}"#, "groups[0]: found \"nobody\""),
        (#"{"name":"x","provider":"acme","models":["*"],"base_url":"https://a@b"}"#, "base_url: expected a URL without user"),
        (#"{"name":"x","provider":"acme","models":["*"],"surprise":1}"#, "surprise: unknown key"),
        (#"{"name":7,"provider":"acme","models":["*"]}"#, "name: found 7, expected a name"),
        ("[]", "the key name is missing"),
    ]) func `a stored channel with errors is off and listed, and stops nothing`(text: String, reason: String) throws {
        try with(Self.files) { path in
            let console = ConsoleConfiguration(channels: [
                try stored(1_000_000, text), try stored(1_000_001, #"{"name":"fine","provider":"acme","models":["*"]}"#),
            ])
            let configuration = try ConfigLoader(environment: [:], console: console).load(path: path)
            let channel = try #require(configuration.routes.channel(id: 1_000_000))
            #expect(!channel.isEnabled && channel.disabledReason?.contains(reason) == true, "\(channel.disabledReason ?? "on")")
            #expect(configuration.routes.channel(id: 1_000_001)?.isEnabled == true)
            #expect(configuration.warnings.contains { $0.path == "channel 1000000" && $0.message.hasPrefix("it is off: ") })
            #expect(configuration.origins.channelNotes[1_000_000]?.contains { $0.severity == .error } == true)
        }
    }

    @Test func `a seal that does not open turns its channel off`() throws {
        try with(Self.files) { path in
            let channel = try stored(1_000_000, #"{"name":"x","provider":"acme","models":["*"]}"#, keys: nil, problem: "sealed elsewhere")
            let configuration = try ConfigLoader(environment: ["ACME_API_KEY": "k"], console: .init(channels: [channel])).load(path: path)
            #expect(configuration.routes.channel(id: 1_000_000)?.disabledReason == "sealed elsewhere")
        }
    }

    @Test func `an id of a file wins, and the other channel is listed beside the table`() throws {
        try with(Self.files) { path in
            let console = ConsoleConfiguration(channels: [try stored(2, #"{"name":"x","provider":"acme","models":["*"]}"#)])
            let configuration = try ConfigLoader(environment: [:], console: console).load(path: path)
            #expect(configuration.routes.channels.map(\.name) == ["first", "second"])
            #expect(configuration.origins.shadowed.map(\.name) == ["x"] && configuration.origins.shadowed.first?.isEnabled == false)
            #expect(configuration.origins.missingSecrets(2) == ["SECOND_KEY"])
        }
    }

    @Test func `what is typed into the console never reads the environment`() throws {
        try with(Self.files) { path in
            let environment = ["SESSION_SECRET": "the secret of the gateways", "ACME_API_KEY": "k"]
            let text = #"{"name":"${SESSION_SECRET}","provider":"acme","models":["${SESSION_SECRET}"],"account":"${SESSION_SECRET}"}"#
            let channel = try stored(1_000_000, text, keys: ["${SESSION_SECRET}"])
            let configuration = try ConfigLoader(environment: environment, console: .init(channels: [channel])).load(path: path)
            let read = try #require(configuration.routes.channel(id: 1_000_000))
            #expect(read.name == "${SESSION_SECRET}" && read.account == read.name && read.models.first?.pattern == read.name)
            #expect(read.keys == [Secret("${SESSION_SECRET}")])
            #expect(configuration.origins.secrets["SESSION_SECRET"] == nil)
        }
    }

    @Test func `a secret of the console is a key where the environment has none, and nothing but a key`() throws {
        let channels = """
            channels:
              - { id: 1, name: first, provider: acme, models: ["*"] }
              - { id: 2, name: second, provider: acme, keys: ["a${SECOND_KEY}b"], models: ["*"], base_url: "${ELSEWHERE:-https://default.example}" }

            """
        let secrets = ["SECOND_KEY": "two", "ACME_API_KEY": "sealed", "ELSEWHERE": "https://thief.example"].mapValues { Secret($0) }
        try with(channels) { path in
            let console = ConsoleConfiguration(secrets: secrets)
            let sealed = try ConfigLoader(environment: ["ACME_API_KEY": ""], console: console).load(path: path)
            #expect(sealed.routes.channel(id: 1)?.keys == [Secret("sealed")] && sealed.routes.channel(id: 2)?.keys == [Secret("atwob")])
            #expect(sealed.routes.channel(id: 2)?.baseURL == "https://default.example")
            #expect(sealed.origins.secrets == ["SECOND_KEY": .console, "ACME_API_KEY": .console] && sealed.warnings.isEmpty)
            let both = try ConfigLoader(environment: ["ACME_API_KEY": "real"], console: console).load(path: path)
            #expect(both.routes.channel(id: 1)?.keys == [Secret("real")] && both.origins.secrets["ACME_API_KEY"] == .environment)
        }
    }

    @Test func `a provider of the console serves channels of both sources, and never replaces a file`() throws {
        let provider = ConsoleConfiguration.Provider(
            name: "own",
            config: try json(
                #"{"adaptor":"openai","base_url":"http://10.0.0.5:8000/v1","auth":{"type":"none"},"models":[{"id":"m","price":{"input":"0","output":"0.5"}}]}"#
            ))
        let fake = ConsoleConfiguration.Provider(
            name: "acme", config: try json(#"{"adaptor":"openai","base_url":"https://thief.example"}"#))
        let broken = ConsoleConfiguration.Provider(name: "bad", config: try json(#"{"adaptor":"openai","base_url":"nowhere"}"#))
        let channels = [
            try stored(1_000_000, #"{"name":"x","provider":"own","models":["m"]}"#, keys: nil),
            try stored(1_000_001, #"{"name":"y","provider":"bad","models":["m"]}"#),
        ]
        let files = Self.files + "  - { id: 3, name: third, provider: own, models: [m] }\n"
        try with(files) { path in
            let console = ConsoleConfiguration(channels: channels, providers: [provider, fake, broken])
            let configuration = try ConfigLoader(environment: [:], console: console).load(path: path)
            #expect(configuration.providers.map(\.name) == ["acme", "own"])
            #expect(configuration.providers.first?.baseURL == "https://api.acme.example/v1")
            #expect(
                configuration.routes.channel(id: 3)?.isEnabled == true && configuration.routes.channel(id: 1_000_000)?.isEnabled == true)
            #expect(configuration.routes.channel(id: 1_000_001)?.disabledReason == "the provider bad has errors")
            #expect(configuration.origins.providerNotes["acme"]?.first?.message.contains("provider file") == true)
            #expect(configuration.origins.providers["own"] == .console)
            #expect(configuration.providers.last?.models.first?.price?.rates.output.usdPerMillionText == "0.5")
        }
    }

    @Test func `without the console a provider may be one of it, if that is said, and its channels are off`() throws {
        let files = Self.files + "  - { id: 3, name: third, provider: own, models: [m] }\n"
        try with(files) { path in
            for unseen in [UnseenProviders.named([]), .named(["other"])] {
                let errors = #expect(throws: ConfigErrors.self) { try ConfigLoader(environment: [:], unseen: unseen).load(path: path) }
                #expect(errors?.diagnostics.contains { $0.path == "channels[2].provider" && $0.message.hasPrefix("found \"own\"") } == true)
            }
            for unseen in [UnseenProviders.any, .named(["own"])] {
                let configuration = try ConfigLoader(environment: ["ACME_API_KEY": "k"], unseen: unseen).load(path: path)
                let third = try #require(configuration.routes.channel(id: 3))
                #expect(!third.isEnabled && third.disabledReason?.contains("no file declares the provider own") == true)
                #expect(configuration.warnings.contains { $0.message.hasPrefix("the channel third is off: no file declares") })
                #expect(configuration.origins.unseenProviders == ["own"] && configuration.routes.channel(id: 1)?.isEnabled == true)
                #expect(configuration.providers.map(\.name) == ["acme"])
            }
        }
        // Nothing else is let through.
        _ = try with(files.replacingOccurrences(of: "id: 3", with: "id: 1")) { path in
            #expect(throws: ConfigErrors.self) { try ConfigLoader(environment: [:], unseen: .any).load(path: path) }
        }
    }

    @Test func `an exported channel is the same channel in channels_yaml`() throws {
        let text = """
            {"name":"th\\"ird ${HOME}","provider":"acme","models":["large*",{"name":"mine","upstream":"large","timeouts":{"idle":"7s"}}],
             "weight":7,"priority":-2,"groups":["vip"],"limits":{"rpm":5,"concurrency":2},"timeouts":{"first_byte":"1500ms"},"account":"a",
             "probe":{"interval":"30s","timeout":"2s"},"conversion":"strict","base_url":"http://127.0.0.1:8000/v1","enabled":false}
            """
        var channel = try stored(1_000_000, text, keys: ["one", "two"])
        channel.secrets.proxy = Secret("socks5://proxy:1080")
        channel.secrets.headers = [StaticHeader(name: "X-Org", value: Secret("o-1"))]
        let environment = ["K_1": "one", "K_2": "two", "PROXY_URL": "socks5://proxy:1080", "ORG": "o-1"]
        let original = try with(Self.files) { path in
            try #require(
                try ConfigLoader(environment: environment, console: .init(channels: [channel])).load(path: path).routes
                    .channel(id: 1_000_000))
        }
        let placeholders = ChannelDocument.Placeholders(keys: ["K_1", "K_2"], proxy: "PROXY_URL", headers: [("X-Org", "ORG")])
        for entry in [channel.config, ChannelDocument.json(original)] {
            let yaml = ChannelDocument.yaml(id: 1_000_000, entry, placeholders)
            #expect(!yaml.contains("one") && !yaml.contains("o-1") && yaml.contains("# Set in the environment or in .env: K_1, K_2"))
            let again = try with(yaml) { path in try ConfigLoader(environment: environment).load(path: path).routes.channels }
            #expect(again == [original], "\(yaml)")
        }
    }
}
