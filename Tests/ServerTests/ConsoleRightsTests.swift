import Config
import HTTPTypes
import HummingbirdTesting
import RouterCore
import Storage
import Testing

@testable import GatewayState
@testable import Server

/// Parts of a channel that are root's: where keys go, and what goes with them.
@Suite(.serialized, .timeLimit(.minutes(10))) struct ConsoleRightsTests {
    /// A gateway with an admin beside root.
    private func with(
        _ body: @Sendable (TestGateway, any TestClientProtocol, _ admin: String) async throws -> Void
    ) async throws {
        try await TestGateway.with { gateway, client in
            _ = try await client.call(
                .post, "/api/user", token: TestGateway.adminToken, body: #"{"username":"ada","password":"adas-password","role":10}"#)
            let login = try await client.call(.post, "/api/user/login", body: #"{"username":"ada","password":"adas-password"}"#)
            try await body(gateway, client, try #require(login.json["data"]?["access_token"]?.stringValue, "\(login.json.text)"))
        }
    }

    @Test func `an admin sends no provider's key to root's address, and root's headers to no other vendor`() async throws {
        try await with { gateway, client, admin in
            let root = TestGateway.adminToken
            let (far, proxied, marked, plain) = (1_000_000, 1_000_001, 1_000_002, 1_000_003)
            for (name, more) in [
                ("far", #""base_url":"http://127.0.0.1:1/v1""#), ("proxied", #""proxy":"http://127.0.0.1:1","keys":["k-1"]"#),
                ("marked", #""headers":{"X-Org":"o"},"keys":["k-2"]"#), ("plain", #""keys":["k-3"]"#),
            ] {
                let made = try await client.call(
                    .post, "/api/channel", token: root, body: #"{"name":"\#(name)","provider":"openrouter","models":["*"],\#(more)}"#)
                #expect(made.status == 200, "\(made.json.text)")
            }
            func change(_ id: Int, _ fields: String, by token: String) async throws -> String {
                let checked = try await client.call(.post, "/api/channel/check", token: token, body: #"{"id":\#(id),\#(fields)}"#)
                let changed = try await client.call(.put, "/api/channel/\(id)", token: token, body: "{\(fields)}")
                #expect((checked.status == 403) == (changed.status == 403), "\(checked.json.text)")
                return "\(changed.status) \(changed.json["code"]?.stringValue ?? "")"
            }
            func channel(_ id: Int) -> RouterCore.Channel? {
                gateway.gateway.parts.snapshots.snapshot.configuration.routes.channel(id: Int64(id))
            }
            let moved = #""provider":"openai","keys":["sk-of-ada"]"#
            for (id, fields) in [
                (far, #""provider":"openai""#), (far, moved), (proxied, #""keys":null"#), (proxied, moved), (marked, moved),
            ] {
                #expect(try await change(id, fields, by: admin) == "403 role_too_low", "\(id) \(fields)")
                #expect(channel(id)?.provider.name == "openrouter" && channel(id)?.keys != [Secret("sk-of-ada")], "\(id) \(fields)")
            }
            // Keys of her own may go wherever root's channel sends them, and a channel without destinations is hers.
            for (id, fields) in [
                (far, #""keys":["sk-of-ada"]"#), (proxied, #""keys":["sk-of-ada"]"#), (marked, #""keys":null"#), (plain, moved),
                (plain, #""keys":null"#),
            ] {
                #expect(try await change(id, fields, by: admin) == "200 ", "\(id) \(fields)")
            }
            // Hers are now the channel's; without them it would take the provider's again.
            #expect(try await change(far, #""keys":null"#, by: admin) == "403 role_too_low")
            for (id, fields) in [(far, moved), (proxied, #""keys":null"#), (marked, moved)] {
                #expect(try await change(id, fields, by: root) == "200 ", "\(id) \(fields)")
            }
        }
    }

    @Test func `of a seal that does not open nothing is lost without root's word`() async throws {
        try await with { gateway, client, admin in
            let parts = gateway.gateway.parts
            let stored = ConsoleConfiguration.Channel(
                id: 1_000_000, config: ["name": "lost", "provider": "openai", "models": ["*"]],
                secrets: .init(
                    keys: [Secret("sk-old")], proxy: Secret("http://127.0.0.1:1"),
                    headers: [StaticHeader(name: "X-Org", value: Secret("o"))]))
            let elsewhere = ConsoleVault(store: parts.store, sealer: Sealer(Secret("the secret of other gateways")))
            try await parts.store.addConsoleRow(
                try elsewhere.row(stored), audit: AuditEntry(actorID: nil, action: "channel.create", at: 1))
            try await parts.reloader.consoleChanged()
            func channel() -> RouterCore.Channel? { parts.snapshots.snapshot.configuration.routes.channel(id: 1_000_000) }
            #expect(channel()?.isEnabled == false && channel()?.disabledReason == ConsoleVault.unsealable)
            let root = TestGateway.adminToken
            let shown = try await client.call(.get, "/api/channel/1000000", token: root).json["data"]?["config"]
            #expect(shown?["keys"] == [] && shown?["proxy"] == .null && shown?["headers"] == .null, "\(shown?.text ?? "")")

            for body in [#"{"keys":["sk-new"]}"#, #"{"weight":3}"#, #"{"keys":["sk-new"],"proxy":null,"headers":{}}"#] {
                let refused = try await client.call(.put, "/api/channel/1000000", token: admin, body: body)
                #expect(refused.status == 403 && refused.json["code"] == "role_too_low", "\(body): \(refused.json.text)")
            }
            for (body, missing) in [
                (#"{"keys":["sk-new"]}"#, "proxy"), (#"{"keys":null,"proxy":null}"#, "headers"), (#"{"proxy":null,"headers":{}}"#, "keys"),
                (#"{"weight":3}"#, "keys"), (#"{"keys":["sk-new"],"proxy":null,"headers":{"X-Org":null}}"#, "headers"),
            ] {
                let refused = try await client.call(.put, "/api/channel/1000000", token: root, body: body)
                #expect(
                    refused.status == 400 && refused.json["details"]?["field"]?.stringValue == missing, "\(body): \(refused.json.text)")
                #expect(refused.json["message"]?.stringValue?.contains("does not open") == true, "\(refused.json.text)")
            }
            #expect(try await parts.store.consoleRow(.channel(1_000_000))?.version == 1)
            let again = try await client.call(
                .put, "/api/channel/1000000", token: root,
                body: #"{"keys":["sk-new"],"proxy":"http://127.0.0.1:2","headers":{"X-Org":"p"}}"#)
            #expect(again.status == 200 && again.json["data"]?["status"] == "on", "\(again.json.text)")
            #expect(channel()?.keys == [Secret("sk-new")] && channel()?.proxy == Secret("http://127.0.0.1:2"))
            #expect(channel()?.headers == [StaticHeader(name: "X-Org", value: Secret("p"))])
            // From here on it is a channel like any other.
            let plain = try await client.call(.put, "/api/channel/1000000", token: admin, body: #"{"weight":3}"#)
            #expect(plain.status == 200 && channel()?.proxy == Secret("http://127.0.0.1:2"), "\(plain.json.text)")
        }
    }
}
