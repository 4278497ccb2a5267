import Foundation
import RouterCore
import Testing

@testable import Config

/// Prices in YAML, with and without quotes: the digits of the file are what counts.
@Suite struct PriceTextTests {
    private func load(_ price: String, gateway: String = "") throws -> GatewayConfiguration {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("price-\(UUID().uuidString)")
        let providers = folder.appendingPathComponent("providers")
        try FileManager.default.createDirectory(at: providers, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let file = folder.appendingPathComponent("gateway.yaml")
        try "providers_dir: providers\n\(gateway)".write(to: file, atomically: true, encoding: .utf8)
        try "channels: []\n".write(to: folder.appendingPathComponent("channels.yaml"), atomically: true, encoding: .utf8)
        try """
        name: p
        adaptor: openai
        base_url: http://127.0.0.1:1/v1
        models:
          - id: m
            price:
              input: \(price)
              output: 0
              character: 15
              audio_second: 1e-4
        """.write(to: providers.appendingPathComponent("p.yaml"), atomically: true, encoding: .utf8)
        return try ConfigLoader(environment: ["PRICE": "0.3"]).load(path: file.path)
    }

    @Test(arguments: [
        ("0.28", "0.28"), ("\"0.28\"", "0.28"), ("'0.28'", "0.28"), ("1", "1"), ("+1.50", "1.5"), ("1e-6", "0.000001"), ("2.8E-1", "0.28"),
        ("1.2e+2", "120"), (".5", "0.5"), ("0.1000000000000000000", "0.1"), ("0.300000001", "0.300000001"), ("${PRICE}", "0.3"), ("0", "0"),
        // Ten digits that floating point would change on the way to nine.
        ("1234567.123456789", "1234567.123456789"),
    ])
    func `a price is its text`(_ text: String, _ perMillion: String) throws {
        let configuration = try load(text)
        let price = try #require(configuration.providers.first?.models.first?.price)
        #expect(price.rates.input.usdPerMillionText == perMillion && price.rates.output == .zero)
        #expect(price.character.usdText == "0.000015" && price.audioSecond.usdText == "0.0001")
        #expect(configuration.warnings.isEmpty, "\(configuration.warnings)")
    }

    @Test(arguments: ["0x10", "1_000", "1:30", ".inf", ".nan", "true", "~", "1e", "1e999", "-1", "1,5", "$1", "[1]", "1 USD"])
    func `what is no price is said`(_ text: String) throws {
        let error = #expect(throws: ConfigErrors.self) { try load(text) }
        let message = try #require(error?.diagnostics.first)
        #expect(message.path == "models[0].price.input" && message.message.contains("USD per million tokens"), "\(message)")
    }

    @Test func `amounts and ratios of gateway yaml need no quotes either`() throws {
        let settings =
            "metering: { upstream_cost_hold: 0.25, overdraft_floor: -1.5 }\ngroups: { vip: { ratio: 0.85 }, old: { ratio: \"1.5\" } }\n"
        let configuration = try load("1", gateway: settings)
        #expect(
            configuration.metering.upstreamCostHold.nanos == 250_000_000 && configuration.metering.overdraftFloor.nanos == -1_500_000_000)
        #expect(configuration.groups["vip"]?.millionths == 850_000 && configuration.groups["old"]?.millionths == 1_500_000)
    }
}
