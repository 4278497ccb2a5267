import Config
import Foundation
import HTTPTypes
import HummingbirdTesting
import NIOCore
import RouterCore
import Storage
import Testing

@testable import Gateway
@testable import GatewayState
@testable import Platform
@testable import Server

/// Login, sessions and what browsers may do with them, through the whole application.
@Suite(.serialized, .timeLimit(.minutes(10))) struct SessionTests {
    private static let forwardedFor = HTTPField.Name("X-Forwarded-For")!
    private static let loopback = ["127.0.0.1", "::1"].compactMap { AddressRange($0) }
    private static let fetchSite = HTTPField.Name("Sec-Fetch-Site")!
    private static let rootLogin = #"{"username":"root","password":"the-root-password"}"#

    private func login(
        _ client: any TestClientProtocol, _ body: String = rootLogin, _ headers: HTTPFields = [:]
    ) async throws -> (status: Int, headers: HTTPFields, json: JSONValue) {
        try await client.call(.post, "/api/user/login", body: body, headers: headers)
    }

    /// The name and value of a cookie that was set.
    private func cookie(_ answer: (status: Int, headers: HTTPFields, json: JSONValue), _ name: String) -> String? {
        answer.headers[values: .setCookie].first { $0.hasPrefix(name + "=") }?.split(separator: ";").first.map(String.init)
    }

    // MARK: Other sites

    @Test("audit 17: a login that another site's page sends is refused and sets no cookie")
    func loginFromElsewhere() async throws {
        try await TestGateway.with { _, client in
            let host = "http://localhost"
            let cases: [(HTTPFields, Int)] = [
                ([.contentType: "text/plain"], 415), ([.contentType: "application/x-www-form-urlencoded"], 415),
                ([.contentType: "multipart/form-data; boundary=x"], 415), ([.contentType: "application/jsonp"], 415),
                ([.contentType: "text/plain", .origin: "https://evil.example"], 403),
                ([.origin: "https://evil.example"], 403), ([.origin: "null"], 403), ([.origin: host + ".evil.example"], 403),
                ([Self.fetchSite: "cross-site"], 403), ([Self.fetchSite: "same-site"], 403),
                ([Self.fetchSite: "cross-site", .origin: host], 403),
                ([:], 200), ([.contentType: "Application/JSON ; charset=utf-8"], 200),
            ]
            for (headers, expected) in cases {
                let answer = try await login(client, Self.rootLogin, headers)
                #expect(answer.status == expected, "\(headers) \(answer.json.text)")
                #expect((answer.headers[.setCookie] != nil) == (expected == 200), "\(headers)")
            }
        }
    }

    @Test("audit 17: with public_url the origin is compared with it, else with Host")
    func origins() async throws {
        try await TestGateway.with({ $0.server.publicURL = GatewayConfiguration.PublicURL("https://gateway.example.org") }) { _, client in
            // A proxy may rewrite Host; the page is the one that the browser shows.
            let own = try await login(client, Self.rootLogin, [.origin: "https://gateway.example.org", Self.fetchSite: "same-origin"])
            #expect(own.status == 200)
            for other in ["http://gateway.example.org", "https://gateway.example.org:8443", "http://localhost"] {
                let answer = try await login(client, Self.rootLogin, [.origin: other])
                #expect(answer.status == 403, "\(other)")
            }
        }
        let host = Site(isSecure: false, authority: "gateway:443", isConfigured: false)
        #expect(
            host.accepts(origin: "https://gateway") && host.accepts(origin: "http://Gateway:443") && !host.accepts(origin: "http://gateway")
        )
        #expect(!host.accepts(origin: "null") && !host.accepts(origin: "") && !host.accepts(origin: "https://gateway:443/x"))
    }

    // MARK: Cookies

    @Test("audit 17: the cookie is for this site alone, and on https for its host and TLS alone")
    func cookieAttributes() async throws {
        try await TestGateway.with { _, client in
            let plain = try await login(client)
            let set = plain.headers[values: .setCookie]
            #expect(set.count == 2 && set.allSatisfy { $0.contains("; Path=/; ") && $0.contains("; HttpOnly; SameSite=Strict") }, "\(set)")
            #expect(set.allSatisfy { !$0.contains("Secure") && !$0.contains("__Host-") && !$0.contains("Domain") })
            #expect(set.first?.hasPrefix("apirouter_session=at-") == true && set.first?.contains("; Max-Age=604800;") == true)
        }
        let secure: @Sendable (TestGateway, any TestClientProtocol, HTTPFields) async throws -> Void = { _, client, headers in
            let answer = try await login(client, Self.rootLogin, headers)
            let set = answer.headers[values: .setCookie]
            #expect(
                set.count == 2
                    && set.allSatisfy { $0.hasPrefix("__Host-apirouter_") && $0.hasSuffix("; HttpOnly; SameSite=Strict; Secure") }, "\(set)"
            )
            let session = try #require(cookie(answer, "__Host-apirouter_session"))
            var with = headers
            with[.cookie] = session
            #expect(try await client.call(.get, "/api/user/self", headers: with).status == 200)
            // The name without the prefix is anybody's to set.
            with[.cookie] = session.replacingOccurrences(of: "__Host-", with: "")
            #expect(try await client.call(.get, "/api/user/self", headers: with).status == 401)
            with[.cookie] = session
            let out = try await client.call(.post, "/api/user/logout", body: "{}", headers: with)
            #expect(out.status == 200 && out.headers[.setCookie]?.contains("__Host-apirouter_session=; Path=/; Max-Age=0;") == true)
        }
        try await TestGateway.with({ $0.server.publicURL = GatewayConfiguration.PublicURL("https://gateway.example.org") }) {
            try await secure($0, $1, [:])
        }
        try await TestGateway.with({ $0.server.trustedProxies = Self.loopback }) {
            try await secure($0, $1, [HTTPField.Name("X-Forwarded-Proto")!: "https"])
        }
    }

    @Test("audit 17: a change with the cookie is JSON from our own pages; with a bearer token curl's form will do")
    func changesWithCookie() async throws {
        try await TestGateway.with { _, client in
            let answer = try await login(client)
            let session = try #require(cookie(answer, "apirouter_session"))
            let host = "http://localhost"
            func make(_ headers: HTTPFields, token: String? = nil) async throws -> Int {
                try await client.call(.post, "/api/token", token: token, body: #"{"name":"k"}"#, headers: headers).status
            }
            #expect(try await make([.cookie: session]) == 200)
            #expect(try await make([.cookie: session, .origin: host, Self.fetchSite: "same-origin"]) == 200)
            #expect(try await make([.cookie: session, .origin: "https://evil.example"]) == 403)
            #expect(try await make([.cookie: session, Self.fetchSite: "same-site"]) == 403)
            #expect(try await make([.cookie: session, .contentType: "text/plain"]) == 415)
            #expect(try await make([.contentType: "application/x-www-form-urlencoded"], token: TestGateway.adminToken) == 200)
        }
    }

    @Test("audit 17: answers outside of /v1 tell browsers how little they may do")
    func headers() async throws {
        let names = ["Content-Security-Policy", "X-Content-Type-Options", "X-Frame-Options", "Referrer-Policy"].compactMap {
            HTTPField.Name($0)
        }
        try await TestGateway.with { _, client in
            for path in ["/api/status", "/api/nothing", "/", "/health/live", "/metrics", "/api/user/self"] {
                let answer = try await client.call(.get, path)
                #expect(names.allSatisfy { answer.headers[$0] != nil }, "\(path) \(answer.headers)")
                #expect(answer.headers[.contentSecurityPolicy]?.contains("frame-ancestors 'none'") == true)
                #expect(answer.headers[.strictTransportSecurity] == nil)
            }
            let models = try await client.call(.get, "/v1/models", token: TestGateway.rootKey)
            #expect(models.status == 200 && names.allSatisfy { models.headers[$0] == nil })
        }
        try await TestGateway.with({ $0.server.publicURL = GatewayConfiguration.PublicURL("https://g") }) { _, client in
            let answer = try await client.call(.get, "/api/status")
            #expect(answer.headers[.strictTransportSecurity] == "max-age=31536000")
        }
    }

    // MARK: Sessions

    @Test("audit 17: sessions are listed and ended, one by one or all others")
    func listAndEnd() async throws {
        try await TestGateway.with { _, client in
            var tokens: [String] = []
            for number in 0..<3 {
                let answer = try await login(client, Self.rootLogin, [.userAgent: "browser \(number)"])
                tokens.append(try #require(answer.json["data"]?["access_token"]?.stringValue))
            }
            func list(_ token: String) async throws -> [JSONValue] {
                try await client.call(.get, "/api/user/self/sessions", token: token).json["data"]?.arrayValue ?? []
            }
            let all = try await list(tokens[0])
            #expect(
                all.filter { $0["kind"]?.stringValue == "session" }.count == 3
                    && all.filter { $0["kind"]?.stringValue == "token" }.count == 1)
            #expect(all.filter { $0["current"]?.boolValue == true }.map { $0["user_agent"]?.stringValue } == ["browser 0"])
            #expect(all.allSatisfy { !tokens.contains($0["id"]?.stringValue ?? "") } && !all.contains { $0.text.contains("at-") })
            let second = try #require(all.first { $0["user_agent"]?.stringValue == "browser 1" }?["id"]?.stringValue)
            let ended = try await client.call(.delete, "/api/user/self/sessions/\(second)", token: tokens[0])
            #expect(ended.status == 200)
            #expect(try await client.call(.get, "/api/user/self", token: tokens[1]).status == 401)
            #expect(try await client.call(.delete, "/api/user/self/sessions/\(second)", token: tokens[0]).status == 404)
            #expect(try await client.call(.delete, "/api/user/self/sessions", token: tokens[2]).status == 200)
            #expect(try await client.call(.get, "/api/user/self", token: tokens[0]).status == 401)
            #expect(try await client.call(.get, "/api/user/self", token: tokens[2]).status == 200)
            // Nobody's sessions but one's own.
            _ = try await client.call(.post, "/api/user", token: tokens[2], body: #"{"username":"other","password":"password-1"}"#)
            let other = try await login(client, #"{"username":"other","password":"password-1"}"#)
            let token = try #require(other.json["data"]?["access_token"]?.stringValue)
            let mine = try #require(try await list(tokens[2]).first { $0["current"]?.boolValue == true }?["id"]?.stringValue)
            #expect(try await client.call(.delete, "/api/user/self/sessions/\(mine)", token: token).status == 404)
            #expect(try await list(token).count == 1)
        }
    }

    @Test("audit 14: a password change ends all other sessions and management tokens, and no key")
    func passwordChange() async throws {
        try await TestGateway.with { _, client in
            let first = try #require(try await login(client).json["data"]?["access_token"]?.stringValue)
            let second = try #require(cookie(try await login(client), "apirouter_session"))
            func change(_ body: String) async throws -> (status: Int, headers: HTTPFields, json: JSONValue) {
                try await client.call(.put, "/api/user/self", body: body, headers: [.cookie: second])
            }
            #expect(try await change(#"{"password":"a-new-password"}"#).status == 400)
            #expect(try await change(#"{"old_password":"wrong-password","password":"a-new-password"}"#).status == 403)
            #expect(try await change(#"{"old_password":"the-root-password","password":"short"}"#).status == 400)
            #expect(try await change(#"{"old_password":"the-root-password","role":1}"#).status == 400)
            let named = try await change(#"{"old_password":"the-root-password","display_name":"The Root","email":"root@example.org"}"#)
            #expect(
                named.json["data"]?["display_name"]?.stringValue == "The Root"
                    && named.json["data"]?["email"]?.stringValue == "root@example.org")
            #expect(try await client.call(.get, "/api/user/self", token: first).status == 200)
            // Not around the old password by the administrators' route, with a page that was left open.
            let around = try await client.call(.put, "/api/user/1", body: #"{"password":"a-new-password"}"#, headers: [.cookie: second])
            #expect(around.status == 403, "\(around.json.text)")

            #expect(try await change(#"{"old_password":"the-root-password","password":"a-new-password"}"#).status == 200)
            #expect(try await client.call(.get, "/api/user/self", token: first).status == 401)
            #expect(try await client.call(.get, "/api/user/self", token: TestGateway.adminToken).status == 401)
            #expect(try await client.call(.get, "/api/user/self", headers: [.cookie: second]).status == 200)
            #expect(try await client.call(.get, "/v1/models", token: TestGateway.rootKey).status == 200)
            #expect(try await login(client).status == 401)
            #expect(try await login(client, #"{"username":"root","password":"a-new-password"}"#).status == 200)
        }
    }

    @Test("audit 14: a password that an administrator sets, and a user who is disabled, end all sessions")
    func administratorsChange() async throws {
        try await TestGateway.with { _, client in
            let made = try await client.call(
                .post, "/api/user", token: TestGateway.adminToken, body: #"{"username":"plain","password":"password-1"}"#)
            let id = try #require(made.json["data"]?["id"]?.numberText)
            func token(_ password: String) async throws -> String {
                let answer = try await login(client, #"{"username":"plain","password":"\#(password)"}"#)
                return try #require(answer.json["data"]?["access_token"]?.stringValue)
            }
            func change(_ body: String) async throws -> Int {
                try await client.call(.put, "/api/user/\(id)", token: TestGateway.adminToken, body: body).status
            }
            let old = try await token("password-1")
            #expect(try await change(#"{"password":"password-2"}"#) == 200)
            #expect(try await client.call(.get, "/api/user/self", token: old).status == 401)
            let newer = try await token("password-2")
            #expect(try await change(#"{"status":2}"#) == 200)
            #expect(try await change(#"{"status":1}"#) == 200)
            #expect(try await client.call(.get, "/api/user/self", token: newer).status == 401)
        }
    }

    @Test("audit 17: a session ends without use, and in any case in time")
    func limits() async throws {
        try await TestGateway.with { gateway, _ in
            let start: Int64 = 1_800_000_000
            func sessions(at seconds: Int64) -> Sessions {
                var settings = GatewayConfiguration.Sessions()
                settings.idle = .seconds(3_600)
                settings.lifetime = .seconds(7_200)
                let clock = ServerClock(wall: { (start + seconds, 0) }, monotonic: { MonotonicInstant(nanoseconds: 0) })
                return Sessions(settings, store: gateway.gateway.parts.store, clock: clock)
            }
            let root = try #require(try await gateway.gateway.parts.store.user(id: 1))
            let hash = try #require(try await gateway.gateway.parts.store.userForLogin(username: root.username)?.passwordHash)
            let idle = try #require(try await sessions(at: 0).begin(of: root, verified: hash, clientIP: "", userAgent: ""))
            let used = try #require(
                try await sessions(at: 0).begin(
                    of: root, verified: hash, clientIP: "", userAgent: "a\u{0}b\u{7F}" + String(repeating: "c", count: 300)))
            #expect(try await sessions(at: 0).begin(of: root, verified: "another", clientIP: "", userAgent: "") == nil)
            #expect(idle.expiresAt == start + 7_200)
            #expect(try await sessions(at: 3_000).find(token: used.token)?.user.id == 1)
            #expect(try await sessions(at: 3_600).find(token: idle.token) == nil)
            #expect(try await sessions(at: 6_000).find(token: used.token)?.user.id == 1)
            #expect(try await sessions(at: 7_200).find(token: used.token) == nil)
            let rows = try await gateway.gateway.parts.store.accessTokens(userID: 1, now: start, idleSince: start - 1)
            #expect(rows.contains { $0.userAgent == "ab" + String(repeating: "c", count: 198) })
        }
    }

    // MARK: Throttles

    @Test("audit 16: behind a proxy nobody locks root out")
    func throttlesBehindProxy() async throws {
        try await TestGateway.with({ $0.server.trustedProxies = Self.loopback }) { gateway, client in
            func from(
                _ address: String, _ body: String = Self.rootLogin, cookie: String? = nil
            ) async throws
                -> (status: Int, headers: HTTPFields, json: JSONValue)
            {
                var headers: HTTPFields = [Self.forwardedFor: address]
                if let cookie { headers[.cookie] = cookie }
                return try await login(client, body, headers)
            }
            let wrong = #"{"username":"root","password":"a-wrong-password"}"#
            let known = try await from("192.0.2.1")
            #expect(known.status == 200)
            let device = try #require(cookie(known, "apirouter_device"))
            // One guesser is slowed down, from the whole of their /64, and nobody else is.
            var last = try await from("2001:db8:1:2::1", wrong)
            for number in 2...30 where last.status == 401 { last = try await from("2001:db8:1:2::\(number)", wrong) }
            #expect(last.status == 429 && last.headers[.retryAfter] != nil, "\(last.json.text)")
            #expect(try await from("2001:db8:1:3::1").status == 200)
            // Guessers from everywhere use the name up, for strangers.
            let program = gateway.gateway
            // Once more before each look: on a busy machine the name gets a try back meanwhile.
            func useUp() {
                for _ in 0..<100 { _ = program.parts.doors.throttle.begin([.name("root")], now: program.options.clock.monotonic) }
            }
            useUp()
            #expect(try await from("198.51.100.1").status == 429)
            useUp()
            #expect(try await from("198.51.100.1", #"{"username":"ROOT","password":"x"}"#).status == 429)
            #expect(try await from("192.0.2.1").status == 200)
            #expect(try await from("198.51.100.1", cookie: device).status == 200)
            // From now on that address is known too.
            #expect(try await from("198.51.100.1").status == 200)
            // A mark of another user is none.
            _ = try await client.call(
                .post, "/api/user", token: TestGateway.adminToken, body: #"{"username":"other","password":"password-1"}"#)
            let other = try #require(
                cookie(try await from("192.0.2.9", #"{"username":"other","password":"password-1"}"#), "apirouter_device"))
            useUp()
            #expect(try await from("198.51.100.77", cookie: other).status == 429)
        }
    }

    @Test("audit 16: a name that does not exist is throttled like one that does")
    func unknownNames() async throws {
        try await TestGateway.with({ $0.server.trustedProxies = Self.loopback }) { gateway, client in
            let parts = gateway.gateway.parts
            for _ in 0..<100 { _ = parts.doors.throttle.begin([.name("nobody")], now: gateway.gateway.options.clock.monotonic) }
            let place: HTTPFields = [Self.forwardedFor: "192.0.2.1"]
            let throttled = try await login(client, #"{"username":"Nobody","password":"x"}"#, place)
            let other = try await login(client, #"{"username":"somebody","password":"x"}"#, place)
            #expect(throttled.status == 429 && other.status == 401)
        }
    }

    @Test("audit 16: registrations of one address are bounded")
    func registrations() async throws {
        try await TestGateway.with({
            $0.server.registration = true
            $0.server.trustedProxies = Self.loopback
        }) { _, client in
            var statuses: [Int] = []
            for number in 0..<6 {
                let answer = try await client.call(
                    .post, "/api/user/register", body: #"{"username":"new-\#(number)","password":"password-1"}"#,
                    headers: [Self.forwardedFor: "203.0.113.5"])
                statuses.append(answer.status)
            }
            #expect(statuses == [200, 200, 200, 200, 200, 429])
            let form = try await client.call(
                .post, "/api/user/register", body: "username=x", headers: [.contentType: "application/x-www-form-urlencoded"])
            #expect(form.status == 415)
        }
    }
}
