import Foundation
import HTTPTypes
import PostgresTesting
import RouterCore
import Simulator
import Testing

/// Responses that are made behind their answers: by vendors that make such, and by the gateway before all others. Each is charged once, by
/// what its vendor bills, whatever dies meanwhile.
@Suite(.serialized) struct BackgroundTests {
    /// Made by the gateway: a vendor that keeps responses and makes none in the background, one with the format alone, and other families.
    private static let own = ["held", "native", "chat", "anthropic", "gemini"]
    static let ledgers: [Bool] = [false, true]

    private func with(
        _ environment: [String: String] = [:], sections: String = "responses: { poll_interval: 200ms, max_background_per_user: 3 }\n",
        _ body: (inout World) async throws -> Void
    ) async throws {
        let prepared = try await World.make(sections: sections, start: false, environment: environment)
        await prepared.client.shutdown()
        let base = "http://127.0.0.1:\(prepared.simulator.port)"
        let files = [
            ("behind", "openai", "/v1", "endpoints: { responses: true }\nresponses: { stateful: true, background: true }", "bearer"),
            ("held", "openai", "/v1", "endpoints: { responses: true }\nresponses: { stateful: true }", "bearer"),
            ("native", "openai", "/stateless/v1", "endpoints: { responses: true }", "bearer"), ("chat", "openai", "/v1", "", "bearer"),
            ("anthropic", "anthropic", "/anthropic/v1", "", "header, name: x-api-key"),
            ("gemini", "gemini", "/gemini/v1beta", "", "header, name: x-goog-api-key"),
        ]
        var channels = "channels:\n"
        for (number, file) in files.enumerated() {
            try prepared.write(
                "providers/v\(file.0).yaml",
                """
                name: v\(file.0)
                adaptor: \(file.1)
                base_url: \(base)\(file.2)
                auth: { type: \(file.4) }
                billing: { cancel_stops_billing: true }
                \(file.3)
                models:
                  - { id: up-\(file.0), max_output_tokens: 4096, price: { input: "3", output: "15" } }

                """)
            channels += """
                  - { id: \(number + 1), name: \(file.0), provider: v\(file.0), keys: [\(file.0)-key-a, \(file.0)-key-b],
                      models: [{ name: \(file.0), upstream: up-\(file.0) }] }

                """
        }
        try prepared.write("config/channels.yaml", channels)
        try await prepared.gateway.start(environment: environment)
        let client = try Client(base: prepared.gateway.base)
        var world = World(
            simulator: prepared.simulator, gateway: prepared.gateway, client: client, admin: Admin(client: client), environment: environment
        )
        do {
            try await body(&world)
        } catch {
            let log = world.gateway.log.suffix(6_000)
            try? await world.tearDown()
            throw StringError("\(error)\n--- gateway log ---\n\(log)")
        }
        try await world.tearDown()
    }

    private static func environment(_ isPostgres: Bool) throws -> [String: String] {
        isPostgres ? ["SQL_DSN": try PostgresServer.shared.get().makeDatabase()] : [:]
    }

    // MARK: Calls

    private func begin(_ world: World, _ model: String, key: String, _ more: [JSONValue.Member] = []) async throws -> Client.Answer {
        let body = JSONValue.object(
            [.init("model", .string(model)), .init("input", "one two three"), .init("background", true)] + more)
        return try await world.client.call(.post, "/v1/responses", key: key, body: body.text)
    }

    /// - Returns: the id of a response that has begun.
    private func begun(_ world: World, _ model: String, key: String, _ more: [JSONValue.Member] = []) async throws -> String {
        let answer = try await begin(world, model, key: key, more)
        try #require(answer.status == 200, "\(answer.text)")
        let json = try answer.json
        let status = json["status"]?.stringValue ?? ""
        #expect(["queued", "in_progress"].contains(status) && json["background"] == true && json["model"]?.stringValue == model)
        return try #require(json["id"]?.stringValue, "\(answer.text)")
    }

    private func get(_ world: World, _ id: String, key: String) async throws -> Client.Answer {
        try await world.client.call(.get, "/v1/responses/\(id)", key: key)
    }

    private func ended(_ world: World, _ id: String, key: String) async throws -> JSONValue {
        var last = JSONValue.null
        try await eventually("\(id) is over", within: .seconds(60)) {
            let answer = try await get(world, id, key: key)
            try #require(answer.status == 200, "\(answer.text)")
            last = try answer.json
            return !["queued", "in_progress"].contains(last["status"]?.stringValue)
        }
        return last
    }

