import Config
import HTTPTypes
import Hummingbird
import HummingbirdTesting
import Metering
import NIOCore
import RouterCore
import Storage
import Testing

@testable import Gateway
@testable import GatewayState
@testable import Server

@Suite struct ClientAddressTests {
    private static let proxies = TrustedProxies(["10.0.0.0/8", "127.0.0.1", "2001:db8:ffff::/48"].compactMap { AddressRange($0) })

    private func address(_ peer: String, _ headers: [(String, String)]) -> String {
        Self.proxies.origin(peer: peer) { name in headers.filter { $0.0 == name }.map(\.1) }.address
    }

    /// The peer, the lines of `X-Forwarded-For`, the client.
    static let lists: [(String, [String], String)] = [
        // Nobody else's word counts.
        ("203.0.113.9", ["1.1.1.1"], "203.0.113.9"), ("", ["1.1.1.1"], ""), ("11.0.0.1", ["10.0.0.1"], "11.0.0.1"),
        ("10.0.0.1", [], "10.0.0.1"),
        // One proxy, two, and all of them trusted.
        ("10.0.0.1", ["1.1.1.1"], "1.1.1.1"), ("10.0.0.1", ["1.1.1.1, 10.0.0.2"], "1.1.1.1"),
        ("10.0.0.1", ["10.0.0.3, 10.0.0.2"], "10.0.0.3"), ("::ffff:10.0.0.1", ["1.1.1.1"], "1.1.1.1"),
        // What a client writes of itself stands to the left.
        ("10.0.0.1", ["9.9.9.9, 1.1.1.1"], "1.1.1.1"), ("10.0.0.1", ["127.0.0.1, 1.1.1.1"], "1.1.1.1"),
        ("10.0.0.1", ["rubbish \" , ,, 1.1.1.1"], "1.1.1.1"), ("10.0.0.1", [String(repeating: "x", count: 9_000) + ", 1.1.1.1"], "1.1.1.1"),
        ("10.0.0.1", [String(repeating: "8.8.8.8,", count: 500) + "1.1.1.1"], "1.1.1.1"),
        // Several lines are one list.
        ("10.0.0.1", ["9.9.9.9", "1.1.1.1"], "1.1.1.1"), ("10.0.0.1", ["1.1.1.1", "10.0.0.7"], "1.1.1.1"),
        // Forms.
        ("10.0.0.1", ["1.1.1.1:4711"], "1.1.1.1"), ("10.0.0.1", ["[2001:db8::1]:443"], "2001:db8::1"),
        ("10.0.0.1", ["2001:DB8:0::1"], "2001:db8::1"), ("10.0.0.1", ["[2001:db8::1]"], "2001:db8::1"),
        ("10.0.0.1", ["\t1.1.1.1 , "], "1.1.1.1"), ("10.0.0.1", ["1.1.1.1, 2001:db8:ffff::9"], "1.1.1.1"),
        // What cannot be read counts for nothing.
        ("10.0.0.1", ["unknown"], "10.0.0.1"), ("10.0.0.1", ["1.1.1.1, unknown"], "10.0.0.1"),
        ("10.0.0.1", ["1.1.1.1:99999999"], "10.0.0.1"),
        ("10.0.0.1", [""], "10.0.0.1"), ("10.0.0.1", [", ,"], "10.0.0.1"), ("10.0.0.1", ["[::1"], "10.0.0.1"),
        ("10.0.0.1", ["1.1.1.1\u{0}"], "10.0.0.1"),
        ("10.0.0.1", [String(repeating: "x", count: 9_000)], "10.0.0.1"),
        ("10.0.0.1", [String(repeating: "10.0.0.2,", count: 40)], "10.0.0.1"),
    ]

    @Test("audit 16: the client is the first address from the right that is no trusted proxy", arguments: lists)
    func forwardedFor(peer: String, lines: [String], expected: String) {
        #expect(address(peer, lines.map { ("x-forwarded-for", $0) }) == expected)
    }

    static let elements: [(String, String)] = [
        ("for=1.1.1.1", "1.1.1.1"), ("For=\"1.1.1.1:80\";proto=https;by=10.0.0.1", "1.1.1.1"),
        ("for=\"[2001:db8::17]:4711\"", "2001:db8::17"),
        ("for=9.9.9.9, for=1.1.1.1;by=10.0.0.1", "1.1.1.1"), ("for=1.1.1.1, for=10.0.0.2", "1.1.1.1"),
        ("for=\"9.9.9.9, for=1.1.1.1", "1.1.1.1"), ("for=\"9.9.9.9\", for=\"1.1.1.1\"", "1.1.1.1"),
        ("by=1.1.1.1", "10.0.0.1"), ("for=unknown", "10.0.0.1"), ("for=_hidden", "10.0.0.1"), ("for=1.1.1.1;for=2.2.2.2", "10.0.0.1"),
        ("for", "10.0.0.1"), ("for=\"1.1.1.1", "10.0.0.1"), ("for=\"\\1.1.1.1\"", "10.0.0.1"), ("by=\"a;for=1.1.1.1\"", "10.0.0.1"),
        ("for=\"2001:db8::17\"", "2001:db8::17"),
    ]

