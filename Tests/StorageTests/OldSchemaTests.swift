import Foundation
import RouterCore
import Storage
import Testing

/// Databases that older programs have written, opened by this one: not a number and not a row may change.
@Suite(.timeLimit(.minutes(10)))
struct OldSchemaTests {
    private static let first = RequestID(bits: 1).description
    private static let second = RequestID(bits: 2).description
    private static let void = RequestID(bits: 3).description
    /// 25 November 2026, UTC
    private static let time: Int64 = 1_795_600_000

    /// Rows of every table of the first schema, in SQL that both databases read.
    private static func contents(_ dialect: SQLDialect) -> String {
        func bytes(_ digits: String) -> String { dialect == .sqlite ? "X'\(digits)'" : "'\\x\(digits)'" }
        func flag(_ value: Bool) -> String { dialect == .sqlite ? (value ? "1" : "0") : (value ? "TRUE" : "FALSE") }
        let zeros = Array(repeating: "0", count: 13).joined(separator: ", ")
        let price =
            #"{"model_name":"vendor/m","basis":"metered","pricing_input":"0.000000150000001","pricing_output":"0.0000006","tiers":"[]"}"#
        return """
            INSERT INTO users (id, username, password_hash, display_name, email, role, status, "group", access_token_hash, balance_nanos, created_at)
            VALUES (1, 'root', 'h1', 'The Root', 'r@example.org', 100, 1, 'default', \(bytes("0a0b")), 7500000001, 10),
                (2, 'Ada', 'h2', '', '', 1, 1, 'vip', NULL, -3, 11), (3, 'gone', '', '', '', 10, 2, 'default', NULL, 0, 12);
            INSERT INTO access_tokens (hash, user_id, expires_at, created_at)
            VALUES (\(bytes("0a0b")), 1, NULL, 20), (\(bytes("ff00")), 2, 9000000000, 21);
            INSERT INTO tokens (id, user_id, key_hash, key_prefix, name, status, expires_at, models, limits, created_at, accessed_at)
            VALUES (5, 1, \(bytes("01")), 'sk-a', 'one', 1, NULL, '[]', '{}', 30, NULL),
                (9, 2, \(bytes("02fe")), 'sk-b', 'two', 2, 4000, '["vendor/m"]', '{"rpm":3}', 31, 32);
            INSERT INTO balance_transactions (id, user_id, amount_nanos, balance_after_nanos, type, reference_id, description, created_at)
            VALUES (1, 1, 8000000000, 8000000000, 'recharge', 'r1', 'from the bank', 40),
                (2, 1, -499999999, 7500000001, 'usage', '\(first)', 'vendor/m chat', \(time)),
                (3, 2, -10, -10, 'usage', '\(second)', 'vendor/m chat', \(time)),
                (4, 2, 5, -5, 'adjustment', 'a1', 'good will', 43), (5, 2, 2, -3, 'adjustment', '\(second):reconciled', '', 44);
            INSERT INTO model_pricing (id, model_name, display_name, provider, description, context_length, max_output_tokens,
                pricing_input, pricing_output, pricing_cache_read, tiers, is_active, is_edited, version, created_at, updated_at)
            VALUES (3, 'vendor/m', 'M', 'vendor', 'a model', 128000, NULL, '0.000000150000001', '0.0000006', '0.00000001',
                '[{"above":200000,"input":"0.0000003","output":"0.0000012"}]', \(flag(true)), \(flag(true)), 2, 50, 51);
            INSERT INTO model_pricing_history (model_name, version, row, created_at) VALUES ('vendor/m', 1, '\(price)', 50);
            INSERT INTO model_pricing_history (model_name, version, row, created_at) VALUES ('vendor/m', 2, '\(price)', 51);
            INSERT INTO logs (id, request_id, user_id, token_id, channel_id, provider, model_name, upstream_model, endpoint,
                prompt_tokens, completion_tokens, cached_tokens, cache_write_tokens, cache_write_1h_tokens, reasoning_tokens,
                audio_input_tokens, audio_output_tokens, images, searches, requests, latency_ms, first_token_ms, charge_nanos,
                upstream_cost_nanos, usage_source, pricing_version, outcome, status, error_code, is_stream, attempts, generation_id,
                client_ip, created_at)
            VALUES (1, '\(first)', 1, 5, 8, 'vendor', 'vendor/m', 'm', 'chat', \(zeros), 499999999, 123, 'upstream', 2, 'completed', 200,
                    NULL, \(flag(true)), 1, 'gen-1', '::1', \(time)),
                (2, '\(second)', 2, NULL, NULL, 'vendor', 'vendor/m', 'm', 'chat', \(zeros), 8, NULL, 'reconciled', 1, 'completed', 200,
                    NULL, \(flag(false)), 2, NULL, '::1', \(time)),
                (3, '\(void)', 2, NULL, NULL, 'vendor', 'vendor/m', 'm', 'chat', \(zeros), NULL, NULL, 'estimated', 0, 'failed', 502,
                    'upstream_error', \(flag(false)), 3, NULL, '::1', \(time));
            INSERT INTO poison_records (request_id, reason, record, created_at) VALUES ('p1', 'the user does not exist', '{"a":1}', 60);
            INSERT INTO channel_health (channel_id, credential, model, state, open_until, failures, updated_at)
            VALUES (8, -2, '', 'open', 70, 4, 69);
            INSERT INTO balance_leases (user_id, gateway_id, epoch, amount_nanos, expires_at)
            VALUES (1, 'g', 3, 1000000000, 80), (2, 'g', 3, 0, 80), (1, 'h', 1, 5, 80);
            INSERT INTO settings (key, value) VALUES ('channel.8.switch', 'disabled');
            INSERT INTO audit_log (id, actor_id, action, detail, client_ip, created_at)
            VALUES (1, NULL, 'user.create', '{"user_id":1}', '', 90), (2, 1, 'balance.add', '{}', '::1', 91);
            """
    }

