import RouterCore
import Testing

@testable import Storage

/// Pages by cursor, and rows that are let go: what every store must do.
@Suite(.timeLimit(.minutes(10)))
struct CursorConformance {
    private static let midnight: Int64 = 1_795_564_800

    private func filled(_ store: any Store, _ count: Int, seed: UInt64 = 3) async throws -> [RequestRecord] {
        var random = SplitMix64(state: seed)
        var users: [Int64] = []
        for name in ["ada", "bob"] { users.append(try await store.createUser(newUser(name)).id) }
        var records: [RequestRecord] = []
        for number in 1...count {
            let user = users[random.below(2)]
            // Some are posted long after they began.
            let age = random.below(20) == 0 ? Int64(random.below(86_400)) : Int64(random.below(60))
            let charge: Int64? = random.below(4) == 0 ? nil : 10
            var one = record(number, user: user, charge: charge, createdAt: Self.midnight + Int64(number) * 60 - age)
            one.tokenID = random.below(3) == 0 ? nil : user * 10 + Int64(random.below(2))
            one.channelID = random.below(3) == 0 ? nil : Int64(random.below(3) + 1)
            one.provider = ["openai", "anthropic"][random.below(2)]
            one.model = number == 5 ? "rare" : ["gpt", "claude"][random.below(2)]
            one.outcome = one.charge == nil ? .failed : [.completed, .completed, .clientGone][random.below(3)]
            one.usageSource = .upstream
            records.append(one)
        }
        for start in stride(from: 0, to: count, by: 100) { _ = try await store.post(Array(records[start..<min(start + 100, count)])) }
        return records
    }

