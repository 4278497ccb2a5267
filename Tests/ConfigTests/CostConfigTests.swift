import Foundation
import NIOCore
import RouterCore
import Testing

@testable import Config

/// The cost prices of channels, as files and the console say them.
@Suite struct CostConfigTests {
    private func load(
        _ cost: String, gateway: String = "", models: String = "[\"*\"]", console: ConsoleConfiguration = ConsoleConfiguration()
    ) throws -> GatewayConfiguration {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("cost-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder.appendingPathComponent("providers"), withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        func write(_ name: String, _ text: String) throws {
            try text.write(to: folder.appendingPathComponent(name), atomically: true, encoding: .utf8)
        }
        try write("gateway.yaml", "providers_dir: providers\n" + gateway)
        try write("channels.yaml", "channels:\n  - id: 1\n    name: one\n    provider: v\n    models: \(models)\n\(cost)")
        try write(
            "providers/v.yaml",
            """
            name: v
            adaptor: openai
            base_url: http://127.0.0.1:1/v1
            auth: { type: none }
            models: [{ id: large, price: { input: 1, output: 2 } }, { id: small, price: { input: "0.1", output: "0.2" } }]
            """)
        return try ConfigLoader(environment: [:], console: console).load(path: folder.appendingPathComponent("gateway.yaml").path)
    }

    private func errors(_ cost: String, gateway: String = "") -> [String] {
        do {
            _ = try load(cost, gateway: gateway)
            return []
        } catch let errors as ConfigErrors {
            return errors.diagnostics.map { "\($0.path): \($0.message)" }
        } catch {
            return ["\(error)"]
        }
    }

    private func usd(_ perMillion: String) throws -> FemtoUSD { try FemtoUSD.parse(usdPerMillion: perMillion).price }

    @Test func `a channel costs its list price, a part of it, or prices of its own`() throws {
        let plain = try #require(try load("").routes.channels.first)
        let one = try usd("1")
        #expect(plain.cost == nil && plain.costPrice("large")?.price.rates.input == one)
        let text = """
                cost:
                  ratio: "0.8"
                  models:
                    small: { input: "0.05", output: 0.1, cache_read: "0.005", tiers: [{ above: 1000, input: 1, output: 1 }] }
                    vendor/other: upstream_cost
            """
        let configuration = try load(text)
        #expect(configuration.warnings.isEmpty)
        let channel = try #require(configuration.routes.channels.first)
        let ratio = try PriceRatio(text: "0.8")
        #expect(channel.costPrice("large")?.ratio == ratio)
        let small = try #require(channel.costPrice("small"))
        let rates = ModelPrice.Rates(input: try usd("0.05"), output: try usd("0.1"), cacheRead: try usd("0.005"))
        #expect(small.ratio == .one && small.price.rates == rates && small.price.tiers.count == 1)
        #expect(channel.costPrice("vendor/other")?.price.basis == .upstreamCost)
    }

    @Test func `mistakes are named`() {
        #expect(errors("    cost: 0.8\n").first?.contains("channels[0].cost: found 0.8, expected a mapping") == true)
        #expect(errors("    cost: { factor: 1 }\n").first?.contains("unknown key") == true)
        #expect(errors("    cost: { ratio: -1 }\n").first?.contains("a number from 0 to 1000000") == true)
        #expect(errors("    cost: { models: [small] }\n").first?.contains("from the vendor's names of models to prices") == true)
        #expect(errors("    cost: { models: { small: { input: 1 } } }\n").first?.contains("the key output is missing") == true)
        #expect(errors("    cost: { models: { \"a b\": { input: 1, output: 1 } } }\n").first?.contains("must not contain spaces") == true)
        #expect(errors("", gateway: "routing: { below_cost: never }\n").first?.contains("expected one of allow, last, refuse") == true)
    }

    @Test func `a name that the channel never asks for is a warning`() throws {
        let text = "    cost: { models: { public: { input: 1, output: 1 }, large: { input: 1, output: 1 } } }\n"
        let warnings = try load(text, models: "[{ name: public, upstream: large }]").warnings
        #expect(warnings.count == 1 && warnings.first?.message.contains("never asks its vendor for public") == true, "\(warnings)")
    }

    @Test func `the guard is off unless it is set`() throws {
        #expect(try load("").routes.settings.belowCost == .allow)
        let refusing = try load("", gateway: "routing: { below_cost: refuse }\n").routes.settings
        #expect(refusing.belowCost == .refuse && refusing.policy(for: "any").belowCost == .refuse)
    }

    @Test func `a channel of the console has its cost too, and is exported with it`() throws {
        let cost = """
            {"ratio":"0.75","models":{"large":{"input":"0.5","output":"1.25","cache_write_1h":"0.75","image":"0.04",
             "image_sizes":[{"size":"1x1","quality":"hd","price":"0.08"}],
             "service_tiers":{"batch":{"input":"0.25","output":"0.5","tiers":[{"above":5,"input":"1","output":"1"}]}}}}}
            """
        let config = try JSONValue(
            parsing: ByteBuffer(string: #"{"name":"two","provider":"v","models":["large","small"],"cost":"# + cost + "}"))
        let stored = ConsoleConfiguration.Channel(id: 7, config: config)
        let channel = try #require(try load("", console: ConsoleConfiguration(channels: [stored])).routes.channel(id: 7))
        let ratio = try PriceRatio(text: "0.75")
        #expect(channel.isEnabled && channel.costPrice("small")?.ratio == ratio)
        #expect(channel.costPrice("large")?.price.pictures?.sizes.count == 1)
        // Exported, and read again from a file: the same.
        let yaml = ChannelDocument.yaml(id: 7, ChannelDocument.json(channel), .init(keys: []))
        let line = try #require(yaml.split(separator: "\n").first { $0.contains("cost:") })
        let again = try #require(try load(line + "\n", models: "[large, small]").routes.channels.first)
        #expect(again.cost == channel.cost, "\(yaml)")
        // Mistakes turn that channel off, and nothing else.
        let wrong = try JSONValue(
            parsing: ByteBuffer(string: #"{"name":"two","provider":"v","models":["large"],"cost":{"ratio":"much"}}"#))
        let broken = try load("", console: ConsoleConfiguration(channels: [.init(id: 7, config: wrong)]))
        #expect(broken.routes.channel(id: 7)?.isEnabled == false && broken.routes.channel(id: 1)?.isEnabled == true)
        #expect(broken.routes.channel(id: 7)?.disabledReason?.hasPrefix("cost.ratio: ") == true)
    }
}
