import Foundation
import HTTPTypes
import RouterCore
import Testing

/// Fields that a conversion leaves out are named in a header and in the log, and a gateway, a channel or a key can refuse it instead.
@Suite(.serialized) struct ConversionModeTests {
    private static let body = #"""
        {"model":"sim/cheap","max_tokens":50,"messages":[{"role":"user","content":"one two"}],
        "context_management":{"edits":[{"type":"clear_thinking_20251015","keep":"all"}]},
        "tools":[{"name":"f","input_schema":{"type":"object"},"defer_loading":true},{"type":"web_search_20250305","name":"web_search"}]}
        """#

    private func ask(_ world: World, _ key: String) async throws -> (status: Int, dropped: String?, text: String) {
        let answer = try await world.client.call(.post, "/v1/messages", key: key, body: Self.body)
        return (answer.status, answer.headers[try #require(HTTPField.Name("X-Dropped-Fields"))], answer.text)
    }

    private func set(_ world: World, _ user: (id: Int64, token: String, key: String), _ conversion: String) async throws {
        let id = try #require(
            try await world.client.call(.get, "/api/token", key: user.token).json["data"]?["items"]?.arrayValue?.first?["id"]?.integerValue)
        let answer = try await world.client.call(.put, "/api/token/\(id)", key: user.token, body: #"{"conversion":\#(conversion)}"#)
        #expect(answer.status == 200, "\(answer.text)")
        let told = try answer.json["data"]?["conversion"]
        #expect(told?.text == conversion, "\(answer.text)")
    }

    @Test func `left-out fields are in the header and in the log row, and a key's own choice wins`() async throws {
        try await World.with { world in
            let user = try await world.admin.makeUser("lenient", usd: "1")
            let names = ["tools.defer_loading", "context_management"]
            let first = try await ask(world, user.key)
            #expect(first.status == 200 && first.dropped == names.joined(separator: ", "), "\(first)")
            let row = try #require(try await world.logRows(1).first)
            #expect(row["dropped_fields"]?.arrayValue?.compactMap(\.stringValue) == ["tools.web_search_20250305"] + names, "\(row.text)")

            try await set(world, user, "\"strict\"")
            let refused = try await ask(world, user.key)
            #expect(refused.status == 400 && refused.text.contains("tools[0]"), "\(refused)")
            try await set(world, user, "null")
            #expect(try await ask(world, user.key).status == 200)
            let wrong = try await world.client.call(.post, "/api/token", key: user.token, body: #"{"name":"x","conversion":"loose"}"#)
            #expect(wrong.status == 400 && wrong.text.contains("one of lenient, strict"), "\(wrong.text)")

            // A restart reads the key's choice and the row from the database.
            try await set(world, user, "\"strict\"")
            try await world.gateway.stop()
            let again = try await world.restarted()
            #expect(try await ask(again, user.key).status == 400)
            #expect(try await again.logRows(2).last?["dropped_fields"]?.arrayValue?.count == 3)
            await again.client.shutdown()
        }
    }

    @Test func `a channel's choice goes before the gateway's, and a key's before both`() async throws {
        try await World.with(
            channels: [World.ChannelSpec(id: 1, extra: ["conversion: strict"])], sections: "routing: { conversion: lenient }"
        ) { world in
            let user = try await world.admin.makeUser("strict", usd: "1")
            #expect(try await ask(world, user.key).status == 400)
            try await set(world, user, "\"lenient\"")
            #expect(try await ask(world, user.key).status == 200)
        }
    }
}
