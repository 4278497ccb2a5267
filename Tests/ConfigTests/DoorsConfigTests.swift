import Foundation
import RouterCore
import Testing

@testable import Config

@Suite struct DoorsConfigTests {
    @Test func `the gateway's own URL is what browsers call its origin`() {
        let cases: [(String, String?)] = [
            ("https://Gateway.example.org", "https://gateway.example.org"), ("https://gateway.example.org/", "https://gateway.example.org"),
            ("https://gateway.example.org:443", "https://gateway.example.org"), ("https://g:8443", "https://g:8443"),
            ("http://127.0.0.1:80", "http://127.0.0.1"), ("http://[::1]:3000", "http://[::1]:3000"), ("http://g:443", "http://g:443"),
            ("https://", nil), ("g.example.org", nil), ("ftp://g", nil), ("https://g/x", nil), ("https://u@g", nil), ("https://g?x", nil),
            ("https://g#x", nil), ("https://:443", nil), ("https://g:", nil), ("https://g g", nil), ("", nil),
        ]
        for (text, origin) in cases { #expect(GatewayConfiguration.PublicURL(text)?.origin == origin, "\(text)") }
    }

    @Test func `proxies, URL and sessions are read, and strict by default`() throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("config-\(UUID().uuidString)")
        defer { try? FileManager.default.removeItem(at: folder) }
        try FileManager.default.createDirectory(at: folder.appendingPathComponent("providers"), withIntermediateDirectories: true)
        try "channels: []\n".write(to: folder.appendingPathComponent("channels.yaml"), atomically: true, encoding: .utf8)
        func load(_ server: String) throws -> GatewayConfiguration.Server {
            let path = folder.appendingPathComponent("gateway.yaml")
            try "\(server)\nproviders_dir: providers\nchannels: channels.yaml\n".write(to: path, atomically: true, encoding: .utf8)
            return try ConfigLoader(environment: [:]).load(path: path.path).server
        }
        let plain = try load("server: { port: 1 }")
        #expect(plain.trustedProxies.isEmpty && plain.publicURL == nil)
        #expect(plain.sessions.idle == .seconds(43_200) && plain.sessions.lifetime == .seconds(604_800))
        let given = try load(
            "server: { trusted_proxies: [127.0.0.1, \"::1\", 172.16.0.0/12], public_url: \"https://g\", sessions: { idle: 1h, lifetime: 24h } }"
        )
        #expect(given.trustedProxies.map(\.description) == ["127.0.0.1", "::1", "172.16.0.0/12"])
        #expect(given.publicURL?.isHTTPS == true && given.sessions.idle == .seconds(3_600) && given.sessions.lifetime == .seconds(86_400))
    }
}
