import Config
import HTTPTypes
import HummingbirdTesting
import Logging
import Platform
import RouterCore
import Storage
import Testing

@testable import Gateway
@testable import GatewayState
@testable import Server

/// Sums of the log, pages by cursor and tables as files, as callers of the API see them.
@Suite(.serialized, .timeLimit(.minutes(10))) struct StatsTests {
    private struct People {
        /// Root has the id 1.
        var ada: Int64 = 0
        var adaToken = ""
        var adaKey: Int64 = 0
        /// The beginning of the last whole quarter hour.
        var quarter: Int64 = 0
    }

    private static func record(
        _ number: Int, user: Int64, key: Int64? = nil, model: String = "demo/echo", nanos: Int64?, at time: Int64,
        _ change: (inout RequestRecord) -> Void = { _ in }
    ) -> RequestRecord {
        var record = RequestRecord(
            requestID: RequestID(bits: UInt128(number)), userID: user, tokenID: key, channelID: 1, provider: "demo", model: model,
            upstreamModel: model, endpoint: .chat, usage: Usage(uncachedInput: 30, output: 20, upstreamCost: FemtoUSD(femtos: 5_000_000)),
            usageSource: .upstream, charge: nanos.map { NanoUSD(nanos: $0) }, pricingVersion: 0,
            outcome: nanos == nil ? .failed : .completed, status: nanos == nil ? 502 : 200, isStream: true, attempts: 1, finish: .stop,
            latencyMilliseconds: 1_100, firstTokenMilliseconds: 100, clientIP: "", createdAt: time)
        change(&record)
        return record
    }

    /// Ten calls: eight of Ada's, two of root's.
    private func with(
        _ change: (inout GatewayConfiguration) -> Void = { _ in },
        _ body: @Sendable (TestGateway, any TestClientProtocol, People) async throws -> Void
    ) async throws {
        try await TestGateway.with(change) { gateway, client in
            var people = People()
            let made = try await client.call(
                .post, "/api/user", token: TestGateway.adminToken, body: #"{"username":"ada","password":"password-1"}"#)
            people.ada = try #require(made.json["data"]?["id"]?.integerValue)
            let login = try await client.call(.post, "/api/user/login", body: #"{"username":"ada","password":"password-1"}"#)
            people.adaToken = try #require(login.json["data"]?["access_token"]?.stringValue)
            let key = try await client.call(.post, "/api/token", token: people.adaToken, body: #"{"name":"laptop"}"#)
            people.adaKey = try #require(key.json["data"]?["id"]?.integerValue)
            people.quarter = gateway.gateway.options.clock.unixSeconds / 900 * 900 - 900
            let models = ["demo/echo", "demo/echo", "demo/echo", "b", "b", "=cmd()", "d", "e"]
            var records = models.enumerated().map { index, model in
                Self.record(
                    index + 1, user: people.ada, key: people.adaKey, model: model, nanos: model == "e" ? nil : Int64(100 - index),
                    at: people.quarter)
            }
            records.append(Self.record(11, user: 1, nanos: 1_000, at: people.quarter + 5))
            records.append(Self.record(12, user: 1, nanos: 2_000, at: people.quarter - 900))
            _ = try await gateway.gateway.parts.store.post(records, holder: nil)
            try await body(gateway, client, people)
        }
    }

    private func texts(_ json: JSONValue?) -> [String] { json?.arrayValue?.map(\.text) ?? [] }

    @Test func `a series has a number for each bucket, the dearest keys first and the rest together`() async throws {
        try await with { _, client, people in
            let time = "from=\(people.quarter - 900)&to=\(people.quarter + 900)&bucket=quarter&tz=Asia/Kathmandu"
            let answer = try await client.call(.get, "/api/stats/series?\(time)&by=model&top=2", token: people.adaToken)
            let data = try #require(answer.json["data"], "\(answer.json.text)")
            #expect(texts(data["starts"]) == ["\(people.quarter - 900)", "\(people.quarter)"])
            let series = data["series"]?.arrayValue ?? []
            #expect(series.map { $0["key"]?.stringValue ?? "" } == ["demo/echo", "b", "other"])
            #expect(series.map { texts($0["requests"]) } == [["0", "3"], ["0", "2"], ["0", "3"]])
            #expect(series.map { texts($0["cost"]) } == [["0", "0.000000297"], ["0", "0.000000193"], ["0", "0.000000189"]])
            #expect(series.map { texts($0["errors"]) }.last == ["0", "1"] && texts(series.first?["prompt_tokens"]) == ["0", "90"])
            #expect(series[0]["name"]?.stringValue == "demo/echo" && series[2]["name"] == .null)
            let total = data["total"]
            #expect(total?["requests"]?.integerValue == 8 && total?["cost"]?.text == "0.000000679" && total?["upstream_cost"] == nil)
            #expect(total?["latency_p50"]?.integerValue.map { (1_024..<1_448).contains($0) } == true)
            #expect(total?["first_token_p95"]?.integerValue.map { (91..<128).contains($0) } == true)

            // An admin has everybody's, or the own.
            let all = try await client.call(.get, "/api/stats/series?\(time)&by=user", token: TestGateway.adminToken).json["data"]
            #expect(all?["total"]?["requests"]?.integerValue == 10 && all?["total"]?["upstream_cost"]?.text == "0.00000005")
            let users = all?["series"]?.arrayValue ?? []
            #expect(
                users.map { $0["key"]?.text ?? "" } == ["\"1\"", "\"\(people.ada)\""]
                    && users.map { $0["name"]?.text ?? "" } == ["\"root\"", "\"ada\""])
            #expect(users.map { texts($0["requests"]) } == [["1", "1"], ["0", "8"]])
            let own = try await client.call(.get, "/api/stats/series?\(time)&scope=self", token: TestGateway.adminToken).json["data"]
            #expect(
                own?["total"]?["requests"]?.integerValue == 2 && own?["series"]?.arrayValue?.map { texts($0["requests"]) } == [["1", "1"]])
            // Others' figures are nobody else's, whatever is asked for.
            let asked = try await client.call(.get, "/api/stats/series?\(time)&user_id=1", token: people.adaToken).json["data"]
            #expect(asked?["total"]?["requests"]?.integerValue == 8)
            let key = try await client.call(
                .get, "/api/stats/series?\(time)&token_id=\(people.adaKey)&by=token", token: TestGateway.adminToken)
            #expect(key.json["data"]?["series"]?.arrayValue?.first?["name"]?.stringValue == "laptop")
            #expect(key.json["data"]?["total"]?["requests"]?.integerValue == 8)
        }
    }

    @Test func `wrong questions say what is allowed`() async throws {
        try await with { _, client, people in
            for (query, field) in [
                ("bucket=week", "bucket"), ("tz=Mars/Olympus", "tz"), ("from=9&to=5", "from"), ("by=colour", "by"), ("top=21", "top"),
                ("from=0&to=1900000&bucket=quarter", "bucket"), ("scope=all", "scope"),
            ] {
                let answer = try await client.call(.get, "/api/stats/series?\(query)", token: people.adaToken)
                #expect(answer.status == 400 && answer.json["details"]?["field"]?.stringValue == field, "\(query): \(answer.json.text)")
            }
            let top = try await client.call(.get, "/api/stats/top", token: people.adaToken)
            #expect(top.status == 400 && top.json["details"]?["field"]?.stringValue == "by")
        }
    }

    @Test func `lists are in the order asked for, and names of channels are for admins`() async throws {
        try await with { _, client, people in
            let errors = try await client.call(.get, "/api/stats/top?by=model&sort=errors&limit=1", token: people.adaToken).json["data"]
            #expect(errors?.arrayValue?.map { $0["key"]?.stringValue ?? "" } == ["e"] && errors?.arrayValue?.first?["upstream_cost"] == nil)
            let cost = try await client.call(.get, "/api/stats/top?by=user", token: TestGateway.adminToken).json["data"]?.arrayValue ?? []
            #expect(cost.map { $0["name"]?.stringValue ?? "" } == ["root", "ada"] && cost.first?["cost"]?.text == "0.000003")
            #expect(cost.first?["tokens"]?.integerValue == 100)
            for (token, isNamed) in [(people.adaToken, false), (TestGateway.adminToken, true)] {
                let row = try await client.call(.get, "/api/stats/top?by=channel", token: token).json["data"]?.arrayValue?.first
                #expect(row?["key"]?.stringValue == "1" && (row?["name"] == .null) == !isNamed, "\(row?.text ?? "")")
            }
        }
    }

    @Test(arguments: [GatewayConfiguration.Console.Rankings.users, .everyone, .off])
    func `rankings are for whom the configuration says`(_ readers: GatewayConfiguration.Console.Rankings) async throws {
        try await with({ $0.console.rankings = readers }) { _, client, people in
            for path in ["/api/stats/rankings", "/api/stats/model?model=demo/echo"] {
                let stranger = try await client.call(.get, path)
                let user = try await client.call(.get, path, token: people.adaToken)
                let statuses: [Int] =
                    switch readers {
                    case .users: [401, 200]
                    case .everyone: [200, 200]
                    case .off: [404, 404]
                    }
                #expect([stranger.status, user.status] == statuses, "\(path): \(user.json.text)")
            }
            guard readers == .everyone else { return }
            let rows = try await client.call(.get, "/api/stats/rankings?days=1").json["data"]?.arrayValue ?? []
            #expect(rows.map { $0["model"]?.stringValue ?? "" }.prefix(2) == ["demo/echo", "b"] && rows.count == 5)
            let first = try #require(rows.first)
            // Twenty tokens in a second of generation; 3.297 µUSD for 250 tokens.
            #expect(first["tokens"]?.text == "250" && first["share"]?.text == "0.5000" && first["tokens_per_second"]?.text == "20.0")
            #expect(first["value"]?.text == "0.0131" && first["uptime"]?.text == "1.0000" && first["change"] == .null)
            #expect(rows.first { $0["model"]?.stringValue == "e" }?["uptime"]?.text == "0.0000")
            let model = try await client.call(.get, "/api/stats/model?model=demo/echo&days=3").json["data"]
            #expect(model?["providers"]?.arrayValue?.map { $0["requests"]?.text ?? "" } == ["5"])
            #expect(model?["days"]?.arrayValue?.map { $0["requests"]?.text ?? "" } == ["0", "0", "5"])
            #expect(model?["days"]?.arrayValue?.map { $0["uptime"]?.text ?? "" } == ["null", "null", "1.0000"])
        }
    }

    @Test func `the log is read on from a row, with names for those who may know them`() async throws {
        try await with { _, client, people in
            var found: [String] = []
            var before: Int64? = 0
            while let id = before {
                let data = try await client.call(.get, "/api/log?before_id=\(id)&page_size=3", token: TestGateway.adminToken).json["data"]
                #expect(data?["total"] == nil)
                found += data?["items"]?.arrayValue?.map { $0["username"]?.stringValue ?? "" } ?? []
                before = data?["next_before_id"]?.integerValue
            }
            #expect(found.count == 10 && found.filter { $0 == "root" }.count == 2)
            let own = try await client.call(.get, "/api/log/self?before_id=0&outcome=failed", token: people.adaToken).json["data"]
            let row = try #require(own?["items"]?.arrayValue?.first)
            #expect(own?["items"]?.arrayValue?.count == 1 && own?["next_before_id"] == .null)
            #expect(row["model_name"]?.stringValue == "e" && row["token_name"]?.stringValue == "laptop")
            #expect(row["username"] == nil && row["channel_name"] == nil)
            // The old form is as it was.
            let page = try await client.call(.get, "/api/log/self?page_size=2", token: people.adaToken).json["data"]
            #expect(page?["total"]?.integerValue == 8 && page?["items"]?.arrayValue?.count == 2 && page?["next_before_id"] == nil)
        }
    }

    @Test func `rows of the ledger are one's own, and for admins everybody's`() async throws {
        try await with { _, client, people in
            let path = "/api/balance/transactions?before_id=0&page_size=100"
            func users(_ query: String, _ token: String) async throws -> (status: Int, ids: Set<String>, count: Int) {
                let answer = try await client.call(.get, path + query, token: token)
                let items = answer.json["data"]?["items"]?.arrayValue ?? []
                return (answer.status, Set(items.compactMap { $0["user_id"]?.text }), items.count)
            }
            #expect(try await users("", people.adaToken) == (200, ["\(people.ada)"], 7))
            #expect(try await users("&user_id=\(people.ada)&type=usage", TestGateway.adminToken) == (200, ["\(people.ada)"], 7))
            #expect(try await users("&user_id=0", TestGateway.adminToken) == (200, ["1", "\(people.ada)"], 9))
            #expect(try await users("&from=\(people.quarter + 900)", people.adaToken) == (200, [], 0))
            for query in ["&user_id=1", "&user_id=0"] { #expect(try await users(query, people.adaToken).status == 403) }
            let counted = try await client.call(.get, "/api/balance/transactions?from=1", token: people.adaToken)
            #expect(counted.status == 400 && counted.json["details"]?["field"]?.stringValue == "before_id")
        }
    }

    @Test func `tables are whole, with a count, and no cell is a formula`() async throws {
        try await with { gateway, client, people in
            let log = try await client.call(.get, "/api/log/self/export", token: people.adaToken)
            #expect(log.status == 200 && log.headers[ExportHandlers.rowCount] == "8")
            let lines = log.json.stringValue?.split(separator: "\r\n") ?? []
            #expect(lines.count == 9 && lines.first?.hasPrefix("id,request_id,created_at") == true)
            #expect(lines.contains { $0.contains(",'=cmd(),'=cmd(),chat,") })
            #expect(lines.contains { $0.contains(",30,20,0,0,0.0000001,0.000000005,upstream,completed,200,,true,1,1100,100,stop,,") })
            let all = try await client.call(.get, "/api/log/export?model=b", token: TestGateway.adminToken)
            #expect(all.headers[ExportHandlers.rowCount] == "2" && all.json.stringValue?.split(separator: "\r\n").count == 3)
            #expect(try await client.call(.get, "/api/log/export", token: people.adaToken).status == 403)
            let rows = try await client.call(.get, "/api/balance/transactions/export?user_id=0", token: TestGateway.adminToken)
            #expect(rows.headers[ExportHandlers.rowCount] == "9" && rows.json.stringValue?.split(separator: "\r\n").count == 10)
            #expect(rows.json.stringValue?.contains(",usage,-0.0000001,") == true, "an amount is a number")
            // More than one page.
            let more = (1...2_500).map { Self.record(1_000 + $0, user: people.ada, nanos: 1, at: people.quarter) }
            _ = try await gateway.gateway.parts.store.post(more, holder: nil)
            let long = try await client.call(.get, "/api/log/self/export", token: people.adaToken)
            let ids = (long.json.stringValue?.split(separator: "\r\n").dropFirst() ?? []).compactMap { Int($0.prefix { $0 != "," }) }
            #expect(ids.count == 2_508 && Set(ids).count == 2_508 && ids == ids.sorted(by: >))
        }
    }

    @Test(arguments: [
        ("plain", "plain"), ("=1+1", "'=1+1"), ("+1", "'+1"), ("-1", "'-1"), ("@a", "'@a"), ("\ta", "'\ta"), ("\rx", "\"'\rx\""),
        ("a=b", "a=b"), ("a,b", "\"a,b\""), ("say \"x\"", "\"say \"\"x\"\"\""), ("=\",\"", "\"'=\"\",\"\"\""), ("", ""),
        ("zwei\nzeilen", "\"zwei\nzeilen\""),
    ])
    func `a field is one cell, and no formula`(_ text: String, _ field: String) { #expect(CSV.field(text) == field) }

    @Test func `rows of the log go when they are older than the configuration says`() async throws {
        try await with({ $0.logs.keep = .seconds(86_400) }) { gateway, _, people in
            let parts = gateway.gateway.parts
            let keeper = LogKeeper(
                store: parts.store, snapshots: parts.snapshots, clock: gateway.gateway.options.clock, logger: gateway.gateway.logger)
            #expect(try await keeper.letGo(most: 10) == 0)
            let old = (1...5).map { Self.record(100 + $0, user: people.ada, nanos: 1, at: people.quarter - 90_000) }
            _ = try await parts.store.post(old, holder: nil)
            #expect(try await keeper.letGo(most: 3) == 3)
            #expect(try await keeper.letGo(most: 3) == 2)
            #expect(try await keeper.letGo(most: 3) == 0)
            #expect(try await parts.store.logs(LogQuery()).total == 10)
            #expect(try await parts.store.verify().differences == [])
        }
        try await with { gateway, _, people in
            let parts = gateway.gateway.parts
            let keeper = LogKeeper(
                store: parts.store, snapshots: parts.snapshots, clock: gateway.gateway.options.clock, logger: gateway.gateway.logger)
            _ = try await parts.store.post([Self.record(100, user: people.ada, nanos: 1, at: 1_000)], holder: nil)
            #expect(try await keeper.letGo(most: 10) == 0, "for ever, unless the configuration says otherwise")
        }
    }
}
