import Config
import Foundation
import HTTPTypes
import HummingbirdTesting
import Metering
import NIOCore
import Platform
import RouterCore
import Synchronization
import Testing

@testable import Server

/// Lists of keys and users over HTTP: what they find, and what they tell of money.
@Suite(.serialized, .timeLimit(.minutes(10))) struct AccountListTests {
    private func data(
        _ client: any TestClientProtocol, _ method: HTTPRequest.Method, _ path: String, _ body: String? = nil,
        token: String = TestGateway.adminToken
    ) async throws -> JSONValue {
        let answer = try await client.call(method, path, token: token, body: body)
        try #require(answer.status == 200, "\(method) \(path): \(answer.json.text)")
        return answer.json["data"] ?? .null
    }

    private func names(_ client: any TestClientProtocol, _ path: String, _ field: String) async throws -> [String] {
        try await data(client, .get, path)["items"]?.arrayValue?.compactMap { $0[field]?.stringValue } ?? []
    }

    private func chat(_ client: any TestClientProtocol, _ key: String) async throws -> Int {
        try await client.call(
            .post, "/v1/chat/completions", token: key, body: #"{"model":"demo/echo","messages":[{"role":"user","content":"hi"}]}"#
        ).status
    }

    @Test func `keys tell what was spent and what is left, and are found by name`() async throws {
        try await TestGateway.with { gateway, client in
            _ = try await data(client, .post, "/api/balance/admin/add", #"{"user_id":1,"amount":1}"#)
            let made = try await data(
                client, .post, "/api/token", #"{"name":"Laptop","limits":{"budget":{"day":0.5,"total":0.00000001}}}"#)
            let key = try #require(made["key"]?.stringValue)
            #expect(made["spent"]?.text == #"{"day":0,"month":0,"total":0}"# && made["left"]?.numberText == "0.00000001", "\(made.text)")
            _ = try await data(client, .post, "/api/token", #"{"name":"server"}"#)
            // The total budget is spent at once; a key without one spends on.
            #expect(try await chat(client, TestGateway.rootKey) == 200)
            #expect(try await chat(client, key) == 402)
            let id = try #require(made["id"]?.integerValue)
            _ = try await data(client, .put, "/api/token/\(id)", #"{"limits":{"budget":{"day":0.5}}}"#)
            #expect(try await chat(client, key) == 200)
            try await gateway.gateway.parts.poster.drainOnce()
            let page = try await data(client, .get, "/api/token?q=lap")
            #expect(page["total"]?.integerValue == 1)
            let row = try #require(page["items"]?.arrayValue?.first)
            let spent = try #require(row["spent"]?["day"]?.numberText.flatMap { try? NanoUSD(usd: $0) })
            #expect(spent > .zero && row["spent"]?["total"] == row["spent"]?["day"] && row["spent"]?["month"] == row["spent"]?["day"])
            let half = try NanoUSD(usd: "0.5")
            #expect(row["left"]?.numberText == (try half.subtracting(spent)).usdText, "\(row.text)")
            #expect(row["key"] == nil)
            let server = try await data(client, .get, "/api/token?q=server")["items"]?.arrayValue?.first
            #expect(server?["left"] == .null, "no budget")
            // Whatever other keys root has, capitals do not count.
            let sorted = try await names(client, "/api/token?sort=name&order=asc", "name")
            #expect(sorted.filter { ["Laptop", "server"].contains($0) } == ["Laptop", "server"], "\(sorted)")
            #expect(try await names(client, "/api/token?sort=spent&order=asc", "name").first == "server")
            _ = try await data(client, .put, "/api/token/\(id)", #"{"status":2}"#)
            #expect(try await names(client, "/api/token?status=2", "name") == ["Laptop"])
            for query in ["sort=size", "order=up", "status=3", "status=x", "q=\(String(repeating: "x", count: 101))"] {
                let answer = try await client.call(.get, "/api/token?\(query)", token: TestGateway.adminToken)
                let field = String(query.prefix { $0 != "=" })
                #expect(answer.status == 400 && answer.json["details"]?["field"]?.stringValue == field, "\(query): \(answer.json.text)")
            }
        }
    }

    @Test func `a new secret ends the old one at once and keeps everything else`() async throws {
        try await TestGateway.with { gateway, client in
            _ = try await data(client, .post, "/api/balance/admin/add", #"{"user_id":1,"amount":1}"#)
            let made = try await data(client, .post, "/api/token", #"{"name":"laptop","limits":{"rpm":1}}"#)
            let (id, old) = (try #require(made["id"]?.integerValue), try #require(made["key"]?.stringValue))
            #expect(try await chat(client, old) == 200)
            try await gateway.gateway.parts.poster.drainOnce()
            let rotated = try await data(client, .post, "/api/token/\(id)/rotate")
            let new = try #require(rotated["key"]?.stringValue)
            #expect(new != old && rotated["id"]?.integerValue == id && rotated["limits"] == made["limits"])
            #expect(rotated["key_prefix"]?.stringValue == String(new.prefix(9)) && rotated["spent"]?["total"] != .number("0"))
            #expect(try await chat(client, old) == 401)
            // The limit is the key's, so the new secret has no more of it.
            #expect(try await chat(client, new) == 429)
            // Somebody else's key is not an administrator's to call with.
            _ = try await data(client, .post, "/api/user", #"{"username":"alice","password":"a-long-password"}"#)
            let login = try await client.call(.post, "/api/user/login", body: #"{"username":"alice","password":"a-long-password"}"#)
            let alice = try #require(login.json["data"]?["access_token"]?.stringValue)
            let hers = try await data(client, .post, "/api/token", #"{"name":"hers"}"#, token: alice)
            let other = try #require(hers["id"]?.integerValue)
            #expect(try await client.call(.post, "/api/token/\(other)/rotate", token: TestGateway.adminToken).status == 403)
            #expect(try await client.call(.post, "/api/token/\(id)/rotate", token: alice).status == 404)
            #expect(try await client.call(.post, "/api/token/\(other)/rotate", token: alice).status == 200)
        }
    }

    @Test func `a secret with a time of grace goes on beside the new one and ends by itself`() async throws {
        let start = ServerClock.system.unixSeconds
        let now = Mutex(start)
        let clock = ServerClock(wall: { (now.withLock { $0 }, 0) }, monotonic: { ServerClock.system.monotonic })
        try await TestGateway.with(clock: clock) { gateway, client in
            _ = try await data(client, .post, "/api/balance/admin/add", #"{"user_id":1,"amount":1}"#)
            func asks(_ key: String) async throws -> Int { try await client.call(.get, "/v1/models", token: key).status }
            let made = try await data(client, .post, "/api/token", #"{"name":"laptop"}"#)
            let (id, first) = (try #require(made["id"]?.integerValue), try #require(made["key"]?.stringValue))
            #expect(made["former_until"] == .null)
            for grace in ["604801", "-1", #""soon""#] {
                let refused = try await client.call(
                    .post, "/api/token/\(id)/rotate", token: TestGateway.adminToken, body: #"{"grace_seconds":\#(grace)}"#)
                #expect(refused.status == 400 && refused.json["details"]?["field"] == "grace_seconds", "\(refused.json.text)")
            }
            let rotated = try await data(client, .post, "/api/token/\(id)/rotate", #"{"grace_seconds":60}"#)
            let second = try #require(rotated["key"]?.stringValue)
            #expect(rotated["former_until"]?.integerValue == start + 60)
            #expect(try await chat(client, first) == 200)
            #expect(try await chat(client, second) == 200)
            // Both are the same key, also in what they spend.
            try await gateway.gateway.parts.poster.drainOnce()
            #expect(try await data(client, .get, "/api/log/self?token_id=\(id)")["total"]?.integerValue == 2)

            now.withLock { $0 += 59 }
            #expect(try await asks(first) == 200)
            now.withLock { $0 += 1 }
            #expect(try await asks(first) == 401)
            #expect(try await asks(second) == 200)
            #expect(try await data(client, .get, "/api/token?q=laptop")["items"]?.arrayValue?.first?["former_until"] == .null)

            // One old secret at a time; a rotation without grace ends all.
            let third = try #require(try await data(client, .post, "/api/token/\(id)/rotate", #"{"grace_seconds":60}"#)["key"]?.stringValue)
            let fourth = try #require(
                try await data(client, .post, "/api/token/\(id)/rotate", #"{"grace_seconds":60}"#)["key"]?.stringValue)
            #expect(try await asks(second) == 401)
            #expect(try await asks(third) == 200)
            _ = try await data(client, .put, "/api/token/\(id)", #"{"status":2}"#)
            #expect(try await asks(third) == 401)
            #expect(try await asks(fourth) == 401)
            _ = try await data(client, .put, "/api/token/\(id)", #"{"status":1}"#)
            _ = try await data(client, .post, "/api/token/\(id)/rotate")
            #expect(try await asks(third) == 401)
            #expect(try await asks(fourth) == 401)
        }
    }

    @Test func `every user is told when the balance is below their own threshold`() async throws {
        try await TestGateway.with { _, client in
            func own() async throws -> String {
                let own = try await data(client, .get, "/api/user/self")
                let session = try await data(client, .get, "/api/user/session")["user"] ?? .null
                #expect(session["low_balance"] == own["low_balance"] && session["low_balance_threshold"] == own["low_balance_threshold"])
                return "\(own["low_balance"]?.text ?? "none") \(own["low_balance_threshold"]?.text ?? "none")"
            }
            #expect(try await own() == "true 1")
            _ = try await data(client, .post, "/api/balance/admin/add", #"{"user_id":1,"amount":3}"#)
            #expect(try await own() == "false 1")
            let set = try await data(client, .put, "/api/user/self/settings", #"{"low_balance":"3.000000001"}"#)
            #expect(set["low_balance"]?.text == "3.000000001")
            #expect(try await own() == "true 3.000000001")
            #expect(try await data(client, .put, "/api/user/self/settings", "{}")["low_balance"]?.text == "3.000000001")
            _ = try await data(client, .put, "/api/user/self/settings", #"{"low_balance":0}"#)
            _ = try await data(client, .post, "/api/balance/admin/add", #"{"user_id":1,"amount":-3}"#)
            #expect(try await own() == "false 0")
            _ = try await data(client, .put, "/api/user/self/settings", #"{"low_balance":null}"#)
            #expect(try await own() == "true 1")
            for amount in ["-1", #""much""#, "1000000001", "0.0000000001"] {
                let refused = try await client.call(
                    .put, "/api/user/self/settings", token: TestGateway.adminToken, body: #"{"low_balance":\#(amount)}"#)
                #expect(refused.status == 400 && refused.json["details"]?["field"] == "low_balance", "\(amount): \(refused.json.text)")
            }
        }
    }

    @Test func `users are found, sorted and shown with their money`() async throws {
        try await TestGateway.with({ $0.server.registration = true }) { gateway, client in
            for (name, role) in [("alice", 1), ("bob", 10)] {
                _ = try await data(client, .post, "/api/user", #"{"username":"\#(name)","password":"a-long-password","role":\#(role)}"#)
            }
            _ = try await data(client, .post, "/api/balance/admin/add", #"{"user_id":1,"amount":5}"#)
            #expect(try await chat(client, TestGateway.rootKey) == 200)
            try await gateway.gateway.parts.poster.drainOnce()
            #expect(try await names(client, "/api/user?q=ALI", "username") == ["alice"])
            #expect(try await names(client, "/api/user?role=10", "username") == ["bob"])
            #expect(try await names(client, "/api/user?sort=username&order=asc", "username") == ["alice", "bob", "root"])
            #expect(try await names(client, "/api/user?sort=spent", "username").first == "root")
            #expect(try await names(client, "/api/user?sort=balance&page_size=1", "username") == ["root"])
            #expect(try await names(client, "/api/user?group=nobody", "username") == [])
            let root = try await data(client, .get, "/api/user/1")
            #expect(root["keys"]?.integerValue == 1 && root["held"]?.numberText == "0", "\(root.text)")
            #expect(root["spent"]?["month"] == root["spent"]?["total"] && root["spent"]?["total"] != .number("0"))
            let own = try await data(client, .get, "/api/user/self")
            #expect(own["balance"] == root["balance"] && own["held"]?.numberText == "0")
            let groups = try await data(client, .get, "/api/group").arrayValue
            #expect(groups?.first?.text == #"{"name":"default","ratio":1,"users":3}"#, "\(groups ?? [])")
            let status = try await data(client, .get, "/api/status")
            #expect(status["registration"]?.boolValue == true && status["console"]?.boolValue == true)
            #expect(status["rankings"]?.stringValue == "users" && status["public_url"] == .null)
        }
    }
}
