import RouterCore
import Storage
import Testing

/// Sums of the log: what every store must do.
@Suite(.timeLimit(.minutes(10)))
struct UsageConformance {
    private static let quarter: Int64 = 900
    /// The beginning of 25 November 2026, UTC.
    private static let midnight: Int64 = 1_795_564_800

    /// Finished requests of a few users, keys, channels and models over three days.
    static func records(_ count: Int, users: [Int64], seed: UInt64) -> [RequestRecord] {
        var random = SplitMix64(state: seed)
        return (0..<count).map { number in
            let user = users[random.below(users.count)]
            let channel = random.below(3)
            var one = record(
                number + 1, user: user, charge: random.below(5) == 0 ? nil : Int64(random.below(2_000_000_000)),
                createdAt: midnight + Int64(random.below(3 * 86_400)))
            one.tokenID = random.below(4) == 0 ? nil : user * 10 + Int64(random.below(2))
            one.channelID = channel == 0 ? nil : Int64(channel)
            one.provider = ["", "openai", "anthropic"][channel]
            one.model = ["gpt", "claude", "a 'quoted' model"][random.below(3)]
            one.usage = Usage(
                uncachedInput: Int64(random.below(5_000)), cacheRead: Int64(random.below(100)), output: Int64(random.below(900)))
            one.usage.upstreamCost = random.below(2) == 0 ? nil : FemtoUSD(femtos: Int64(random.below(1_000)) * 1_000_000)
            // Known, reported alone as in older rows, or unknown.
            one.vendorCost = random.below(2) == 0 ? nil : VendorCost(NanoUSD(nanos: Int64(random.below(2_000_000_000))), .computed)
            one.outcome = one.charge == nil ? .failed : [.completed, .truncated, .clientGone][random.below(3)]
            one.status = one.charge == nil ? [400, 429, 503][random.below(3)] : 200
            one.isStream = random.below(2) == 0
            one.latencyMilliseconds = Int64(random.below(300_000))
            one.firstTokenMilliseconds = random.below(4) == 0 ? nil : Int64(random.below(9_000))
            one.usageSource = .upstream
            return one
        }
    }

    /// The right answer to a question, from the records themselves.
    private static func expected(_ records: [RequestRecord], _ query: UsageQuery) -> [String: UsageSums] {
        var sums: [String: UsageSums] = [:]
        for record in records {
            let filter = query.filter
            guard let bucket = query.buckets.firstIndex(where: { $0.contains(record.createdAt) }),
                filter.userID ?? record.userID == record.userID, filter.tokenID == nil || filter.tokenID == record.tokenID,
                filter.channelID == nil || filter.channelID == record.channelID, filter.provider ?? record.provider == record.provider,
                filter.model ?? record.model == record.model
            else { continue }
            let key =
                switch query.dimension {
                case .model: record.model
                case .provider: record.provider
                case .channel: "\(record.channelID ?? 0)"
                case .token: "\(record.tokenID ?? 0)"
                case .user: "\(record.userID)"
                case nil: ""
                }
            sums["\(bucket) \(key)", default: UsageSums()].add(UsageSums(record))
        }
        return sums
    }

    private static func found(_ rows: [UsageRow]) -> [String: UsageSums] {
        Dictionary(uniqueKeysWithValues: rows.map { ("\($0.bucket) \($0.key)", $0.sums) })
    }

