import Foundation
import RouterCore
import Testing

@testable import Config

/// The settings for files and batches in provider files and gateway.yaml.
@Suite struct BatchConfigTests {
    private func load(_ provider: String, gateway: String = "") throws -> GatewayConfiguration {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("batches-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder.appendingPathComponent("providers"), withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let path = folder.appendingPathComponent("gateway.yaml")
        try ("providers_dir: providers\n" + gateway).write(to: path, atomically: true, encoding: .utf8)
        try "channels: []\n".write(to: folder.appendingPathComponent("channels.yaml"), atomically: true, encoding: .utf8)
        try ("name: v\nadaptor: openai\nbase_url: http://127.0.0.1:1/v1\nauth: { type: none }\n" + provider)
            .write(to: folder.appendingPathComponent("providers/v.yaml"), atomically: true, encoding: .utf8)
        return try ConfigLoader(environment: [:]).load(path: path.path)
    }

    private func batches(_ yaml: String) throws -> BatchSupport? { try load(yaml).providers.first?.batches }

    @Test func `a provider file says whether its vendor has batches, and what is different about them`() throws {
        #expect(try batches("") == nil)
        #expect(try batches("batches: false") == nil)
        #expect(try batches("batches: true") == BatchSupport())
        #expect(
            try batches("batches: { files: /f, batches: \"/b?v=1\", endpoints: { chat: true, embeddings: /e, completions: false } }")
                == BatchSupport(files: "/f", batches: "/b?v=1", urls: [.chat: "/v1/chat/completions", .embeddings: "/e"]))
    }

    @Test(arguments: ["batches: { files: f }", "batches: { endpoints: { images: true } }", "batches: [chat]", "batches: { url: /x }"])
    func `what cannot be is an error with its place`(_ yaml: String) {
        #expect(throws: ConfigErrors.self) { try load(yaml) }
    }

    @Test func `the bounds of batches can be set`() throws {
        let standard = try load("").batches
        #expect(standard.maxLines == 50_000 && standard.maxOpen == 100 && standard.pollInterval == .seconds(10))
        let other = try load("", gateway: "batches: { max_lines: 7, max_open: 2, poll_interval: 200ms, max_poll_interval: 1m }\n").batches
        #expect(
            other.maxLines == 7 && other.maxOpen == 2 && other.pollInterval == .milliseconds(200) && other.maxPollInterval == .seconds(60))
        #expect(throws: ConfigErrors.self) { try load("", gateway: "batches: { max_lines: 0 }\n") }
    }
}
