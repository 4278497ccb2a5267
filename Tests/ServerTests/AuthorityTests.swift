import Config
import HTTPTypes
import HummingbirdTesting
import Logging
import RouterCore
import Storage
import Synchronization
import Testing

@testable import Gateway
@testable import GatewayState
@testable import Platform
@testable import Server

/// Who may move whose money, and what is left on record of it.
@Suite(.serialized, .timeLimit(.minutes(10))) struct AuthorityTests {
    private typealias Answer = (status: Int, headers: HTTPFields, json: JSONValue)

    /// Root has the id 1.
    private struct People {
        var tokens: [String: String] = ["root": TestGateway.adminToken]
        var ids: [String: Int64] = ["root": 1]
        /// An API key of each.
        var keys: [String: Int64] = [:]
    }

    private func people(_ gateway: TestGateway, _ client: any TestClientProtocol) async throws -> People {
        var people = People()
        for (name, role) in [("admin", 10), ("peer", 10), ("user", 1)] {
            let made = try await client.call(
                .post, "/api/user", token: TestGateway.adminToken,
                body: "{\"username\":\"\(name)\",\"password\":\"password-1\",\"role\":\(role)}")
            people.ids[name] = try #require(made.json["data"]?["id"]?.integerValue)
        }
        let login = try await client.call(
            .post, "/api/user/login", body: #"{"username":"admin","password":"password-1"}"#)
        people.tokens["admin"] = try #require(login.json["data"]?["access_token"]?.stringValue)
        let store = gateway.gateway.parts.store
        for (name, id) in people.ids {
            let token = TokenSecrets.newKeyToken(userID: id, name: "k", key: TokenSecrets.newKey(), createdAt: 1)
            people.keys[name] = try await store.createToken(token).id
        }
        return people
    }

    private func charge(_ number: Int, _ user: Int64) -> RequestRecord {
        RequestRecord(
            requestID: RequestID(bits: UInt128(number)), userID: user, tokenID: nil, channelID: 1, provider: "p",
            model: "m",
            upstreamModel: "m", endpoint: .chat, usage: Usage(uncachedInput: 3, output: 2), usageSource: .upstream,
            charge: NanoUSD(nanos: 1_000_000), pricingVersion: 0, outcome: .completed, status: 200, isStream: false,
            attempts: 1,
            latencyMilliseconds: 1, clientIP: "", createdAt: 100)
    }

    private struct MoneyCall: Sendable {
        var name: String
        /// What an admin may do to the own account.
        var isOwn = false
        var make: @Sendable (_ user: Int64, _ key: Int64, _ charge: String) -> (HTTPRequest.Method, String, String)
    }

    /// Every call that moves money or bounds what may be spent.
    private static let calls = [
        MoneyCall(name: "credit") { user, _, _ in
            (.post, "/api/balance/admin/add", "{\"user_id\":\(user),\"amount\":1}")
        },
        MoneyCall(name: "debit") { user, _, _ in
            (.post, "/api/balance/admin/add", "{\"user_id\":\(user),\"amount\":-1}")
        },
        MoneyCall(name: "refund") { _, _, charge in
            (.post, "/api/balance/admin/refund", "{\"reference_id\":\"\(charge)\"}")
        },
        MoneyCall(name: "gift") { user, _, _ in (.post, "/api/credit", "{\"account_id\":\(user),\"amount\":1}") },
        MoneyCall(name: "group by level") { user, _, _ in (.put, "/api/user/\(user)", #"{"group_follows_levels":true}"#) },
        MoneyCall(name: "limits of the user") { user, _, _ in
            (.put, "/api/user/\(user)", #"{"limits":{"budget":{"day":5}}}"#)
        },
        MoneyCall(name: "group") { user, _, _ in (.put, "/api/user/\(user)", #"{"group":"cheap"}"#) },
        MoneyCall(name: "limits of a key", isOwn: true) { _, key, _ in
            (.put, "/api/token/\(key)", #"{"limits":{"budget":{"day":5}}}"#)
        },
    ]

    @Test("audit 15: an admin moves money of those below only, root everybody's", arguments: ["admin", "root"])
    func authority(_ actor: String) async throws {
        try await TestGateway.with({ $0.groups["cheap"] = .one }) { gateway, client in
            let people = try await people(gateway, client)
            let store = gateway.gateway.parts.store
            var number = 1
            for (target, id) in people.ids.sorted(by: { $0.value < $1.value }) {
                for call in Self.calls {
                    number += 1
                    _ = try await store.post([charge(number, id)], holder: nil)
                    let before = try await store.user(id: id)
                    let rows = try await store.auditRows(PageRequest()).total
                    let (method, path, body) = call.make(
                        id, people.keys[target] ?? 0, RequestID(bits: UInt128(number)).description)
                    let answer = try await client.call(method, path, token: people.tokens[actor], body: body)
                    let isAllowed = actor == "root" || target == "user" || (target == actor && call.isOwn)
                    let label = "\(actor): \(call.name) of \(target): \(answer.status) \(answer.json.text)"
                    #expect(answer.status == (isAllowed ? 200 : 403), "\(label)")
                    let written = try await store.auditRows(PageRequest()).total - rows
                    #expect(written == (isAllowed ? 1 : 0), "\(label)")
                    guard !isAllowed else { continue }
                    #expect(answer.json["message"]?.stringValue?.isEmpty == false, "\(label)")
                    #expect(try await store.user(id: id) == before, "\(label)")
                }
            }
            #expect(try await store.verify().differences == [])
        }
    }

    @Test("audit 15: nobody raises their own role, limits or group, and nobody their own peers")
    func ownRights() async throws {
        try await TestGateway.with({ $0.groups["cheap"] = .one }) { gateway, client in
            let people = try await people(gateway, client)
            let admin = people.tokens["admin"]
            for (id, body) in [
                (2, #"{"role":100}"#), (2, #"{"role":1}"#), (2, #"{"limits":{}}"#), (2, #"{"group":"cheap"}"#),
                (2, #"{"status":2}"#),
                (3, #"{"role":1}"#), (3, #"{"password":"password-2"}"#), (3, #"{"status":2}"#),
                (1, #"{"group":"cheap"}"#),
                (4, #"{"role":10}"#), (4, #"{"role":100}"#),
            ] {
                let answer = try await client.call(.put, "/api/user/\(id)", token: admin, body: body)
                #expect(answer.status == 403, "\(id) \(body) \(answer.json.text)")
            }
            // The same group again is no change, and a page sends whole forms.
            #expect(
                try await client.call(.put, "/api/user/2", token: admin, body: #"{"group":"default","email":"a@b"}"#)
                    .status == 200)
        }
    }

    @Test("audit 7: Idempotency-Key and reference_id name one operation")
    func keys() async throws {
        try await TestGateway.with { gateway, client in
            let people = try await people(gateway, client)
            let store = gateway.gateway.parts.store
            let name = try #require(HTTPField.Name("Idempotency-Key"))
            let user = people.ids["user"] ?? 0
            func add(_ amount: String, _ key: String? = nil, reference: String? = nil) async throws -> Answer {
                var headers = HTTPFields()
                headers[name] = key
                let more = reference.map { ",\"reference_id\":\"\($0)\"" } ?? ""
                return try await client.call(
                    .post, "/api/balance/admin/add", token: TestGateway.adminToken,
                    body: "{\"user_id\":\(user),\"amount\":\(amount)\(more)}",
                    headers: headers)
            }
            let first = try await add("5", "a b:1")
            #expect(first.status == 200 && first.json["data"]?["repeated"]?.boolValue == false, "\(first.json.text)")
            #expect(first.json["data"]?["reference_id"]?.stringValue == "a b:1")
            for again in [
                try await add("5.0", "a b:1"), try await add("5", "\"a b:1\""), try await add("5", reference: "a b:1"),
                try await add("5", "a b:1", reference: "a b:1"),
            ] {
                #expect(again.status == 200 && again.json["data"]?["repeated"]?.boolValue == true, "\(again.json.text)")
                #expect(again.json["data"]?["id"] == first.json["data"]?["id"])
            }
            let other = try await add("6", "a b:1")
            #expect(
                other.status == 409
                    && other.json["message"]?.stringValue?.contains("the amount ($5, now $6) differs") == true,
                "\(other.json.text)")
            #expect(try await add("-5", "a b:1").status == 409)
            #expect(try await add("5", "x", reference: "y").status == 400)
            for bad in ["", " x", "x:reconciled", String(repeating: "x", count: 101), "\"\""] {
                #expect(
                    try await add("5", reference: bad.replacing("\"", with: "\\\"")).status
                        == (bad == "\"\"" ? 200 : 400), "\(bad)")
            }
            for bad in ["x:reconciled", String(repeating: "x", count: 101), "\"\"", "\u{FC}"] {
                #expect(try await add("5", bad).status == 400, "\(bad)")
            }
            // Without a name each call is another.
            #expect(try await add("1").json["data"]?["id"] != (try await add("1").json["data"]?["id"]))
            #expect(try await store.user(id: user)?.balance == NanoUSD(usd: "12"))

            _ = try await store.post([charge(1, user), charge(2, user)], holder: nil)
            func refund(_ bits: UInt128, _ key: String) async throws -> Answer {
                try await client.call(
                    .post, "/api/balance/admin/refund", token: TestGateway.adminToken,
                    body: "{\"reference_id\":\"\(RequestID(bits: bits))\"}", headers: [name: key])
            }
            #expect(try await refund(1, "a b:1").status == 409)
            #expect(try await refund(1, "r1").json["data"]?["repeated"]?.boolValue == false)
            #expect(try await refund(1, "r1").json["data"]?["repeated"]?.boolValue == true)
            #expect(try await refund(2, "r1").status == 409)
            #expect(try await store.verify().differences == [])
        }
    }

    @Test("audit 7: every management change is on record, without secrets, and logins are")
    func onRecord() async throws {
        try await TestGateway.with { gateway, client in
            let root = TestGateway.adminToken
            func call(
                _ method: HTTPRequest.Method, _ path: String, _ body: String? = nil, _ token: String? = nil
            )
                async throws -> JSONValue
            {
                let answer = try await client.call(method, path, token: token ?? root, body: body)
                #expect(answer.status == 200, "\(path) \(answer.json.text)")
                return answer.json["data"] ?? .null
            }
            _ = try await call(.post, "/api/user", #"{"username":"ann","password":"secret-of-ann"}"#)
            _ = try await call(.put, "/api/user/2", #"{"password":"secret-of-ann-2","display_name":"secret-name"}"#)
            let login = try await call(.post, "/api/user/login", #"{"username":"ann","password":"secret-of-ann-2"}"#)
            let own = login["access_token"]?.stringValue ?? ""
            let key = try await call(.post, "/api/token", #"{"name":"secret-name"}"#, own)
            _ = try await call(.put, "/api/token/\(key["id"]?.numberText ?? "")", #"{"status":2}"#)
            _ = try await call(.delete, "/api/token/\(key["id"]?.numberText ?? "")", nil, own)
            _ = try await call(
                .put, "/api/models/pricing", #"{"model_name":"m","pricing_input":1e-6,"pricing_output":1e-6}"#)
            _ = try await call(.post, "/api/channel/1/disable")
            _ = try await call(.post, "/api/channel/1/enable")
            _ = try await call(.post, "/api/config/reload")
            _ = try await call(
                .post, "/api/balance/admin/add", #"{"user_id":2,"amount":1,"description":"secret-text"}"#)
            let wrong = try await client.call(
                .post, "/api/user/login", body: #"{"username":"ann","password":"secret-wrong"}"#)
            let nobody = try await client.call(
                .post, "/api/user/login", body: #"{"username":"secret-in-the-wrong-field","password":"x"}"#)
            #expect(wrong.status == 401 && nobody.status == 401)
            _ = try await call(.delete, "/api/user/2")
            let rows = try await gateway.gateway.parts.store.auditRows(PageRequest(page: 1, size: 100)).items
                .reversed()
            #expect(
                rows.map(\.action) == [
                    "bootstrap.root", "bootstrap.access_token", "bootstrap.key", "user.create", "user.change",
                    "user.login", "token.create",
                    "token.change", "token.delete", "pricing.change", "channel.disabled", "channel.on", "config.reload",
                    "balance.add",
                    "user.login_failed", "user.login_failed", "user.delete",
                ])
            #expect(rows.map(\.actorID) == [nil, nil, nil, 1, 1, 2, 2, 1, 2, 1, 1, 1, 1, 1, nil, nil, 1])
            let text = rows.map(\.detail).joined(separator: "\n")
            #expect(
                !text.contains("secret") && !text.contains(own) && !text.contains(key["key"]?.stringValue ?? "-"),
                "\(text)")
            let read = try await call(.get, "/api/audit?page_size=2")
            #expect(
                read["items"]?.arrayValue?.map { $0["action"]?.stringValue } == ["user.delete", "user.login_failed"],
                "\(read.text)")
            #expect(
                read["items"]?.arrayValue?.first?["detail"]?["user_id"]?.integerValue == 2
                    && read["total"]?.integerValue == 17)
            #expect(
                text.contains(#""user_id":2,"address":"#) && text.contains("wrong password")
                    && text.contains("unknown user"), "\(text)")
        }
    }

    /// A clock that stands where it is put.
    private final class Wall: Sendable {
        private let seconds = Mutex<Int64>(1_000)
        func move(_ by: Int64) { seconds.withLock { $0 += by } }
        var clock: ServerClock {
            ServerClock(wall: { (self.seconds.withLock { $0 }, 0) }, monotonic: { MonotonicInstant(nanoseconds: 0) })
        }
    }

    @Test("audit 7: a flood of failed logins is counted, not written down")
    func flood() async throws {
        try await TestGateway.with { gateway, _ in
            let store = gateway.gateway.parts.store
            let wall = Wall()
            let logins = LoginRecords(store: store, clock: wall.clock, logger: Logger(label: "test"))
            let root = try #require(try await store.user(id: 1))
            let before = try await store.auditRows(PageRequest()).total
            for number in 0..<5_000 {
                await logins.failed(nil, isDisabled: false, address: "10.0.\(number / 250).\(number % 250)")
            }
            for _ in 0..<50 { await logins.failed(nil, isDisabled: false, address: "10.0.0.3") }
            #expect(try await store.auditRows(PageRequest()).total - before == Int64(LoginRecords.maximumSources))
            await logins.flush(all: false)
            #expect(
                try await store.auditRows(PageRequest()).total - before == Int64(LoginRecords.maximumSources),
                "the window is open")
            wall.move(LoginRecords.windowSeconds)
            await logins.flush(all: false)
            await logins.flush(all: false)
            let summary = try #require(try await store.auditRows(PageRequest(page: 1, size: 1)).items.first)
            #expect(
                summary.action == "user.logins_failed" && summary.detail.contains(#""others":4980"#),
                "\(summary.detail)")
            #expect(
                summary.detail.contains(#""address":"10.0.0.3","reason":"unknown user","further":50"#),
                "\(summary.detail)")
            #expect(try await store.auditRows(PageRequest()).total - before == Int64(LoginRecords.maximumSources) + 1)
            // A new window has room for first ones again; a single failure needs no summary.
            await logins.failed(root, isDisabled: true, address: "10.0.0.3")
            await logins.flush(all: true)
            let last = try #require(try await store.auditRows(PageRequest(page: 1, size: 1)).items.first)
            #expect(
                last.action == "user.login_failed"
                    && last.detail == #"{"user_id":1,"address":"10.0.0.3","reason":"disabled user"}"#)
        }
    }
}
