import Foundation
import HTTPTypes
import PostgresTesting
import RouterCore
import Simulator
import Testing

/// Models without a price, and the ways to give them one: the command, a public price list, an admin who accepts what was held back.
@Suite(.serialized) struct PriceListTests {
    private static let channels = [World.ChannelSpec(id: 1, provider: "simrouter")]

    /// The vendor lists three models that no file prices.
    private static let vendorList: JSONValue = [
        "data": [["id": "sim/cheap"], ["id": "sim/bare"], ["id": "sim/listed"], ["id": "sim/gratis"]]
    ]

    private static func entry(_ input: String, _ output: String, _ more: [JSONValue.Member] = []) -> JSONValue {
        .object(
            [
                .init("litellm_provider", "simrouter"), .init("mode", "chat"), .init("input_cost_per_token", .number(input)),
                .init("output_cost_per_token", .number(output)),
            ] + more)
    }

    /// In LiteLLM's form, with the floats that it has.
    private static func priceList(_ output: String) -> JSONValue {
        [
            "sample_spec": ["litellm_provider": "one of …", "mode": "chat", "input_cost_per_token": .number("0.0")],
            "sim/listed": entry("1.4999999999999999e-07", output, [.init("max_input_tokens", .integer(64_000))]),
            "simrouter/sim/cheap": entry("9e-06", "9e-06"), "sim/gratis": entry("0.0", "0.0"), "other/sim/bare": ["mode": "chat"],
        ]
    }

    private func price(_ world: World, _ model: String) async throws -> JSONValue? {
        try await world.client.call(.get, "/api/models/pricing/\(model)").json["data"]
    }

    private func chat(_ world: World, _ model: String) async throws -> (status: Int, text: String) {
        let body: JSONValue = [
            "model": .string(model), "messages": [["role": "user", "content": "hi"]],
            "sim_control": "prompt_tokens=1000,completion_tokens=100",
        ]
        let answer = try await world.client.call(.post, "/v1/chat/completions", key: GatewayProcess.rootKey, body: body.text)
        return (answer.status, answer.text)
    }

