import RouterCore
import Storage
import Testing

/// The cost of requests, in rows and sums: what every store must do.
@Suite(.timeLimit(.minutes(10)))
struct CostConformance {
    private func nanos(_ value: Int64) -> NanoUSD { NanoUSD(nanos: value) }

    @Test(arguments: StoreFactory.all)
    func `a row has its cost, the source of it, and the costs of attempts`(_ factory: StoreFactory) async throws {
        let store = try await factory.open()
        let user = try await store.createUser(newUser("ada"))
        var records = (1...4).map { record($0, user: user.id, charge: 2_000) }
        records[1].vendorCost = VendorCost(nanos(0), .reported)
        records[2].vendorCost = nil
        records[3].vendorCost = nil
        records[3].usage.upstreamCost = nil
        _ = try await store.post(records)
        let rows = try await store.logs(LogQuery()).items.map(\.record).sorted { $0.requestID.bits < $1.requestID.bits }
        #expect(rows == records)
        #expect(rows.map(\.knownCost?.amount.nanos) == [1_300, 0, 1_234, nil])
        #expect(rows.map(\.knownCost?.source) == [.computed, .reported, .reported, nil])
        #expect(rows.map(\.margin?.nanos) == [700, 2_000, 766, nil])
        #expect(rows[0].attemptList.costOfFailures == VendorCost(nanos(10), .reported))
    }

    /// One model that three channels of different cost serve, over two days.
    @Test(arguments: StoreFactory.all)
    func `margins by channel, model and day come from the sums`(_ factory: StoreFactory) async throws {
        let store = try await factory.open()
        let user = try await store.createUser(newUser("ada"))
        let day: Int64 = 86_400
        func one(_ id: Int, _ channel: Int64, _ charge: Int64?, _ cost: Int64?, at time: Int64) -> RequestRecord {
            var one = record(id, user: user.id, charge: charge, createdAt: time)
            one.channelID = channel
            one.usage.upstreamCost = nil
            one.vendorCost = cost.map { VendorCost(nanos($0), .computed) }
            return one
        }
        let records = [
            one(1, 1, 1_000, 1_000, at: 100), one(2, 2, 1_000, 800, at: 200), one(3, 2, 1_000, 800, at: day + 5),
            one(4, 3, 1_000, 1_500, at: 300), one(5, 3, 500, nil, at: day + 7), one(6, 3, nil, 40, at: day + 9),
            one(7, 3, nil, nil, at: 400),
        ]
        // Posted again, nothing is counted again.
        for _ in 0..<2 { _ = try await store.post(records) }
        func margins(_ buckets: [Range<Int64>], _ dimension: UsageDimension?) async throws -> [String: [Int64]] {
            let rows = try await store.usage(UsageQuery(buckets, by: dimension, isWhole: false))
            return Dictionary(
                uniqueKeysWithValues: rows.map { row in
                    let sums = row.sums
                    let figures = [
                        sums.requests - sums.void, sums.charge.nanos, sums.cost.nanos, sums.margin.nanos, sums.uncosted,
                        sums.uncostedCharge.nanos,
                    ]
                    return ("\(row.bucket) \(row.key)", figures)
                })
        }
        #expect(
            try await margins([0..<2 * day], .channel) == [
                "0 1": [1, 1_000, 1_000, 0, 0, 0], "0 2": [2, 2_000, 1_600, 400, 0, 0], "0 3": [2, 1_500, 1_540, -540, 1, 500],
            ])
        #expect(try await margins([0..<2 * day], .model) == ["0 openai/gpt-4o": [5, 4_500, 4_140, -140, 1, 500]])
        #expect(
            try await margins([0..<day, day..<2 * day], nil) == ["0 ": [3, 3_000, 3_300, -300, 0, 0], "1 ": [2, 1_500, 840, 160, 1, 500]])
        // A user's and a key's sums have them as well.
        #expect(try await margins([0..<2 * day], .user) == ["0 \(user.id)": [5, 4_500, 4_140, -140, 1, 500]])
        #expect(try await store.verify().differences == [])
    }

    @Test(arguments: StoreFactory.all)
    func `the vendor's later figures correct the cost, in the row and in the sums`(_ factory: StoreFactory) async throws {
        let store = try await factory.open()
        let user = try await store.createUser(newUser("ada"))
        _ = try await store.post(credit(user.id, 1_000, "start"))
        var estimate = record(1, user: user.id, charge: 100)
        estimate.vendorCost = nil
        estimate.usage.upstreamCost = nil
        _ = try await store.post([estimate])
        let query = UsageQuery([0..<900], by: .channel, isWhole: false)
        let before = try #require(try await store.usage(query).first?.sums)
        #expect(before.uncosted == 1 && before.uncostedCharge == nanos(100) && before.cost == .zero && before.margin == .zero)
        let usage = Usage(uncachedInput: 5, output: 6, upstreamCost: FemtoUSD(femtos: 40_000_000))
        let cost = VendorCost(nanos(45), .computed)
        for _ in 0..<2 {
            try await store.reconcile(estimate.requestID, usage: usage, bill: Bill(charge: nanos(60)), cost: cost, now: 400)
        }
        let after = try #require(try await store.usage(query).first?.sums)
        #expect(after.uncosted == 0 && after.uncostedCharge == .zero && after.cost == nanos(45) && after.margin == nanos(15))
        let row = try #require(try await store.logs(LogQuery()).items.first?.record)
        #expect(row.vendorCost == cost && row.usage.upstreamCost?.roundedToNano == nanos(40) && row.margin == nanos(15))
        #expect(try await store.verify().differences == [])
    }
}