    @Test(arguments: StoreFactory.all)
    func `every question about sums is answered as the log would answer it`(_ factory: StoreFactory) async throws {
        let store = try await factory.open()
        var users: [Int64] = []
        for name in ["ada", "bob", "eve"] { users.append(try await store.createUser(newUser(name)).id) }
        let records = Self.records(600, users: users, seed: 7)
        for start in stride(from: 0, to: records.count, by: 50) { _ = try await store.post(Array(records[start..<start + 50])) }
        let midnight = Self.midnight
        let whole = midnight..<midnight + 3 * 86_400
        let stretches: [[Range<Int64>]] = [
            [whole], [whole.lowerBound + Self.quarter..<whole.upperBound - 5 * Self.quarter],
            // Days as India has them, hours, quarter hours.
            (Int64(0)..<4).map { midnight - 19_800 + $0 * 86_400..<midnight - 19_800 + ($0 + 1) * 86_400 },
            (Int64(10)..<60).map { midnight + $0 * 3_600..<midnight + ($0 + 1) * 3_600 },
            (Int64(100)..<140).map { midnight + $0 * Self.quarter..<midnight + ($0 + 1) * Self.quarter },
        ]
        let filters = [
            UsageFilter(), UsageFilter(userID: users[0]), UsageFilter(userID: users[1], tokenID: users[1] * 10),
            UsageFilter(tokenID: users[2] * 10 + 1), UsageFilter(channelID: 2), UsageFilter(provider: "openai"),
            UsageFilter(userID: users[0], model: "a 'quoted' model"), UsageFilter(model: "claude"), UsageFilter(model: "nobody's"),
        ]
        for buckets in stretches {
            for filter in filters {
                for dimension in UsageDimension.allCases.map(Optional.some) + [nil] {
                    let query = UsageQuery(buckets, filter: filter, by: dimension)
                    #expect(
                        Self.found(try await store.usage(query)) == Self.expected(records, query),
                        "\(buckets.count) buckets, \(filter), \(dimension?.rawValue ?? "none")")
                }
            }
        }
        #expect(try await store.verify().differences == [])
    }

    @Test(arguments: StoreFactory.all)
    func `the most of something come first, and a few keys can be asked for alone`(_ factory: StoreFactory) async throws {
        let store = try await factory.open()
        var users: [Int64] = []
        for name in ["ada", "bob", "eve"] { users.append(try await store.createUser(newUser(name)).id) }
        let records = Self.records(200, users: users, seed: 9)
        _ = try await store.post(records)
        let range = Self.midnight..<Self.midnight + 3 * 86_400
        for dimension in UsageDimension.allCases {
            let all = Self.expected(records, UsageQuery([range], by: dimension))
            let orders: [(UsageQuery.Order, KeyPath<UsageSums, Int64>)] = [
                (.cost, \.charge.nanos), (.requests, \.requests), (.tokens, \.tokens), (.errors, \.errors),
            ]
            for (order, measure) in orders {
                let top = try await store.usage(UsageQuery([range], by: dimension, top: .init(order, limit: 2)))
                let wanted = all.values.map { $0[keyPath: measure] }.sorted(by: >).prefix(2)
                #expect(top.map { $0.sums[keyPath: measure] } == Array(wanted), "\(dimension) by \(order)")
                #expect(top.allSatisfy { all["0 \($0.key)"] == $0.sums })
            }
            let top = try await store.usage(UsageQuery([range], by: dimension, top: .init(.cost, limit: 2)))
            let days = (Int64(0)..<3).map { range.lowerBound + $0 * 86_400..<range.lowerBound + ($0 + 1) * 86_400 }
            let parts = try await store.usage(UsageQuery(days, by: dimension, keys: top))
            let expected = Self.expected(records, UsageQuery(days, by: dimension)).filter { cell in
                top.contains { cell.key.hasSuffix(" " + $0.key) }
            }
            #expect(Self.found(parts) == expected, "\(dimension)")
            let withRest = try await store.usage(UsageQuery(days, by: dimension, keys: top, sumsRest: true))
            #expect(Self.found(withRest.filter { !$0.isRest }) == expected, "\(dimension)")
            for day in days.indices {
                var whole = UsageSums()
                for row in withRest where row.bucket == day { whole.add(row.sums) }
                #expect(whole == Self.expected(records, UsageQuery([days[day]]))["0 "], "\(dimension) on day \(day)")
            }
            #expect(withRest.filter(\.isRest).count == (all.count > top.count ? days.count : 0), "\(dimension)")
            if dimension == .token { #expect(top.allSatisfy { $0.key == "0" || $0.owner == (Int64($0.key) ?? 0) / 10 }) }
        }
    }

    @Test(arguments: StoreFactory.all)
    func `a record counts once however often it is posted, and a correction moves its sums`(_ factory: StoreFactory) async throws {
        let store = try await factory.open()
        let user = try await store.createUser(newUser("ada"))
        _ = try await store.post(credit(user.id, 1_000, "start"))
        let estimate = record(1, user: user.id, charge: 100)
        for _ in 0..<3 { _ = try await store.post([estimate, record(2, user: user.id, charge: nil), record(3, user: 999, charge: 7)]) }
        let query = UsageQuery([0..<900], by: .user)
        let before = Self.found(try await store.usage(query))
        #expect(before["0 \(user.id)"]?.requests == 2 && before["0 \(user.id)"]?.void == 1 && before["0 999"]?.requests == 1)
        #expect(before["0 \(user.id)"]?.charge.nanos == 100)
        let usage = Usage(uncachedInput: 5, output: 6, upstreamCost: FemtoUSD(femtos: 4_000_000))
        let bill = Bill(charge: NanoUSD(nanos: 60))
        for _ in 0..<2 { try await store.reconcile(estimate.requestID, usage: usage, bill: bill, cost: nil, now: 400) }
        let after = try #require(Self.found(try await store.usage(query))["0 \(user.id)"])
        let logged = try await store.logStatistics(LogQuery(userID: user.id))
        #expect(after.charge.nanos == 60 && after.charge == logged.cost && after.upstreamCost == logged.upstreamCost)
        #expect(after.promptTokens == logged.promptTokens && after.completionTokens == logged.completionTokens && after.requests == 2)
        #expect(after.firstToken == before["0 \(user.id)"]?.firstToken && after.latency == before["0 \(user.id)"]?.latency)
        #expect(try await store.verify().differences == [])
    }

    @Test(arguments: OpenedStore.Kind.allCases)
    func `values that the sums refuse hold up no charge, neither their own nor their neighbours'`(_ kind: OpenedStore.Kind) async throws {
        let opened = try await OpenedStore.make(kind)
        let store = opened.store
        let user = try await store.createUser(newUser("ada"))
        try await opened.run(
            opened.isSQLite
                ? "CREATE TRIGGER no_sum BEFORE INSERT ON usage_by_key WHEN NEW.model_name = 'bad' BEGIN SELECT RAISE(ABORT, 'no'); END"
                : "ALTER TABLE usage_by_key ADD CONSTRAINT no_sum CHECK (model_name <> 'bad')")
        var records = [record(1, user: user.id, charge: 5), record(2, user: user.id, charge: 6), record(3, user: user.id, charge: 7)]
        records[1].model = "bad"
        let result = try await store.post(records, holder: nil)
        #expect(result.setAside.isEmpty)
        #expect(try await store.entries(userID: user.id, kind: .usage, PageRequest(page: 1, size: 10)).total == 3)
        #expect(try await store.usage(UsageQuery([0..<900])).first?.sums.requests == 2, "only the refused one is left out")
        #expect(try await store.verify().differences.count == 1, "and that is told")
    }

    @Test(arguments: StoreFactory.all)
    func `a posting that fails leaves no sums`(_ factory: StoreFactory) async throws {
        let store = try await factory.open()
        let user = try await store.createUser(newUser("ada"))
        // The second is refused by itself, after its row of the log was written.
        _ = try await store.post([
            record(1, user: user.id, charge: 5), record(2, user: user.id, charge: .max), record(3, user: user.id, charge: .max),
        ])
        let sums = try await store.usage(UsageQuery([0..<900])).first?.sums
        let logged = try await store.logs(LogQuery()).total
        #expect(sums?.requests == logged)
        #expect(try await store.verify().differences == [])
    }
}