    /// Waits until the vendor of a model has been asked so often.
    private func asked(_ world: World, _ model: String, _ count: Int) async throws {
        let path = model == "anthropic" ? "/anthropic/v1/messages" : "/v1/chat/completions"
        try await eventually("the vendor is asked") { world.simulator.statistics.requests[path, default: 0] >= count }
    }

    private static func text(_ response: JSONValue) -> String {
        (response["output"]?.arrayValue ?? []).flatMap { $0["content"]?.arrayValue ?? [] }.compactMap { $0["text"]?.stringValue }.joined()
    }

    // MARK: Books

    private func transactions(_ world: World, _ token: String) async throws -> [JSONValue] {
        try await world.client.call(.get, "/api/balance/transactions?page_size=100", key: token).json["data"]?["items"]?.arrayValue ?? []
    }

    /// The charges, once there are so many and nothing is held.
    private func charges(_ world: World, _ token: String, count: Int) async throws -> [String] {
        var rows: [JSONValue] = []
        try await eventually("\(count) charges", within: .seconds(60)) {
            let all = try await transactions(world, token)
            rows = all.filter { $0["type"]?.stringValue == "usage" }
            let references = all.compactMap { $0["reference_id"]?.stringValue }
            let open = references.count { $0.hasSuffix(":held") } - references.count { $0.hasSuffix(":released") }
            return rows.count >= count && open == 0
        }
        return rows.compactMap { $0["amount"]?.numberText }.sorted()
    }

    /// The vendor's bill, as charges.
    private func bills(_ world: World) throws -> [String] {
        try world.simulator.record.rows().filter { $0.outcome == "completed" }.map { row in
            try NanoUSD(nanos: (row.promptTokens - row.cachedTokens) * 3_000 + row.cachedTokens * 3_000 + row.completionTokens * 15_000)
                .negated().usdText
        }.sorted()
    }

    private func check(_ world: World) async throws {
        try await world.gateway.stop()
        let books = try await world.verifyLedger()
        #expect(books.status == 0, "\(books.output)")
    }

    // MARK: At a vendor that makes them

