import NIOCore
import RouterCore
import Testing

/// The cost of requests, by exact arithmetic, and the choice of channels by it.
@Suite struct CostTests {
    private func usd(_ perMillion: String) throws -> FemtoUSD { try FemtoUSD.parse(usdPerMillion: perMillion).price }

    private func price(_ input: String, _ output: String) throws -> ModelPrice {
        ModelPrice(rates: .init(input: try usd(input), output: try usd(output)))
    }

    private func quote(_ price: ModelPrice, ratio: String = "1") throws -> PriceQuote {
        PriceQuote(price: price, ratio: try PriceRatio(text: ratio), version: 1)
    }

    // MARK: One request

    @Test func `a cost is usage times cost price times the channel's ratio, rounded once`() throws {
        let own = try price("0.01703012", "0.0333")
        let usage = Usage(uncachedInput: 12_345, cacheRead: 17, output: 999, reasoning: 100)
        // 12,362 × 17,030,120 + 999 × 33,300,000 femto-dollars = 243,793.04… nano-dollars; × 0.8 = 195,034.43…
        let deal = CostPrice(own, ratio: try PriceRatio(text: "0.8"))
        let cost = VendorCost.of(usage, at: deal)
        #expect(cost == VendorCost(NanoUSD(nanos: 195_034), .computed))
        // The charge of the same prices and the same factor is the same amount, for any usage.
        var rng = SplitMix64(seed: 19)
        for _ in 0..<500 {
            func count() -> Int64 { Int64(rng.next() % 100_000) }
            let usage = Usage(
                uncachedInput: count(), cacheRead: count(), cacheWrite5m: count(), output: 100_000 + count(), reasoning: count(),
                images: count())
            let ratio = PriceRatio(millionths: count() * 10)
            let sold = PriceQuote(price: own, ratio: ratio, version: 1)
            let charge = try sold.charge(for: usage)
            #expect(VendorCost.of(usage, at: CostPrice(own, ratio: ratio))?.amount == charge)
        }
    }

    @Test func `half a nano-dollar is rounded up, and less is not`() throws {
        let half = ModelPrice(rates: .init(input: FemtoUSD(femtos: 500_000), output: .zero))
        #expect(VendorCost.of(Usage(uncachedInput: 1), at: CostPrice(half))?.amount.nanos == 1)
        let less = CostPrice(half, ratio: try PriceRatio(text: "0.999999"))
        #expect(VendorCost.of(Usage(uncachedInput: 1), at: less)?.amount.nanos == 0)
    }

    @Test func `the vendor's own figure comes first, whatever the prices are`() throws {
        let usage = Usage(uncachedInput: 1_000, upstreamCost: FemtoUSD(femtos: 420_500_000))
        let dear = CostPrice(try price("9", "9"))
        #expect(VendorCost.of(usage, at: dear) == VendorCost(NanoUSD(nanos: 421), .reported))
        #expect(VendorCost.of(usage, at: nil) == VendorCost(NanoUSD(nanos: 421), .reported))
        // Without it: unknown where only the vendor could tell, and where nothing is known.
        let silent = Usage(uncachedInput: 1_000)
        #expect(VendorCost.of(silent, at: CostPrice(.upstreamCost)) == nil)
        #expect(VendorCost.of(silent, at: nil) == nil)
        #expect(VendorCost.of(Usage(uncachedInput: -1), at: .free) == nil, "impossible figures")
        #expect(VendorCost.of(silent, at: .free) == VendorCost(.zero, .computed))
    }

    @Test func `tiers of service and searches cost what they are charged for`() throws {
        var own = try price("1", "2")
        own.serviceTiers = [.init(name: "priority", rates: .init(input: try usd("10"), output: try usd("20")))]
        own.search = FemtoUSD(femtos: 10_000_000_000)
        var sold = try quote(try price("5", "5"))
        sold.askedTier = "priority"
        sold.leastSearches = 2
        // The answer names no tier: the dearest that may have served it.
        let cost = VendorCost.of(Usage(uncachedInput: 100, output: 10), at: CostPrice(own), soldAt: sold)
        // 100 × 10,000 + 10 × 20,000 + 2 × 10,000 nano-dollars.
        #expect(cost?.amount.nanos == 1_220_000)
        let usual = VendorCost.of(Usage(uncachedInput: 100, output: 10, serviceTier: "default"), at: CostPrice(own), soldAt: sold)
        #expect(usual?.amount.nanos == 140_000)
    }

