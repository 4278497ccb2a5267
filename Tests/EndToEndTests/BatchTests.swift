import Foundation
import HTTPTypes
import NIOCore
import PostgresTesting
import RouterCore
import Simulator
import Testing

/// Files and batches over real sockets: the charge of each batch is the vendor's bill, whatever dies in between.
@Suite(.serialized) struct BatchTests {
    /// USD per million tokens: half of what a call costs.
    private static let vendor = """
        name: simbatch
        adaptor: openai
        base_url: BASE/v1
        auth: { type: bearer }
        batches: true
        models:
          - id: upstream-model
            context_length: 100000
            max_output_tokens: 8192
            price:
              { input: "0.5", output: "2", service_tiers: { batch: { input: "0.25", output: "1", cache_read: "0.05" } } }
          - id: plain/model
            price: { input: "0.5", output: "2" }

        """

    private static let channels = """
        channels:
          - id: 1
            name: batches
            provider: simbatch
            keys: [batch-key]
            models: [{ name: public/model, upstream: upstream-model }, plain/model]
          - { id: 2, name: without, provider: sim, keys: [sim-key], models: ["sim/*"] }

        """

    private func with(
        _ environment: [String: String] = [:], sections: String = "", _ body: (inout World) async throws -> Void
    ) async throws {
        let batches = "batches: { poll_interval: 200ms, max_lines: 100 }\n"
        let prepared = try await World.make(sections: batches + sections, start: false, environment: environment)
        await prepared.client.shutdown()
        try prepared.write(
            "providers/simbatch.yaml",
            Self.vendor.replacingOccurrences(of: "BASE", with: "http://127.0.0.1:\(prepared.simulator.port)"))
        try prepared.write("config/channels.yaml", Self.channels)
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

    /// The vendor's bill for a batch, at the prices of its tier.
    private func bill(_ world: World, _ batch: String) -> NanoUSD {
        let rows = world.simulator.record.rows().filter { $0.requestID == batch }
        let nanos = rows.reduce(Int64(0)) { sum, row in
            sum + (row.promptTokens - row.cachedTokens) * 250 + row.cachedTokens * 50 + row.completionTokens * 1_000
        }
        return NanoUSD(nanos: nanos)
    }

    private func transactions(_ world: World, _ token: String) async throws -> [JSONValue] {
        try await world.client.call(.get, "/api/balance/transactions?page_size=100", key: token).json["data"]?["items"]?.arrayValue ?? []
    }

    private func usage(_ world: World, _ token: String, count: Int) async throws -> [JSONValue] {
        var rows: [JSONValue] = []
        try await eventually("\(count) charges", within: .seconds(60)) {
            rows = try await transactions(world, token).filter { $0["type"]?.stringValue == "usage" }
            return rows.count == count
        }
        return rows
    }

    private func balance(_ world: World, _ token: String) async throws -> String? {
        try await world.client.call(.get, "/api/balance", key: token).json["data"]?["balance"]?.numberText
    }

    private func check(_ world: World) async throws {
        try await world.gateway.stop()
        let books = try await world.verifyLedger()
        #expect(books.status == 0, "\(books.output)")
    }

    // MARK: The whole way

    @Test(.timeLimit(.minutes(10)), arguments: [false, true])
    func `the official SDK uploads, waits and reads, and each batch costs what the vendor bills`(_ isPostgres: Bool) async throws {
        let python = GatewayProcess.repository.appendingPathComponent(".venv/bin/python").path
        try #require(FileManager.default.isExecutableFile(atPath: python), "run `make test`, which installs the SDK")
        let environment = isPostgres ? ["SQL_DSN": try PostgresServer.shared.get().makeDatabase()] : [:]
        try await with(environment) { world in
            let user = try await world.admin.makeUser("batcher", usd: "10")
            let stranger = try await world.admin.makeUser("stranger", usd: "10")
            world.simulator.script.add(
                model: "batches",
                steps: [
                    "polls=3,failing_lines=1,cached_tokens=2", "polls=100", "polls=2,batch_ends=expired,lines_done=1", "polls=1", "polls=1",
                ])
            let script = GatewayProcess.repository.appendingPathComponent("Tests/EndToEndTests/Python/batch_checks.py").path
            let result = try await run(python, [script, world.gateway.base, user.key, stranger.key])
            try #require(result.status == 0, "\(result.output)")
            let made = try JSONValue(parsing: ByteBuffer(string: String(result.output.split(separator: "\n").last ?? "")))
            let batches = made["batches"]?.arrayValue ?? []
            #expect(batches.count == 5 && (made["passed"]?.integerValue ?? 0) > 50)

            let rows = try await usage(world, user.token, count: 5)
            let logs = try await world.admin.get("/api/log?page_size=100")["data"]?["items"]?.arrayValue ?? []
            var sum = NanoUSD.zero
            for batch in batches {
                let id = try #require(batch["id"]?.stringValue)
                let expected = bill(world, id)
                #expect(expected.isPositive)
                let log = try #require(logs.first { $0["generation_id"]?.stringValue == id }, "\(logs.map(\.text))")
                #expect(log["cost"]?.numberText == expected.usdText && log["service_tier"]?.stringValue == "batch", "\(log.text)")
                #expect(log["model"]?.stringValue == "public/model" || log["model_name"]?.stringValue == "public/model", "\(log.text)")
                let row = rows.first { $0["reference_id"]?.stringValue == log["request_id"]?.stringValue }
                #expect(row?["amount"]?.numberText == (try expected.negated().usdText), "\(row?.text ?? "no row")")
                if let cost = batch["cost"]?.stringValue { #expect(try NanoUSD(usd: cost) == expected) }
                sum = try sum.adding(expected)
            }
            // All that was held has come back.
            #expect(try await balance(world, user.token) == (try NanoUSD(nanos: 10_000_000_000).subtracting(sum).usdText))
            #expect(try await balance(world, stranger.token) == "10")
            #expect(try await transactions(world, user.token).count == 1 + 3 * 5)
            try await check(world)
        }
    }

    // MARK: Refusals

    private static let line =
        #"{"custom_id":"a","method":"POST","url":"/v1/chat/completions","body":{"model":"public/model","max_tokens":100,"#
        + #""messages":[{"role":"user","content":"one two three"}]}}"#

    private func upload(_ world: World, _ key: String, _ text: String = line + "\n") async throws -> Client.Answer {
        let body =
            "--xyz\r\nContent-Disposition: form-data; name=\"purpose\"\r\n\r\nbatch\r\n--xyz\r\n"
            + "Content-Disposition: form-data; name=\"file\"; filename=\"a.jsonl\"\r\n\r\n\(text)\r\n--xyz--\r\n"
        return try await world.client.call(
            .post, "/v1/files", key: key, body: body, headers: [("Content-Type", "multipart/form-data; boundary=xyz")])
    }

    private func create(_ world: World, _ key: String, _ file: String) async throws -> Client.Answer {
        try await world.client.call(
            .post, "/v1/batches", key: key,
            body: #"{"input_file_id":"\#(file)","endpoint":"/v1/chat/completions","completion_window":"24h"}"#)
    }

    private func file(_ world: World, _ key: String) async throws -> String {
        let answer = try await upload(world, key)
        guard answer.status == 200, let id = try answer.json["id"]?.stringValue else { throw StringError(answer.text) }
        return id
    }

    @Test(.timeLimit(.minutes(10))) func `what is not covered is not held, and what the vendor refuses is not charged`() async throws {
        try await with(sections: "") { world in
            let user = try await world.admin.makeUser("small", usd: "0.000001")
            // A file whose batch could not be paid does not take up the operator's room at the vendor.
            let unpaid = try await upload(world, user.key)
            #expect(unpaid.status == 402 && unpaid.text.contains("insufficient_balance"), "\(unpaid.text)")
            #expect(try await world.client.call(.get, "/v1/files", key: user.key).json["data"]?.arrayValue?.isEmpty == true)
            try await world.admin.addBalance(user.id, usd: "1")
            let paid = try await file(world, user.key)
            try await world.admin.addBalance(user.id, usd: "-1")
            let poor = try await create(world, user.key, paid)
            #expect(poor.status == 402 && poor.text.contains("insufficient_balance"), "\(poor.text)")
            #expect(try await balance(world, user.token) == "0.000001")
            try await world.admin.addBalance(user.id, usd: "1")
            world.simulator.script.add(model: "batches", steps: ["status=400", "polls=100000"])
            let refused = try await create(world, user.key, try await file(world, user.key))
            #expect(refused.status == 400 && refused.text.contains("simulated 400"), "\(refused.text)")
            #expect(try await balance(world, user.token) == "1.000001", "the hold is void")
            // Without a key no byte of a file is read.
            #expect(try await upload(world, "sk-no-such-key").status == 401)
            // While a batch runs, its worst case is out of the balance: a hundred tokens of output and the prompt.
            let open = try await create(world, user.key, try await file(world, user.key))
            #expect(open.status == 200, "\(open.text)")
            let held = try #require(
                try await transactions(world, user.token).first { $0["reference_id"]?.stringValue?.hasSuffix(":held") == true })
            #expect((held["amount"]?.numberText).map { $0.hasPrefix("-0.0001") } == true, "\(held.text)")
            try await check(world)
        }
    }

    @Test(.timeLimit(.minutes(10))) func `strict admission holds a bound, and sends it`() async throws {
        try await with(sections: "metering: { admission: strict }\n") { world in
            let user = try await world.admin.makeUser("strict", usd: "1")
            let open = Self.line.replacingOccurrences(of: #""max_tokens":100,"#, with: "")
            let uploaded = try await upload(world, user.key, open + "\n")
            let id = try #require(uploaded.json["id"]?.stringValue, "\(uploaded.text)")
            let content = try await world.client.call(.get, "/v1/files/\(id)/content", key: user.key)
            #expect(
                content.text.contains(#""max_tokens":4096"#) || content.text.contains(#""max_completion_tokens":4096"#), "\(content.text)")
            let image = open.replacingOccurrences(of: #""one two three""#, with: #"[{"type":"file","file":{"file_id":"f"}}]"#)
            let refused = try await upload(world, user.key, image + "\n")
            #expect(refused.status == 400 && refused.text.contains("line 1 of the file"), "\(refused.text)")
            let made = try await create(world, user.key, id)
            #expect(made.status == 200, "\(made.text)")
            let row = try #require(try await usage(world, user.token, count: 1).first)
            #expect(row["amount"]?.numberText == (try bill(world, made.json["id"]?.stringValue ?? "").negated().usdText))
            try await check(world)
        }
    }

    // MARK: Deaths

    private static let ledgers = [false, true]

    private func dying(
        _ isPostgres: Bool, controls: String,
        _ body: (inout World, _ user: (id: Int64, token: String, key: String), _ file: String) async throws -> Void
    ) async throws {
        let environment = isPostgres ? ["SQL_DSN": try PostgresServer.shared.get().makeDatabase()] : [:]
        try await with(environment) { world in
            let user = try await world.admin.makeUser("batcher", usd: "1")
            world.simulator.script.add(model: "batches", steps: [controls])
            let file = try await file(world, user.key)
            try await body(&world, user, file)
            // A last life changes nothing.
            let before = try await transactions(world, user.token).map(\.text)
            try await world.gateway.kill9()
            world = try await world.restarted()
            #expect(try await transactions(world, user.token).map(\.text) == before)
            try await check(world)
        }
    }

    /// Kills the gateway once the hold is in the ledger and the vendor has been asked.
    private func killWhileAsked(
        _ world: inout World, _ user: (id: Int64, token: String, key: String), _ file: String
    ) async throws {
        let running = world
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { _ = try? await self.create(running, user.key, file) }
            try await eventually("the hold is open", within: .seconds(30)) {
                try await self.transactions(running, user.token).contains { $0["reference_id"]?.stringValue?.hasSuffix(":held") == true }
            }
            try await eventually("the vendor is asked", within: .seconds(30)) {
                running.simulator.statistics.requests["/v1/batches", default: 0] > 0
            }
            try await running.gateway.kill9()
            try await group.waitForAll()
        }
        world = try await world.restarted()
        // Recovery has left the hold alone.
        #expect(try await balance(world, user.token) != "1")
    }

    @Test(.timeLimit(.minutes(10)), arguments: ledgers)
    func `killed before the vendor has made the batch, the hold is void`(_ isPostgres: Bool) async throws {
        try await dying(isPostgres, controls: "stall_before_head") { world, user, file in
            try await killWhileAsked(&world, user, file)
            let next = world
            try await eventually("the hold is given back", within: .seconds(90)) { try await self.balance(next, user.token) == "1" }
            let rows = try await transactions(world, user.token)
            #expect(!rows.contains { $0["type"]?.stringValue == "usage" }, "\(rows.map(\.text))")
            let log = try #require(try await world.logRows(1).first)
            #expect(log["error_code"]?.stringValue == "batch_not_created", "\(log.text)")
        }
    }

    @Test(.timeLimit(.minutes(10)), arguments: ledgers)
    func `killed after the vendor has made the batch, it is found and charged once`(_ isPostgres: Bool) async throws {
        try await dying(isPostgres, controls: "stall_after_work,polls=2") { world, user, file in
            try await killWhileAsked(&world, user, file)
            let row = try #require(try await usage(world, user.token, count: 1).first)
            let list = try await world.client.call(.get, "/v1/batches", key: user.key).json["data"]?.arrayValue ?? []
            let id = try #require(list.first?["id"]?.stringValue, "the client finds it in the list")
            #expect(row["amount"]?.numberText == (try bill(world, id).negated().usdText))
            let batch = try await world.client.call(.get, "/v1/batches/\(id)", key: user.key).json
            #expect(batch["status"]?.stringValue == "completed", "\(batch.text)")
            let output = try #require(batch["output_file_id"]?.stringValue)
            #expect(try await world.client.call(.get, "/v1/files/\(output)/content", key: user.key).text.contains("one two three"))
        }
    }

    @Test(.timeLimit(.minutes(10)), arguments: ledgers)
    func `killed again and again while the vendor works, it is charged once`(_ isPostgres: Bool) async throws {
        try await dying(isPostgres, controls: "polls=8") { world, user, file in
            let made = try await create(world, user.key, file)
            let id = try #require(made.json["id"]?.stringValue, "\(made.text)")
            for _ in 0..<3 {
                let asked = world.simulator.statistics.requests["/v1/batches/\(id)", default: 0]
                let running = world
                try await eventually("the vendor is asked again", within: .seconds(60)) {
                    running.simulator.statistics.requests["/v1/batches/\(id)", default: 0] > asked
                }
                try await world.gateway.kill9()
                world = try await world.restarted()
            }
            let row = try #require(try await usage(world, user.token, count: 1).first)
            #expect(row["amount"]?.numberText == (try bill(world, id).negated().usdText))
        }
    }

    @Test(.timeLimit(.minutes(10)), arguments: ledgers)
    func `killed as soon as it is settled, the output is there and nothing is charged again`(_ isPostgres: Bool) async throws {
        try await dying(isPostgres, controls: "polls=1") { world, user, file in
            let made = try await create(world, user.key, file)
            let id = try #require(made.json["id"]?.stringValue, "\(made.text)")
            _ = try await usage(world, user.token, count: 1)
            try await world.gateway.kill9()
            world = try await world.restarted()
            let batch = try await world.client.call(.get, "/v1/batches/\(id)", key: user.key).json
            let output = try #require(batch["output_file_id"]?.stringValue)
            #expect(try await world.client.call(.get, "/v1/files/\(output)/content", key: user.key).text.contains("public/model"))
            #expect(try await usage(world, user.token, count: 1).count == 1)
        }
    }

    @Test(.timeLimit(.minutes(10))) func `a vendor that is away for a while is asked again`() async throws {
        try await dying(false, controls: "polls=2") { world, user, file in
            world.simulator.script.add(model: "batches.ask", steps: ["status=500", "status=503", "status=404"])
            let made = try await create(world, user.key, file)
            let id = try #require(made.json["id"]?.stringValue, "\(made.text)")
            let row = try #require(try await usage(world, user.token, count: 1).first)
            #expect(row["amount"]?.numberText == (try bill(world, id).negated().usdText))
        }
    }

    @Test(.timeLimit(.minutes(10))) func `two gateways of one ledger share the open batches, and each is charged once`() async throws {
        let environment = ["SQL_DSN": try PostgresServer.shared.get().makeDatabase()]
        try await with(environment) { world in
            let user = try await world.admin.makeUser("batcher", usd: "10")
            let other = try await world.another()
            var ids: [String] = []
            for number in 0..<6 {
                world.simulator.script.add(model: "batches", steps: ["polls=\(1 + number)"])
                let made = try await create(number % 2 == 0 ? world : other, user.key, try await file(world, user.key))
                ids.append(try #require(made.json["id"]?.stringValue, "\(made.text)"))
            }
            let rows = try await usage(world, user.token, count: 6)
            let expected = try ids.map { try bill(world, $0).negated().usdText }
            #expect(rows.compactMap { $0["amount"]?.numberText }.sorted() == expected.sorted())
            try await other.stopGateway()
            try await check(world)
        }
    }
}