    private func walk(_ store: any Store, _ query: LogQuery) async throws -> [RequestID] {
        var found: [RequestID] = []
        var before: Int64? = .max
        while let end = before {
            let page = try await store.logs(query, before: end)
            #expect(page.items.count <= query.page.size && page.items.allSatisfy { $0.id < end })
            #expect(page.items.map(\.id) == page.items.map(\.id).sorted(by: >))
            if let next = page.nextBefore { #expect(next < end, "it goes on") }
            found += page.items.map(\.record.requestID)
            before = page.nextBefore
        }
        return found
    }

    @Test(arguments: StoreFactory.all)
    func `a walk by cursor meets every row that is asked for, once, newest first`(_ factory: StoreFactory) async throws {
        let store = try await factory.open()
        let records = try await filled(store, 400)
        // The ledger has users in order within a group; the log has the ids of that order.
        let all = try await store.logs(LogQuery(page: PageRequest(page: 1, size: 1_000))).items
        #expect(all.count == 400)
        let middle = Self.midnight + 200 * 60
        var queries: [LogQuery] = []
        for change: (inout LogQuery) -> Void in [
            { _ in }, { $0.userID = records[0].userID }, { $0.tokenID = records[0].userID * 10 }, { $0.channelID = 2 },
            { $0.provider = "openai" }, { $0.model = "rare" }, { $0.model = "gpt" }, { $0.outcome = .failed }, { $0.outcome = .completed },
            { $0.from = middle }, { $0.to = middle }, { ($0.from, $0.to) = (middle, middle + 3_600) }, { ($0.from, $0.to) = (1, 2) },
            { ($0.userID, $0.model, $0.outcome) = (records[0].userID, "claude", .clientGone) },
            { ($0.channelID, $0.from, $0.provider) = (1, middle - 5_000, "anthropic") },
            { $0.requestID = records[7].requestID }, { $0.userID = 12_345 },
        ] {
            var query = LogQuery(page: PageRequest(page: 1, size: 17))
            change(&query)
            queries.append(query)
        }
        for query in queries {
            let wanted = all.filter { row in
                let record = row.record
                return (query.userID ?? record.userID) == record.userID && (query.tokenID == nil || query.tokenID == record.tokenID)
                    && (query.channelID == nil || query.channelID == record.channelID)
                    && (query.provider ?? record.provider) == record.provider && (query.model ?? record.model) == record.model
                    && (query.outcome ?? record.outcome) == record.outcome && (query.requestID ?? record.requestID) == record.requestID
                    && record.createdAt >= query.from ?? 0 && record.createdAt <= query.to ?? .max
            }.map(\.record.requestID)
            #expect(try await walk(store, query) == wanted, "\(query)")
            #expect(try await store.mostLogs(query) >= Int64(wanted.count), "\(query)")
        }
        #expect(try await store.mostLogs(LogQuery()) == 400)
    }

    @Test(arguments: StoreFactory.all)
    func `the ledger's rows are walked the same way`(_ factory: StoreFactory) async throws {
        let store = try await factory.open()
        let records = try await filled(store, 150)
        let (ada, bob) = (records[0].userID, records.first { $0.userID != records[0].userID }?.userID ?? 0)
        for (number, user) in [ada, bob, ada].enumerated() { _ = try await store.post(credit(user, 5, "r\(number)")) }
        let all = try await store.entries(in: 0..<Int64.max, after: 0, limit: 10_000).reversed()
        let middle = Self.midnight + 75 * 60
        for query in [
            EntryQuery(), EntryQuery(userID: ada), EntryQuery(userID: bob, kind: .recharge), EntryQuery(kind: .recharge),
            EntryQuery(kind: .usage), EntryQuery(userID: ada, kind: .usage, from: middle), EntryQuery(from: 0, to: middle),
            EntryQuery(userID: ada, from: 1, to: 500), EntryQuery(kind: .refund),
        ] {
            var found: [Int64] = []
            var before: Int64? = .max
            while let end = before {
                let page = try await store.entries(query, before: end, size: 13)
                found += page.items.map(\.id)
                before = page.nextBefore
            }
            let wanted = all.filter { entry in
                (query.userID ?? entry.userID) == entry.userID && (query.kind ?? entry.kind) == entry.kind
                    && entry.createdAt >= query.from ?? 0 && entry.createdAt <= query.to ?? .max
            }.map(\.id)
            #expect(found == wanted, "\(query)")
            #expect(try await store.mostEntries(query) >= Int64(wanted.count), "\(query)")
        }
    }

    @Test(arguments: StoreFactory.all)
    func `a call looks at a bounded number of rows, and the next goes on where it ended`(_ factory: StoreFactory) async throws {
        let store = try #require(try await factory.open() as? any SQLStore)
        _ = try await filled(store, 400)
        for change: (inout LogQuery) -> Void in [
            { $0.provider = "nobody" }, { ($0.model, $0.provider) = ("gpt", "openai") }, { ($0.model, $0.userID) = ("rare", 1) },
            { ($0.to, $0.outcome) = (Self.midnight + 3_600, .failed) },
        ] {
            var query = LogQuery()
            change(&query)
            let scan = CursorScan(query)
            func page(_ before: Int64, _ steps: Int) async throws -> CursorPage<Int64> {
                try await store.database.read { try scan.page($0, "id", before: before, size: 1_000, steps: steps) { try $0.int("id") } }
            }
            let all = try await page(.max, 1_000)
            #expect(all.nextBefore == nil)
            var found: [Int64] = []
            var before: Int64? = .max
            var calls = 0
            while let end = before {
                let part = try await page(end, 50)
                #expect(part.items.count <= 51)
                found += part.items
                before = part.nextBefore
                calls += 1
            }
            #expect(found == all.items && calls > 1, "\(query)")
        }
    }

    /// The plans of the statements that a page consists of: one index, and no sorting.
    @Test(arguments: StoreFactory.all)
    func `each kind of question is a walk along its index`(_ factory: StoreFactory) async throws {
        let store = try #require(try await factory.open() as? any SQLStore)
        _ = try await filled(store, 300)
        let logs: [(String, (inout LogQuery) -> Void)] = [
            ("logs_by_token", { $0.tokenID = 10 }), ("logs_by_user", { $0.userID = 1 }), ("logs_by_model", { $0.model = "gpt" }),
            ("logs_by_channel", { $0.channelID = 2 }), ("logs_by_outcome", { $0.outcome = .failed }),
            ("logs_by_token", { ($0.tokenID, $0.userID, $0.outcome) = (10, 1, .failed) }), ("logs_pkey", { $0.provider = "openai" }),
        ]
        let entries: [(String, EntryQuery)] = [
            ("balance_transactions_by_user", EntryQuery(userID: 1)), ("balance_transactions_by_type", EntryQuery(kind: .recharge)),
            ("balance_transactions_by_user_type", EntryQuery(userID: 1, kind: .refund)),
            ("balance_transactions_by_user", EntryQuery(userID: 1, kind: .usage)),
        ]
        var scans = entries.map { ($0.0, CursorScan($0.1)) }
        for (index, change) in logs {
            var query = LogQuery()
            change(&query)
            scans.append((index, CursorScan(query)))
        }
        for (index, scan) in scans {
            let plans = try await store.database.read { session in try Explaining(session: session).plans(of: scan) }
            for plan in plans {
                let isSorted = plan.contains("TEMP B-TREE") || plan.contains("Sort")
                let isByKey = index == "logs_pkey" && plan.contains("INTEGER PRIMARY KEY")
                #expect((plan.contains(index) || isByKey) && !isSorted, "\(index): \(plan)")
            }
            #expect(!plans.isEmpty)
        }
    }

    /// Runs what a page runs, and keeps the plans.
    private final class Explaining: SQLSession {
        let session: any LedgerSession
        private var plans: [String] = []

        init(session: any LedgerSession) { self.session = session }

        var dialect: SQLDialect { session.dialect }

        func plans(of scan: CursorScan) throws -> [String] {
            // So few rows would be read whole and sorted; the question here is whether an index can give the order.
            let switches = dialect == .postgres ? ["seqscan", "sort", "incremental_sort", "bitmapscan"] : []
            for name in switches { try session.execute("SET enable_\(name) = off") }
            defer { for name in switches { _ = try? session.execute("RESET enable_\(name)") } }
            _ = try scan.page(self, "id, created_at", before: .max, size: 20) { _ in 0 }
            return plans
        }

        func rows(_ sql: String, _ parameters: [any SQLParameter]) throws(SQLFailure) -> [SQLRow] {
            let explain = dialect == .sqlite ? "EXPLAIN QUERY PLAN " : "EXPLAIN "
            let column = dialect == .sqlite ? "detail" : "QUERY PLAN"
            let lines = try session.rows(explain + sql, parameters)
            do { plans.append(try lines.map { try $0.text(column) }.joined(separator: "\n")) } catch {
                throw SQLFailure(kind: .other, message: "\(error)")
            }
            return try session.rows(sql, parameters)
        }

        func execute(_ sql: String, _ parameters: [any SQLParameter]) throws(SQLFailure) -> Int { try session.execute(sql, parameters) }
        func savepoint(_ body: () throws -> Void) throws { try session.savepoint(body) }
    }

    @Test(arguments: StoreFactory.all)
    func `old rows of the log go in portions; ledger, sums and corrections stay`(_ factory: StoreFactory) async throws {
        let store = try await factory.open()
        let records = try await filled(store, 120)
        var estimate = record(900, user: records[0].userID, charge: 50, createdAt: Self.midnight)
        estimate.usageSource = .estimated
        _ = try await store.post([estimate])
        let limit = Self.midnight + 60 * 60
        let old = records.filter { $0.createdAt < limit }
        let balances = try await store.allUsers().map(\.balance)
        let sums = try await store.usage(UsageQuery([0..<Self.midnight + 86_400], by: .model)).map(\.sums)
        #expect(try await store.logsLetGo() == nil)
        var gone = 0
        while true {
            let portion = try await store.letGoLogs(before: limit, most: 7)
            gone += portion
            #expect(portion <= 7)
            if portion == 0 { break }
        }
        let noted = try await store.logsLetGo()
        #expect(gone == old.count && noted == limit)
        #expect(try await store.logs(LogQuery()).total == Int64(121 - gone))
        #expect(try await store.verify().differences == [])
        // The estimate was kept, and can be corrected; then it may go as well.
        let bill = Bill(charge: NanoUSD(nanos: 40))
        try await store.reconcile(estimate.requestID, usage: Usage(output: 1), bill: bill, cost: nil, now: limit)
        #expect(try await store.verify().differences == [])
        #expect(try await store.letGoLogs(before: limit, most: 7) == 1)
        // A journal that is read again charges nobody twice, and sets nothing aside.
        let again = try await store.post(records + [estimate], holder: nil)
        #expect(again.added == 0 && again.setAside.isEmpty && again.charges.isEmpty)
        var late = record(901, user: records[0].userID, charge: 3, createdAt: Self.midnight)
        late.usageSource = .upstream
        #expect(try await store.post([late], holder: nil).added == 1, "what the ledger has not seen is charged, however old")
        #expect(try await store.verify().differences == [])
        let after = try await store.usage(UsageQuery([0..<Self.midnight + 86_400], by: .model)).map(\.sums)
        let (requestsBefore, requestsAfter) = (sums.map(\.requests).reduce(0, +), after.map(\.requests).reduce(0, +))
        #expect(requestsAfter == requestsBefore + 1, "the late one")
        let money = try await store.allUsers().map(\.balance.nanos).reduce(0, +)
        #expect(money == balances.map(\.nanos).reduce(0, +) + 10 - 3, "the correction and the late charge")
    }
}
