import Foundation
import HTTPTypes
import RouterCore
import Testing

/// What an audit proved against strict admission, once more, through the real binary: with one dollar nothing is bought for more than one.
@Suite(.serialized) struct StrictTests {
    private static let sections = "metering: { admission: strict, strict_fields: [sim_control], balance_wait: 0s }"

    private static let attacks: [(path: String, body: String, param: String)] = [
        (
            "/v1/messages",
            #"{"model":"sim/dear","max_tokens":9,"messages":[{"role":"user","content":[{"type":"document","source":{"type":"url","url":"https://a.example/b.pdf"}}]}]}"#,
            "messages[0].content[0].source.url"
        ),
        (
            "/v1/messages",
            #"{"model":"sim/dear","max_tokens":9,"messages":[{"role":"user","content":[{"type":"document","source":{"type":"base64","media_type":"image/jpeg","data":"/9j/4AAQ"}}]}]}"#,
            "messages[0].content[0].source.media_type"
        ),
        (
            "/v1beta/models/sim/dear:generateContent", #"{"contents":[{"parts":[{"fileData":{"fileUri":"gs://a/b"}}]}]}"#,
            "contents[0].parts[0].fileData"
        ),
        (
            "/v1beta/models/sim/dear:generateContent", #"{"contents":[{"parts":[{"text":"a"}]}],"cachedContent":"cachedContents/1"}"#,
            "cachedContent"
        ),
        (
            "/v1/responses", #"{"model":"sim/dear","input":[{"role":"user","content":[{"type":"input_file","file_url":"https://a"}]}]}"#,
            "input[0].content[0].file_url"
        ),
        ("/v1/responses", #"{"model":"sim/dear","input":"a","tools":[{"type":"web_search"}]}"#, "tools[0].type"),
        (
            "/v1/chat/completions",
            #"{"model":"sim/dear","messages":[{"role":"user","content":[{"type":"image_url","image\u005furl":{"url":"https://a"}}]}]}"#,
            "messages[0].content[0].image_url"
        ),
        ("/v1/chat/completions", #"{"model":"sim/dear","messages":[],"new_and_unknown":1}"#, "new_and_unknown"),
    ]

    @Test("audit 1: strict admission refuses what it cannot bound, before a vendor is asked", .timeLimit(.minutes(10)))
    func attacksAreRefused() async throws {
        try await World.with(sections: Self.sections) { world in
            let user = try await world.admin.makeUser("attacker", usd: "1")
            for attack in Self.attacks {
                let answer = try await world.client.call(.post, attack.path, key: user.key, body: attack.body)
                #expect(answer.status == 400, "\(attack.body): \(answer.status) \(answer.text)")
                #expect(answer.text.contains("'\(attack.param)'"), "\(attack.param): \(answer.text)")
            }
            #expect(world.calls(key: "sim-key") == 0)
            // The same as ever for what has a bound.
            let plain = #"{"model":"sim/dear","max_tokens":9,"messages":[{"role":"user","content":"hi"}]}"#
            #expect(try await world.client.call(.post, "/v1/chat/completions", key: user.key, body: plain).status == 200)
        }
    }

    @Test("audit 1: five hundred prompts are held five hundred times", .timeLimit(.minutes(10)))
    func promptsAreCounted() async throws {
        try await World.with(sections: Self.sections) { world in
            let user = try await world.admin.makeUser("many", usd: "1")
            let prompts = Array(repeating: "\"a\"", count: 500).joined(separator: ",")
            // 500 × 1,000 tokens at $15 a million are $7.50.
            let body = "{\"model\":\"sim/dear\",\"max_tokens\":1000,\"prompt\":[\(prompts)]}"
            let answer = try await world.client.call(.post, "/v1/completions", key: user.key, body: body)
            let name = try #require(HTTPField.Name("X-Max-Tokens-Lowered"))
            #expect(
                answer.status == 402 || (Int64(answer.headers[name] ?? "") ?? .max) <= 133, "\(answer.status) \(answer.text.prefix(200))")
            let best = #"{"model":"sim/dear","max_tokens":8000,"prompt":"a","best_of":100}"#
            let dear = try await world.client.call(.post, "/v1/completions", key: user.key, body: best)
            #expect(dear.status == 402 || (Int64(dear.headers[name] ?? "") ?? .max) <= 666, "\(dear.status) \(dear.text.prefix(200))")
        }
    }

    @Test(
        "audit 1: the cost that a client is shown, its row and the ledger are one number", .timeLimit(.minutes(10)),
        arguments: ["strict", "standard"])
    func costIsOneNumber(_ admission: String) async throws {
        try await World.with(sections: "metering: { admission: \(admission), strict_fields: [sim_control] }") { world in
            try await world.admin.addBalance(1, usd: "100")
            for stream in [false, true] {
                // Ten million tokens at $3 a million, from a prompt of a few words.
                let answer = try await world.chat(
                    "sim/dear", stream: stream, controls: "prompt_tokens=10000000,completion_tokens=5",
                    more: stream ? [.init("stream_options", ["include_usage": true])] : [])
                let rows = try await world.logRows(stream ? 2 : 1)
                let row = try #require(rows.first)
                let cost = try #require(row["cost"]?.numberText)
                #expect(answer.text.contains("\"cost\":\(cost)"), "\(cost): \(answer.text.suffix(400))")
                let entry = try await world.admin.get("/api/balance/transactions?type=usage")["data"]?["items"]?.arrayValue?.first
                #expect(entry?["amount"]?.numberText == "-\(cost)", "\(entry?.text ?? "")")
                let uncharged = try NanoUSD(usd: row["uncharged"]?.numberText ?? "")
                let whole = try NanoUSD(usd: cost).adding(uncharged)
                #expect(whole == (try NanoUSD(usd: "30.000075")))
                #expect((admission == "strict") == uncharged.isPositive, "\(row.text)")
            }
            let metrics = try await world.client.call(.get, "/metrics").text
            #expect(metrics.contains("apirouter_uncharged_usd_total 0\n") == (admission == "standard"))
        }
    }

    @Test("audit 5: documents by URL are held at their worst", .timeLimit(.minutes(10)))
    func referencesAreHeld() async throws {
        try await World.with(sections: "metering: { admission: standard, balance_wait: 0s }") { world in
            let user = try await world.admin.makeUser("small", usd: "0.25")
            let body =
                #"{"model":"sim/dear","max_tokens":9,"messages":[{"role":"user","content":[{"type":"file","file":{"file_id":"f"}}]}]}"#
            // The model reads 100,000 tokens at most, $0.30 at $3 a million.
            let refused = try await world.client.call(.post, "/v1/chat/completions", key: user.key, body: body)
            #expect(refused.status == 402, "\(refused.status) \(refused.text)")
            #expect(world.calls(key: "sim-key") == 0)
        }
    }

    @Test("audit 6: tools without a price stay out and are named", .timeLimit(.minutes(10)))
    func toolsStayOut() async throws {
        try await World.with { world in
            try await world.admin.addBalance(1, usd: "1")
            let answer = try await world.chat(
                more: [.init("tools", [["type": "web_search"], ["type": "function", "function": ["name": "f"]]])])
            let name = try #require(HTTPField.Name("X-Tools-Left-Out"))
            #expect(answer.status == 200 && answer.headers[name] == "web_search", "\(answer.status) \(answer.text)")
            let refused = try await world.chat(more: [.init("plugins", [["id": "web"]])])
            #expect(refused.status == 400 && refused.text.contains("'plugins'"), "\(refused.text)")
            let dear = try await world.chat(more: [.init("service_tier", "priority")])
            #expect(dear.status == 400 && dear.text.contains("service_tier 'priority' has no price"), "\(dear.text)")
        }
    }
}