    /// Each schema that a database of a kind may have been left at.
    static let places: [(SQLDialect, Int)] = SQLDialect.allCases.flatMap { dialect in
        [1, 2, 3, 5, dialect == .sqlite ? 8 : 6, dialect == .sqlite ? 9 : 7, dialect == .sqlite ? 10 : 9].map { (dialect, $0) }
    }

    @Test(arguments: places)
    func `a database of an older program keeps every number and row`(_ dialect: SQLDialect, _ version: Int) async throws {
        let database = try OldDatabase(dialect)
        try await database.migrate(first: 1, now: 1)
        try await database.run(Self.contents(dialect))
        try await database.migrate(first: version, now: 2)
        var columns = try await database.columns()
        #expect(columns.count >= 12)
        // These were made anew by later files, with other columns: what has become of them is looked at below.
        if try await database.texts("SELECT name FROM schema_migrations").contains("gateways") == false { columns["balance_leases"] = nil }
        if dialect == .sqlite, version == 1 { columns["channel_health"] = nil }
        columns["schema_migrations"] = nil
        let before = try await database.rows(columns)
        #expect(before["users"]?.count == 3 && before["logs"]?.count == 3 && before["balance_transactions"]?.count == 5)

        let store = try await database.open(now: 3)
        for (table, rows) in try await database.rows(columns) { #expect(rows == before[table], "\(table)") }
        try await expectContents(store, database)
        try await store.close()

        // Nothing is left to be done.
        let all = try await database.columns()
        let once = try await database.rows(all)
        try await database.open(now: 4).close()
        #expect(try await database.columns() == all)
        #expect(try await database.rows(all) == once)
        #expect(once["schema_migrations"]?.count == (try OldDatabase.count(dialect)))
    }

    /// Sums and ranges of ids that were kept from the beginning, and those that the file makes of rows that are there.
    @Test(arguments: SQLDialect.allCases)
    func `sums of an old log are those that its postings would have left`(_ dialect: SQLDialect) async throws {
        let database = try OldDatabase(dialect)
        let store = try await database.open(now: 1)
        var users: [Int64] = []
        for name in ["ada", "bob"] { users.append(try await store.createUser(newUser(name)).id) }
        func old(_ record: RequestRecord) -> RequestRecord {
            var record = record
            record.vendorCost = nil
            return record
        }
        _ = try await store.post(UsageConformance.records(500, users: users, seed: 5).map(old))
        _ = try await store.post(credit(users[0], 7, "r1"))
        let id = try await store.createUser(newUser("eve")).id
        _ = try await store.post([record(900, user: id, charge: 9), record(901, user: 999, charge: 9)].map(old))
        try await store.close()

        let tables = ["usage_by_key", "usage_by_channel", "usage_by_user", "row_ranges"]
        // The charges of requests of unknown cost are an average where others of their row have one.
        let columns = try await database.columns().filter { tables.contains($0.key) }
            .mapValues { $0.filter { $0 != "uncosted_charge_nanos" } }
        #expect(columns.count == tables.count)
        let before = try await database.rows(columns)
        #expect(before.values.allSatisfy { $0.count > 20 })
        let folder = try Migrations.locate(dialect: dialect, environment: [:])
        let sql = try String(contentsOfFile: folder + "/0016_rollup.sql", encoding: .utf8)
        let start = try #require(sql.range(of: "-- The rows that exist already.")), end = try #require(sql.range(of: "-- Pages of the log"))
        // Later migrations have added to it, and come behind.
        let scale = try String(contentsOfFile: folder + "/0018_scale.sql", encoding: .utf8)
        let indexes = try #require(scale.range(of: "-- One user's hours"))
        let cost = try String(contentsOfFile: folder + "/0019_cost.sql", encoding: .utf8)
        let sums = try #require(cost.range(of: "-- In the sums"))
        let drops = tables.dropLast().flatMap { table in Self.costs.map { "ALTER TABLE \(table) DROP COLUMN \($0);" } }
        let clearing = tables.map { "DELETE FROM \($0);" } + drops
        let files = [sql[start.lowerBound..<end.lowerBound], scale[scale.startIndex..<indexes.lowerBound], cost[sums.lowerBound...]]
        try await database.run(clearing.joined() + files.map { String($0) }.joined())
        let after = try await database.rows(columns)
        for table in tables { #expect(after[table] == before[table], "\(table)") }
    }

    private static let costs = ["vendor_cost_nanos", "uncosted", "uncosted_charge_nanos"]

    /// Rows of before that have what the vendor reported, or nothing.
    @Test(arguments: SQLDialect.allCases)
    func `sums of before costs were kept get what vendors reported`(_ dialect: SQLDialect) async throws {
        let database = try OldDatabase(dialect)
        let store = try await database.open(now: 1)
        var users: [Int64] = []
        for name in ["ada", "bob"] { users.append(try await store.createUser(newUser(name)).id) }
        var records = UsageConformance.records(400, users: users, seed: 6)
        for index in records.indices {
            records[index].vendorCost = nil
            // One vendor reports the cost of every answer, the others of none.
            let isReported = records[index].provider == "openai" && records[index].charge != nil
            records[index].usage.upstreamCost = isReported ? FemtoUSD(femtos: Int64(index + 1) * 1_000_000) : nil
        }
        _ = try await store.post(records)
        try await store.close()
        let tables = ["usage_by_key", "usage_by_channel", "usage_by_user"]
        let columns = try await database.columns().filter { tables.contains($0.key) }
        #expect(columns.count == tables.count && columns.values.allSatisfy { Set(Self.costs).isSubset(of: $0) })
        let before = try await database.rows(columns)
        let nothing = Self.costs.filter { $0 != "uncosted" }.map { "\($0) = 0" }.joined(separator: ", ")
        try await database.run(tables.map { "UPDATE \($0) SET \(nothing);" }.joined())
        #expect(try await database.rows(columns) != before)
        let file = try Migrations.locate(dialect: dialect, environment: [:]) + "/0019_cost.sql"
        let sql = try String(contentsOfFile: file, encoding: .utf8)
        let start = try #require(sql.range(of: "-- The rows that exist already"))
        try await database.run(String(sql[start.lowerBound...]))
        let after = try await database.rows(columns)
        for table in tables { #expect(after[table] == before[table], "\(table)") }
    }

    /// As the store reads it.
    private func expectContents(_ store: any Store, _ database: OldDatabase) async throws {
        let users = try await store.allUsers()
        #expect(users.map(\.username) == ["root", "Ada", "gone"] && users.map(\.balance.nanos) == [7_500_000_001, -3, 0])
        #expect(users.map(\.role) == [.root, .user, .admin] && users.map(\.status) == [.enabled, .enabled, .disabled])
        #expect(users.map(\.limits) == ["{}", "{}", "{}"] && users.map(\.createdAt) == [10, 11, 12])
        #expect(try await store.userForLogin(username: "ADA")?.passwordHash == "h2")
        let tokens = try await store.allTokens()
        #expect(tokens.map(\.id) == [5, 9] && tokens.map(\.keyHash) == [[1], [2, 0xFE]] && tokens[1].models == ["vendor/m"])
        #expect(tokens.allSatisfy { !$0.isManagement }, "nobody's key gets other rights by a migration")
        #expect(tokens[1].limits == #"{"rpm":3}"# && tokens[1].expiresAt == 4000 && tokens[1].accessedAt == 32)
        #expect(try await store.userForAccessToken(hash: [0x0A, 0x0B], now: 1_000, idleSince: 900)?.user.id == 1)
        let session = try await store.accessTokens(userID: 2, now: 1_000, idleSince: 20).first
        #expect(session?.hash == [0xFF, 0] && session?.usedAt == 21 && session?.expiresAt == 9_000_000_000)
        let price = try #require(try await store.allPrices().first)
        #expect(price.price.rates.input == FemtoUSD(femtos: 150_000_001) && price.isEdited && price.version == 2 && price.id == 3)
        #expect(price.price.tiers.first?.abovePromptTokens == 200_000 && price.contextLength == 128_000)
        #expect(try await store.priceVersions() == [1: 50, 2: 51])
        #expect(try await store.price(version: 1)?.rates.input == FemtoUSD(femtos: 150_000_001))
        #expect(
            try await store.entries(in: 0..<Int64.max, after: 0, limit: 100).map(\.amount.nanos) == [
                8_000_000_000, -499_999_999, -10, 5, 2,
            ])
        #expect(try await store.logs(LogQuery()).items.map(\.record.charge?.nanos) == [nil, 8, 499_999_999])
        #expect(try await store.logStatistics(LogQuery()).cost.nanos == 500_000_007)
        #expect(try await store.logs(LogQuery()).items.map(\.record.knownCost?.amount.nanos) == [nil, nil, 123])
        let margins = try await store.margins(in: 0..<Int64.max)
        #expect(margins.map(\.charged.nanos) == [499_999_999, 8] && margins.map(\.unknownCost) == [0, 1])
        #expect(try await store.setting("channel.8.switch") == "disabled")
        #expect(try await store.auditRows(PageRequest()).items.map(\.action) == ["balance.add", "user.create"])
        let report = try await store.verify()
        #expect(report.differences == [] && report.entries == 5 && report.users == 3)
        // Leases belong to lives since.
        let leases = try await database.texts("SELECT user_id || ' ' || incarnation || ' ' || amount_nanos FROM balance_leases ORDER BY 1")
        #expect(leases == ["1 g:3 1000000000", "1 h:1 5", "2 g:3 0"])
        #expect(try await store.gateways(now: 100).map(\.incarnation) == ["g:3", "h:1"])
        // A posting is known by its reference as a key; corrections by the program are not.
        let keys = try await database.texts("SELECT key || ' ' || operation || ' ' || amount_nanos FROM money_operations ORDER BY 1")
        #expect(keys == ["a1 add 5", "r1 add 8000000000"])
        // Spending of before was counted where budgets came to a ledger that was in use; PostgreSQL had them from its first release on.
        let spent = try await store.spending([
            BudgetCounter(scope: .user(1), window: 0), BudgetCounter(scope: .key(5), window: 20_261_125),
            BudgetCounter(scope: .user(2), window: 202_611),
        ]).values.map(\.nanos).sorted()
        #expect(spent == (database.dialect == .sqlite ? [8, 499_999_999, 499_999_999] : []))
    }
}
