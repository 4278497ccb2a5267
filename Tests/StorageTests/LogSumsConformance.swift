import RouterCore
import Storage
import Testing

/// Sums that are read from the rollup where it can tell, and from rows elsewhere: they must be those of the rows, to the second.
@Suite(.timeLimit(.minutes(10)))
struct LogSumsConformance {
    /// The beginning of 25 November 2026, UTC, as in ``UsageConformance``.
    private static let midnight: Int64 = 1_795_564_800

    private static func filled(_ factory: StoreFactory) async throws -> (store: any Store, users: [Int64], records: [RequestRecord]) {
        let store = try await factory.open()
        var users: [Int64] = []
        for name in ["ada", "bob", "eve"] { users.append(try await store.createUser(newUser(name)).id) }
        let records = UsageConformance.records(500, users: users, seed: 18)
        for start in stride(from: 0, to: records.count, by: 50) { _ = try await store.post(Array(records[start..<start + 50])) }
        return (store, users, records)
    }

    /// Ends of times: whole days and quarter hours, seconds beside them, and those of one quarter hour.
    private static let times: [(from: Int64?, to: Int64?)] = [
        (nil, nil), (midnight, nil), (nil, midnight + 86_400), (midnight + 1, midnight + 3 * 86_400 - 2),
        (midnight + 899, midnight + 86_400), (midnight + 900, midnight + 86_399), (midnight + 50_000, midnight + 50_100),
        (midnight + 4_321, midnight + 200_007), (midnight + 3 * 86_400, nil), (midnight + 9_000, midnight + 8_000),
    ]

    private static func isIn(_ time: (from: Int64?, to: Int64?), _ record: RequestRecord) -> Bool {
        (time.from ?? .min) <= record.createdAt && record.createdAt <= (time.to ?? .max)
    }

    @Test(arguments: StoreFactory.all)
    func `statistics of the log are those of its rows`(_ factory: StoreFactory) async throws {
        let (store, users, records) = try await Self.filled(factory)
        let filters: [(edit: (inout LogQuery) -> Void, fits: (RequestRecord) -> Bool)] = [
            ({ _ in }, { _ in true }), ({ $0.userID = users[0] }, { $0.userID == users[0] }),
            ({ $0.tokenID = users[1] * 10 }, { $0.tokenID == users[1] * 10 }),
            ({ ($0.userID, $0.tokenID) = (users[1], users[1] * 10) }, { $0.tokenID == users[1] * 10 }),
            ({ $0.channelID = 2 }, { $0.channelID == 2 }), ({ $0.provider = "openai" }, { $0.provider == "openai" }),
            ({ ($0.userID, $0.model) = (users[2], "gpt") }, { $0.userID == users[2] && $0.model == "gpt" }),
            ({ $0.outcome = .truncated }, { $0.outcome == .truncated }),
            ({ $0.requestID = records[7].requestID }, { $0.requestID == records[7].requestID }),
        ]
        for time in Self.times {
            for (place, filter) in filters.enumerated() {
                var query = LogQuery()
                (query.from, query.to) = time
                filter.edit(&query)
                let found = try await store.logStatistics(query)
                let rows = records.filter { Self.isIn(time, $0) && filter.fits($0) }
                let expected = LogStatistics(
                    requests: Int64(rows.count), promptTokens: rows.reduce(0) { $0 + $1.usage.promptTokens },
                    completionTokens: rows.reduce(0) { $0 + $1.usage.completionTokens },
                    cost: NanoUSD(nanos: rows.reduce(0) { $0 + ($1.charge?.nanos ?? 0) }),
                    upstreamCost: NanoUSD(nanos: rows.reduce(0) { $0 + ($1.usage.upstreamCost?.roundedToNano.nanos ?? 0) }))
                #expect(found == expected, "filter \(place), \(time)")
            }
        }
    }

    @Test(arguments: StoreFactory.all)
    func `a key of somebody is found by its owner, and a key that is gone all the same`(_ factory: StoreFactory) async throws {
        let store = try await factory.open()
        let user = try await store.createUser(newUser("ada")).id
        let kept = try await store.createToken(token(user, "kept")).id
        let gone = try await store.createToken(token(user, "gone")).id
        _ = try await store.post(
            [(1, kept), (2, kept), (3, gone)].map { number, id in
                var one = record(number, user: user, charge: 10, createdAt: 1_000)
                one.tokenID = id
                return one
            })
        try await store.deleteToken(id: gone)
        var query = LogQuery()
        query.tokenID = kept
        #expect(try await store.logStatistics(query).requests == 2)
        query.tokenID = gone
        #expect(try await store.logStatistics(query).requests == 1)
    }

    private func token(_ user: Int64, _ name: String) -> Token {
        Token(userID: user, keyHash: Array("\(user) \(name)".utf8), keyPrefix: "sk-", name: name, createdAt: 1)
    }

