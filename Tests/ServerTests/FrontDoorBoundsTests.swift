import Config
import Foundation
import HTTPTypes
import HummingbirdTesting
import NIOCore
import RouterCore
import Testing

@testable import Gateway
@testable import GatewayState
@testable import Server

/// What the front door refuses: heads that can be read in two ways, bodies that are too large or too slow, connections
/// that are too many.
@Suite(.serialized, .timeLimit(.minutes(10))) struct FrontDoorBoundsTests {
    private static let body = #"{"model":"demo/echo","messages":[{"role":"user","content":"hello there"}]}"#

    private static func post(_ path: String, _ headers: String, body: String = body, version: String = "1.1") -> String {
        "POST \(path) HTTP/\(version)\r\nAuthorization: Bearer \(TestGateway.rootKey)\r\nContent-Type: application/json\r\n\(headers)"
            + "Content-Length: \(body.utf8.count)\r\n\r\n\(body)"
    }

    private static func status(_ text: String) -> Int { Int(text.dropFirst(9).prefix(3)) ?? 0 }

    private func port(_ client: any TestClientProtocol) throws -> Int { try #require(client.port) }

    // MARK: Heads

    @Test func `audit 19: Host is there exactly once, and is one`() async throws {
        try await TestGateway.with { _, client in
            let port = try port(client)
            let bad = [
                "", "Host: a\r\nHost: a\r\n", "Host: a\r\nhOST: b\r\n", "Host: \r\n", "Host: a b\r\n", "Host: a/b\r\n",
                "Host: u@a\r\n",
                "Host: a:1:2\r\n", "Host: a:x\r\n", "Host: [::1\r\n", "Host: ::1\r\n", "Host: a,b\r\n",
            ]
            for path in ["/v1/chat/completions", "/api/user/login", "/v1beta/models/demo:generateContent"] {
                for headers in bad {
                    // These return because the server closes.
                    let text = try await RawClient(port: port).talk([Self.post(path, headers)])
                    #expect(
                        Self.status(text) == 400 && text.lowercased().contains("connection: close"),
                        "\(path) \(headers): \(text)")
                    #expect(text.contains("header Host"), "\(text)")
                }
            }
            for host in ["a", "A.b-c_d.example", "a:80", "10.0.0.1:3000", "[::1]", "[fe80::1%25eth0]:3000", "a:"] {
                let text = try await RawClient(port: port).talk([
                    "GET /health/live HTTP/1.1\r\nHost: \(host)\r\nConnection: close\r\n\r\n"
                ])
                #expect(Self.status(text) == 200, "\(host): \(text)")
            }
            // HTTP/1.0 knows clients without one, and two are two.
            let old = try await RawClient(port: port).talk(["GET /health/live HTTP/1.0\r\n\r\n"]) { $0.contains("live\"") }
            #expect(Self.status(old) == 200)
            let double = try await RawClient(port: port).talk([
                "GET /health/live HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n"
            ])
            #expect(Self.status(double) == 400)
        }
    }

    @Test func `audit 19: Transfer-Encoding is one header that says chunked`() async throws {
        try await TestGateway.with { _, client in
            let port = try port(client)
            let chunks = "2\r\n{}\r\n0\r\n\r\n"
            for encodings in [
                ["identity", "chunked"], ["chunked", "chunked"], ["gzip, chunked"], ["identity"], ["x"],
                ["chunked, identity"], ["chunked,"],
            ] {
                for path in ["/v1/chat/completions", "/api/user/login"] {
                    let fields = encodings.map { "Transfer-Encoding: \($0)\r\n" }.joined()
                    let request =
                        "POST \(path) HTTP/1.1\r\nHost: g\r\nAuthorization: Bearer \(TestGateway.rootKey)\r\n\(fields)\r\n\(chunks)"
                    let text = try await RawClient(port: port).talk([request])
                    // The parser refuses some of them itself.
                    #expect(
                        text.hasPrefix("HTTP/1.1 400") && !text.contains("HTTP/1.1 2")
                            && !text.contains("HTTP/1.1 402"), "\(encodings): \(text)")
                }
            }
        }
    }

    /// What held at the audit goes on holding.
    @Test(arguments: [
        "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n0\r\n\r\n",
        "Content-Length: 2\r\nContent-Length: 3\r\n\r\n{} ", "Content-Length: 2, 2\r\n\r\n{}",
        "Content-Length: +2\r\n\r\n{}",
        "Content-Length: -2\r\n\r\n{}", "Transfer-Encoding: chunked\r\n\r\n0x2\r\n{}\r\n0\r\n\r\n",
        "Transfer-Encoding: chunked\r\n\r\n-2\r\n{}\r\n0\r\n\r\n",
        "Transfer-Encoding: chunked\r\n\r\n2 \r\n{}\r\n0\r\n\r\n",
        "X: a\u{0}b\r\nContent-Length: 2\r\n\r\n{}", "X : a\r\nContent-Length: 2\r\n\r\n{}",
        "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
        "X: \(String(repeating: "x", count: 100_000))\r\nContent-Length: 2\r\n\r\n{}",
    ])
    func `requests that end in two places are refused, and nothing behind them is read`(_ rest: String) async throws {
        try await TestGateway.with { _, client in
            let hidden = "GET /health/live HTTP/1.1\r\nHost: g\r\n\r\n"
            let head =
                "POST /v1/chat/completions HTTP/1.1\r\nHost: g\r\nAuthorization: Bearer \(TestGateway.rootKey)\r\n"
            let text = try await RawClient(port: try port(client)).talk([head + rest + hidden]) {
                $0.contains("\"live\"")
            }
            #expect(text.isEmpty || text.hasPrefix("HTTP/1.1 4"), "\(text)")
            #expect(!text.contains(" 200 "), "\(text)")
        }
    }

    @Test(arguments: [
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "GET /health/live\r\n\r\n", "GET /health/live HTTP/3.0\r\nHost: g\r\n\r\n",
    ])
    func `other protocols are refused`(_ text: String) async throws {
        try await TestGateway.with { _, client in
            let answer = try await RawClient(port: try port(client)).talk([text])
            #expect(answer.isEmpty || answer.hasPrefix("HTTP/1.1 4"), "\(answer)")
        }
    }

    // MARK: Bodies

    @Test func `audit 13: each route has its own largest body`() async throws {
        try await TestGateway.with { _, client in
            let port = try port(client)
            for (path, limit) in [
                ("/api/user/login", 8_192), ("/api/user/login/", 8_192), ("//api/user//login?x", 8_192), ("/api/user/register", 8_192),
                ("/api/token", 65_536),
                ("/api/balance/admin/add", 65_536),
                ("/health/live", 65_536), ("/no/such/path", 65_536),
            ] {
                let announced = "POST \(path) HTTP/1.1\r\nHost: g\r\nContent-Length: \(limit + 1)\r\n\r\n"
                let told = try await RawClient(port: port).talk([announced]) { $0.contains("\r\n\r\n") }
                #expect(Self.status(told) == 413 && told.contains("\(limit) bytes"), "\(path): \(told)")
                #expect(told.contains(#""success":false"#) && told.lowercased().contains("x-request-id"), "\(told)")
                let chunk = String(limit + 1, radix: 16) + "\r\n" + String(repeating: " ", count: limit + 1) + "\r\n"
                let endless = "POST \(path) HTTP/1.1\r\nHost: g\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk
                let cut = try await RawClient(port: port).talk([endless]) { $0.contains("\r\n\r\n") }
                #expect(Self.status(cut) == 413, "\(path): \(cut)")
            }
            let fits = #"{"username":"root","password":"wrong-password"}"# + String(repeating: " ", count: 8_000)
            #expect(try await client.call(.post, "/api/user/login", body: fits).status == 401)
        }
    }

    @Test func `audit 13: who has no key sends no body, to count tokens neither`() async throws {
        try await TestGateway.with { _, client in
            let port = try port(client)
            for path in [
                "/v1/messages/count_tokens", "/api/v1/messages/count_tokens", "/v1beta/models/demo/echo:countTokens",
            ] {
                // The answer comes although the body does not.
                let head = "POST \(path) HTTP/1.1\r\nHost: g\r\nx-api-key: sk-wrong\r\nContent-Length: 30000000\r\n\r\n"
                let text = try await RawClient(port: port).talk([head]) { $0.contains("\r\n\r\n") }
                #expect(Self.status(text) == 401, "\(path): \(text)")
                let counted = try await client.call(
                    .post, path, token: TestGateway.rootKey,
                    body: path.hasPrefix("/v1beta")
                        ? #"{"contents":[{"parts":[{"text":"hello out there"}]}]}"# : Self.body)
                #expect(counted.status == 200, "\(path): \(counted.json.text)")
                let tokens = counted.json["input_tokens"] ?? counted.json["totalTokens"]
                #expect((tokens?.integerValue ?? 0) > 0, "\(path): \(counted.json.text)")
            }
        }
    }

    @Test func `audit 13: bodies to count tokens of count with all others`() async throws {
        let limit = 64 * 1024
        try await TestGateway.with({ $0.server.maxBodyBytes = limit }, bodies: BodyMemory(least: 0)) { _, client in
            let port = try port(client)
            let part = Self.post("/v1/messages/count_tokens", "Host: g\r\n", body: String(repeating: " ", count: limit))
                .dropLast()
            let answers = try await withThrowingTaskGroup(of: String.self) { group in
                for _ in 0..<6 {
                    group.addTask { try await RawClient(port: port).talk([String(part)]) { $0.contains("\r\n\r\n") } }
                }
                var answers: [String] = []
                for _ in 0..<4 { if let answer = try await group.next() { answers.append(answer) } }
                group.cancelAll()
                return answers
            }
            #expect(
                answers.allSatisfy { Self.status($0) == 503 && $0.lowercased().contains("retry-after") }, "\(answers)")
        }
    }

    @Test func `audit 13: strangers take an eighth of the memory for bodies, and leave the rest`() {
        let memory = BodyMemory(least: 0)
        let strangers = (0..<4).map { _ in memory.share(isStranger: true) }
        #expect(strangers.map { $0.grow(to: 1_000, largest: 1_000) } == [true, true, false, false])
        let others = (0..<15).map { _ in memory.share(isStranger: false) }
        #expect(others.map { $0.grow(to: 1_000, largest: 1_000) } == Array(repeating: true, count: 14) + [false])
        #expect(memory.bytes == 16_000)
        withExtendedLifetime((strangers, others)) {}
    }

    // MARK: Deadlines

    private static let hasty: DoorLimits = {
        var limits = DoorLimits()
        limits.firstHead = .milliseconds(300)
        limits.head = .milliseconds(200)
        limits.login = .within(.milliseconds(200))
        limits.management = .within(.milliseconds(200))
        limits.call = ArrivalLimit(window: .milliseconds(200), bytes: 1_000, whole: .minutes(10))
        limits.discarded = ArrivalLimit(window: .milliseconds(200), bytes: 1_000, whole: .seconds(60))
        return limits
    }()

    @Test func `audit 13: a body on its way is waited for some seconds`() async throws {
        try await TestGateway.with(limits: Self.hasty) { _, client in
            let port = try port(client)
            for path in ["/api/user/login", "/api/token", "/v1/chat/completions", "/v1/messages/count_tokens"] {
                // These return because the server closes.
                let text = try await RawClient(port: port).talk([String(Self.post(path, "Host: g\r\n").dropLast())])
                #expect(Self.status(text) == 408 && text.lowercased().contains("connection: close"), "\(path): \(text)")
            }
            // The same for a body that nobody wants.
            let refused = "POST /v1/chat/completions HTTP/1.1\r\nHost: g\r\nContent-Length: 100000\r\n\r\n{"
            #expect(Self.status(try await RawClient(port: port).talk([refused])) == 401)
        }
    }

    @Test func `audit 13: a head on its way is waited for some seconds`() async throws {
        try await TestGateway.with(limits: Self.hasty) { _, client in
            let port = try port(client)
            #expect(try await RawClient(port: port).talk([]) == "")
            #expect(try await RawClient(port: port).talk(["POST /v1/chat/compl"]) == "")
            // Behind a request that was served, on the same connection.
            let live = "GET /health/live HTTP/1.1\r\nHost: g\r\n\r\n"
            let text = try await RawClient(port: port).talk([live, "POST /v1/chat/compl"])
            #expect(Self.status(text) == 200, "\(text)")
        }
    }

    // MARK: Connections

    @Test func `audit 13: connections are counted by address, and by network for IPv6`() {
        func source(_ address: String) -> AddressRange? { ConnectionLimits.source(address) }
        let limits = ConnectionLimits(maximum: 7, perAddress: 2)
        let (a, b) = (source("10.0.0.1"), source("10.0.0.2"))
        #expect(limits.enter(a) && limits.enter(a) && !limits.enter(a) && limits.enter(b))
        limits.leave(a)
        #expect(limits.enter(a))
        #expect(source("::ffff:10.0.0.1") == a && a != nil)
        #expect(source("2001:db8::1") == source("2001:db8::ffff") && source("2001:db8::1") != source("2001:db8:0:1::1"))
        for address in ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"] {
            #expect(source(address) == nil, "\(address)")
        }
        for address in ["10.0.0.1", "::2", "2001:db8::1", "128.0.0.1"] { #expect(source(address) != nil, "\(address)") }
        // Those without a limit of their own count for the whole.
        #expect(
            (0..<4).map { _ in limits.enter(nil) } == [true, true, true, true] && !limits.enter(nil) && !limits.enter(b)
        )
        limits.leave(nil)
        #expect(limits.enter(b))
    }

    @Test func `audit 13: one connection too many is told so and closed`() async throws {
        try await TestGateway.with({ $0.server.maxConnections = 3 }) { gateway, client in
            let port = try port(client)
            let answer = try await withThrowingTaskGroup(of: String.self) { group in
                for _ in 0..<4 { group.addTask { try await RawClient(port: port).talk([]) } }
                let first = try await group.next() ?? ""
                group.cancelAll()
                return first
            }
            #expect(Self.status(answer) == 503 && answer.contains("too many connections"), "\(answer)")
            // The others have gone, and there is room again.
            var status = 0
            for _ in 0..<500 where status != 200 {
                status = Self.status(
                    try await RawClient(port: port).talk([
                        "GET /health/live HTTP/1.1\r\nHost: g\r\nConnection: close\r\n\r\n"
                    ]))
            }
            #expect(status == 200)
            #expect(
                !gateway.gateway.parts.plane.metrics.exposition(gauges: []).contains(
                    "apirouter_refused_connections_total 0\n"))
        }
    }

    // MARK: Cross-origin requests

    @Test func `browsers of the configured origins may call the model areas, without credentials`() async throws {
        let origin = "https://app.example"
        try await TestGateway.with({ $0.server.corsOrigins = [origin] }) { _, client in
            let allowOrigin = try #require(HTTPField.Name("Access-Control-Allow-Origin"))
            let ask = try #require(HTTPField.Name("Access-Control-Request-Method"))
            let askHeaders = try #require(HTTPField.Name("Access-Control-Request-Headers"))
            let allowHeaders = try #require(HTTPField.Name("Access-Control-Allow-Headers"))
            let expose = try #require(HTTPField.Name("Access-Control-Expose-Headers"))
            for path in ["/v1/chat/completions", "/api/v1/models", "/v1beta/models/m:generateContent?key=k"] {
                let preflight = try await client.call(
                    .options, path,
                    headers: [
                        .origin: origin, ask: "POST",
                        askHeaders: "authorization, Content-Type,x-stainless-os,anthropic-version,x-evil",
                    ])
                #expect(preflight.status == 204 && preflight.headers[allowOrigin] == origin, "\(path)")
                #expect(preflight.headers[.vary] == "Origin" && preflight.headers[.contentLength] == nil)
                #expect(
                    preflight.headers[allowHeaders] == "authorization, content-type, x-stainless-os, anthropic-version")
                #expect(preflight.headers[HTTPField.Name("Access-Control-Max-Age")!] != nil)
                #expect(preflight.headers[HTTPField.Name("Access-Control-Allow-Credentials")!] == nil)
                let other = try await client.call(
                    .options, path, headers: [.origin: "https://evil.example", ask: "POST"])
                #expect(other.status >= 400 && other.headers[allowOrigin] == nil, "\(path): \(other.status)")
            }
            // Whoever answers: the relay, a handler, the door.
            for (method, path, token) in [
                (HTTPRequest.Method.post, "/v1/chat/completions", TestGateway.rootKey),
                (.get, "/v1/models", TestGateway.rootKey),
                (.post, "/v1/chat/completions", "sk-wrong"), (.get, "/v1/nothing", "x"),
            ] {
                let answer = try await client.call(
                    method, path, token: token, body: Self.body, headers: [.origin: origin])
                #expect(answer.headers[allowOrigin] == origin && answer.headers[.vary] == "Origin", "\(path)")
                #expect(answer.headers[expose]?.contains("X-Request-Id") == true, "\(path)")
                let foreign = try await client.call(
                    method, path, token: token, body: Self.body, headers: [.origin: "https://evil.example"])
                #expect(foreign.headers[allowOrigin] == nil && foreign.headers[.vary] == "Origin", "\(path)")
            }
            let managed = try await client.call(.get, "/api/status", headers: [.origin: origin])
            #expect(managed.status == 200 && managed.headers[allowOrigin] == nil)
            let preflight = try await client.call(.options, "/api/user/login", headers: [.origin: origin, ask: "POST"])
            #expect(preflight.status >= 400 && preflight.headers[allowOrigin] == nil)
        }
        try await TestGateway.with { _, client in
            let answer = try await client.call(
                .get, "/v1/models", token: TestGateway.rootKey, headers: [.origin: origin])
            #expect(answer.status == 200 && answer.headers[.vary] == nil)
        }
        #expect(CrossOrigin([]) == nil)
    }

    @Test func `errors under OpenRouter's path have its shape`() async throws {
        try await TestGateway.with { _, client in
            for (path, token, status) in [
                ("/api/v1/chat/completions", "sk-wrong", 401), ("/api/v1/chat/completions", TestGateway.rootKey, 402),
                ("/api/v1/models/none", TestGateway.rootKey, 404),
            ] {
                let answer = try await client.call(status == 404 ? .get : .post, path, token: token, body: Self.body)
                let error = answer.json["error"]
                #expect(answer.status == status && error?["code"]?.integerValue == Int64(status), "\(answer.json.text)")
                #expect(
                    error?["message"]?.stringValue?.isEmpty == false
                        && error?["metadata"]?["error_type"]?.stringValue != nil)
                let plain = try await client.call(
                    status == 404 ? .get : .post, String(path.dropFirst(4)), token: token, body: Self.body
                ).json["error"]
                #expect(
                    plain?["type"]?.stringValue != nil && plain?["code"]?.stringValue != nil, "\(plain?.text ?? "")")
            }
        }
    }
}
