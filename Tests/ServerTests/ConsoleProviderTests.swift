import Config
import HTTPTypes
import HummingbirdTesting
import Platform
import RouterCore
import Storage
import Testing

@testable import GatewayState
@testable import Server

/// Providers of one's own, over the management API of a gateway in this process.
@Suite(.serialized, .timeLimit(.minutes(10))) struct ConsoleProviderTests {
    private static let root = TestGateway.adminToken

    private func data(
        _ client: any TestClientProtocol, _ method: HTTPRequest.Method, _ path: String, _ body: String? = nil
    ) async throws -> JSONValue {
        let answer = try await client.call(method, path, token: Self.root, body: body)
        try #require(answer.status == 200, "\(method) \(path): \(answer.json.text)")
        return answer.json["data"] ?? .null
    }

    private func spec(_ gateway: TestGateway) -> ProviderSpec? {
        gateway.gateway.parts.snapshots.snapshot.configuration.providers.first { $0.name == "lab" }
    }

    private static let full = """
        {"name":"lab","display_name":"The lab","family":"anthropic","base_url":"https://lab.example/v1",
         "key_url":"https://lab.example/keys","headers":{"X-Org":"name-of-the-org","X-Team":"name-of-the-team"},
         "auth":{"type":"header","name":"x-lab-key"},"endpoints":{"messages":true,"models":"/all-models"},
         "errors":[{"status":402,"kind":"credential_exhausted"}],"billing":{"cancel_stops_billing":true},"keys_share_account":true,
         "models":[{"name":"lab-1","price":{"input":"0.5","output":"2","cache_read":"0.05"},"context_length":1000,"reasoning":true},
                   {"name":"lab-2","free":true}]}
        """

    @Test func `a provider of another family with headers is changed over the API, and its headers are never shown`() async throws {
        try await TestGateway.with { gateway, client in
            let made = try await data(client, .post, "/api/provider", Self.full)
            #expect(made["family"] == "anthropic" && made["key_url"] == "https://lab.example/keys" && made["problem"] == .null)
            let first = try #require(spec(gateway))
            #expect(first.auth == .header(name: "x-lab-key", prefix: "") && first.endpoints[.models] == "/all-models")
            #expect(first.errors.first?.kind == .credentialExhausted && first.billing.cancelStopsBilling && first.keysShareAccount)
            #expect(first.headers.map(\.name) == ["X-Org", "X-Team"] && first.headers[0].value == Secret("name-of-the-org"))
            #expect(first.models.first?.price?.rates.cacheRead?.usdPerMillionText == "0.05" && first.models.first?.reasoning == true)

            // The declaration can be sent back as it is, and nothing changes.
            let shown = try await data(client, .get, "/api/provider/lab")
            let config = try #require(shown["config"])
            #expect(config["headers"]?.text == #"{"X-Org":null,"X-Team":null}"# && config["family"] == "anthropic", "\(config.text)")
            let again = try await data(client, .put, "/api/provider/lab", config.text)
            #expect(again["config"] == config && spec(gateway) == first)

            // A value that is null stays, one that is not named goes.
            let changed = try await data(
                client, .put, "/api/provider/lab", #"{"headers":{"X-Org":null,"X-New":"a-new-value"},"family":"openai","auth":null}"#)
            let second = try #require(spec(gateway))
            #expect(second.headers.map { "\($0.name) \($0.value.reveal())" } == ["X-Org name-of-the-org", "X-New a-new-value"])
            #expect(second.family.rawValue == "openai" && second.auth == .bearer && second.models == first.models)
            _ = try await data(client, .put, "/api/provider/lab", #"{"headers":null,"key_url":null}"#)
            #expect(spec(gateway)?.headers == [] && spec(gateway)?.keyURL == nil)

            let rows = try await data(client, .get, "/api/audit?page_size=100")
            let list = try await data(client, .get, "/api/provider")
            let stored = try #require(try await gateway.gateway.parts.store.consoleRow(.provider("lab")))
            let everything = [made, shown, again, changed, rows, list].map(\.text).joined() + stored.config
            for secret in ["name-of-the-org", "name-of-the-team", "a-new-value"] { #expect(!everything.contains(secret)) }
        }
    }

    @Test func `a provider that would not be valid is refused with its field`() async throws {
        try await TestGateway.with { gateway, client in
            let mistakes = [
                ("family", #""carrier-pigeon""#), ("key_url", #""javascript:alert(1)""#), ("key_url", #""https://user@lab.example/""#),
                ("auth.type", #"{"type":"magic"}"#), ("headers", #"{"X-A":1}"#), ("headers", #"["X-A"]"#),
                ("endpoints", #"{"telepathy":true}"#),
                ("errors[0].kind", #"[{"status":400,"kind":"bad mood"}]"#), ("key_env", #""SESSION_SECRET""#),
                ("models", #"[{"name":"m","free":true,"price":{"input":1,"output":1}}]"#), ("models", #"[{"name":"m"}]"#),
            ]
            for (field, value) in mistakes {
                let name = String(field.prefix { $0 != "." && $0 != "[" })
                let answer = try await client.call(
                    .post, "/api/provider", token: Self.root, body: #"{"name":"lab","base_url":"https://lab.example","\#(name)":\#(value)}"#
                )
                let found = answer.json["details"]?["diagnostics"]?.arrayValue?.compactMap { $0["field"]?.stringValue } ?? []
                let named = answer.json["details"]?["field"]?.stringValue
                #expect(answer.status == 400 && (named == name || found.contains { $0.hasPrefix(field) }), "\(field): \(answer.json.text)")
                #expect(spec(gateway) == nil)
            }
            let family = try await client.call(
                .post, "/api/provider", token: Self.root, body: #"{"name":"lab","base_url":"https://lab.example","family":"x"}"#)
            #expect(family.json["details"]?["expected"]?.arrayValue?.contains("anthropic") == true, "\(family.json.text)")
        }
    }

    @Test func `headers whose seal does not open have to be entered again`() async throws {
        try await TestGateway.with { gateway, client in
            _ = try await data(client, .post, "/api/provider", Self.full)
            let parts = gateway.gateway.parts
            var row = try #require(try await parts.store.consoleRow(.provider("lab")))
            row.sealed = try Sealer(Secret("a secret that was replaced")).seal("{}", for: .consoleProvider, identity: "provider lab")
            try await parts.store.changeConsoleRow(row, audit: AuditEntry(actorID: nil, action: "test", at: 1))
            try await parts.reloader.consoleChanged()
            let broken = try #require(try await data(client, .get, "/api/provider").arrayValue?.first { $0["name"] == "lab" })
            #expect(broken["problem"]?.stringValue?.contains("sealed with another secret") == true, "\(broken.text)")
            #expect(try await data(client, .get, "/api/provider/lab")["config"]?["headers"] == .null)

            for body in ["{}", #"{"headers":{"X-Org":null}}"#] {
                let refused = try await client.call(.put, "/api/provider/lab", token: Self.root, body: body)
                #expect(refused.status == 400 && refused.json["details"]?["field"] == "headers", "\(body): \(refused.json.text)")
            }
            _ = try await data(client, .put, "/api/provider/lab", #"{"headers":{"X-Org":"entered again"}}"#)
            #expect(spec(gateway)?.headers.first?.value == Secret("entered again"))
        }
    }

    @Test func `provider files tell where one gets a key`() async throws {
        try await TestGateway.with { _, client in
            let providers = try await data(client, .get, "/api/provider").arrayValue ?? []
            let openAI = try #require(providers.first { $0["name"] == "openai" })
            #expect(openAI["key_url"] == "https://platform.openai.com/api-keys")
            #expect(providers.first { $0["name"] == "demo" }?["key_url"] == .null)
            #expect(try await data(client, .get, "/api/provider/openai")["config"] == .null)
        }
    }
}
