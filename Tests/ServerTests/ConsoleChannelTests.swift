import Config
import HTTPTypes
import HummingbirdTesting
import Metering
import NIOCore
import RouterCore
import Storage
import Testing

@testable import GatewayState
@testable import Server

/// Channels, providers and secrets over the management API of a gateway in this process.
@Suite(.serialized, .timeLimit(.minutes(10))) struct ConsoleChannelTests {
    private typealias Answer = (status: Int, headers: HTTPFields, json: JSONValue)

    /// A gateway with an admin beside root.
    private func with(
        _ body: @Sendable (TestGateway, any TestClientProtocol, _ admin: String) async throws -> Void
    ) async throws {
        try await TestGateway.with { gateway, client in
            let root = TestGateway.adminToken
            _ = try await client.call(.post, "/api/user", token: root, body: #"{"username":"ada","password":"adas-password","role":10}"#)
            let login = try await client.call(.post, "/api/user/login", body: #"{"username":"ada","password":"adas-password"}"#)
            let admin = try #require(login.json["data"]?["access_token"]?.stringValue, "\(login.json.text)")
            try await body(gateway, client, admin)
        }
    }

    private func message(_ answer: Answer) -> String { answer.json["message"]?.stringValue ?? "" }

    @Test func `a channel is made, shown without its keys, changed, exported and deleted`() async throws {
        try await with { gateway, client, admin in
            let made = try await client.call(
                .post, "/api/channel", token: admin,
                body: #"{"name":"mine","provider":"openrouter","keys":["sk-or-0123456789-secret"],"models":["*"],"weight":5}"#)
            #expect(made.status == 200, "\(made.json.text)")
            let data = made.json["data"]
            #expect(data?["id"]?.integerValue == 1_000_000 && data?["source"] == ["kind": "console"] && data?["keys"]?.integerValue == 1)
            #expect(data?["enabled"]?.boolValue == true && data?["status"]?.stringValue == "on" && data?["weight"]?.integerValue == 5)
            let one = try await client.call(.get, "/api/channel/1000000", token: admin)
            #expect(one.json["data"]?["config"]?["keys"]?.arrayValue == [["hint": "sk-…cret"]], "\(one.json.text)")
            let changed = try await client.call(
                .put, "/api/channel/1000000", token: admin, body: #"{"priority":3,"weight":null,"models":["openai/*"]}"#)
            #expect(changed.json["data"]?["priority"]?.integerValue == 3 && changed.json["data"]?["weight"]?.integerValue == 100)
            // The keys stayed.
            let channel = try #require(gateway.gateway.parts.snapshots.snapshot.configuration.routes.channel(id: 1_000_000))
            #expect(channel.keys == [Secret("sk-or-0123456789-secret")] && channel.models.map(\.pattern) == ["openai/*"])
            let yaml = try await client.call(.get, "/api/channel/1000000/export", token: admin).json["data"]?["yaml"]?.stringValue
            #expect(yaml?.contains(#"keys: ["${OPENROUTER_API_KEY}"]"#) == true, "\(yaml ?? "")")
            let off = try await client.call(.put, "/api/channel/1000000", token: admin, body: #"{"enabled":false}"#)
            #expect(off.json["data"]?["status"]?.stringValue == "off")
            #expect(try await client.call(.post, "/api/channel/1000000/enable", token: admin).status == 409)
            // A key is not sent to another vendor than the one that it was entered for.
            let moved = try await client.call(.put, "/api/channel/1000000", token: admin, body: #"{"provider":"openai"}"#)
            #expect(moved.status == 400 && message(moved).contains("'keys'"), "\(moved.json.text)")
            #expect(try await client.call(.delete, "/api/channel/1000000", token: admin).status == 200)
            #expect(try await client.call(.get, "/api/channel/1000000", token: admin).status == 404)
            #expect(try await client.call(.delete, "/api/channel/1000000", token: admin).status == 404)
            let next = try await client.call(
                .post, "/api/channel", token: admin, body: #"{"name":"mine","provider":"demo","models":["demo/echo"]}"#)
            #expect(next.json["data"]?["id"]?.integerValue == 1_000_001, "\(next.json.text)")

            let everything = [made, one, changed, off, moved, next].map(\.json.text).joined() + (yaml ?? "")
            #expect(!everything.contains("0123456789"))
            let audit = try await client.call(.get, "/api/audit?page_size=100", token: TestGateway.adminToken).json
            #expect(!audit.text.contains("0123456789"))
            let actions = audit["data"]?["items"]?.arrayValue?.compactMap { $0["action"]?.stringValue }.filter { $0.hasPrefix("channel.") }
            #expect(actions == ["channel.create", "channel.delete", "channel.change", "channel.change", "channel.create"])
        }
    }

    @Test func `a new channel is checked beside all others, whatever their ids`() async throws {
        try await with { _, client, admin in
            let edge = try await client.call(
                .post, "/api/channel", token: admin,
                body: #"{"id":1000000000,"name":"edge","provider":"demo","models":["demo/echo"]}"#)
            #expect(edge.status == 200, "\(edge.json.text)")
            let twin = try await client.call(
                .post, "/api/channel", token: admin, body: #"{"name":"edge","provider":"demo","models":["demo/echo"]}"#)
            #expect(twin.status == 400 && message(twin).contains("'name'"), "\(twin.json.text)")
        }
    }

    @Test func `a channel stays while its vendor makes something that only the vendor can tell the price of`() async throws {
        try await with { gateway, client, admin in
            _ = try await client.call(
                .post, "/api/balance/admin/add", token: TestGateway.adminToken, body: #"{"user_id":1,"amount":1}"#)
            _ = try await client.call(
                .post, "/api/channel", token: admin, body: #"{"name":"mine","provider":"demo","models":["demo/echo"]}"#)
            let hold = LongHold(
                requestID: RequestID(bits: 1), kind: .response, userID: 1, tokenID: nil, channelID: 1_000_000, keyMark: "",
                provider: "demo",
                model: "demo/echo", upstreamModel: "demo/echo", endpoint: .responses, amount: NanoUSD(nanos: 1_000), ratio: .one,
                pricingVersion: 0, detail: "{}", clientIP: "::1", nextAt: 1, deadline: 2, createdAt: 1)
            let meter = gateway.gateway.parts.meter
            try await meter.holdLong(hold)
            let refused = try await client.call(.delete, "/api/channel/1000000", token: admin)
            #expect(refused.status == 409 && message(refused).contains("under way"), "\(refused.json.text)")
            #expect(try await client.call(.get, "/api/channel/1000000", token: admin).status == 200)
            #expect(try await meter.endLong(hold.voidRecord(errorCode: "test", now: 3)))
            #expect(try await client.call(.delete, "/api/channel/1000000", token: admin).status == 200)
        }
    }

    @Test func `the same mistakes are found as in files, in a check and before saving`() async throws {
        try await with { _, client, admin in
            for (body, field) in [
                (#"{"name":"a","provider":"nobody","models":["*"],"keys":["k"]}"#, "provider"),
                (#"{"name":"demo","provider":"demo","models":["demo/echo"]}"#, "name"),
                (#"{"name":"a","provider":"demo","models":["*"],"weight":-1}"#, "weight"),
                (#"{"name":"a","provider":"demo","models":[{"upstream":"x"}]}"#, "models[0]"),
                (#"{"name":"a","provider":"demo","models":["*"],"timeouts":{"idle":"soon"}}"#, "timeouts.idle"),
                (#"{"name":"a","provider":"openai","models":["*"],"keys":["has space"]}"#, "keys[0]"),
            ] {
                let check = try await client.call(.post, "/api/channel/check", token: admin, body: body)
                let found = check.json["data"]?["diagnostics"]?.arrayValue ?? []
                #expect(
                    check.status == 200 && found.contains { $0["field"]?.stringValue == field && $0["severity"] == "error" },
                    "\(check.json.text)")
                let made = try await client.call(.post, "/api/channel", token: admin, body: body)
                #expect(made.status == 400 && message(made).contains("'\(field)'"), "\(made.json.text)")
                #expect(!made.json.text.contains("has space"))
            }
            let fine = try await client.call(
                .post, "/api/channel/check", token: admin, body: #"{"name":"a","provider":"demo","models":["demo/echo"]}"#)
            #expect(fine.json["data"]?["diagnostics"]?.arrayValue == [])
            let list = try await client.call(.get, "/api/channel", token: admin).json["data"]?.arrayValue ?? []
            #expect(
                list.allSatisfy { $0["source"]?["kind"] == "file" && $0["source"]?["line"]?.integerValue ?? 0 > 1 }, "nothing was saved")
            let taken = try await client.call(
                .post, "/api/channel", token: admin, body: #"{"id":1,"name":"a","provider":"demo","models":["demo/echo"]}"#)
            #expect(taken.status == 409)
        }
    }

    @Test func `destinations are root's, files are read-only, and users have no part in it`() async throws {
        try await with { _, client, admin in
            let root = TestGateway.adminToken
            let base = #""name":"a","provider":"demo","models":["demo/echo"]"#
            for field in [
                #""base_url":"http://127.0.0.1:1/v1""#, #""proxy":"http://u:secret-pw@127.0.0.1:1""#, #""headers":{"X-Org":"secret-org"}"#,
            ] {
                let refused = try await client.call(.post, "/api/channel", token: admin, body: "{\(base),\(field)}")
                #expect(refused.status == 403, "\(refused.json.text)")
                #expect(try await client.call(.post, "/api/channel/check", token: admin, body: "{\(base),\(field)}").status == 403)
            }
            let made = try await client.call(
                .post, "/api/channel", token: root,
                body:
                    "{\(base),\"base_url\":\"http://127.0.0.1:1/v1/\",\"proxy\":\"http://u:secret-pw@127.0.0.1:1\",\"headers\":{\"X-Org\":\"secret-org\"}}"
            )
            #expect(made.status == 200 && made.json["data"]?["proxy"]?.stringValue == "http://127.0.0.1:1", "\(made.json.text)")
            let one = try await client.call(.get, "/api/channel/1000000", token: admin)
            #expect(one.json["data"]?["config"]?["headers"] == ["X-Org": .null] && !one.json.text.contains("secret-"), "\(one.json.text)")
            // An admin changes the rest, and may send what is there.
            let same = try await client.call(
                .put, "/api/channel/1000000", token: admin,
                body: #"{"weight":9,"base_url":"http://127.0.0.1:1/v1/","headers":{"X-Org":null}}"#)
            #expect(same.status == 200, "\(same.json.text)")
            for body in [#"{"base_url":"http://127.0.0.1:2/v1"}"#, #"{"base_url":null}"#, #"{"proxy":null}"#, #"{"headers":{}}"#] {
                #expect(try await client.call(.put, "/api/channel/1000000", token: admin, body: body).status == 403, "\(body)")
            }
            let models = try await client.call(
                .post, "/api/channel/models", token: admin, body: #"{"provider":"openai","key":"k","base_url":"http://127.0.0.1:1"}"#)
            #expect(models.status == 403)

            for (method, body) in [(HTTPRequest.Method.put, "{\"weight\":1}"), (.delete, nil)] as [(HTTPRequest.Method, String?)] {
                let answer = try await client.call(method, "/api/channel/1", token: root, body: body)
                #expect(answer.status == 409 && message(answer).contains("file"), "\(answer.json.text)")
            }
            #expect(try await client.call(.delete, "/api/provider/openai", token: root).status == 409)
            let provider = #"{"name":"own","base_url":"http://127.0.0.1:1/v1","models":[{"name":"m","free":true}]}"#
            #expect(try await client.call(.post, "/api/provider", token: admin, body: provider).status == 403)
            #expect(try await client.call(.get, "/api/secret", token: admin).status == 403)
            #expect(try await client.call(.get, "/api/provider", token: admin).status == 200)
        }
    }

    @Test func `a provider of one's own has prices, and stays while channels use it`() async throws {
        try await with { gateway, client, _ in
            let root = TestGateway.adminToken
            let body = """
                {"name":"own","display_name":"Own","base_url":"http://127.0.0.1:1/v1",
                 "models":[{"name":"own-1","pricing_input":0.00000025,"pricing_output":"0.000001","context_length":1000},{"name":"own-2","free":true}]}
                """
            let made = try await client.call(.post, "/api/provider", token: root, body: body)
            #expect(made.status == 200 && made.json["data"]?["source"]?["kind"] == "console", "\(made.json.text)")
            let first = made.json["data"]?["models"]?.arrayValue?.first
            #expect(first?["pricing_input"]?.numberText == "0.00000025" && first?["pricing_output"]?.numberText == "0.000001")
            for wrong in [
                #"{"name":"m"}"#, #"{"name":"m","free":true,"pricing_input":1}"#, #"{"name":"m","pricing_input":-1,"pricing_output":1}"#,
            ] {
                let answer = try await client.call(
                    .post, "/api/provider", token: root, body: #"{"name":"x","base_url":"http://a","models":[\#(wrong)]}"#)
                #expect(answer.status == 400 && message(answer).contains("'models'"), "\(answer.json.text)")
            }
            for (name, status) in [("own", 409), ("openai", 409), ("Own", 400), ("../x", 400)] {
                let answer = try await client.call(
                    .post, "/api/provider", token: root, body: #"{"name":"\#(name)","base_url":"http://127.0.0.1:1"}"#)
                #expect(answer.status == status, "\(name): \(answer.json.text)")
            }
            _ = try await client.call(
                .post, "/api/channel", token: root, body: #"{"name":"own","provider":"own","models":["*"],"keys":["k"]}"#)
            let prices = gateway.gateway.parts.snapshots.snapshot.prices
            #expect(prices.row("own-1")?.price.rates.input.usdPerMillionText == "0.25" && prices.row("own-2")?.price == .free)
            let changed = try await client.call(
                .put, "/api/provider/own", token: root,
                body: #"{"models":[{"name":"own-1","pricing_input":"0.000002","pricing_output":"0.000004"}]}"#)
            #expect(changed.json["data"]?["display_name"]?.stringValue == "Own" && changed.json["data"]?["model_count"]?.integerValue == 1)
            #expect(gateway.gateway.parts.snapshots.snapshot.prices.row("own-1")?.price.rates.input.usdPerMillionText == "2")
            let used = try await client.call(.delete, "/api/provider/own", token: root)
            #expect(used.status == 409 && message(used).contains("1000000"), "\(used.json.text)")
            #expect(try await client.call(.delete, "/api/channel/1000000", token: root).status == 200)
            #expect(try await client.call(.delete, "/api/provider/own", token: root).status == 200)
        }
    }

    @Test func `an admin gives a secret that is missing, and only root replaces it`() async throws {
        try await with { gateway, client, admin in
            let root = TestGateway.adminToken
            func state(_ name: String) async throws -> JSONValue? {
                try await client.call(.get, "/api/secret", token: root).json["data"]?.arrayValue?.first { $0["name"]?.stringValue == name }
            }
            #expect(try await state("OPENROUTER_API_KEY")?["status"] == "missing")
            func channel() -> RouterCore.Channel? { gateway.gateway.parts.snapshots.snapshot.configuration.routes.channel(id: 1000) }
            #expect(channel()?.isEnabled == false)
            #expect(try await client.call(.put, "/api/secret/SOMETHING_ELSE", token: admin, body: #"{"value":"v"}"#).status == 403)
            for wrong in ["1X", "A-B", "A.B"] {
                #expect(try await client.call(.put, "/api/secret/\(wrong)", token: root, body: #"{"value":"v"}"#).status == 400, "\(wrong)")
            }
            let set = try await client.call(.put, "/api/secret/OPENROUTER_API_KEY", token: admin, body: #"{"value":"sk-or-sealed"}"#)
            #expect(set.status == 200 && set.json["data"]?["status"] == "console", "\(set.json.text)")
            #expect(channel()?.isEnabled == true && channel()?.keys == [Secret("sk-or-sealed")])
            #expect(try await state("OPENROUTER_API_KEY")?["used_by"]?.arrayValue?.first?["id"]?.integerValue == 1000)
            #expect(try await client.call(.put, "/api/secret/OPENROUTER_API_KEY", token: admin, body: #"{"value":"v"}"#).status == 403)
            let again = try await client.call(.put, "/api/secret/OPENROUTER_API_KEY", token: root, body: #"{"value":"sk-or-second"}"#)
            #expect(again.status == 200 && channel()?.keys == [Secret("sk-or-second")])
            let reload = try await client.call(.post, "/api/config/reload", token: root)
            #expect(reload.status == 200 && channel()?.keys == [Secret("sk-or-second")], "a reload reads the console as well")
            #expect(try await client.call(.delete, "/api/secret/OPENROUTER_API_KEY", token: admin).status == 403)
            #expect(try await client.call(.delete, "/api/secret/OPENROUTER_API_KEY", token: root).status == 200)
            #expect(channel()?.isEnabled == false && channel()?.disabledReason?.contains("OPENROUTER_API_KEY") == true)
            let audit = try await client.call(.get, "/api/audit?page_size=100", token: root).json.text
            #expect(audit.contains("secret.set") && !audit.contains("sk-or-"))
        }
    }

    @Test func `the demo's models are asked for, and a stranger's key is not`() async throws {
        try await with { _, client, admin in
            let demo = try await client.call(.post, "/api/channel/models", token: admin, body: #"{"provider":"demo"}"#)
            let models = demo.json["data"]?.arrayValue ?? []
            #expect(demo.status == 200 && !models.isEmpty && models.allSatisfy { $0["price_known"]?.boolValue != nil }, "\(demo.json.text)")
            let none = try await client.call(.post, "/api/channel/models", token: admin, body: #"{"provider":"openai"}"#)
            #expect(none.status == 400 && message(none).contains("'key'"), "\(none.json.text)")
            let other = try await client.call(.post, "/api/channel/models", token: admin, body: #"{"provider":"openai","channel_id":1}"#)
            #expect(other.status == 400 && message(other).contains("'channel_id'"), "\(other.json.text)")
            // Nothing listens there.
            let dead = try await client.call(
                .post, "/api/channel/models", token: TestGateway.adminToken,
                body: #"{"provider":"openai","key":"sk-not-shown","base_url":"http://127.0.0.1:1/v1"}"#)
            #expect(dead.status == 502 && !dead.json.text.contains("sk-not-shown"), "\(dead.json.text)")
        }
    }
}
