import Foundation
import RouterCore
import Testing

@testable import Config

/// What provider files and gateway.yaml say of clients that leave.
@Suite struct LeavingConfigTests {
    private func load(_ provider: String, gateway: String = "") throws -> GatewayConfiguration {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("leaving-\(UUID().uuidString)")
        try FileManager.default.createDirectory(
            at: folder.appendingPathComponent("providers"), withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let path = folder.appendingPathComponent("gateway.yaml")
        try ("providers_dir: providers\n" + gateway).write(to: path, atomically: true, encoding: .utf8)
        try "channels: []\n".write(
            to: folder.appendingPathComponent("channels.yaml"), atomically: true, encoding: .utf8)
        try ("name: v\nadaptor: openai\nbase_url: http://127.0.0.1:1/v1\nauth: { type: none }\n" + provider)
            .write(to: folder.appendingPathComponent("providers/v.yaml"), atomically: true, encoding: .utf8)
        return try ConfigLoader(environment: [:]).load(path: path.path)
    }

    @Test(
        "audit 2: which servers bill nothing",
        arguments: [
            (#"default_price: { input: "0", output: "0" }"#, true),
            (#"default_price: { input: "0", output: "1" }"#, false), ("", false),
            (
                "default_price: { input: \"0\", output: \"0\" }\nmodels: [{ id: m, price: { input: \"1\", output: \"1\" } }]",
                false
            ),
            ("default_price: { input: \"0\", output: \"0\" }\nbilling: { free: false }", false),
            ("billing: { free: true, cancel_stops_billing: false }", true),
        ])
    func free(_ yaml: String, _ expected: Bool) throws {
        #expect(try load(yaml).providers.first?.billing.isFree == expected, "\(yaml)")
    }

    @Test("audit 2: whether a model thinks is said in its provider file")
    func reasoning() throws {
        let price = #"price: { input: "1", output: "1" }"#
        let yaml =
            "models:\n  - { id: a, reasoning: true, \(price) }\n  - { id: b, reasoning: false, \(price) }\n  - { id: c, \(price) }\n"
        #expect(try load(yaml).providers.first?.models.map(\.reasoning) == [true, false, nil])
    }

    @Test("audit 1: thoughts that a vendor's bound does not count are said in its file")
    func thinkingBeyondLimit() throws {
        #expect(try load("billing: { thinking_beyond_max_tokens: 32768 }").providers.first?.billing.thinkingBeyondLimit == 32_768)
        #expect(try load("billing: { free: false }").providers.first?.billing.thinkingBeyondLimit == 0)
    }

    @Test("audit 2: the bounds of drains and the speed of thought can be set")
    func metering() throws {
        let standard = try load("").metering
        #expect(standard.drainTimeout == .seconds(120) && standard.maxDrains == 256 && standard.thinkingRate == 300)
        let other = try load("", gateway: "metering: { drain_timeout: 5s, max_drains: 0, thinking_rate: 1000 }\n")
            .metering
        #expect(other.drainTimeout == .seconds(5) && other.maxDrains == 0 && other.thinkingRate == 1_000)
    }

    @Test("audit 2: the shipped files of own servers are free, and no vendor's is")
    func shipped() throws {
        let path = ConfigTests.repository.appendingPathComponent("config/gateway.yaml").path
        let providers = try ConfigLoader(environment: ["AZURE_OPENAI_RESOURCE": "mine"]).load(path: path).providers
        let free = providers.filter(\.billing.isFree).map(\.name).sorted()
        #expect(free == ["llamacpp", "lmstudio", "local", "ollama", "vllm"])
    }
}
