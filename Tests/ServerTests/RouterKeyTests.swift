import HTTPTypes
import HummingbirdTesting
import RouterCore
import Storage
import Testing

@testable import Gateway
@testable import GatewayState
@testable import Server

/// Management keys, and what a program does with one.
@Suite(.serialized, .timeLimit(.minutes(10))) struct RouterKeyTests {
    private typealias Answer = (status: Int, headers: HTTPFields, json: JSONValue)

    /// A user with a management key and a plain one.
    private struct User {
        var token: String
        var manager: String
        var key: String
    }

    private func user(_ name: String, _ client: any TestClientProtocol) async throws -> User {
        _ = try await client.call(
            .post, "/api/user", token: TestGateway.adminToken, body: "{\"username\":\"\(name)\",\"password\":\"password-1\"}")
        let login = try await client.call(.post, "/api/user/login", body: "{\"username\":\"\(name)\",\"password\":\"password-1\"}")
        let token = try #require(login.json["data"]?["access_token"]?.stringValue)
        func key(_ body: String) async throws -> String {
            let made = try await client.call(.post, "/api/token", token: token, body: body)
            return try #require(made.json["data"]?["key"]?.stringValue, "\(made.json.text)")
        }
        return User(
            token: token, manager: try await key(#"{"name":"manager","management":true}"#), key: try await key(#"{"name":"plain"}"#))
    }

    private func make(_ client: any TestClientProtocol, _ user: User, _ body: String) async throws -> (key: String, data: JSONValue) {
        let made = try await client.call(.post, "/api/v1/keys", token: user.manager, body: body)
        #expect(made.status == 201, "\(made.json.text)")
        return (try #require(made.json["key"]?.stringValue), try #require(made.json["data"]))
    }

    private func message(_ answer: Answer) -> String { answer.json["error"]?["message"]?.stringValue ?? "" }

    @Test func `a management key makes no model calls and a plain key manages nothing`() async throws {
        try await TestGateway.with { _, client in
            let user = try await user("ada", client)
            let body = #"{"model":"demo/echo","messages":[{"role":"user","content":"hi"}],"max_tokens":5}"#
            for path in ["/v1/chat/completions", "/api/v1/chat/completions", "/v1/messages", "/v1/messages/count_tokens", "/v1/embeddings"]
            {
                let call = try await client.call(.post, path, token: user.manager, body: body)
                #expect(call.status == 403 && call.json.text.contains("management key"), "\(path): \(call.json.text)")
            }
            let google = try await client.call(
                .post, "/v1beta/models/demo/echo:generateContent?key=\(user.manager)", body: #"{"contents":[{"parts":[{"text":"hi"}]}]}"#)
            #expect(google.status == 403, "\(google.json.text)")
            #expect(try await client.call(.get, "/v1/models", token: user.manager).status == 403)
            #expect(try await client.call(.get, "/v1/dashboard/billing/usage", token: user.manager).status == 403)
            #expect(try await client.call(.get, "/api/v1/models", token: user.manager).status == 200)
            for (method, path) in [(HTTPRequest.Method.get, "/api/v1/keys"), (.post, "/api/v1/keys"), (.get, "/api/v1/keys/00")] {
                let refused = try await client.call(method, path, token: user.key, body: method == .post ? "{}" : nil)
                #expect(refused.status == 403, "\(path)")
                // OpenRouter's shape.
                #expect(refused.json["error"]?["code"]?.integerValue == 403, "\(refused.json.text)")
                #expect(refused.json["error"]?["metadata"]?["code"] == "management_key_required")
            }
            let stranger = try await client.call(.get, "/api/v1/keys")
            #expect(stranger.status == 401 && stranger.json["error"]?["code"]?.integerValue == 401)
            // A login is no key.
            #expect(try await client.call(.get, "/api/v1/keys", token: user.token).status == 401)
        }
    }

    @Test func `a management key has no limits of spending`() async throws {
        try await TestGateway.with { _, client in
            let user = try await user("ada", client)
            for part in [#""models":["demo/echo"]"#, #""limits":{"rpm":5}"#, #""limits":{"budget":{"day":1}}"#] {
                let refused = try await client.call(
                    .post, "/api/token", token: user.token, body: "{\"name\":\"m\",\"management\":true,\(part)}")
                #expect(refused.status == 400 && refused.json.text.contains("management key"), "\(part): \(refused.json.text)")
            }
            let bound = try await client.call(
                .post, "/api/token", token: user.token, body: #"{"name":"m","management":true,"limits":{"allowed_ips":["10.0.0.0/8"]}}"#)
            let key = try #require(bound.json["data"]?["key"]?.stringValue, "\(bound.json.text)")
            #expect(bound.json["data"]?["management"] == true)
            #expect(try await client.call(.get, "/api/v1/keys", token: key).status == 403)
        }
    }

    @Test func `keys are made, read, changed and deleted by their hash`() async throws {
        try await TestGateway.with { _, client in
            let user = try await user("ada", client)
            let (key, made) = try await make(
                client, user,
                #"{"name":"one","limit":25.5,"limit_reset":"monthly","expires_at":"2100-01-01T00:00:00Z","creator_user_id":null}"#)
            #expect(made["name"] == "one" && made["limit"]?.text == "25.5" && made["limit_remaining"]?.text == "25.5")
            #expect(made["limit_reset"] == "monthly" && made["disabled"] == false && made["usage"]?.text == "0")
            #expect(made["expires_at"] == "2100-01-01T00:00:00Z" && made["workspace_id"] == "default")
            let hash = try #require(made["hash"]?.stringValue)
            #expect(hash.count == 64 && key.hasPrefix("sk-") && made["label"]?.stringValue?.contains(key) == false)
            let path = "/api/v1/keys/\(hash)"
            #expect(try await client.call(.get, path, token: user.manager).json["data"] == made)
            #expect(try await client.call(.get, "/v1/models", token: key).status == 200)

            func change(_ body: String) async throws -> Answer { try await client.call(.patch, path, token: user.manager, body: body) }
            let renamed = try await change(#"{"name":"two","limit":3}"#)
            #expect(renamed.status == 200 && renamed.json["data"]?["name"] == "two", "\(renamed.json.text)")
            // The window stays where only the amount is changed, and the amount where only the window is.
            #expect(renamed.json["data"]?["limit"]?.text == "3" && renamed.json["data"]?["limit_reset"] == "monthly")
            let daily = try await change(#"{"limit_reset":"daily"}"#).json["data"]
            #expect(daily?["limit"]?.text == "3" && daily?["limit_reset"] == "daily")
            #expect(try await change(#"{"limit_reset":null}"#).json["data"]?["limit_reset"] == .null)
            let free = try await change(#"{"limit":null}"#).json["data"]
            #expect(free?["limit"] == .null && free?["limit_remaining"] == .null && free?["name"] == "two")

            #expect(try await change(#"{"disabled":true}"#).json["data"]?["disabled"] == true)
            #expect(try await client.call(.get, "/v1/models", token: key).status == 401)
            func listed(_ query: String = "") async throws -> [String] {
                let answer = try await client.call(.get, "/api/v1/keys\(query)", token: user.manager)
                return (answer.json["data"]?.arrayValue ?? []).compactMap { $0["name"]?.stringValue }
            }
            // The management key is not among them.
            #expect(try await listed() == ["plain"])
            #expect(try await listed("?include_disabled=true") == ["two", "plain"])
            #expect(try await listed("?include_disabled=true&offset=1") == ["plain"])
            #expect(try await change(#"{"disabled":false}"#).status == 200)
            #expect(try await client.call(.get, "/v1/models", token: key).status == 200)
            let gone = try await client.call(.delete, path, token: user.manager)
            #expect(gone.status == 200 && gone.json.text == #"{"deleted":true}"#)
            #expect(try await client.call(.get, "/v1/models", token: key).status == 401)
            #expect(try await client.call(.get, path, token: user.manager).status == 404)

            let audit = try await client.call(.get, "/api/audit?page_size=100", token: TestGateway.adminToken).json.text
            #expect(audit.contains("management_key") && !audit.contains(key))
        }
    }

    @Test func `another account's keys and management keys are not found`() async throws {
        try await TestGateway.with { _, client in
            let (ada, bob) = (try await user("ada", client), try await user("bob", client))
            let hash = try #require(try await make(client, ada, #"{"name":"hers"}"#).data["hash"]?.stringValue)
            func hex(_ key: String) -> String { Hex.text(TokenSecrets.hash(key)) }
            for path in [hash, hex(ada.key), hex(bob.manager), hex("sk-nobody"), "00", "zz", hash.uppercased()] {
                for (method, body) in [(HTTPRequest.Method.get, nil), (.patch, #"{"name":"mine"}"#), (.delete, nil)]
                    as [(HTTPRequest.Method, String?)]
                {
                    let answer = try await client.call(method, "/api/v1/keys/\(path)", token: bob.manager, body: body)
                    #expect(
                        answer.status == 404 && answer.json["error"]?["code"]?.integerValue == 404, "\(method) \(path): \(answer.json.text)"
                    )
                }
            }
            #expect(try await client.call(.get, "/api/v1/keys/\(hash)", token: ada.manager).json["data"]?["name"] == "hers")
            #expect(try await client.call(.get, "/api/v1/keys", token: bob.manager).json.text.contains("hers") == false)
        }
    }

    @Test func `what cannot be meant is refused by name`() async throws {
        try await TestGateway.with { _, client in
            let user = try await user("ada", client)
            let bodies = [
                (#"{}"#, "'name'"), (#"{"name":""}"#, "'name'"), (#"{"name":"n","limit":-1}"#, "'limit'"),
                (#"{"name":"n","limit":0.0000000001}"#, "'limit'"), (#"{"name":"n","limit_reset":"weekly","limit":1}"#, "'limit_reset'"),
                (#"{"name":"n","limit_reset":"daily"}"#, "'limit_reset'"),
                (#"{"name":"n","expires_at":"2001-01-01T00:00:00Z"}"#, "'expires_at'"),
                (#"{"name":"n","expires_at":"tomorrow"}"#, "'expires_at'"), (#"{"name":"n","creator_user_id":"1"}"#, "'creator_user_id'"),
                (#"{"name":"n","workspace_id":"other"}"#, "'workspace_id'"), (#"{"name":"n","external":{"user":"u"}}"#, "'external'"),
                ("[", "JSON"),
            ]
            for (body, name) in bodies {
                let refused = try await client.call(.post, "/api/v1/keys", token: user.manager, body: body)
                #expect(refused.status == 400 && message(refused).contains(name), "\(body): \(refused.json.text)")
                #expect(refused.json["error"]?["code"]?.integerValue == 400, "\(refused.json.text)")
            }
            let list = try await client.call(.get, "/api/v1/keys?include_expired=perhaps", token: user.manager)
            #expect(list.status == 400 && message(list).contains("'include_expired'"))
            // Scientific notation, as Python writes small numbers.
            #expect(try await make(client, user, #"{"name":"n","limit":1e-05}"#).data["limit"]?.text == "0.00001")
        }
    }

    /// An administrator's budget on a key holds whatever a management key asks for.
    @Test func `a management key does not raise what an administrator has set`() async throws {
        try await TestGateway.with { _, client in
            let user = try await user("ada", client)
            let (_, made) = try await make(client, user, #"{"name":"one","limit":1}"#)
            let hash = try #require(made["hash"]?.stringValue)
            let rows = try await client.call(.get, "/api/token", token: user.token).json["data"]?["items"]?.arrayValue ?? []
            let id = try #require(rows.first { $0["name"] == "one" }?["id"]?.integerValue)
            let set = try await client.call(
                .put, "/api/token/\(id)", token: TestGateway.adminToken, body: #"{"limits":{"budget":{"total":2},"rpm":7}}"#)
            #expect(set.status == 200, "\(set.json.text)")
            let path = "/api/v1/keys/\(hash)"
            let raised = try await client.call(.patch, path, token: user.manager, body: #"{"limit":3}"#)
            #expect(raised.status == 403 && message(raised).contains("administrator"), "\(raised.json.text)")
            let none = try await client.call(.patch, path, token: user.manager, body: #"{"limit":null}"#)
            // Without a budget of the owner's the administrator's is the one that holds.
            #expect(none.status == 200 && none.json["data"]?["limit"]?.text == "2", "\(none.json.text)")
            let limits = try await client.call(.get, "/api/token", token: user.token).json.text
            #expect(limits.contains(#""rpm":7"#))
        }
    }
}