    @Test("audit 16: Forwarded is read as RFC 7239 has it", arguments: elements)
    func forwarded(line: String, expected: String) {
        #expect(address("10.0.0.1", [("forwarded", line)]) == expected)
        // The header that nearly all proxies write counts, so that a client cannot add the other.
        #expect(address("10.0.0.1", [("forwarded", line), ("x-forwarded-for", "7.7.7.7")]) == "7.7.7.7")
    }

    @Test("audit 16: scheme and host are believed from trusted proxies only, and once")
    func schemeAndHost() {
        func origin(_ peer: String, _ headers: [(String, String)]) -> ClientOrigin {
            Self.proxies.origin(peer: peer) { name in headers.filter { $0.0 == name }.map(\.1) }
        }
        let headers = [("x-forwarded-proto", "HTTPS"), ("x-forwarded-host", "Gateway.example.org")]
        let believed = origin("127.0.0.1", headers)
        #expect(believed.scheme == "https" && believed.host == "gateway.example.org" && !believed.isForwarded)
        #expect(origin("8.8.8.8", headers) == ClientOrigin(address: "8.8.8.8"))
        #expect(origin("127.0.0.1", [("x-forwarded-proto", "https, http")]).scheme == nil)
        #expect(origin("127.0.0.1", [("x-forwarded-proto", "https"), ("x-forwarded-proto", "https")]).scheme == nil)
        #expect(origin("127.0.0.1", [("x-forwarded-proto", "gopher")]).scheme == nil)
    }
}

/// The same through the whole application, on both sides of the front door.
@Suite(.serialized, .timeLimit(.minutes(10))) struct BehindProxyTests {
    private static let forwardedFor = HTTPField.Name("X-Forwarded-For")!

    private func behind(_ address: String) -> HTTPFields { [Self.forwardedFor: address] }

    @Test("audit 16: behind a trusted proxy allowed_ips and records go by the client's address")
    func allowedAddresses() async throws {
        try await TestGateway.with({ $0.server.trustedProxies = ["127.0.0.1", "::1"].compactMap { AddressRange($0) } }) { gateway, client in
            let made = try await client.call(
                .post, "/api/token", token: TestGateway.adminToken, body: #"{"name":"k","limits":{"allowed_ips":["198.51.100.0/24"]}}"#)
            let key = try #require(made.json["data"]?["key"]?.stringValue)
            _ = try await client.call(
                .post, "/api/balance/admin/add", token: TestGateway.adminToken, body: #"{"user_id":1,"amount":1,"description":"d"}"#)
            let body = #"{"model":"demo/echo","messages":[{"role":"user","content":"hello"}]}"#
            func ask(_ path: String, _ headers: HTTPFields) async throws -> Int {
                try await client.call(
                    path == "/v1/models" ? .get : .post, path, token: key, body: path == "/v1/models" ? nil : body, headers: headers
                ).status
            }
            for path in ["/v1/models", "/v1/chat/completions"] {
                #expect(try await ask(path, behind("198.51.100.7")) == 200, "\(path)")
                #expect(try await ask(path, behind("203.0.113.7, 198.51.100.7")) == 200, "\(path)")
                #expect(try await ask(path, behind("198.51.100.7, 203.0.113.7")) == 403, "\(path)")
                #expect(try await ask(path, [:]) == 403, "\(path)")
            }
            let parts = gateway.gateway.parts
            try await parts.poster.drainOnce()
            let rows = try await parts.store.logs(LogQuery()).items
            #expect(rows.count == 2 && rows.allSatisfy { $0.record.clientIP == "198.51.100.7" })
        }
    }

    @Test("audit 16: without trusted proxies nobody's word counts")
    func untrusted() async throws {
        try await TestGateway.with { _, client in
            let made = try await client.call(
                .post, "/api/token", token: TestGateway.adminToken, body: #"{"name":"k","limits":{"allowed_ips":["198.51.100.0/24"]}}"#)
            let key = try #require(made.json["data"]?["key"]?.stringValue)
            #expect(try await client.call(.get, "/v1/models", token: key, headers: behind("198.51.100.7")).status == 403)
            #expect(
                try await client.call(.post, "/v1/chat/completions", token: key, body: "{}", headers: behind("198.51.100.7")).status == 403)
            #expect(try await client.call(.get, "/metrics").status == 200)
            #expect(try await client.call(.get, "/metrics", headers: behind("127.0.0.1")).status == 401)
        }
    }

    @Test("audit 16: metrics go by the address that trusted proxies name")
    func metrics() async throws {
        try await TestGateway.with({ $0.server.trustedProxies = ["127.0.0.1", "::1"].compactMap { AddressRange($0) } }) { _, client in
            func status(_ headers: HTTPFields, token: String? = nil) async throws -> Int {
                try await client.call(.get, "/metrics", token: token, headers: headers).status
            }
            // What a proxy says and cannot be read is no reason to open.
            let cases: [(HTTPFields, Int)] = [
                ([:], 200), (behind("127.0.0.1"), 200), (behind("8.8.8.8"), 401), (behind("127.0.0.1, 8.8.8.8"), 401),
                (behind("unknown"), 401),
            ]
            for (headers, expected) in cases {
                let found = try await status(headers)
                #expect(found == expected, "\(headers)")
            }
            let admin = try await status(behind("8.8.8.8"), token: TestGateway.adminToken)
            #expect(admin == 200)
        }
    }
}
