import Foundation
import HTTPTypes
import NIOCore
import PostgresTesting
import RouterCore
import Simulator
import Testing

/// Budgets, refunds, corrections, reports and failing disks, with the real binary.
@Suite(.serialized) struct LedgerTests {
    private func ask(
        _ world: World, _ key: String, _ model: String = "sim/dear", controls: String = "ok", stream: Bool = false, maxTokens: Int = 100,
        text: String = "hello"
    ) async throws -> Client.Answer {
        var members: [JSONValue.Member] = [
            .init("model", .string(model)), .init("messages", [["role": "user", "content": .string(text)]]),
            .init("max_tokens", .integer(maxTokens)), .init("sim_control", .string(controls)),
        ]
        if stream { members.append(.init("stream", true)) }
        return try await world.client.call(.post, "/v1/chat/completions", key: key, body: JSONValue.object(members).text)
    }

    private func error(_ answer: Client.Answer) throws -> (code: String, message: String) {
        let error = try answer.json["error"]
        return (error?["code"]?.stringValue ?? "", error?["message"]?.stringValue ?? "")
    }

    // MARK: Budgets

    @Test(.timeLimit(.minutes(10))) func `a budget stops its key or its user, and the answer says which`() async throws {
        try await World.with { world in
            let user = try await world.admin.makeUser("bounded", usd: "10")
            func key(_ limits: String) async throws -> (id: Int64, key: String) {
                let created = try await world.client.call(
                    .post, "/api/token", key: user.token, body: "{\"name\":\"k\",\"limits\":\(limits)}"
                ).json
                guard let id = created["data"]?["id"]?.integerValue, let key = created["data"]?["key"]?.stringValue else {
                    throw StringError(created.text)
                }
                return (id, key)
            }
            // A request holds about 0.0016 and costs 0.00156 at most.
            let daily = try await key(#"{"budget":{"day":0.003,"total":5}}"#)
            var last = try await ask(world, daily.key, controls: "completion_tokens=100")
            for _ in 0..<3 where last.status == 200 { last = try await ask(world, daily.key, controls: "completion_tokens=100") }
            #expect(last.status == 429)
            #expect(try error(last).code == "key_budget_exceeded")
            #expect(try error(last).message.contains("budget per day of this key is $0.003"))
            let wait = Int64(last.headers[.retryAfter] ?? "") ?? 0
            #expect((1...86_400).contains(wait))

            // More budget, and it goes on; another key of the same user never stopped.
            let raise = try await world.client.call(
                .put, "/api/token/\(daily.id)", key: user.token, body: #"{"limits":{"budget":{"day":1}}}"#)
            #expect(raise.status == 200)
            #expect(try await ask(world, daily.key).status == 200)
            #expect(try await ask(world, user.key).status == 200)

            // A free answer needs no budget; a total that is used up is a matter of money.
            let nothing = try await key(#"{"budget":{"total":0}}"#)
            let refused = try await ask(world, nothing.key)
            #expect(refused.status == 402)
            #expect(try error(refused).message.contains("total budget of this key"))
            #expect(try await ask(world, nothing.key, "sim/free").status == 200)

            _ = try await world.admin.put("/api/user/\(user.id)", ["limits": ["budget": ["month": .number("0.0001")]]])
            let stopped = try await ask(world, user.key)
            #expect(stopped.status == 429)
            #expect(try error(stopped).code == "user_budget_exceeded")

            // What was spent is known after a restart.
            try await world.gateway.kill9()
            let again = try await world.restarted()
            let still = try await ask(again, user.key)
            #expect(still.status == 429, "\(still.text)")
            #expect(try error(still).code == "user_budget_exceeded")
            await again.client.shutdown()
        }
    }

    private static let senseless = [
        (#"{"budget":5}"#, "must be an object"), (#"{"budget":{"week":5}}"#, "allowed: total, month, day"),
        (#"{"budget":{"day":-1}}"#, "USD as a number from 0"), (#"{"budget":{"day":"1"}}"#, "USD as a number from 0"),
        (#"{"budgets":{}}"#, "allowed: allowed_ips, budget"), (#"[1]"#, "must be an object"),
    ]

    @Test(.timeLimit(.minutes(10))) func `limits that make no sense are refused with what is allowed`() async throws {
        try await World.with { world in
            for (limits, says) in Self.senseless {
                let answer = try await world.client.call(
                    .post, "/api/token", key: GatewayProcess.rootToken, body: "{\"name\":\"k\",\"limits\":\(limits)}")
                #expect(answer.status == 400 && answer.text.contains(says), "\(limits): \(answer.text)")
            }
        }
    }

    @Test(.timeLimit(.minutes(10))) func `many requests at once stay within a budget`() async throws {
        try await World.with { world in
            let user = try await world.admin.makeUser("crowd", usd: "10")
            _ = try await world.admin.put("/api/user/\(user.id)", ["limits": ["budget": ["total": .number("0.02")]]])
            let answers = try await withThrowingTaskGroup(of: Int.self) { group in
                for _ in 0..<60 {
                    group.addTask {
                        try await ask(world, user.key, controls: "first_byte=20ms,prompt_tokens=20,completion_tokens=100").status
                    }
                }
                return try await group.reduce(into: [Int: Int]()) { $0[$1, default: 0] += 1 }
            }
            #expect(Set(answers.keys) == [200, 402])
            try await eventually("all are posted") { try await world.admin.transactions(token: user.token).count == answers[200] }
            let charged = try await world.admin.transactions(token: user.token).compactMap { $0["amount"]?.numberText }
                .map { try NanoUSD(usd: $0) }.reduce(0) { $0 - $1.nanos }
            #expect(charged <= 20_000_000 && charged > 8_000_000)
        }
    }

    // MARK: Refunds

    @Test(.timeLimit(.minutes(10))) func `a refund gives a charge back once and says why not`() async throws {
        try await World.with { world in
            let user = try await world.admin.makeUser("refunded", usd: "1")
            #expect(try await ask(world, user.key, controls: "prompt_tokens=100,completion_tokens=100").status == 200)
            try await eventually("the row is there") { try await world.admin.transactions(token: user.token).count == 1 }
            let reference = try #require(try await world.admin.transactions(token: user.token).first?["reference_id"]?.stringValue)
            func refund(_ body: JSONValue) async throws -> Client.Answer {
                try await world.client.call(.post, "/api/balance/admin/refund", key: GatewayProcess.rootToken, body: body.text)
            }
            let tooMuch = try await refund(["reference_id": .string(reference), "amount": .number("0.001800001")])
            #expect(tooMuch.status == 409 && tooMuch.text.contains("is more than that"), "\(tooMuch.text)")
            #expect(try await refund(["reference_id": "nothing"]).status == 404)
            #expect(try await refund(["reference_id": .string(reference), "amount": .number("-1")]).status == 400)
            #expect(try await refund(["amount": .number("1")]).status == 400)
            let whole = try await refund(["reference_id": .string(reference), "description": "broken answer"])
            #expect(try whole.json["data"]?["amount"]?.numberText == "0.0018", "\(whole.text)")
            let again = try await refund(["reference_id": .string(reference)])
            #expect(try again.json["data"]?["id"]?.numberText == whole.json["data"]?["id"]?.numberText)
            let balance = try await world.client.call(.get, "/api/balance", key: user.token).json["data"]?["balance"]?.numberText
            #expect(balance == "1")
            let plain = try await world.client.call(
                .post, "/api/balance/admin/refund", key: user.token,
                body: JSONValue.object([.init("reference_id", .string(reference))]).text)
            #expect(plain.status == 403)
        }
    }

    // MARK: Corrections

    private static let openrouter = [World.ChannelSpec(id: 1, provider: "simrouter")]

    @Test(.timeLimit(.minutes(10)), arguments: ["0.000001", "0.5"])
    func `an estimate is corrected from the vendor's own record`(_ reported: String) async throws {
        try await World.with(channels: Self.openrouter) { world in
            let user = try await world.admin.makeUser("cut", usd: "1")
            let answer = try await ask(
                world, user.key, controls: "prompt_tokens=321,chunks=20,close_after=7,no_usage,cost=\(reported)", stream: true)
            #expect(answer.wasCut && !answer.text.contains("[DONE]"))
            var pending: JSONValue?
            try await eventually("it is listed") {
                pending = try await world.admin.get("/api/ledger/unreconciled")["data"]?["items"]?.arrayValue?.first
                return pending != nil
            }
            #expect(pending?["state"]?.stringValue == "pending" && pending?["generation_id"]?.stringValue?.hasPrefix("gen-") == true)
            try await eventually("it is corrected") {
                try await world.admin.get("/api/ledger/unreconciled")["data"]?["total"]?.integerValue == 0
            }
            let bill = try #require(world.simulator.record.rows().last)
            let row = try #require(try await world.logRows(1).first)
            #expect(row["usage_source"]?.stringValue == "reconciled")
            #expect(row["prompt_tokens"]?.integerValue == 321 && row["completion_tokens"]?.integerValue == bill.completionTokens)
            // A host that was dearer than the list pays for itself.
            let exact = max(NanoUSD(nanos: 321 * 3_000 + bill.completionTokens * 15_000), try NanoUSD(usd: reported))
            #expect(row["cost"]?.numberText == exact.usdText && row["upstream_cost"]?.numberText == reported, "\(row.text)")
            let adjustment = try #require(try await world.admin.transactions(token: user.token, kind: "adjustment").first)
            #expect(adjustment["description"]?.stringValue?.contains(row["request_id"]?.stringValue ?? "?") == true)
            let balance = try await world.client.call(.get, "/api/balance", key: user.token).json["data"]?["balance"]?.numberText
            #expect(try balance == NanoUSD(usd: "1").subtracting(exact).usdText)
            try await world.gateway.stop()
            let books = try await world.verifyLedger()
            #expect(books.status == 0, "\(books.output)")
        }
    }

    @Test(.timeLimit(.minutes(10))) func `a request that a kill cut is charged what the vendor billed`() async throws {
        try await World.with(channels: Self.openrouter) { world in
            let user = try await world.admin.makeUser("killed", usd: "1")
            let stream = Task {
                try await ask(world, user.key, controls: "prompt_tokens=50,chunks=400,pace=10ms,cost=0.000001", stream: true)
            }
            try await eventually("the stream runs") { world.simulator.statistics.openConnections >= 1 }
            // The journal hears of the head at once; its group is in the file a moment later.
            let data = world.gateway.directory.appendingPathComponent("data")
            try await eventually("the journal knows the vendor's id of the generation") {
                let files = FileManager.default.enumerator(at: data, includingPropertiesForKeys: nil)?.allObjects as? [URL] ?? []
                return files.contains { (try? Data(contentsOf: $0))?.range(of: Data("gen-1-".utf8)) != nil }
            }
            try await world.gateway.kill9()
            _ = try? await stream.value
            try await eventually("the vendor has noticed") { world.simulator.record.rows().count == 1 }
            let again = try await world.restarted()
            try await eventually("it is corrected") {
                let rows = try await again.admin.get("/api/ledger/unreconciled?state=resolved")["data"]?["total"]?.integerValue
                return rows == 1
            }
            let bill = try #require(world.simulator.record.rows().last)
            let row = try #require(try await again.logRows(1).first)
            #expect(row["outcome"]?.stringValue == "recovered" && row["usage_source"]?.stringValue == "reconciled")
            #expect(row["cost"]?.numberText == NanoUSD(nanos: 50 * 3_000 + bill.completionTokens * 15_000).usdText)
            await again.client.shutdown()
            try await again.gateway.stop()
            let books = try await again.verifyLedger()
            #expect(books.status == 0, "\(books.output)")
        }
    }

    @Test("audit 6: a host dearer than the list is charged by its cost, and an admin's price as it stands", .timeLimit(.minutes(10)))
    func dearHosts() async throws {
        try await World.with(channels: Self.openrouter) { world in
            let user = try await world.admin.makeUser("routed", usd: "1")
            let controls = "prompt_tokens=10,completion_tokens=10,cost=0.0123"
            let dear = try await ask(world, user.key, controls: controls)
            #expect(dear.text.contains("\"cost\":0.0123"), "\(dear.text)")
            try await eventually("it is booked") {
                try await world.admin.transactions(token: user.token).first?["amount"]?.numberText == "-0.0123"
            }
            let cheap = try await ask(world, user.key, controls: "prompt_tokens=10,completion_tokens=10,cost=0.00000001")
            #expect(cheap.text.contains("\"cost\":0.00018"), "\(cheap.text)")
            _ = try await world.admin.put(
                "/api/models/pricing",
                ["model_name": "sim/dear", "pricing_input": .number("0.000001"), "pricing_output": .number("0.000001")])
            let own = try await ask(world, user.key, controls: controls)
            #expect(own.text.contains("\"cost\":0.00002"), "\(own.text)")
        }
    }

    // MARK: Strict admission

    @Test(.timeLimit(.minutes(10))) func `strict admission lowers max_tokens to what the balance affords and says so`() async throws {
        try await World.with(sections: "metering: { admission: strict, strict_fields: [sim_control], balance_wait: 0s }") { world in
            let user = try await world.admin.makeUser("careful", usd: "0.01")
            let name = try #require(HTTPField.Name("X-Max-Tokens-Lowered"))
            let plenty = try await ask(world, user.key, maxTokens: 50)
            #expect(plenty.status == 200 && plenty.headers[name] == nil)
            // 8192 tokens would cost 0.12; the balance affords some six hundred.
            let body = #"{"model":"sim/dear","max_tokens":8192,"messages":[{"role":"user","content":"hi"}]}"#
            let lowered = try await world.client.call(.post, "/v1/chat/completions", key: user.key, body: body)
            let limit = Int64(lowered.headers[name] ?? "") ?? 0
            #expect(lowered.status == 200 && limit > 500 && limit < 700, "\(lowered.text) \(limit)")
            // Without a bound of the client's own the vendor gets one.
            let open = try await world.client.call(
                .post, "/v1/chat/completions", key: user.key,
                body: #"{"model":"sim/dear","stream":true,"messages":[{"role":"user","content":"hi"}]}"#)
            #expect(open.status == 200 && (Int64(open.headers[name] ?? "") ?? 0) > 400)
            let large = try await ask(world, user.key, text: String(repeating: "words ", count: 2_000))
            #expect(large.status == 402, "\(large.text)")
        }
    }

    @Test(.timeLimit(.minutes(10))) func `in strict admission random requests never take a balance below zero`() async throws {
        let seed: UInt64 = 77
        try await World.with(sections: "metering: { admission: strict, strict_fields: [sim_control], balance_wait: 50ms }") { world in
            let user = try await world.admin.makeUser("unlucky", usd: "0.05")
            let lowest = try await withThrowingTaskGroup(of: Int64.self) { group in
                for client in 0..<12 as Range<UInt64> {
                    group.addTask {
                        var rng = SplitMix64(seed: seed ^ client)
                        var lowest = Int64.max
                        for _ in 0..<25 {
                            let model = ["sim/dear", "sim/cheap", "sim/fine"][Int(rng.below(3))]
                            let bound = Int(rng.below(400)) + 1
                            let choices = Int(rng.below(3)) + 1
                            let text = String(repeating: "x", count: Int(rng.below(900)))
                            // The vendor counts anything from nothing to one token a byte, and uses the whole bound or a part.
                            let prompt = rng.below(UInt64(text.utf8.count + 100))
                            let completion = rng.below(UInt64(bound * choices + 1))
                            let body = JSONValue.object([
                                .init("model", .string(model)), .init("n", .integer(choices)), .init("max_tokens", .integer(bound)),
                                .init("messages", [["role": "user", "content": .string(text)]]),
                                .init("sim_control", .string("prompt_tokens=\(prompt),completion_tokens=\(completion)")),
                            ])
                            let answer = try await world.client.call(.post, "/v1/chat/completions", key: user.key, body: body.text)
                            #expect([200, 402].contains(answer.status), "seed \(seed), client \(client): \(answer.text)")
                            let balance = try await world.client.call(.get, "/api/balance", key: user.token).json["data"]
                            lowest = min(lowest, try NanoUSD(usd: balance?["available"]?.numberText ?? "").nanos)
                        }
                        return lowest
                    }
                }
                return try await group.reduce(Int64.max, min)
            }
            #expect(lowest >= 0, "seed \(seed): \(lowest)")
            // The money was really used up, or the test proves nothing.
            let balance = try await world.client.call(.get, "/api/balance", key: user.token).json["data"]?["balance"]?.numberText
            #expect(try NanoUSD(usd: balance ?? "") < NanoUSD(usd: "0.02"), "\(balance ?? "")")
        }
    }

    // MARK: Disks

    @Test(.timeLimit(.minutes(10))) func `a disk that is full refuses requests clearly and loses nothing`() async throws {
        let world = try await World.make(start: false)
        // What a full disk looks like: writes beyond a size fail. 512-byte blocks.
        try await world.gateway.start(shell: "trap '' XFSZ; ulimit -f 2400")
        let client = try Client(base: world.gateway.base)
        let admin = Admin(client: client)
        let full = World(simulator: world.simulator, gateway: world.gateway, client: client, admin: admin)
        do {
            let user = try await admin.makeUser("writer", usd: "100")
            var served: [String] = []
            var refusal: Client.Answer?
            let name = try #require(HTTPField.Name("X-Request-Id"))
            // The journal's records are small: some thousands of them are 1.2 MB.
            for _ in 0..<20_000 where refusal == nil {
                let answer = try await ask(full, user.key, controls: "prompt_tokens=7,completion_tokens=3")
                if answer.status == 200, let id = answer.headers[name] { served.append(id) } else { refusal = answer }
            }
            let refused = try #require(refusal, "the disk never was full after \(served.count) answers")
            #expect(refused.status == 503 && refused.text.contains("books cannot be"), "\(refused.status) \(refused.text)")
            try await world.gateway.kill9()
            // There is room again.
            try await world.gateway.start()
            let roomy = try Client(base: world.gateway.base)
            let after = World(simulator: world.simulator, gateway: world.gateway, client: roomy, admin: Admin(client: roomy))
            #expect(try await ask(after, user.key).status == 200)
            try await eventually("all answers are charged") {
                try await after.admin.transactions(token: user.token).count >= served.count + 1
            }
            let charged = Set(try await after.admin.transactions(token: user.token).compactMap { $0["reference_id"]?.stringValue })
            #expect(Set(served).subtracting(charged).isEmpty)
            await roomy.shutdown()
            try await world.gateway.stop()
            let books = try await world.verifyLedger()
            #expect(books.status == 0, "\(books.output)")
        } catch {
            let log = world.gateway.log.suffix(3_000)
            await client.shutdown()
            try? await world.tearDown()
            throw StringError("\(error)\n--- gateway log ---\n\(log)")
        }
        await client.shutdown()
        try await world.tearDown()
    }

    @Test(.timeLimit(.minutes(10))) func `a data folder that cannot be written is said at the start`() async throws {
        let world = try await World.make(start: false)
        for path in ["/sys/apirouter", "/proc/self/status/data"] {
            let result = try await world.command(
                ["serve"], environment: ["DATA_DIR": path, "PORT": "0", "SQL_DSN": "sqlite:\(path)/ledger.db"])
            #expect(result.status == 1 && result.output.contains("cannot make the"), "\(result.output)")
        }
        try await world.tearDown()
    }

    @Test(.timeLimit(.minutes(10))) func `a journal that reaches its size refuses requests until the ledger is back`() async throws {
        let server = try PostgresServer()
        try server.start()
        defer { server.remove() }
        try await World.with(sections: "journal: { max_bytes: 262144 }", environment: ["SQL_DSN": try server.makeDatabase()]) { world in
            let user = try await world.admin.makeUser("backlog", usd: "1000")
            #expect(try await ask(world, user.key).status == 200)
            server.stop()
            var served = 1
            var refusal: Client.Answer?
            for _ in 0..<3_000 where refusal == nil {
                let answer = try await ask(world, user.key)
                if answer.status == 200 { served += 1 } else { refusal = answer }
            }
            let refused = try #require(refusal, "never refused after \(served)")
            #expect(refused.status == 503 && refused.text.contains("journal is full"), "\(refused.text)")
            #expect(served > 50)
            try server.start()
            try await eventually("requests are served again", within: .seconds(30)) { try await ask(world, user.key).status == 200 }
            try await eventually("everything is posted", within: .seconds(30)) {
                try await world.admin.transactions(token: user.token).count == served + 1
            }
        }
    }

    // MARK: Commands

    @Test(.timeLimit(.minutes(10)), arguments: [false, true])
    func `the commands migrate, export, compare and sum up`(_ isPostgres: Bool) async throws {
        let environment = isPostgres ? ["SQL_DSN": try PostgresServer.shared.get().makeDatabase()] : [:]
        let world = try await World.make(channels: Self.openrouter, start: false, environment: environment)
        do {
            let before = try await world.command(["migrate", "status"])
            #expect(before.status == 1 && before.output.contains("pending 0001_initial"), "\(before.output)")
            let dry = try await world.command(["migrate", "--dry-run"])
            #expect(dry.status == 0 && dry.output.contains("CREATE TABLE users"), "\(dry.output)")
            #expect(try await world.command(["migrate", "status"]).status == 1)
            let done = try await world.command(["migrate"])
            #expect(done.status == 0 && done.output.contains("applied 0001_initial"), "\(done.output)")
            #expect(try await world.command(["migrate"]).output.contains("nothing to do"))
            #expect(try await world.command(["migrate", "status"]).status == 0)

            try await world.gateway.start(environment: environment)
            let client = try Client(base: world.gateway.base)
            let live = World(
                simulator: world.simulator, gateway: world.gateway, client: client, admin: Admin(client: client), environment: environment)
            let user = try await live.admin.makeUser("exported", usd: "1")
            for _ in 0..<3 {
                #expect(try await ask(live, user.key, controls: "prompt_tokens=10,completion_tokens=10,cost=0.00001").status == 200)
            }
            try await eventually("posted") { try await live.admin.transactions(token: user.token).count == 3 }

            let csv = try await live.command(["ledger", "export"])
            let lines = csv.output.split(whereSeparator: \.isNewline)
            #expect(csv.status == 0 && lines.count == 6 && lines[0].hasPrefix("id,user_id,type,amount"), "\(csv.output)")
            #expect(lines[2].contains(",usage,-0.00018,0.99982,"))
            let empty = try await live.command(["ledger", "export", "--to", "2020-01-01", "--format", "jsonl"])
            #expect(empty.status == 0 && empty.output == "0 rows\n", "\(empty.output)")
            let json = try await live.command(["ledger", "export", "--from", "2020-01-01", "--format", "jsonl"])
            #expect(
                try JSONValue(parsing: ByteBuffer(string: String(json.output.split(separator: "\n")[1])))["amount"]?.numberText
                    == "-0.00018")
            let wrong = try await live.command(["ledger", "export", "--from", "yesterday"])
            #expect(wrong.status != 0 && wrong.output.contains("2026-11-25"), "\(wrong.output)")

            let margin = try await live.command(["ledger", "margin"])
            #expect(margin.output.contains("sim/dear,1,3,0.00054,0.00003,0.00003,0.00051,0,0\n"), "\(margin.output)")
            let api = try await live.admin.get("/api/ledger/margin")["data"]?.arrayValue?.first
            #expect(api?["margin"]?.numberText == "0.00051")

            let same = try await live.command(["ledger", "reconcile", "--provider", "simrouter"])
            #expect(same.status == 0 && same.output.contains(",0.00003,0.00003,0"), "\(same.output)")
            let unknown = try await live.command(["ledger", "reconcile", "--provider", "nobody"])
            #expect(unknown.status != 0 && unknown.output.contains("those in use: simrouter"), "\(unknown.output)")
            // The vendor bills an answer that we do not have.
            _ = try await Client(base: "http://127.0.0.1:\(world.simulator.port)").call(
                .post, "/api/v1/chat/completions", key: "k",
                body: #"{"model":"sim/dear@cost=0.00002","messages":[{"role":"user","content":"hi"}]}"#)
            let differs = try await live.command(["ledger", "reconcile", "--provider", "simrouter"])
            #expect(differs.status == 1 && differs.output.contains(",0.00003,0.00005,-0.00002"), "\(differs.output)")
            #expect(try await live.verifyLedger().status == 0)
            await client.shutdown()
        } catch {
            let log = world.gateway.log.suffix(3_000)
            try? await world.tearDown()
            throw StringError("\(error)\n--- gateway log ---\n\(log)")
        }
        try await world.tearDown()
    }
}