    @Test func `the batch of many answers is rounded once`() throws {
        var own = ModelPrice(rates: .init(input: FemtoUSD(femtos: 1), output: .zero))
        #expect(BatchCost(CostPrice(own)).total == nil, "no prices of a batch")
        own.serviceTiers = [.init(name: "batch", rates: .init(input: FemtoUSD(femtos: 300_000), output: .zero))]
        var cost = BatchCost(CostPrice(own, ratio: try PriceRatio(text: "0.5")))
        for _ in 0..<10 { cost.add(Usage(uncachedInput: 1)) }
        #expect(cost.total == VendorCost(NanoUSD(nanos: 2), .computed), "ten times 0.15 nano-dollars")
        cost.add(Usage(uncachedInput: -1))
        #expect(cost.total == nil)
        var unknown = BatchCost(nil)
        unknown.add(Usage(uncachedInput: 1))
        #expect(unknown.total == nil)
    }

    @Test func `costs add up, and a sum with a computed part is computed`() {
        let reported = VendorCost(NanoUSD(nanos: 3), .reported)
        let computed = VendorCost(NanoUSD(nanos: 4), .computed)
        #expect(reported.adding(reported) == VendorCost(NanoUSD(nanos: 6), .reported))
        #expect(reported.adding(computed) == VendorCost(NanoUSD(nanos: 7), .computed))
        #expect(VendorCost(.max, .reported).adding(reported).amount == .max)
        func attempt(_ cost: VendorCost?) -> AttemptRecord {
            AttemptRecord(channelID: 1, upstreamModel: "m", kind: .server, milliseconds: 1, cost: cost)
        }
        #expect([attempt(nil), attempt(reported), attempt(computed)].costOfFailures == VendorCost(NanoUSD(nanos: 7), .computed))
        #expect([attempt(nil)].costOfFailures == nil)
        let list = [attempt(nil), attempt(reported), attempt(computed)]
        #expect([AttemptRecord](list.json) == list)
    }

    // MARK: A channel's price

    @Test func `a channel's own price comes before the list, and the list before the default`() throws {
        let (list, own, usual, synced) = (try price("1", "1"), try price("2", "2"), try price("3", "3"), try price("4", "4"))
        var spec = ProviderSpec(
            name: "p", family: .openai, baseURL: "http://h",
            models: [ProviderModel(id: "listed", price: list), ProviderModel(id: "mine", price: list), ProviderModel(id: "bare")],
            defaultPrice: usual)
        var channel = Fleet.channel(1, spec: spec)
        #expect(channel.costPrice("listed") == CostPrice(list) && channel.costPrice("bare") == CostPrice(usual))
        #expect(channel.costPrice("listed", list: synced) == CostPrice(synced))
        let ratio = try PriceRatio(text: "0.8")
        channel.cost = ChannelCost(ratio: ratio, models: ["mine": own])
        #expect(channel.costPrice("listed") == CostPrice(list, ratio: ratio))
        #expect(channel.costPrice("other") == CostPrice(usual, ratio: ratio))
        #expect(channel.costPrice("mine", list: synced) == CostPrice(own), "its own price is what it is")
        spec.defaultPrice = nil
        channel.provider = spec
        #expect(channel.costPrice("bare") == nil && channel.costPrice("other") == nil)
        // Nobody bills for a server of one's own, unless somebody says so.
        channel.provider.billing.isFree = true
        #expect(channel.costPrice("listed") == .free && channel.costPrice("mine") == CostPrice(own))
    }

    // MARK: Routing

    /// Four channels of one vendor that differ in what they cost.
    private func fleet() throws -> [RouterCore.Channel] {
        let spec = ProviderSpec(
            name: "p", family: .openai, baseURL: "http://h", models: [ProviderModel(id: "m", price: try price("1", "2"))])
        var channels = (1...4).map { Fleet.channel(Int64($0), spec: spec) }
        channels[1].cost = ChannelCost(ratio: try PriceRatio(text: "0.5"))
        channels[2].cost = ChannelCost(models: ["m": try price("1.5", "1.4")])
        channels[3].cost = ChannelCost(models: ["m": .upstreamCost])
        return channels
    }

