import Config
import Foundation
import HTTPTypes
import Hummingbird
import HummingbirdTesting
import Logging
import NIOCore
import Platform
import RouterCore
import Simulator
import Storage
import Testing
import Transport

@testable import Gateway
@testable import GatewayState
@testable import Server

/// A whole gateway in this process, on a free port and a ledger of its own.
struct TestGateway: Sendable {
    static let root = URL(fileURLWithPath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
    static let adminToken = "at-0123456789-of-the-tests"
    static let rootKey = "sk-0123456789-of-the-tests"

    let gateway: GatewayProgram

    /// - Parameter file: another gateway.yaml than that of the repository.
    static func with(
        at file: String? = nil, _ change: (inout GatewayConfiguration) -> Void = { _ in }, environment more: [String: String] = [:],
        clock: ServerClock = .system,
        bodies: BodyMemory = BodyMemory(), limits: DoorLimits = DoorLimits(),
        _ body: @Sendable (TestGateway, any TestClientProtocol) async throws -> Void
    ) async throws {
        let data = FileManager.default.temporaryDirectory.appendingPathComponent("server-\(UUID().uuidString)")
        let own = [
            "DATA_DIR": data.path, "APIROUTER_SQL_DIR": root.appendingPathComponent("sql").path,
            "INITIAL_ROOT_PASSWORD": "the-root-password", "INITIAL_ROOT_ACCESS_TOKEN": adminToken, "INITIAL_ROOT_TOKEN": rootKey,
        ]
        let environment = own.merging(more) { _, new in new }
        let path = file ?? root.appendingPathComponent("config/gateway.yaml").path
        var configuration = try ConfigLoader(environment: environment).load(path: path)
        // A busy machine must not refuse for another reason than the test's.
        configuration.server.maxLag = .zero
        change(&configuration)
        var logger = Logger(label: "test")
        logger.logLevel = .critical
        let gateway = try await GatewayProgram.make(
            configuration, options: GatewayProgram.Options(configPath: path, environment: environment, version: "test", clock: clock),
            logger: logger)
        let application = gateway.frontDoor(bodies: bodies, limits: limits)
            .application(behind: gateway.router(), host: "127.0.0.1", port: 0, logger: logger)
        try await application.test(.live) { client in try await body(TestGateway(gateway: gateway), client) }
        await gateway.parts.transport.shutdown()
        try await gateway.parts.simulator?.stop()
        try await gateway.parts.journal.close()
        try await gateway.parts.store.close()
        try FileManager.default.removeItem(at: data)
    }
}

extension TestClientProtocol {
    func call(
        _ method: HTTPRequest.Method, _ path: String, token: String? = nil, body: String? = nil, headers: HTTPFields = [:]
    ) async throws -> (status: Int, headers: HTTPFields, json: JSONValue) {
        var headers = headers
        if let token { headers[.authorization] = "Bearer \(token)" }
        if body != nil, headers[.contentType] == nil { headers[.contentType] = "application/json" }
        return try await execute(uri: path, method: method, headers: headers, body: body.map { ByteBuffer(string: $0) }) { response in
            let isTable = response.headers[.contentType]?.hasPrefix("text/csv") == true
            let json = isTable ? .string(String(buffer: response.body)) : (try? JSONValue(parsing: response.body)) ?? .null
            return (response.status.code, response.headers, json)
        }
    }
}

@Suite(.serialized, .timeLimit(.minutes(10))) struct AccessTests {
    private func path(_ route: Route) -> String {
        route.path.replacingOccurrences(of: "**", with: "a/b").replacingOccurrences(of: "{hash}", with: String(repeating: "0", count: 64))
            .replacing(/\{[a-z_]+\}/, with: "1")
    }

    /// Routes that say themselves whether a login is needed.
    private static let open = ["/api/user/logout", "/metrics", "/api/stats/rankings", "/api/stats/model"]

    @Test func `every route refuses who may not call it`() async throws {
        try await TestGateway.with { gateway, client in
            let created = try await client.call(
                .post, "/api/user", token: TestGateway.adminToken, body: #"{"username":"plain","password":"password-1"}"#)
            #expect(created.status == 200, "\(created.json.text)")
            let login = try await client.call(.post, "/api/user/login", body: #"{"username":"plain","password":"password-1"}"#)
            let user = try #require(login.json["data"]?["access_token"]?.stringValue)
            let made = try await client.call(
                .post, "/api/token", token: TestGateway.adminToken, body: #"{"name":"manager","management":true}"#)
            let manager = try #require(made.json["data"]?["key"]?.stringValue)
            for route in GatewayRoutes.all where !Self.open.contains(route.path) {
                let anonymous = try await client.call(route.method, path(route), body: "{}")
                let wrong = try await client.call(route.method, path(route), token: "sk-wrong", body: "{}")
                let label = "\(route.method) \(route.path)"
                #expect(anonymous.headers[HTTPField.Name("X-Request-Id")!] != nil, "\(label)")
                switch route.access {
                case .open: #expect(anonymous.status != 401, "\(label)")
                case .apiKey, .managementKey, .anyKey:
                    #expect(anonymous.status == 401 && wrong.status == 401, "\(label)")
                    // Messages clients know types, not codes, and Google's a status.
                    let error = wrong.json["error"]
                    #expect(
                        error?["code"]?.stringValue == "invalid_api_key" || error?["type"]?.stringValue == "authentication_error"
                            || error?["status"]?.stringValue == "UNAUTHENTICATED"
                            || (error?["code"]?.integerValue == 401 && route.path.hasPrefix("/api/v1/")), "\(label)")
                    #expect(try await client.call(route.method, path(route), token: user, body: "{}").status == 401, "\(label)")
                    if route.access == .managementKey {
                        let plain = try await client.call(route.method, path(route), token: TestGateway.rootKey, body: "{}")
                        #expect(plain.status == 403 && plain.json.text.contains("management_key_required"), "\(label): \(plain.json.text)")
                    } else if route.access == .apiKey {
                        let refused = try await client.call(route.method, path(route), token: manager, body: "{}")
                        #expect(refused.status == 403, "\(label): \(refused.json.text)")
                    }
                case .user: #expect(anonymous.status == 401 && wrong.status == 401, "\(label)")
                case .admin, .root:
                    #expect(anonymous.status == 401 && wrong.status == 401, "\(label)")
                    #expect(try await client.call(route.method, path(route), token: user, body: "{}").status == 403, "\(label)")
                }
            }
        }
    }

    /// Who was found once is handed out again without a second look, until anything changes.
    @Test func `a key that was found ends with its time, its user, its row and its rights`() {
        let directory = KeyDirectory()
        var user = User(
            id: 7, username: "u", displayName: "", email: "", role: .user, status: .enabled, group: "default", balance: .zero, createdAt: 0)
        let key = TokenSecrets.newKey()
        var token = TokenSecrets.newKeyToken(userID: 7, name: "k", key: key, createdAt: 0)
        (token.id, token.expiresAt) = (3, 100)
        directory.load(users: [user], tokens: [token])
        func found(at now: Int64 = 50, _ key: String) -> KeyPrincipal? { try? directory.lookup(presentedKey: key, now: now).get() }
        #expect(found(key)?.tokenID == 3 && found(key)?.tokenID == 3 && found(key + "x") == nil)
        #expect(found(at: 99, key) != nil && found(at: 100, key) == nil && found(at: 50, key) != nil)
        token.models = ["m"]
        directory.upsert(token)
        #expect(found(key)?.models == ["m"])
        user.group = "vip"
        directory.upsert(user)
        #expect(found(key)?.group == "vip" && found(key)?.group == "vip")
        user.status = .disabled
        directory.upsert(user)
        #expect(found(key) == nil)
        user.status = .enabled
        directory.upsert(user)
        #expect(found(key) != nil && directory.touched()[3] == 50 && directory.touched().isEmpty)
        directory.remove(tokenID: 3)
        #expect(found(key) == nil)
        directory.upsert(token)
        #expect(found(key) != nil)
        directory.remove(userID: 7)
        #expect(found(key) == nil)
    }

    @Test func `the router has exactly the routes of the table`() async throws {
        try await TestGateway.with { gateway, _ in
            let served = Set(gateway.gateway.router().routes.map { "\($0.method.rawValue) \($0.path)" })
            let behind = GatewayRoutes.all.filter { if case .handler = $0.work { true } else { false } }
            let declared = Set(behind.map { "\($0.method.rawValue) \($0.path)" })
            let pages = Set(GatewayRoutes.pages.flatMap { page in PageRoute.methods.map { "\($0.rawValue) \(page.path)" } })
            #expect(served == declared.union(pages) && declared.count == behind.count)
        }
    }

    @Test func `errors have the shape of their area`() async throws {
        try await TestGateway.with { _, client in
            let unknown = try await client.call(.get, "/v1/nothing")
            #expect(unknown.status == 404 && unknown.json["error"]?["type"]?.stringValue == "invalid_request_error")
            let managed = try await client.call(.get, "/api/nothing")
            #expect(managed.status == 404 && managed.json["success"]?.boolValue == false)
            let method = try await client.call(.get, "/v1/chat/completions")
            #expect(method.status == 405 && method.headers[.allow] == "POST")
            let broken = try await client.call(.post, "/v1/chat/completions", token: TestGateway.rootKey, body: "{")
            #expect(broken.status == 400 && broken.json["error"]?["message"]?.stringValue?.contains("not a valid JSON object") == true)
            let poor = try await client.call(
                .post, "/v1/chat/completions", token: TestGateway.rootKey, body: #"{"model":"demo/echo","messages":[]}"#)
            #expect(poor.status == 402 && poor.json["error"]?["code"]?.stringValue == "insufficient_balance")
            #expect(poor.json["error"]?["message"]?.stringValue?.contains("$0 are available") == true, "\(poor.json.text)")
            let off = try await client.call(
                .post, "/v1/chat/completions", token: TestGateway.rootKey, body: #"{"model":"openai/gpt-4o","messages":[]}"#)
            #expect(off.status == 503 && off.json["error"]?["type"]?.stringValue == "upstream_error")
        }
    }

    @Test func `credits are exact, once per reference, and at once to be spent`() async throws {
        try await TestGateway.with { _, client in
            func add(_ body: String) async throws -> (status: Int, headers: HTTPFields, json: JSONValue) {
                try await client.call(.post, "/api/balance/admin/add", token: TestGateway.adminToken, body: body)
            }
            let first = try await add(#"{"user_id":1,"amount":10.000000001,"description":"d","reference_id":"r1"}"#)
            #expect(first.json["data"]?["amount"]?.numberText == "10.000000001")
            let again = try await add(#"{"user_id":1,"amount":"10.000000001","reference_id":"r1"}"#)
            #expect(again.json["data"]?["id"] == first.json["data"]?["id"])
            #expect(try await add(#"{"user_id":1,"amount":11,"reference_id":"r1"}"#).status == 409)
            #expect(try await add(#"{"user_id":77,"amount":1}"#).status == 404)
            for bad in [
                #"{"user_id":1,"amount":0}"#, #"{"user_id":1,"amount":0.0000000001}"#, #"{"user_id":"1","amount":1}"#,
                #"{"user_id":1,"amount":1,"x":2}"#, "[]", "", #"{"user_id":1}"#,
            ] {
                let answer = try await add(bad)
                #expect(answer.status == 400 && answer.json["success"]?.boolValue == false, "\(bad)")
            }
            let balance = try await client.call(.get, "/api/balance", token: TestGateway.adminToken)
            #expect(
                balance.json["data"]?.text
                    == #"{"user_id":1,"balance":10.000000001,"gifts":0,"held":0,"available":10.000000001,"quota":1000,"currency":"USD"}"#)
            let rows = try await client.call(.get, "/api/balance/transactions?type=recharge&page_size=1", token: TestGateway.adminToken)
            #expect(rows.json["data"]?["total"]?.integerValue == 1)
            #expect(try await client.call(.get, "/api/balance/transactions?type=gift", token: TestGateway.adminToken).status == 400)
            #expect(try await client.call(.get, "/api/balance/transactions?page_size=101", token: TestGateway.adminToken).status == 400)
            let correction = try await add(#"{"user_id":1,"amount":-0.5}"#)
            #expect(correction.json["data"]?["type"]?.stringValue == "adjustment")
        }
    }

    @Test func `prices are public, exact and changed at once`() async throws {
        try await TestGateway.with { gateway, client in
            let list = try await client.call(.get, "/api/models/pricing?provider=openrouter")
            // Names that an earlier file prices too are that vendor's while nobody uses either.
            let rows = gateway.gateway.parts.snapshots.snapshot.prices.all.filter { $0.provider == "openrouter" }
            #expect(rows.count > 300 && list.json["data"]?.arrayValue?.count == rows.count)
            let one = try await client.call(.get, "/api/models/pricing/openai/gpt-4o")
            #expect(one.json["data"]?["pricing_input"]?.numberText == "0.0000025")
            let changed = try await client.call(
                .put, "/api/models/pricing", token: TestGateway.adminToken,
                body: #"{"model_name":"openai/gpt-4o","pricing_input":0.00003,"pricing_output":6e-05}"#)
            #expect(changed.json["data"]?["pricing_input"]?.numberText == "0.00003")
            #expect(changed.json["data"]?["pricing_output"]?.numberText == "0.00006")
            #expect(gateway.gateway.parts.snapshots.snapshot.prices.row("openai/gpt-4o")?.isEdited == true)
            for bad in [
                #"{"model_name":"new"}"#, #"{"model_name":"openai/gpt-4o","pricing_input":-1}"#,
                #"{"model_name":"openai/gpt-4o","pricing_input":1e-17}"#, #"{"model_name":"openai/gpt-4o","price":1}"#,
            ] {
                #expect(
                    try await client.call(.put, "/api/models/pricing", token: TestGateway.adminToken, body: bad).status == 400, "\(bad)")
            }
            #expect(try await client.call(.get, "/api/models/pricing/no/such").status == 404)
        }
    }

    @Test func `keys are shown once, kept as hashes and end at once`() async throws {
        try await TestGateway.with { gateway, client in
            let made = try await client.call(
                .post, "/api/token", token: TestGateway.adminToken,
                body: #"{"name":"k","models":["demo/*"],"limits":{"allowed_ips":["10.0.0.0/8"]}}"#)
            let key = try #require(made.json["data"]?["key"]?.stringValue)
            #expect(key.hasPrefix("sk-") && key.count == 51)
            let listed = try await client.call(.get, "/api/token", token: TestGateway.adminToken)
            #expect(!listed.json.text.contains(key))
            let stored = try await gateway.gateway.parts.store.allTokens().first { $0.name == "k" }
            #expect(stored?.keyHash == TokenSecrets.hash(key))
            // The address is not in the list; the test client has none at all.
            #expect(try await client.call(.get, "/v1/models", token: key).status == 403)
            let id = made.json["data"]?["id"]?.numberText ?? ""
            _ = try await client.call(.put, "/api/token/\(id)", token: TestGateway.adminToken, body: #"{"limits":{}}"#)
            let models = try await client.call(.get, "/v1/models", token: key)
            #expect(models.status == 200 && models.json["data"]?.arrayValue?.count == 1)
            let other = try await client.call(.post, "/v1/chat/completions", token: key, body: #"{"model":"openai/gpt-4o","messages":[]}"#)
            #expect(other.status == 403 && other.json["error"]?["type"]?.stringValue == "permission_error")
            _ = try await client.call(.put, "/api/token/\(id)", token: TestGateway.adminToken, body: #"{"status":2}"#)
            #expect(try await client.call(.get, "/v1/models", token: key).status == 401)
            _ = try await client.call(.put, "/api/token/\(id)", token: TestGateway.adminToken, body: #"{"status":1,"expires_at":1}"#)
            #expect(try await client.call(.get, "/v1/models", token: key).status == 401)
            #expect(try await client.call(.delete, "/api/token/\(id)", token: TestGateway.adminToken).status == 200)
            #expect(try await client.call(.get, "/v1/models", token: key).status == 401)
            #expect(
                try await client.call(.post, "/api/token", token: TestGateway.adminToken, body: #"{"name":"x","limits":{"rpx":1}}"#).status
                    == 400)
        }
    }

    @Test func `roles rise only below one's own, and balances are no field`() async throws {
        try await TestGateway.with { _, client in
            func make(
                _ body: String, token: String = TestGateway.adminToken
            ) async throws -> (status: Int, headers: HTTPFields, json: JSONValue) {
                try await client.call(.post, "/api/user", token: token, body: body)
            }
            #expect(try await make(#"{"username":"boss","password":"password-1","role":10}"#).status == 200)
            #expect(try await make(#"{"username":"boss","password":"password-1"}"#).status == 409)
            let rich = try await make(#"{"username":"rich","password":"password-1","balance":5}"#)
            #expect(rich.status == 400 && rich.json["message"]?.stringValue?.contains("/api/balance/admin/add") == true)
            #expect(try await make(#"{"username":"x","password":"password-1"}"#).status == 400)
            #expect(try await make(#"{"username":"short","password":"1"}"#).status == 400)
            let login = try await client.call(.post, "/api/user/login", body: #"{"username":"boss","password":"password-1"}"#)
            let admin = try #require(login.json["data"]?["access_token"]?.stringValue)
            #expect(try await make(#"{"username":"peer","password":"password-1","role":10}"#, token: admin).status == 403)
            #expect(try await client.call(.put, "/api/user/1", token: admin, body: #"{"password":"hijacked-1"}"#).status == 403)
            #expect(try await client.call(.put, "/api/user/2", token: admin, body: #"{"role":100}"#).status == 403)
            #expect(try await client.call(.delete, "/api/user/1", token: admin).status == 403)
            let cookie = try #require(login.headers[.setCookie]?.split(separator: ";").first.map(String.init))
            #expect(login.headers[.setCookie]?.contains("HttpOnly") == true)
            #expect(try await client.call(.get, "/api/user/self", headers: [.cookie: cookie]).status == 200)
            let form: HTTPFields = [.cookie: cookie, .contentType: "application/x-www-form-urlencoded"]
            #expect(try await client.call(.post, "/api/token", body: #"{"name":"x"}"#, headers: form).status == 415)
            #expect(try await client.call(.post, "/api/user/logout", token: admin).status == 200)
            #expect(try await client.call(.get, "/api/user/self", token: admin).status == 401)
            #expect(try await client.call(.post, "/api/user/register", body: "{}").status == 403)
        }
    }

    @Test func `texts with U+0000 and endless lists of addresses are refused`() async throws {
        try await TestGateway.with { _, client in
            let login = try await client.call(.post, "/api/user/login", body: #"{"username":"root\u0000x","password":"guess-guess"}"#)
            #expect(login.status == 400 && login.json["message"]?.stringValue?.contains("without U+0000") == true, "\(login.json.text)")
            let many = Array(repeating: "\"10.0.0.1\"", count: 101).joined(separator: ",")
            let key = try await client.call(
                .post, "/api/token", token: TestGateway.adminToken, body: "{\"name\":\"k\",\"limits\":{\"allowed_ips\":[\(many)]}}")
            #expect(key.status == 400 && key.json["message"]?.stringValue?.contains("at most 100 addresses") == true, "\(key.json.text)")
        }
    }

    @Test func `address blocks`() {
        #expect(AddressRange("10.0.0.0/8")?.contains("10.200.3.4") == true)
        #expect(AddressRange("10.0.0.0/8")?.contains("11.0.0.1") == false)
        #expect(AddressRange("2001:db8::/32")?.contains("2001:db8:1::5") == true)
        #expect(AddressRange("127.0.0.1")?.contains("127.0.0.1") == true)
        // An IPv4 client of a socket for both kinds.
        #expect(AddressRange("10.0.0.0/8")?.contains("::ffff:10.1.2.3") == true)
        #expect(AddressRange("::ffff:10.1.2.3")?.contains("10.1.2.3") == true)
        for bad in ["", "10.0.0.0/33", "x", "10.0.0/8", "1.2.3.4/-1"] { #expect(AddressRange(bad) == nil) }
    }
}
