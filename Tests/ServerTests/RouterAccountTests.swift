import HTTPTypes
import HummingbirdTesting
import Platform
import RouterCore
import Storage
import Testing

@testable import Gateway
@testable import GatewayState
@testable import Server

/// A key's own figures, its account's, and its requests, in OpenRouter's form and in one-api's.
@Suite(.serialized, .timeLimit(.minutes(10))) struct RouterAccountTests {
    private static let month: Int64 = 30 * 86_400

    /// Posts a finished request of a user and key. - Returns: its id.
    private func post(
        _ gateway: TestGateway, _ number: Int, user: Int64, key: Int64?, nanos: Int64, _ change: (inout RequestRecord) -> Void = { _ in }
    ) async throws -> RequestRecord {
        var record = RequestRecord(
            requestID: RequestID(bits: UInt128(number)), userID: user, tokenID: key, channelID: 1, provider: "demo", model: "demo/echo",
            upstreamModel: "demo/echo", endpoint: .chat, usage: Usage(uncachedInput: 3, output: 2), usageSource: .upstream,
            charge: NanoUSD(nanos: nanos), pricingVersion: 0, outcome: .completed, status: 200, isStream: false, attempts: 1,
            generationID: "gen-\(number)", finish: .stop, latencyMilliseconds: 12, firstTokenMilliseconds: 11, clientIP: "",
            createdAt: gateway.gateway.options.clock.unixSeconds)
        change(&record)
        _ = try await gateway.gateway.parts.store.post([record], holder: nil)
        return record
    }

    private struct Key {
        var user: Int64
        var id: Int64
        var key: String
    }

    private func key(_ client: any TestClientProtocol, _ name: String, limits: String = "{}") async throws -> Key {
        let made = try await client.call(
            .post, "/api/user", token: TestGateway.adminToken, body: "{\"username\":\"\(name)\",\"password\":\"password-1\"}")
        let user = try #require(made.json["data"]?["id"]?.integerValue)
        let credit = try await client.call(
            .post, "/api/balance/admin/add", token: TestGateway.adminToken, body: "{\"user_id\":\(user),\"amount\":10.000000003}")
        #expect(credit.status == 200)
        let login = try await client.call(.post, "/api/user/login", body: "{\"username\":\"\(name)\",\"password\":\"password-1\"}")
        let token = try #require(login.json["data"]?["access_token"]?.stringValue)
        let key = try await client.call(.post, "/api/token", token: token, body: "{\"name\":\"k\",\"limits\":\(limits)}").json["data"]
        return Key(
            user: user, id: try #require(key?["id"]?.integerValue, "\(key?.text ?? "")"), key: try #require(key?["key"]?.stringValue))
    }

    @Test func `credits less usage is the balance, and both are the ledger's sums`() async throws {
        try await TestGateway.with { gateway, client in
            let ada = try await key(client, "ada")
            let charged = try await post(gateway, 1, user: ada.user, key: ada.id, nanos: 1_234_567_891)
            _ = try await post(gateway, 2, user: ada.user, key: nil, nanos: 2)
            let credits = try await client.call(.get, "/api/v1/credits", token: ada.key)
            #expect(credits.json.text == #"{"data":{"total_credits":10.000000003,"total_usage":1.234567893}}"#, "\(credits.json.text)")
            let balance = try await gateway.gateway.parts.store.user(id: ada.user)?.balance.usdText
            #expect(balance == "8.76543211")
            // A refund comes to the credits: what was charged was charged.
            let refund = try await client.call(
                .post, "/api/balance/admin/refund", token: TestGateway.adminToken,
                body: "{\"reference_id\":\"\(charged.requestID)\",\"amount\":1}")
            #expect(refund.status == 200, "\(refund.json.text)")
            let after = try await client.call(.get, "/api/v1/credits", token: ada.key)
            #expect(after.json.text == #"{"data":{"total_credits":11.000000003,"total_usage":1.234567893}}"#, "\(after.json.text)")
        }
    }

    @Test func `a key tells its spending, its budgets and its rate`() async throws {
        try await TestGateway.with { gateway, client in
            let ada = try await key(client, "ada", limits: #"{"budget":{"total":5,"day":2},"rpm":30}"#)
            _ = try await post(gateway, 1, user: ada.user, key: ada.id, nanos: 1_500_000_001)
            // With another key of the account.
            _ = try await post(gateway, 2, user: ada.user, key: ada.id + 1_000, nanos: 7)
            for path in ["/api/v1/key", "/api/v1/auth/key"] {
                let data = try #require(try await client.call(.get, path, token: ada.key).json["data"])
                #expect(data["usage"]?.text == "1.500000001" && data["usage_daily"]?.text == "1.500000001")
                #expect(data["usage_weekly"]?.text == "1.500000001" && data["usage_monthly"]?.text == "1.500000001")
                #expect(data["limit"]?.text == "2" && data["limit_remaining"]?.text == "0.499999999" && data["limit_reset"] == "daily")
                #expect(data["is_management_key"] == false && data["is_free_tier"] == false && data["expires_at"] == .null)
                #expect(data["rate_limit"]?["requests"]?.integerValue == 30 && data["budgets"]?.arrayValue?.count == 2)
                #expect(data["effective_budget"]?["spend_usd"]?.text == "1.500000001")
            }
        }
    }

    @Test func `a request is told to its own account only`() async throws {
        try await TestGateway.with { gateway, client in
            let (ada, bob) = (try await key(client, "ada"), try await key(client, "bob"))
            let record = try await post(gateway, 1, user: ada.user, key: ada.id, nanos: 55) { $0.answerID = "body-1" }
            func ask(_ id: String, _ who: Key) async throws -> (status: Int, json: JSONValue) {
                let answer = try await client.call(.get, "/api/v1/generation?id=\(id)", token: who.key)
                return (answer.status, answer.json)
            }
            for id in [
                "gen-1", "msg_gen-1", "resp_gen-1", "body-1", record.requestID.description, record.requestID.description.uppercased(),
            ] {
                let found = try await ask(id, ada)
                #expect(found.status == 200 && found.json["data"]?["id"]?.stringValue == id, "\(id): \(found.json.text)")
                #expect(found.json["data"]?["total_cost"]?.text == "0.000000055" && found.json["data"]?["finish_reason"] == "stop")
                let stranger = try await ask(id, bob)
                #expect(stranger.status == 404 && stranger.json["error"]?["code"]?.integerValue == 404, "\(id): \(stranger.json.text)")
                // Nothing tells an id of somebody else from one that never was.
                let never = try await ask("gen-never", bob)
                #expect(stranger.json["error"] == never.json["error"])
            }
            for query in ["", "?id=", "?id=" + String(repeating: "x", count: 161)] {
                let wrong = try await client.call(.get, "/api/v1/generation\(query)", token: ada.key)
                #expect(wrong.status == 400 && wrong.json.text.contains("'id'"), "\(wrong.json.text)")
            }
        }
    }

    @Test func `one-api's billing tells the account, or the key that has a total budget`() async throws {
        try await TestGateway.with { gateway, client in
            let (ada, bob) = (try await key(client, "ada"), try await key(client, "bob", limits: #"{"budget":{"total":4.5,"day":1}}"#))
            _ = try await post(gateway, 1, user: ada.user, key: nil, nanos: 1_234_567_891)
            _ = try await post(gateway, 2, user: bob.user, key: bob.id, nanos: 3)
            _ = try await post(gateway, 3, user: bob.user, key: nil, nanos: 500)
            for prefix in ["/v1/dashboard", "/dashboard"] {
                func ask(_ path: String, _ who: Key) async throws -> JSONValue {
                    try await client.call(.get, "\(prefix)/billing/\(path)", token: who.key).json
                }
                let account = try await ask("subscription", ada)
                #expect(account["hard_limit_usd"]?.text == "10.000000003" && account["soft_limit_usd"]?.text == "10.000000003")
                #expect(account["object"] == "billing_subscription" && account["access_until"]?.integerValue == 0)
                // Cents.
                let used = try await ask("usage?start_date=2026-01-01&end_date=2026-02-01", ada)
                #expect(used.text == #"{"object":"list","total_usage":123.4567891}"#)
                #expect(try await ask("subscription", bob)["hard_limit_usd"]?.text == "4.5")
                #expect(try await ask("usage", bob)["total_usage"]?.text == "0.0000003")
                let refused = try await client.call(.get, "\(prefix)/billing/usage", token: "sk-wrong")
                #expect(refused.status == 401 && refused.json["error"]?["code"] == "invalid_api_key", "\(refused.json.text)")
            }
        }
    }
}