    @Test func `lowest cost orders by what the channels cost, not by the list`() throws {
        var rng = SplitMix64(seed: 3)
        for _ in 0..<50 {
            let plan = Fleet.plan(try fleet(), settings: RoutingSettings(strategy: .lowestCost), rng: &rng)
            #expect(plan.candidates.map(\.channel.id) == [2, 3, 1, 4], "1.5, 2.9, 3, unknown")
        }
        // As the caller knows the costs.
        let facts = RouteFacts(
            endpoints: { _ in [.chat] },
            cost: { channel, _ in CostPrice(ModelPrice(rates: .init(input: FemtoUSD(femtos: 10 - channel.id), output: .zero))) })
        let plan = Fleet.plan(try fleet(), settings: RoutingSettings(strategy: .lowestCost), facts: facts, rng: &rng)
        #expect(plan.candidates.map(\.channel.id) == [4, 3, 2, 1])
    }

    @Test func `models without token prices are ordered by their other units`() throws {
        func channel(_ id: Int64, _ usd: String) throws -> RouterCore.Channel {
            let own = ModelPrice(rates: .init(input: .zero, output: .zero), image: try FemtoUSD.parse(usdPerUnit: usd).price)
            return Fleet.channel(
                id, spec: ProviderSpec(name: "p\(id)", family: .openai, baseURL: "http://h", models: [ProviderModel(id: "m", price: own)]))
        }
        var rng = SplitMix64(seed: 3)
        let channels = [try channel(1, "0.04"), try channel(2, "0.02"), try channel(3, "0.03")]
        for _ in 0..<20 {
            let plan = Fleet.plan(channels, settings: RoutingSettings(strategy: .lowestCost), rng: &rng)
            #expect(plan.candidates.map(\.channel.id) == [2, 3, 1])
        }
    }

    private func facts(losing: Set<Int64>) -> RouteFacts {
        var facts = Fleet.facts
        facts.unitBelowCost = { channel, _, _ in losing.contains(channel.id) ? "output" : nil }
        return facts
    }

    private func settings(_ choice: BelowCost) -> RoutingSettings {
        var settings = RoutingSettings()
        settings.belowCost = choice
        return settings
    }

    @Test func `the guard refuses, puts behind, or does not ask`() throws {
        var channels = (1...4).map { Fleet.channel(Int64($0)) }
        // It would be first.
        channels[3].priority = 9
        let facts = facts(losing: [2, 4])
        for seed in 0..<30 as Range<UInt64> {
            var rng = SplitMix64(seed: seed)
            let refused = Fleet.plan(channels, settings: settings(.refuse), facts: facts, rng: &rng)
            #expect(Set(refused.candidates.map(\.channel.id)) == [1, 3])
            #expect(refused.dropped.map(\.channelID) == [2, 4])
            #expect(refused.dropped.allSatisfy { $0.reason == .belowCost(unit: "output") && $0.reason.until == nil })
            let last = Fleet.plan(channels, settings: settings(.last), facts: facts, rng: &rng).candidates.map(\.channel.id)
            #expect(Set(last[..<2]) == [1, 3] && Array(last[2...]) == [4, 2], "\(last)")
            // However few are wanted.
            let few = Fleet.plan(channels, query: RouteQuery(model: "m", limit: 1), settings: settings(.last), facts: facts, rng: &rng)
            #expect([1, 3].contains(few.candidates.first?.channel.id ?? 0) && few.candidates.count == 1)
            let allowed = Fleet.plan(channels, settings: settings(.allow), facts: facts, rng: &rng)
            #expect(allowed.candidates.first?.channel.id == 4 && allowed.candidates.count == 4 && allowed.dropped.isEmpty)
        }
        // With nothing else there, a channel that loses is better than none, unless it is refused.
        var rng = SplitMix64(seed: 1)
        let all = self.facts(losing: [1, 2, 3, 4])
        #expect(Fleet.plan(channels, settings: settings(.last), facts: all, rng: &rng).candidates.first?.channel.id == 4)
        #expect(Fleet.plan(channels, settings: settings(.refuse), facts: all, rng: &rng).candidates.isEmpty)
    }