    @Test(.timeLimit(.minutes(10)), arguments: [false, true])
    func `a model that nobody has priced says how, and the command does it while the gateway runs`(_ isPostgres: Bool) async throws {
        let environment = isPostgres ? ["SQL_DSN": try PostgresServer.shared.get().makeDatabase()] : [:]
        try await World.with(channels: Self.channels, environment: environment) { world in
            try await world.admin.addBalance(1, usd: "10")
            world.simulator.listedModels.set(Self.vendorList)
            #expect(try await world.command(["models", "sync"]).output.contains("? sim/bare: the list has no price"))
            if !isPostgres { #expect(try await world.admin.post("/api/config/reload", [:])["success"]?.boolValue == true) }
            try await eventually("the error names the command") {
                let refused = try await chat(world, "sim/bare")
                return refused.status == 400 && refused.text.contains("model_price_missing")
                    && refused.text.contains("apirouter models price --input USD_PER_MILLION --output USD_PER_MILLION sim/bare")
            }
            // A name that no list has is another matter.
            #expect(try await chat(world, "sim/nothing").status == 404)

            let wrong = try await world.command(["models", "price", "sim/bare", "--input", "0,5"])
            #expect(wrong.status != 0 && wrong.output.contains("'0,5' is no price"), "\(wrong.output)")
            let none = try await world.command(["models", "price", "sim/bare"])
            #expect(none.status != 0 && none.output.contains("name a price"), "\(none.output)")
            let done = try await world.command(["models", "price", "--input", "0.1", "--output", "2e-1", "sim/bare"])
            #expect(
                done.status == 0 && done.output.hasPrefix("sim/bare: USD input 0.1 per million, output 0.2 per million (version "),
                "\(done.output)")
            let user = try await world.admin.makeUser("payer", usd: "1")
            try await eventually("the running gateway takes the price up") { try await chat(world, "sim/bare").status == 200 }
            let body: JSONValue = [
                "model": "sim/bare", "messages": [["role": "user", "content": "hi"]],
                "sim_control": "prompt_tokens=1000,completion_tokens=100",
            ]
            #expect(try await world.client.call(.post, "/v1/chat/completions", key: user.key, body: body.text).status == 200)
            try await eventually("it is charged") {
                // 1,000 × 0.1 + 100 × 0.2 USD per million.
                try await world.admin.transactions(token: user.token).first?["amount"]?.numberText == "-0.00012"
            }
            // One figure of a priced model can be set alone.
            let more = try await world.command(["models", "price", "sim/bare", "--search", "0.01"])
            #expect(
                more.status == 0 && more.output.contains("input 0.1 per million, output 0.2 per million, search 0.01 (version "),
                "\(more.output)")
        }
    }

    @Test(.timeLimit(.minutes(10)))
    func `a price list prices what has none, and what falls too far waits for an admin`() async throws {
        let list = Simulator(configuration: .init())
        try await list.start()
        list.listedModels.set(Self.priceList("6e-07"))
        do {
            try await World.with(
                channels: Self.channels, sections: "models: { price_list: \"http://127.0.0.1:\(list.port)/api/v1/models\" }"
            ) { world in
                try await world.admin.addBalance(1, usd: "10")
                // The gateway has asked at its start, when the vendor's list was another.
                world.simulator.listedModels.set(Self.vendorList)
                let synced = try await world.command(["models", "sync"])
                #expect(synced.status == 0 && synced.output.contains("+ sim/listed: input 0.15, output 0.6\n"), "\(synced.output)")
                #expect(synced.output.contains("0 sim/gratis: new and free; held back"), "\(synced.output)")
                try await eventually("the model is served") { try await chat(world, "sim/listed").status == 200 }
                #expect(try await price(world, "sim/listed")?["context_length"]?.integerValue == 64_000)
                #expect(try await price(world, "sim/cheap")?["pricing_input"]?.numberText == "0.00000015", "the file's price stays")
                #expect(try await chat(world, "sim/gratis").text.contains("model_price_missing"))
                #expect(try await chat(world, "sim/bare").text.contains("model_price_missing"))

                // Dearer is believed, a tenth is not.
                list.listedModels.set(Self.priceList("0.0000009"))
                #expect(try await world.command(["models", "sync"]).output.contains("~ sim/listed: output 0.6 → 0.9\n"))
                list.listedModels.set(Self.priceList("9e-8"))
                let fallen = try await world.command(["models", "sync"])
                #expect(fallen.output.contains("0 sim/listed: output 0.9 → 0.09; held back"), "\(fallen.output)")
                try await eventually("the old price is in force") {
                    try await price(world, "sim/listed")?["pricing_output"]?.numberText == "0.0000009"
                }
                let held = try await world.command(["models", "held"])
                #expect(held.output.contains("sim/listed: output 0.9 → 0.09 (the price list for simrouter)\n"), "\(held.output)")
                let shown = try await world.admin.get("/api/models/held")["data"]?.arrayValue ?? []
                #expect(shown.map { $0["model_name"]?.stringValue } == ["sim/gratis", "sim/listed"], "\(shown)")
                let accepted = try await world.admin.post("/api/models/held/accept", ["model_name": "sim/listed"])
                #expect(accepted["data"]?["pricing_output"]?.numberText == "0.00000009", "\(accepted.text)")
                #expect(try await price(world, "sim/listed")?["pricing_output"]?.numberText == "0.00000009")
                // The list goes on to set it.
                list.listedModels.set(Self.priceList("8e-8"))
                #expect(try await world.command(["models", "sync"]).output.contains("~ sim/listed: output 0.09 → 0.08\n"))
                let gratis = try await world.command(["models", "accept", "sim/gratis"])
                #expect(gratis.status == 0 && gratis.output.hasPrefix("sim/gratis: free (version "), "\(gratis.output)")
                #expect(try await world.command(["models", "held"]).output == "no price is held back\n")
                try await eventually("the free model is served") { try await chat(world, "sim/gratis").status == 200 }
            }
        } catch {
            try? await list.stop()
            throw error
        }
        try await list.stop()
    }

    @Test(.timeLimit(.minutes(10))) func `a price list that cannot be had changes nothing and is said`() async throws {
        let list = Simulator(configuration: .init())
        try await list.start()
        list.listedModels.set(["data": []])
        try await World.with(
            channels: Self.channels, sections: "models: { sync_interval: 0s, price_list: \"http://127.0.0.1:\(list.port)/api/v1/models\" }"
        ) { world in
            let other = try await world.command(["models", "sync"])
            #expect(other.status == 1 && other.output.contains("price list: is no list of prices in LiteLLM's form"), "\(other.output)")
            try await list.stop()
            let away = try await world.command(["models", "sync"])
            #expect(away.status == 1 && away.output.contains("price list: could not be fetched"), "\(away.output)")
        }
    }
}
