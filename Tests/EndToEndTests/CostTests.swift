import HTTPTypes
import NIOCore
import PostgresTesting
import RouterCore
import Testing

/// Costs and earnings of calls, with the real binary: one model that channels of different cost serve at one price.
@Suite(.serialized, .timeLimit(.minutes(10))) struct CostTests {
    /// `sim/cheap` is sold at 0.15 and 0.6 dollars per million tokens.
    private static let channels = [
        World.ChannelSpec(id: 1, key: "sk-list"),
        World.ChannelSpec(id: 2, key: "sk-deal", extra: ["cost: { ratio: \"0.8\" }"]),
        World.ChannelSpec(
            id: 3, key: "sk-loss", priority: 1, extra: ["cost: { models: { sim/cheap: { input: \"0.5\", output: \"1\" } } }"]),
    ]

    private static let controls = "prompt_tokens=1000,completion_tokens=1000"

    private func ask(_ world: World, _ channel: Int? = nil, controls: String = controls) async throws -> Client.Answer {
        let only = channel.map { [JSONValue.Member("provider", ["only": [.string("channel-\($0)")]])] } ?? []
        return try await world.chat(controls: controls, more: only)
    }

    private func table(_ rows: JSONValue?) -> [String: [String]] {
        let names = ["requests", "charged", "vendor_cost", "margin", "requests_without_cost"]
        let rows = (rows?.arrayValue ?? []).map { row in (row["key"]?.stringValue ?? "", names.map { row[$0]?.numberText ?? "" }) }
        return Dictionary(rows) { first, _ in first }
    }

    @Test("a table of margins: three channels of different cost, one price", arguments: [false, true])
    func margins(_ isShared: Bool) async throws {
        let environment = isShared ? ["SQL_DSN": try PostgresServer.shared.get().makeDatabase()] : [:]
        try await World.with(channels: Self.channels, environment: environment) { world in
            try await world.admin.addBalance(1, usd: "10")
            for (channel, count) in [(1, 1), (2, 2), (3, 3)] {
                for _ in 0..<count { #expect(try await ask(world, channel).status == 200) }
            }
            let rows = try await world.logRows(6)
            func row(_ channel: Int64) throws -> JSONValue { try #require(rows.first { $0["channel_id"]?.integerValue == channel }) }
            for (channel, cost, margin) in [(1, "0.00075", "0"), (2, "0.0006", "0.00015"), (3, "0.0015", "-0.00075")] {
                let found = try row(Int64(channel))
                #expect(found["cost"]?.numberText == "0.00075" && found["vendor_cost"]?.numberText == cost, "\(found.text)")
                #expect(found["margin"]?.numberText == margin && found["vendor_cost_source"]?.stringValue == "computed")
                #expect(found["upstream_cost"]?.isNull == true)
            }
            let byChannel = table(try await world.admin.get("/api/margin?by=channel")["data"])
            #expect(
                byChannel == [
                    "1": ["1", "0.00075", "0.00075", "0", "0"], "2": ["2", "0.0015", "0.0012", "0.0003", "0"],
                    "3": ["3", "0.00225", "0.0045", "-0.00225", "0"],
                ])
            let whole = ["6", "0.0045", "0.00645", "-0.00195", "0"]
            #expect(table(try await world.admin.get("/api/margin")["data"]) == ["sim/cheap": whole])
            let days = table(try await world.admin.get("/api/margin?by=day&model=sim/cheap")["data"])
            // A run may be over midnight.
            #expect(days.count == 1 ? days.values.first == whole : days.count == 2, "\(days)")
            let ledger = try await world.admin.get("/api/ledger/margin")["data"]?.arrayValue ?? []
            #expect(ledger.count == 3 && ledger.contains { $0["margin"]?.numberText == "-0.00225" })
            let total = try await world.admin.get("/api/stats/series")["data"]?["total"]
            #expect(total?["vendor_cost"]?.numberText == "0.00645" && total?["margin"]?.numberText == "-0.00195")
            // The same by the command line, and as a table.
            let lines = try await world.command(["ledger", "margin", "--by", "channel"])
            #expect(lines.status == 0 && lines.output.contains("3,3,0.00225,0,0.0045,-0.00225,0,0"), "\(lines.output)")
            let pairs = try await world.command(["ledger", "margin"])
            #expect(pairs.output.contains("sim/cheap,2,2,0.0015,0,0.0012,0.0003,0,0"), "\(pairs.output)")
            let csv = try await world.client.call(.get, "/api/log/export", key: GatewayProcess.rootToken).text
            #expect(csv.contains(",vendor_cost,vendor_cost_source,margin\r\n") && csv.contains(",0.0015,computed,-0.00075\r\n"))
            let books = try await world.verifyLedger()
            #expect(books.status == 0, "\(books.output)")
        }
    }

    @Test("costs are nobody's but the operators'")
    func isHidden() async throws {
        try await World.with(channels: Self.channels) { world in
            let user = try await world.admin.makeUser("curious", usd: "1")
            let body = #"{"model":"sim/cheap","messages":[{"role":"user","content":"x"}]}"#
            let answer = try await world.client.call(.post, "/v1/chat/completions", key: user.key, body: body)
            #expect(answer.status == 200 && !answer.text.contains("vendor_cost"))
            try await eventually("the row is there") {
                try await world.client.call(.get, "/api/log/self", key: user.token).json["data"]?["items"]?.arrayValue?.count == 1
            }
            for path in ["/api/log/self", "/api/log/self/export", "/api/stats/series", "/api/stats/top?by=model"] {
                let text = try await world.client.call(.get, path, key: user.token).text
                #expect(!text.contains("vendor_cost") && !text.contains("margin"), "\(path): \(text)")
            }
            #expect(try await world.client.call(.get, "/api/margin", key: user.token).status == 403)
            let wrong = try await world.client.call(.get, "/api/margin?by=user", key: GatewayProcess.rootToken)
            #expect(wrong.status == 400 && wrong.text.contains("day"), "\(wrong.text)")
        }
    }

    @Test("what the vendor reports is the cost, and a failed call that it bills is a part of it")
    func reported() async throws {
        let channels = [
            World.ChannelSpec(id: 1, provider: "simrouter", key: "sk-hub", priority: 1, extra: ["cost: { ratio: \"0.1\" }"]),
            World.ChannelSpec(id: 2, key: "sk-back"),
        ]
        try await World.with(channels: channels) { world in
            try await world.admin.addBalance(1, usd: "10")
            #expect(try await ask(world, controls: "prompt_tokens=1000,completion_tokens=1000,cost=0.0009").status == 200)
            let row = try #require(try await world.logRows(1).first)
            #expect(row["vendor_cost"]?.numberText == "0.0009" && row["vendor_cost_source"]?.stringValue == "reported", "\(row.text)")
            // OpenRouter's hosts may be dearer than its list: the charge covers that, and so nothing is lost.
            #expect(row["cost"]?.numberText == "0.0009" && row["margin"]?.numberText == "0", "\(row.text)")
        }
    }

    @Test("a channel that would sell below its cost is put last, or refused, and the client is told no more than that")
    func guarded() async throws {
        try await World.with(channels: Self.channels, sections: "routing: { below_cost: last }") { world in
            try await world.admin.addBalance(1, usd: "10")
            // The third channel has the highest priority.
            for _ in 0..<5 { #expect(try await ask(world).status == 200) }
            #expect(world.calls(key: "loss") == 0)
            #expect(try await ask(world, 3).status == 200, "better than nothing")
            #expect(world.calls(key: "loss") == 1)
            try world.write("config/gateway.yaml", World.gatewayYAML("routing: { below_cost: refuse }"))
            _ = try await world.admin.post("/api/config/reload", .object([]))
            for _ in 0..<5 { #expect(try await ask(world).status == 200) }
            let refused = try await ask(world, 3)
            #expect(refused.status == 400 && refused.text.contains("model_below_cost"), "\(refused.text)")
            #expect(refused.text.contains("sim/cheap") && !refused.text.contains("0.5"))
            #expect(world.calls(key: "loss") == 1)
            // Other models of that channel cost what the list says.
            #expect(try await world.chat("sim/dear", more: [.init("provider", ["only": ["channel-3"]])]).status == 200)
            let why = try await world.admin.get("/api/route/explain?model=sim/cheap")
            #expect(why.text.contains("would sell below its cost (input)"), "\(why.text)")
            // With a higher price it is served again.
            let price: JSONValue = [
                "model_name": "sim/cheap", "pricing_input": .number("0.0000005"), "pricing_output": .number("0.000001"),
            ]
            let set = try await world.client.call(.put, "/api/models/pricing", key: GatewayProcess.rootToken, body: price.text)
            #expect(set.status == 200, "\(set.text)")
            try await eventually("the new price is in force") { try await ask(world, 3).status == 200 }
        }
    }
}