    @Test func `a client's order goes before those that lose only among equals`() throws {
        let channels = (1...3).map { Fleet.channel(Int64($0)) }
        let table = RouteTable(channels: channels)
        let wishes = try ClientPreferences(
            try JSONValue(parsing: ByteBuffer(string: #"{"order":["c2","c3"]}"#)), knownNames: table.knownNames)
        var rng = SplitMix64(seed: 5)
        let query = RouteQuery(model: "m", preferences: wishes)
        let plan = Fleet.plan(channels, query: query, settings: settings(.last), facts: facts(losing: [2]), rng: &rng)
        #expect(plan.candidates.map(\.channel.id) == [3, 1, 2])
    }

    // MARK: Below cost

    @Test func `the first unit below its cost is named, after the group's ratio`() throws {
        let list = try price("1", "2")
        #expect(try quote(list).unitBelow(CostPrice(list), promptTokens: 10) == nil)
        #expect(try quote(list, ratio: "0.99").unitBelow(CostPrice(list), promptTokens: 10) == "input")
        let deal = CostPrice(list, ratio: try PriceRatio(text: "0.8"))
        #expect(try quote(list, ratio: "0.8").unitBelow(deal, promptTokens: 10) == nil)
        #expect(try quote(list, ratio: "0.799999").unitBelow(deal, promptTokens: 10) == "input")
        #expect(try quote(try price("1", "1.99")).unitBelow(CostPrice(list), promptTokens: 10) == "output")
        // A vendor bills a kind of token at a price that our row does not have.
        var dear = list
        dear.rates.cacheWrite5m = try usd("1.25")
        #expect(try quote(list).unitBelow(CostPrice(dear), promptTokens: 10) == "cache_write")
        #expect(try quote(dear).unitBelow(CostPrice(dear), promptTokens: 10) == nil)
        var pictures = list
        pictures.image = FemtoUSD(femtos: 5)
        #expect(try quote(list).unitBelow(CostPrice(pictures), promptTokens: 10) == "image")
        // Free here, and not there.
        #expect(try quote(.free).unitBelow(CostPrice(list), promptTokens: 10) == "input")
        #expect(try quote(.free).unitBelow(.free, promptTokens: 10) == nil)
    }

    @Test func `size and tier of the request decide, and a search only where it is sold`() throws {
        let list = try price("1", "2")
        var long = list
        long.tiers = [.init(abovePromptTokens: 1_000, rates: .init(input: try usd("2"), output: try usd("2")))]
        #expect(try quote(list).unitBelow(CostPrice(long), promptTokens: 1_000) == nil)
        #expect(try quote(list).unitBelow(CostPrice(long), promptTokens: 1_001) == "input")
        var fast = list
        fast.serviceTiers = [.init(name: "priority", rates: .init(input: try usd("1"), output: try usd("4")))]
        var asked = try quote(list)
        #expect(asked.unitBelow(CostPrice(fast), promptTokens: 1) == nil)
        asked.askedTier = "priority"
        #expect(asked.unitBelow(CostPrice(fast), promptTokens: 1) == "output")
        var searching = list
        searching.search = FemtoUSD(femtos: 7)
        #expect(try quote(list).unitBelow(CostPrice(searching), promptTokens: 1) == nil, "a search without a price is left out")
        var cheap = list
        cheap.search = FemtoUSD(femtos: 6)
        #expect(try quote(cheap).unitBelow(CostPrice(searching), promptTokens: 1) == "search")
    }

    @Test func `what the vendor reports is never below itself`() throws {
        let list = try price("1", "2")
        #expect(try quote(.upstreamCost, ratio: "0.5").unitBelow(CostPrice(list), promptTokens: 1) == nil)
        #expect(try quote(list).unitBelow(CostPrice(.upstreamCost), promptTokens: 1) == nil)
        var covering = try quote(try price("0.5", "0.5"))
        covering.coversReportedCost = true
        #expect(covering.unitBelow(CostPrice(list), promptTokens: 1) == nil)
        covering.ratio = try PriceRatio(text: "0.9")
        #expect(covering.unitBelow(CostPrice(list), promptTokens: 1) == "input", "a discount on it is a loss")
    }
}