    @Test(arguments: StoreFactory.all)
    func `margins are those of the rows`(_ factory: StoreFactory) async throws {
        let (store, _, records) = try await Self.filled(factory)
        for time in Self.times where (time.from ?? 0) <= (time.to ?? .max) {
            let range = (time.from ?? 0)..<(time.to.map { $0 + 1 } ?? .max)
            let rows = Dictionary(grouping: records.filter { range.contains($0.createdAt) }) { "\($0.model) \($0.channelID ?? 0)" }
            let found = try await store.margins(in: range)
            #expect(found.map(\.charged.nanos) == found.map(\.charged.nanos).sorted(by: >))
            #expect(Set(found.map { "\($0.model) \($0.channelID ?? 0)" }).count == found.count)
            for row in found {
                let part = rows["\(row.model) \(row.channelID ?? 0)"] ?? []
                let charged = part.filter { $0.charge != nil }
                #expect(row.requests == charged.count && row.charged.nanos == charged.reduce(0) { $0 + ($1.charge?.nanos ?? 0) })
                #expect(row.upstreamCost.nanos == part.reduce(0) { $0 + ($1.usage.upstreamCost?.roundedToNano.nanos ?? 0) })
                let unknown = charged.filter { $0.knownCost == nil }
                #expect(row.cost.nanos == part.reduce(0) { $0 + ($1.knownCost?.amount.nanos ?? 0) })
                #expect(row.unknownCost == unknown.count && row.unknownCharge.nanos == unknown.reduce(0) { $0 + ($1.charge?.nanos ?? 0) })
                let earned = part.filter { $0.knownCost != nil }.reduce(0) { $0 + ($1.margin?.nanos ?? 0) }
                #expect(row.margin.nanos == earned)
            }
            let wanted = rows.values.filter { part in
                part.contains { $0.charge != nil } || part.contains { ($0.knownCost?.amount ?? .zero) != .zero }
            }
            #expect(found.count == wanted.count, "\(time)")
        }
    }

    @Test(arguments: StoreFactory.all)
    func `sums of rows that were let go stay, by whole quarter hours`(_ factory: StoreFactory) async throws {
        let (store, _, records) = try await Self.filled(factory)
        let before = try await store.logStatistics(LogQuery())
        #expect(try await store.letGoLogs(before: Self.midnight + 86_400, most: 1_000) > 0)
        #expect(try await store.logStatistics(LogQuery()) == before)
        #expect(try await store.margins(in: 0..<Int64.max).map(\.requests).reduce(0, +) == records.filter { $0.charge != nil }.count)
    }
}

/// The sums of the log, made anew.
@Suite(.timeLimit(.minutes(10)))
struct UsageRebuildConformance {
    private static let midnight: Int64 = 1_795_564_800

    private static func everything(_ store: any Store) async throws -> [Set<UsageRow>] {
        let spans = [midnight - 86_400..<midnight + 4 * 86_400]
        var all: [Set<UsageRow>] = []
        for dimension in UsageDimension.allCases {
            all.append(Set(try await store.usage(UsageQuery(spans, by: dimension))))
            all.append(Set(try await store.usage(UsageQuery([spans[0].lowerBound + 900..<spans[0].upperBound], by: dimension))))
        }
        return all
    }

    private static func filled(_ store: any Store) async throws {
        var users: [Int64] = []
        for name in ["ada", "bob"] { users.append(try await store.createUser(newUser(name)).id) }
        _ = try await store.post(credit(users[0], 1_000, "start"))
        let records = UsageConformance.records(400, users: users, seed: 5)
        for start in stride(from: 0, to: records.count, by: 50) { _ = try await store.post(Array(records[start..<start + 50])) }
    }

    @Test(arguments: OpenedStore.Kind.allCases)
    func `sums that are wrong or missing become those of the rows`(_ kind: OpenedStore.Kind) async throws {
        let opened = try await OpenedStore.make(kind)
        let store = opened.store
        try await Self.filled(store)
        let right = try await Self.everything(store)
        try await opened.run("UPDATE usage_by_key SET requests = requests + 1, charge_nanos = 7")
        try await opened.run("DELETE FROM usage_by_channel WHERE span > 900")
        try await opened.run("UPDATE usage_by_user SET uncosted = 99")
        try await opened.run("DELETE FROM row_ranges")
        // The sums of a day that the log knows nothing of.
        try await opened.run(
            "UPDATE usage_by_user SET start = start - 10 * 86400 WHERE user_id = (SELECT max(user_id) FROM usage_by_user) AND span = 86400")
        #expect(try await !store.verify().differences.isEmpty)
        var days: [Int64] = []
        let report = try await UsageRebuild.run(store) { day, _ in days.append(day) }
        #expect(report.rows == 400 && report.kept == 0 && report.days == days.count)
        #expect(days == days.sorted() && days.contains(Self.midnight) && days.contains { $0 < Self.midnight })
        #expect(try await store.verify().differences == [])
        #expect(try await Self.everything(store) == right)
        // Pages by time find their rows again.
        var query = LogQuery()
        (query.from, query.to) = (Self.midnight + 86_400, Self.midnight + 2 * 86_400 - 1)
        let all = try await store.logs(query).total
        query.page = PageRequest(page: 1, size: 500)
        #expect(try await Int64(store.logs(query, before: .max).items.count) == all)
        let entries = try await store.entries(EntryQuery(from: Self.midnight, to: Self.midnight + 3 * 86_400), before: .max, size: 500)
        let sums = try #require(try await store.usage(UsageQuery([0..<1_800_000_000])).first?.sums)
        #expect(Int64(entries.items.count) == sums.requests - sums.void)
        // Once more changes nothing.
        #expect(try await UsageRebuild.run(store) { _, _ in }.rows == 400)
        #expect(try await Self.everything(store) == right)
    }

    @Test(arguments: StoreFactory.all)
    func `days whose rows were let go keep their sums`(_ factory: StoreFactory) async throws {
        let store = try await factory.open()
        try await Self.filled(store)
        let right = try await Self.everything(store)
        // In the middle of the second day.
        #expect(try await store.letGoLogs(before: Self.midnight + 86_400 + 40_000, most: 1_000) > 0)
        let report = try await UsageRebuild.run(store) { _, _ in }
        #expect(report.kept == 2 && report.days == 1)
        #expect(try await Self.everything(store) == right)
        #expect(try await store.verify().differences == [])
    }

    @Test(arguments: StoreFactory.all)
    func `without rows there is nothing to do`(_ factory: StoreFactory) async throws {
        let store = try await factory.open()
        #expect(try await UsageRebuild.run(store) { _, _ in } == UsageRebuild.Report())
    }
}
