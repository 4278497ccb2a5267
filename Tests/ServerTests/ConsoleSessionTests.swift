import Foundation
import HTTPTypes
import HummingbirdTesting
import Metering
import NIOCore
import RouterCore
import Storage
import Synchronization
import Testing

@testable import GatewayState
@testable import Platform
@testable import Server

/// The page's sessions: a login without a token, the password again, and the playground.
@Suite(.serialized, .timeLimit(.minutes(10))) struct ConsoleSessionTests {
    /// The system's clock, which a test moves on.
    private final class MovedClock: Sendable {
        let offset = Mutex<Int64>(0)
        func move(_ seconds: Int64) { offset.withLock { $0 += seconds } }
        var clock: ServerClock {
            ServerClock(
                wall: { [self] in (ServerClock.system.unixSeconds + offset.withLock { $0 }, 0) },
                monotonic: { [self] in ServerClock.system.monotonic.advanced(by: .seconds(offset.withLock { $0 })) })
        }
    }

    typealias Answer = (status: Int, headers: HTTPFields, json: JSONValue)

    /// A page in a browser: the cookie, and what a browser says of its site.
    private struct Page: Sendable {
        let client: any TestClientProtocol
        var cookie: String

        func call(
            _ method: HTTPRequest.Method, _ path: String, _ body: String? = nil, _ more: HTTPFields = [:]
        ) async throws -> Answer {
            var headers: HTTPFields = [.cookie: cookie, .contentType: "application/json", HTTPField.Name("Sec-Fetch-Site")!: "same-origin"]
            for field in more { headers[field.name] = field.value }
            return try await client.call(method, path, body: body, headers: headers)
        }

        func open() async throws -> Int { try await call(.post, "/api/playground/open").status }

        func chat(_ text: String = "hi", _ more: HTTPFields = [:]) async throws -> Answer {
            let body = #"{"model":"demo/echo","messages":[{"role":"user","content":"\#(text)"}]}"#
            return try await call(.post, "/api/playground/chat/completions", body, more)
        }
    }

    private func login(
        _ client: any TestClientProtocol, _ name: String = "root", _ password: String = "the-root-password"
    ) async throws -> Page {
        let answer = try await client.call(
            .post, "/api/user/login", body: #"{"username":"\#(name)","password":"\#(password)","session":true}"#)
        try #require(answer.status == 200, "\(answer.json.text)")
        #expect(answer.json["data"]?["access_token"] == nil && answer.json["data"]?["expires_at"] != nil, "\(answer.json.text)")
        let set = try #require(answer.headers[values: .setCookie].first { $0.hasPrefix("apirouter_session=") })
        #expect(set.contains("HttpOnly") && set.contains("SameSite=Strict"))
        return Page(client: client, cookie: String(set.prefix { $0 != ";" }))
    }

    private func make(_ client: any TestClientProtocol, _ name: String, role: Int = 1, usd: String? = nil) async throws -> Int64 {
        let made = try await client.call(
            .post, "/api/user", token: TestGateway.adminToken,
            body: #"{"username":"\#(name)","password":"a-long-password","role":\#(role)}"#)
        let id = try #require(made.json["data"]?["id"]?.integerValue, "\(made.json.text)")
        if let usd {
            let added = try await client.call(
                .post, "/api/balance/admin/add", token: TestGateway.adminToken, body: #"{"user_id":\#(id),"amount":\#(usd)}"#)
            try #require(added.status == 200, "\(added.json.text)")
        }
        return id
    }

    // MARK: Fresh logins

    @Test func `what gives accounts away wants the password again from an old session, and only there`() async throws {
        let time = MovedClock()
        try await TestGateway.with(clock: time.clock) { _, client in
            let user = try await make(client, "alice")
            let page = try await login(client)
            let calls: [(HTTPRequest.Method, String, String)] = [
                (.put, "/api/user/\(user)", #"{"role":10}"#), (.put, "/api/user/\(user)", #"{"password":"another-password"}"#),
                (.post, "/api/user", #"{"username":"boss","password":"a-long-password","role":10}"#),
                (.post, "/api/token", #"{"name":"manager","management":true}"#), (.delete, "/api/user/\(user)", ""),
            ]
            time.move(FreshLogin.seconds + 1)
            for (method, path, body) in calls {
                let old = try await page.call(method, path, body.isEmpty ? nil : body)
                #expect(old.status == 403 && old.json["code"]?.stringValue == "password_again", "\(method) \(path): \(old.json.text)")
            }
            // Everything else goes on, and programs are not asked.
            #expect(try await page.call(.put, "/api/user/\(user)", #"{"display_name":"Alice"}"#).status == 200)
            #expect(try await page.call(.post, "/api/token", #"{"name":"plain"}"#).status == 200)
            let program = try await client.call(.put, "/api/user/\(user)", token: TestGateway.adminToken, body: #"{"role":10}"#)
            #expect(program.status == 200, "\(program.json.text)")
            // A login is enough; the session that it begins is asked again in five minutes.
            let fresh = try await login(client)
            time.move(FreshLogin.seconds - 10)
            for (method, path, body) in calls {
                let answer = try await fresh.call(method, path, body.isEmpty ? nil : body)
                #expect(answer.status == 200, "\(method) \(path): \(answer.json.text)")
            }
            #expect(try await page.call(.get, "/api/user/self").status == 200)
        }
    }

    @Test func `a channel's key goes to another vendor after a fresh login only`() async throws {
        let time = MovedClock()
        try await TestGateway.with(clock: time.clock) { _, client in
            let made = try await client.call(
                .post, "/api/channel", token: TestGateway.adminToken, body: #"{"name":"x","provider":"openrouter","models":["*"]}"#)
            let id = try #require(made.json["data"]?["id"]?.integerValue, "\(made.json.text)")
            let page = try await login(client)
            time.move(FreshLogin.seconds + 1)
            for body in [#"{"provider":"openai"}"#, #"{"keys":["sk-new"]}"#, #"{"keys":null}"#, #"{"base_url":"http://127.0.0.1:1"}"#] {
                let old = try await page.call(.put, "/api/channel/\(id)", body)
                #expect(old.status == 403 && old.json["code"] == "password_again", "\(body): \(old.json.text)")
            }
            #expect(try await page.call(.put, "/api/channel/\(id)", #"{"weight":3,"provider":"openrouter"}"#).status == 200)
            let fresh = try await login(client).call(.put, "/api/channel/\(id)", #"{"provider":"openai"}"#)
            #expect(fresh.status == 200, "\(fresh.json.text)")
        }
    }

    // MARK: Codes

    @Test func `errors have codes that do not change, and say what a translation needs`() async throws {
        try await TestGateway.with { _, client in
            let user = try await make(client, "alice")
            let page = try await login(client)
            let alice = try await login(client, "alice", "a-long-password")
            func error(_ answer: Answer) -> String {
                #expect(answer.json["success"]?.boolValue == false && answer.json["data"] == .null, "\(answer.json.text)")
                return "\(answer.status) \(answer.json["code"]?.stringValue ?? "none") \(answer.json["details"]?.text ?? "")"
            }
            let username = #"{"field":"username","expected":["string","max_bytes:200"]}"#
            let long = String(repeating: "x", count: 201)
            let tokens = TestGateway.adminToken
            let cases: [(Answer, String)] = [
                (try await client.call(.get, "/api/user/self"), "401 not_logged_in "),
                (try await client.call(.get, "/api/nothing"), "404 not_found "),
                (try await client.call(.delete, "/api/status"), "405 method_not_allowed "),
                (try await alice.call(.get, "/api/user"), #"403 role_too_low {"role":10}"#),
                (try await alice.call(.get, "/api/audit"), #"403 role_too_low {"role":100}"#),
                (try await client.call(.get, "/api/user/77", token: tokens), "404 not_found "),
                (
                    try await client.call(.post, "/api/user", token: tokens, body: #"{"username":"\#(long)","password":"x"}"#),
                    "400 invalid_field \(username)"
                ),
                (
                    try await client.call(.post, "/api/user", token: tokens, body: #"{"username":"Alice","password":"a-long-password"}"#),
                    "409 username_taken "
                ), (try await client.call(.post, "/api/user", token: tokens, body: "["), "400 invalid_json "),
                (try await page.call(.delete, "/api/user/1"), "403 own_account "),
                (
                    try await client.call(.post, "/api/user/login", body: #"{"username":"alice","password":"wrong"}"#),
                    "401 wrong_credentials "
                ), (try await page.call(.put, "/api/user/self", #"{"old_password":"wrong"}"#), "403 wrong_password "),
                (
                    try await client.call(.post, "/api/user/register", body: #"{"username":"x","password":"y"}"#),
                    "403 registration_closed "
                ), (try await page.call(.put, "/api/user/\(user)", "{}", [.origin: "https://evil.example"]), "403 other_site "),
                (try await page.call(.put, "/api/user/\(user)", "{}", [.contentType: "text/plain"]), "415 unsupported_media_type "),
                (try await page.call(.post, "/api/channel/1000/enable"), "409 channel_off "),
                (
                    try await page.call(.get, "/api/log?page_size=1000"),
                    #"400 invalid_field {"field":"page_size","expected":["integer","min:1","max:100"]}"#
                ),
            ]
            for (answer, expected) in cases { #expect(error(answer) == expected, "\(answer.json.text)") }
            let unknown = try await page.call(.put, "/api/user/\(user)", #"{"surprise":1}"#)
            #expect(unknown.json["details"]?["field"]?.stringValue == "surprise" && unknown.json["code"]?.stringValue == "invalid_field")
            // A try that is looked at too early.
            var last = unknown
            for _ in 0..<40 where last.status != 429 {
                last = try await client.call(.post, "/api/user/login", body: #"{"username":"nobody","password":"wrong"}"#)
            }
            #expect(error(last) == "429 login_throttled " && last.headers[.retryAfter] != nil)
        }
    }

    @Test func `every code is lower case, and stands for one thing`() {
        for code in ManagementCode.allCases {
            #expect(code.rawValue.wholeMatch(of: /[a-z]+(_[a-z]+)*/) != nil && !code.meaning.isEmpty, "\(code)")
        }
        #expect(ManagementCode(.contentTooLarge) == .tooLarge && ManagementCode(.requestTimeout) == .timeout)
        #expect(ManagementCode(.serviceUnavailable) == .unavailable && ManagementCode(.internalServerError) == .internal)
        #expect(Set(ManagementCode.allCases.map(\.meaning)).count == ManagementCode.allCases.count)
    }

    // MARK: The playground

    @Test func `a session that was opened calls models, and its user pays as for any other call`() async throws {
        try await TestGateway.with { gateway, client in
            let id = try await make(client, "alice", usd: "1")
            let page = try await login(client, "alice", "a-long-password")
            let early = try await page.chat()
            #expect(early.status == 401 && early.json["error"]?["code"]?.stringValue == "playground_closed", "\(early.json.text)")
            #expect(try await page.open() == 200)
            let answer = try await page.chat()
            #expect(answer.status == 200 && answer.json["usage"]?["cost"]?.numberText != nil, "\(answer.json.text)")
            #expect(answer.headers[.cacheControl] == "no-store" && answer.headers[.xContentTypeOptions] == "nosniff")
            let request = try #require(answer.headers[HTTPField.Name("X-Request-Id")!])
            try await gateway.gateway.parts.poster.drainOnce()
            let row = try await page.call(.get, "/api/log/self?request_id=\(request)").json["data"]?["items"]?.arrayValue?.first
            #expect(row?["token_id"] == .null && row?["user_id"]?.integerValue == id, "\(row?.text ?? "none")")
            let spent = try await page.call(.get, "/api/balance/transactions?type=usage").json["data"]
            #expect(spent?["total"]?.integerValue == 1 && spent?["items"]?.arrayValue?.first?["reference_id"]?.stringValue == request)
            // The same by a management token, and never as an API key.
            let other = try await client.call(.post, "/api/user/login", body: #"{"username":"alice","password":"a-long-password"}"#)
            let token = try #require(other.json["data"]?["access_token"]?.stringValue)
            let body = #"{"model":"demo/echo","messages":[{"role":"user","content":"hi"}]}"#
            let path = "/api/playground/chat/completions"
            #expect(try await client.call(.post, path, token: token, body: body).json["error"]?["code"]?.stringValue == "playground_closed")
            #expect(try await client.call(.post, "/api/playground/open", token: token).status == 200)
            #expect(try await client.call(.post, path, token: token, body: body).status == 200)
            #expect(try await client.call(.post, "/v1/chat/completions", token: token, body: body).status == 401)
            #expect(try await client.call(.post, path, token: TestGateway.rootKey, body: body).status == 401)
            #expect(try await client.call(.post, path, body: body).json["error"]?["code"]?.stringValue == "not_logged_in")
            #expect(try await client.call(.get, path, token: token).status == 405)
        }
    }

    @Test func `a stream comes in pieces and ends with its charge`() async throws {
        try await TestGateway.with { _, client in
            _ = try await make(client, "alice", usd: "1")
            let page = try await login(client, "alice", "a-long-password")
            #expect(try await page.open() == 200)
            let body =
                #"{"model":"demo/echo","stream":true,"stream_options":{"include_usage":true},"messages":[{"role":"user","content":"one two three"}]}"#
            let text = try await client.execute(
                uri: "/api/playground/chat/completions", method: .post,
                headers: [.cookie: page.cookie, .contentType: "application/json"], body: ByteBuffer(string: body)
            ) { answer in
                #expect(answer.headers[.contentType]?.hasPrefix("text/event-stream") == true)
                return String(buffer: answer.body)
            }
            #expect(text.contains("three") && text.contains("\"cost\":") && text.hasSuffix("data: [DONE]\n\n"), "\(text)")
        }
    }

    @Test func `another site's page spends nothing`() async throws {
        try await TestGateway.with { gateway, client in
            _ = try await make(client, "alice", usd: "1")
            let page = try await login(client, "alice", "a-long-password")
            #expect(try await page.open() == 200)
            for (headers, status, code) in [
                ([.origin: "https://evil.example"], 403, "other_site"), ([.origin: "null"], 403, "other_site"),
                ([HTTPField.Name("Sec-Fetch-Site")!: "cross-site"], 403, "other_site"),
                ([HTTPField.Name("Sec-Fetch-Site")!: "same-site"], 403, "other_site"),
                ([.contentType: "text/plain"], 415, "unsupported_media_type"),
            ] as [(HTTPFields, Int, String)] {
                let answer = try await page.chat("hi", headers)
                #expect(answer.status == status && answer.json["error"]?["code"]?.stringValue == code, "\(headers): \(answer.json.text)")
            }
            #expect(try await page.call(.post, "/api/playground/open", nil, [.origin: "https://evil.example"]).status == 403)
            try await gateway.gateway.parts.poster.drainOnce()
            #expect(try await page.call(.get, "/api/log/self").json["data"]?["total"]?.integerValue == 0)
            #expect(try await page.chat("hi", [.origin: "http://localhost"]).status == 200)
        }
    }

    @Test func `a session is closed with its time, with itself and with its user`() async throws {
        let time = MovedClock()
        try await TestGateway.with(clock: time.clock) { _, client in
            let id = try await make(client, "alice", usd: "1")
            func change(_ body: String) async throws -> Int {
                try await client.call(.put, "/api/user/\(id)", token: TestGateway.adminToken, body: body).status
            }
            let page = try await login(client, "alice", "a-long-password")
            let other = try await login(client, "alice", "a-long-password")
            func opened() async throws {
                #expect(try await page.open() == 200)
                #expect(try await other.open() == 200)
                #expect(try await page.chat().status == 200)
            }
            try await opened()
            time.move(PlaygroundHandlers.lifetime)
            #expect(try await page.chat().status == 401)
            // A change of the user closes both: what was allowed before may not be any more.
            try await opened()
            #expect(try await change(#"{"group":"default"}"#) == 200)
            #expect(try await page.chat().status == 401)
            #expect(try await other.chat().status == 401)
            // Its end closes the one session.
            try await opened()
            let own = try await other.call(.get, "/api/user/self/sessions").json["data"]?.arrayValue ?? []
            let first = try #require(own.first { $0["current"]?.boolValue == false }?["id"]?.stringValue)
            #expect(try await other.call(.delete, "/api/user/self/sessions/\(first)").status == 200)
            #expect(try await page.chat().status == 401)
            #expect(try await page.open() == 401)
            #expect(try await other.chat().status == 200)
            #expect(try await other.call(.post, "/api/user/logout").status == 200)
            #expect(try await other.chat().status == 401)
            #expect(try await other.open() == 401)
            // So does a new password, and so do the others' end and disabling.
            let third = try await login(client, "alice", "a-long-password")
            let fourth = try await login(client, "alice", "a-long-password")
            #expect(try await third.open() == 200)
            #expect(try await fourth.open() == 200)
            #expect(try await third.call(.delete, "/api/user/self/sessions").status == 200)
            #expect(try await third.chat().status == 200)
            #expect(try await fourth.chat().status == 401)
            #expect(try await change(#"{"password":"another-password"}"#) == 200)
            #expect(try await third.chat().status == 401)
            #expect(try await third.open() == 401)
            let fifth = try await login(client, "alice", "another-password")
            #expect(try await fifth.open() == 200)
            #expect(try await change(#"{"status":2}"#) == 200)
            #expect(try await fifth.chat().status == 401)
            #expect(try await fifth.open() == 401)
        }
    }

    @Test func `the user's limits, budgets and balance hold without a key`() async throws {
        try await TestGateway.with { gateway, client in
            let id = try await make(client, "alice")
            let page = try await login(client, "alice", "a-long-password")
            func limit(_ limits: String) async throws {
                let answer = try await client.call(
                    .put, "/api/user/\(id)", token: TestGateway.adminToken, body: #"{"limits":\#(limits)}"#)
                #expect(answer.status == 200, "\(answer.json.text)")
                #expect(try await page.open() == 200)
            }
            try await limit("{}")
            let poor = try await page.chat()
            #expect(poor.status == 402 && poor.json["error"]?["code"]?.stringValue == "insufficient_balance", "\(poor.json.text)")
            let added = try await client.call(
                .post, "/api/balance/admin/add", token: TestGateway.adminToken, body: #"{"user_id":\#(id),"amount":1}"#)
            #expect(added.status == 200)
            try await limit(#"{"budget":{"day":0.000000001}}"#)
            let over = try await page.chat()
            #expect(over.status == 429 && over.json["error"]?["code"]?.stringValue == "user_budget_exceeded", "\(over.json.text)")
            try await limit(#"{"rpm":1}"#)
            #expect(try await page.chat().status == 200)
            let limited = try await page.chat()
            #expect(limited.status == 429 && limited.json["error"]?["code"]?.stringValue == "rate_limit_exceeded", "\(limited.json.text)")
        }
    }

    @Test func `open sessions are bounded in number`() {
        var sessions = OpenSessions()
        func hash(_ number: Int) -> KeyHash { KeyHash(of: "session \(number)") }
        for number in 0..<OpenSessions.maximum {
            sessions.open(hash(number), userID: 1, accountID: nil, until: number < 10 ? 100 : 50, now: 10)
        }
        #expect(sessions.caller(hash(0), now: 99)?.userID == 1 && sessions.caller(hash(0), now: 100) == nil)
        // Those that have ended make room first.
        sessions.open(hash(-1), userID: 2, accountID: nil, until: 100, now: 60)
        #expect(sessions.caller(hash(0), now: 60)?.userID == 1 && sessions.caller(hash(-1), now: 60)?.userID == 2)
        for number in 0..<OpenSessions.maximum { sessions.open(hash(number), userID: 1, accountID: nil, until: 100, now: 60) }
        #expect(sessions.caller(hash(-1), now: 60) == nil)
        sessions.close(userID: 1, except: hash(OpenSessions.maximum - 1))
        #expect(sessions.caller(hash(OpenSessions.maximum - 1), now: 60)?.userID == 1 && sessions.caller(hash(5), now: 60) == nil)
    }
}