    @Test(.timeLimit(.minutes(10)), arguments: ledgers)
    func `a vendor's background response is settled once, by its figures, however it ends`(_ isPostgres: Bool) async throws {
        try await with(Self.environment(isPostgres)) { world in
            let user = try await world.admin.makeUser("mine", usd: "5")
            let stranger = try await world.admin.makeUser("stranger", usd: "5")
            world.simulator.script.add(
                model: "up-behind", steps: ["polls=3", "polls=2,response_ends=incomplete", "polls=2,response_ends=failed", "polls=1000"])
            for end in ["completed", "incomplete", "failed"] {
                let id = try await begun(world, "behind", key: user.key)
                for (method, path) in [(HTTPRequest.Method.get, ""), (.get, "/input_items"), (.post, "/cancel"), (.delete, "")] {
                    let answer = try await world.client.call(method, "/v1/responses/\(id)\(path)", key: stranger.key)
                    #expect(answer.status == 404, "\(method) \(path): \(answer.text)")
                }
                let continued = try await begin(world, "behind", key: user.key, [.init("previous_response_id", .string(id))])
                #expect(continued.status == 400 || end != "completed", "it is not over: \(continued.text)")
                let response = try await ended(world, id, key: user.key)
                #expect(response["status"]?.stringValue == end && response["model"] == "behind", "\(response.text)")
                if end == "completed" { #expect(Self.text(response) == "one two three") }
            }
            // Cancelled: the vendor bills the prompt.
            let cancelled = try await begun(world, "behind", key: user.key)
            let answer = try await world.client.call(.post, "/v1/responses/\(cancelled)/cancel", key: user.key)
            #expect(try answer.json["status"] == "cancelled", "\(answer.text)")
            let charged = try await charges(world, user.token, count: 3)
            let billed = try bills(world)
            #expect(charged == billed && charged.count == 3)
            let row = try #require(try await world.logRows(3).first { $0["error_code"] == "response_cancelled" })
            #expect(row["prompt_tokens"]?.integerValue == 6 && row["completion_tokens"]?.integerValue == 0, "\(row.text)")
            try await check(world)
        }
    }

    @Test(.timeLimit(.minutes(10)), arguments: ledgers)
    func `a vendor's background response that nobody asks for is settled after a kill`(_ isPostgres: Bool) async throws {
        try await with(Self.environment(isPostgres)) { world in
            let user = try await world.admin.makeUser("mine", usd: "5")
            world.simulator.script.add(model: "up-behind", steps: ["polls=25"])
            let id = try await begun(world, "behind", key: user.key)
            let before = try await world.client.call(.get, "/api/balance", key: user.token).json["data"]?["balance"]?.numberText
            for _ in 0..<2 {
                let asked = world.simulator.statistics.requests["/v1/responses/\(id)", default: 0]
                let running = world
                try await eventually("the vendor is asked again", within: .seconds(60)) {
                    running.simulator.statistics.requests["/v1/responses/\(id)", default: 0] > asked
                }
                try await world.gateway.kill9()
                world = try await world.restarted()
                // Recovery has left the hold alone.
                #expect(try await world.client.call(.get, "/api/balance", key: user.token).json["data"]?["balance"]?.numberText == before)
            }
            #expect(try await charges(world, user.token, count: 1) == (try bills(world)))
            let response = try await ended(world, id, key: user.key)
            #expect(Self.text(response) == "one two three")
            let more = try await world.client.call(
                .post, "/v1/responses", key: user.key,
                body: JSONValue.object([
                    .init("model", "behind"), .init("input", "four"), .init("previous_response_id", .string(id)),
                ]).text)
            #expect(more.status == 200, "\(more.text)")
            #expect(try await charges(world, user.token, count: 2) == (try bills(world)))
            let deleted = try await world.client.call(.delete, "/v1/responses/\(id)", key: user.key)
            #expect(deleted.status == 200, "\(deleted.text)")
            try await check(world)
        }
    }

    @Test(.timeLimit(.minutes(5))) func `what a vendor does not begin costs nothing, and what is deleted is settled first`() async throws {
        try await with { world in
            let user = try await world.admin.makeUser("mine", usd: "5")
            world.simulator.script.add(model: "up-behind", steps: ["status=400,message=no such thing", "polls=1000"])
            let refused = try await begin(world, "behind", key: user.key)
            #expect(refused.status == 400 && refused.text.contains("no such thing"), "\(refused.text)")
            #expect(try await charges(world, user.token, count: 0) == [])
            let id = try await begun(world, "behind", key: user.key)
            let deleted = try await world.client.call(.delete, "/v1/responses/\(id)", key: user.key)
            #expect(deleted.status == 200, "\(deleted.text)")
            #expect(try await get(world, id, key: user.key).status == 404)
            #expect(try await charges(world, user.token, count: 1) == (try bills(world)))
            try await check(world)
        }
    }

    // MARK: Made by the gateway

    @Test(.timeLimit(.minutes(10))) func `before every other vendor the gateway makes them itself`() async throws {
        try await with { world in
            let user = try await world.admin.makeUser("mine", usd: "5")
            let stranger = try await world.admin.makeUser("stranger", usd: "5")
            for model in Self.own {
                world.simulator.script.add(model: "up-\(model)", steps: ["pace=700ms"])
                let id = try await begun(world, model, key: user.key)
                #expect(try await get(world, id, key: user.key).json["status"] == "in_progress", "\(model)")
                for (method, path) in [(HTTPRequest.Method.get, ""), (.get, "/input_items"), (.post, "/cancel"), (.delete, "")] {
                    let answer = try await world.client.call(method, "/v1/responses/\(id)\(path)", key: stranger.key)
                    #expect(answer.status == 404, "\(model) \(method) \(path): \(answer.text)")
                }
                let early = try await begin(world, model, key: user.key, [.init("previous_response_id", .string(id))])
                #expect(early.status == 400 && early.text.contains("still being made"), "\(model): \(early.text)")
                let response = try await ended(world, id, key: user.key)
                #expect(
                    response["status"] == "completed" && response["background"] == true && response["store"] == true, "\(response.text)")
                #expect(Self.text(response) == "one two three" && response["id"]?.stringValue == id, "\(model): \(response.text)")
                // One that is over can be cancelled without effect, and be continued.
                #expect(
                    try await world.client.call(.post, "/v1/responses/\(id)/cancel", key: user.key).json["status"] == "completed")
                let next = try await begun(world, model, key: user.key, [.init("previous_response_id", .string(id))])
                let second = try await ended(world, next, key: user.key)
                #expect(second["usage"]?["input_tokens"]?.integerValue == 12, "\(model): \(second.text)")
                #expect(second["previous_response_id"]?.stringValue == id)
            }
            #expect(try await charges(world, user.token, count: 2 * Self.own.count) == (try bills(world)))
            #expect(world.simulator.responses.ids.isEmpty)
            try await check(world)
        }
    }

    @Test(.timeLimit(.minutes(5))) func `a vendor that fails is told, and costs nothing`() async throws {
        try await with { world in
            let user = try await world.admin.makeUser("mine", usd: "5")
            world.simulator.script.add(model: "up-chat", steps: ["status=400,message=not like this"])
            let response = try await ended(world, try await begun(world, "chat", key: user.key), key: user.key)
            #expect(response["status"] == "failed" && response["error"]?["message"]?.stringValue?.contains("not like this") == true)
            #expect(try await charges(world, user.token, count: 0) == [])
        }
    }

    @Test(.timeLimit(.minutes(5)), arguments: ["chat", "anthropic"])
    func `cancelled or deleted, the vendor is stopped and what was made is paid`(_ model: String) async throws {
        try await with { world in
            let user = try await world.admin.makeUser("mine", usd: "5")
            world.simulator.script.add(model: "up-\(model)", steps: ["chunks=2000,pace=20ms"], repeatsLast: true)
            for (number, method) in [HTTPRequest.Method.post, .delete].enumerated() {
                let id = try await begun(world, model, key: user.key)
                try await asked(world, model, number + 1)
                let path = "/v1/responses/\(id)" + (method == .post ? "/cancel" : "")
                let answer = try await world.client.call(method, path, key: user.key)
                #expect(answer.status == 200, "\(answer.text)")
                let charged = try await charges(world, user.token, count: number + 1)
                #expect(charged.count == number + 1)
                let row = try #require(try await world.logRows(number + 1).first)
                let made = row["completion_tokens"]?.integerValue ?? 0
                #expect(made < 1_000 && row["outcome"] == "client_gone" && row["prompt_tokens"]?.integerValue ?? 0 > 0, "\(row.text)")
                if method == .post {
                    #expect(try answer.json["status"] == "cancelled" && answer.json["id"]?.stringValue == id)
                    #expect(try await get(world, id, key: user.key).json["status"] == "cancelled")
                } else {
                    #expect(try await get(world, id, key: user.key).status == 404)
                }
            }
            try await check(world)
        }
    }

    @Test(.timeLimit(.minutes(5)), arguments: ledgers)
    func `killed with its gateway, a response has failed and is settled as estimated`(_ isPostgres: Bool) async throws {
        try await with(Self.environment(isPostgres)) { world in
            let user = try await world.admin.makeUser("mine", usd: "5")
            world.simulator.script.add(model: "up-chat", steps: ["chunks=2000,pace=20ms"])
            let id = try await begun(world, "chat", key: user.key)
            try await asked(world, "chat", 1)
            try await world.gateway.kill9()
            world = try await world.restarted()
            let response = try await get(world, id, key: user.key).json
            #expect(response["status"] == "failed" && response["error"]?["code"] == "server_error", "\(response.text)")
            #expect(try await charges(world, user.token, count: 1).count == 1)
            let row = try #require(try await world.logRows(1).first)
            #expect(row["outcome"] == "recovered" && row["usage_source"] == "estimated", "\(row.text)")
            let more = try await begin(world, "chat", key: user.key, [.init("previous_response_id", .string(id))])
            #expect(more.status == 200, "\(more.text)")
            try await check(world)
        }
    }

    @Test(.timeLimit(.minutes(5))) func `a graceful stop waits for it`() async throws {
        try await with { world in
            let user = try await world.admin.makeUser("mine", usd: "5")
            world.simulator.script.add(model: "up-chat", steps: ["chunks=20,pace=50ms"])
            let id = try await begun(world, "chat", key: user.key)
            try await world.gateway.stop()
            world = try await world.restarted()
            let response = try await get(world, id, key: user.key).json
            #expect(response["status"] == "completed" && response["usage"]?["output_tokens"]?.integerValue == 20, "\(response.text)")
            #expect(try await charges(world, user.token, count: 1) == (try bills(world)))
        }
    }

    // MARK: Bounds, and two gateways

    @Test(.timeLimit(.minutes(5))) func `what cannot be done in the background is said, and the number is bounded`() async throws {
        try await with { world in
            let user = try await world.admin.makeUser("mine", usd: "5")
            for model in ["behind", "chat"] {
                for (name, param) in [("store", "background"), ("stream", "stream")] {
                    let refused = try await begin(world, model, key: user.key, [.init(name, .boolean(name == "stream"))])
                    #expect(refused.status == 400, "\(refused.text)")
                    #expect(try refused.json["error"]?["param"]?.stringValue == param)
                }
            }
            world.simulator.script.add(model: "*", steps: ["polls=1000,chunks=2000,pace=20ms"], repeatsLast: true)
            var ids: [String] = []
            for model in ["behind", "chat", "behind"] { ids.append(try await begun(world, model, key: user.key)) }
            for model in ["behind", "chat"] {
                let refused = try await begin(world, model, key: user.key)
                #expect(refused.status == 429, "\(model): \(refused.text)")
                #expect(try refused.json["error"]?["code"] == "too_many_background_responses")
            }
            _ = try await world.client.call(.post, "/v1/responses/\(ids[0])/cancel", key: user.key)
            try await eventually("there is room again") { try await begin(world, "behind", key: user.key).status == 200 }
        }
    }

    @Test(.timeLimit(.minutes(5))) func `requests that come together do not pass the bound`() async throws {
        try await with { world in
            let user = try await world.admin.makeUser("mine", usd: "5")
            world.simulator.script.add(model: "*", steps: ["polls=1000"], repeatsLast: true)
            let here = world
            let statuses = try await withThrowingTaskGroup(of: Int.self) { group in
                for _ in 0..<12 { group.addTask { try await begin(here, "behind", key: user.key).status } }
                return try await group.reduce(into: [Int: Int]()) { $0[$1, default: 0] += 1 }
            }
            // A place may be counted twice for a moment, never not at all.
            #expect((1...3).contains(statuses[200] ?? 0) && (statuses[200] ?? 0) + (statuses[429] ?? 0) == 12, "\(statuses)")
        }
    }

    @Test(.timeLimit(.minutes(5))) func `a vendor's background response counts in concurrency until it is settled`() async throws {
        try await with { world in
            let user = try await world.admin.makeUser("mine", usd: "5")
            let made = try await world.client.call(
                .post, "/api/token", key: user.token, body: #"{"name":"one","limits":{"concurrency":1}}"#)
            let key = try #require(try made.json["data"]?["key"]?.stringValue, "\(made.text)")
            func ask() async throws -> Client.Answer {
                try await world.client.call(.post, "/v1/responses", key: key, body: #"{"model":"chat","input":"one"}"#)
            }
            world.simulator.script.add(model: "up-behind", steps: ["polls=1000"], repeatsLast: true)
            let id = try await begun(world, "behind", key: key)
            for refused in [try await begin(world, "behind", key: key), try await ask()] {
                #expect(refused.status == 429 && refused.text.contains("concurrency"), "\(refused.text)")
            }
            _ = try await world.client.call(.post, "/v1/responses/\(id)/cancel", key: key)
            try await eventually("the place is free") { try await ask().status == 200 }
            // After a restart only the ledger knows of it.
            _ = try await begun(world, "behind", key: key)
            try await world.gateway.stop()
            world = try await world.restarted()
            #expect(try await ask().status == 200)
            let refused = try await begin(world, "behind", key: key)
            #expect(refused.status == 429 && refused.text.contains("concurrency"), "\(refused.text)")
        }
    }

    @Test(.timeLimit(.minutes(5))) func `another gateway of the ledger sees it run, and cancels it`() async throws {
        try await with(Self.environment(true)) { world in
            let user = try await world.admin.makeUser("mine", usd: "5")
            world.simulator.script.add(model: "up-chat", steps: ["chunks=2000,pace=20ms"], repeatsLast: true)
            let other = try await world.another()
            do {
                let id = try await begun(world, "chat", key: user.key)
                #expect(try await get(other, id, key: user.key).json["status"] == "in_progress")
                let cancelled = try await other.client.call(.post, "/v1/responses/\(id)/cancel", key: user.key)
                #expect(try cancelled.json["status"] == "cancelled", "\(cancelled.text)")
                #expect(try await charges(world, user.token, count: 1).count == 1)
                #expect(try await get(world, id, key: user.key).json["status"] == "cancelled")
            } catch {
                try? await other.stopGateway()
                throw error
            }
            try await other.stopGateway()
        }
    }
}
