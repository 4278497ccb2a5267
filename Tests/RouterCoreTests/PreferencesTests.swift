import NIOCore
import RouterCore
import Testing

/// The client's `provider` object and conversations that stay on their channel.
@Suite struct PreferencesTests {
    private let start = Fleet.start

    private func fleet() -> [RouterCore.Channel] {
        func spec(_ name: String) -> ProviderSpec {
            ProviderSpec(name: name, family: .openai, baseURL: "http://h", models: [ProviderModel(id: "m")])
        }
        return [
            Fleet.channel(1, priority: 9, spec: spec("Alpha")), Fleet.channel(2, spec: spec("beta")), Fleet.channel(3, spec: spec("beta")),
            Fleet.channel(4, spec: spec("hub")),
        ]
    }

    private var facts: RouteFacts {
        RouteFacts(
            endpoints: { _ in [.chat] }, passesPreferencesOn: { $0.provider.name == "hub" },
            quote: { channel, _, _ in
                let usd = ["1": "1", "2": "2", "3": "3", "4": "4"]["\(channel.id)"] ?? "0"
                guard let rate = try? FemtoUSD.parse(usdPerMillion: usd).price else { return nil }
                return PriceQuote(price: ModelPrice(rates: .init(input: rate, output: rate)), ratio: .one, version: 1)
            })
    }

    private func wishes(_ json: String) throws -> ClientPreferences {
        try ClientPreferences(
            try JSONValue(parsing: ByteBuffer(string: json)), knownNames: RouteTable(channels: fleet()).knownNames)
    }

    private func plan(_ json: String, seed: UInt64 = 1) throws -> RoutePlan {
        var rng = SplitMix64(seed: seed)
        let query = RouteQuery(model: "m", preferences: try wishes(json))
        return Fleet.plan(fleet(), query: query, facts: facts, rng: &rng)
    }

    @Test func `order goes first, across priorities, with or without fallbacks`() throws {
        for seed in 0..<20 as Range<UInt64> {
            let ids = try plan(#"{"order":["BETA","alpha"]}"#, seed: seed).candidates.map(\.channel.id)
            #expect(Set(ids[..<2]) == [2, 3] && Array(ids[2...]) == [1, 4], "\(ids)")
            let strict = try plan(#"{"order":["c3"],"allow_fallbacks":false}"#, seed: seed)
            #expect(strict.candidates.map(\.channel.id) == [3])
            #expect(strict.dropped.count == 3 && strict.dropped.allSatisfy { $0.reason == .fallbackNotAllowed })
        }
        #expect(try plan(#"{"allow_fallbacks":false}"#).candidates.map(\.channel.id) == [1])
        // Hosts without fallbacks: only the aggregator may serve them.
        #expect(try plan(#"{"order":["fireworks"],"allow_fallbacks":false}"#).candidates.map(\.channel.id) == [4])
    }

    @Test func `only and ignore, by channel or by provider`() throws {
        #expect(Set(try plan(#"{"only":["beta"]}"#).candidates.map(\.channel.id)) == [2, 3])
        #expect(Set(try plan(#"{"ignore":["Beta","c1"]}"#).candidates.map(\.channel.id)) == [4])
        let none = try plan(#"{"only":["beta"],"ignore":["c2","c3"]}"#)
        #expect(none.candidates.isEmpty && Set(none.dropped.map(\.reason)) == [.ignoredByClient, .notAmongClientsOnly])
        // A name that no channel bears is a host behind the aggregator.
        #expect(Set(try plan(#"{"only":["deepinfra"]}"#).candidates.map(\.channel.id)) == [4])
        #expect(Set(try plan(#"{"only":["deepinfra","alpha"]}"#).candidates.map(\.channel.id)) == [1, 4])
    }

    @Test func `max_price compares with what the client would pay`() throws {
        #expect(Set(try plan(#"{"max_price":{"prompt":2}}"#).candidates.map(\.channel.id)) == [1, 2])
        #expect(Set(try plan(#"{"max_price":{"completion":"2.9999","prompt":"10"}}"#).candidates.map(\.channel.id)) == [1, 2])
        let none = try plan(#"{"max_price":{"prompt":0.5}}"#)
        #expect(none.candidates.isEmpty && none.dropped.allSatisfy { $0.reason == .aboveMaxPrice })
    }

    @Test func `sort replaces the strategy`() throws {
        #expect(try wishes(#"{"sort":"price"}"#).sort == .lowestCost)
        #expect(try wishes(#"{"sort":{"by":"latency","partition":"none"}}"#).sort == .leastLatency)
        #expect(try wishes(#"{"sort":"throughput"}"#).sort == .highestThroughput)
    }

    @Test(arguments: [
        (#"{"order":["deepinfra"],"zdr":true}"#, ClientPreferences.Forwarded.asGiven),
        (#"{"order":["alpha","deepinfra"],"zdr":true}"#, .replaced(#"{"order":["deepinfra"],"zdr":true}"#)),
        (#"{"only":["c4"]}"#, .nothing), (#"{"ignore":[],"sort":"price"}"#, .asGiven),
    ])
    func `our own names do not reach an aggregator`(json: String, expected: ClientPreferences.Forwarded) throws {
        #expect(try wishes(json).forwarded == expected)
    }

    @Test(arguments: [
        (#"{"order":"alpha"}"#, "provider.order"), (#"{"only":[1]}"#, "provider.only"),
        (#"{"allow_fallbacks":"no"}"#, "provider.allow_fallbacks"),
        (#"{"sort":"beauty"}"#, "provider.sort"), (#"{"max_price":3}"#, "provider.max_price"),
        (#"{"max_price":{"prompt":-1}}"#, "provider.max_price.prompt"),
    ])
    func `wrong wishes are named`(json: String, param: String) throws {
        #expect { _ = try wishes(json) } throws: { ($0 as? RequestEnvelope.Rejection)?.param == param }
    }

    // MARK: Affinity

    private func home(_ session: Int, _ channels: [RouterCore.Channel], _ health: HealthTable? = nil) -> Int64? {
        var rng = SplitMix64(seed: UInt64(session))
        let query = RouteQuery(model: "m", affinity: AffinityKey("session-\(session)"), limit: 1)
        return Fleet.plan(channels, health: health, query: query, rng: &rng).candidates.first?.channel.id
    }

    @Test func `conversations stay, weights hold, and a failed channel moves only its own share`() {
        let weights: [UInt32] = [1, 2, 3, 4, 10]
        let channels = weights.enumerated().map { Fleet.channel(Int64($0.offset), weight: $0.element) }
        var rng = SplitMix64(seed: 1)
        var health = HealthTable(settings: RoutingSettings())
        health.fail(channels[2], .connect, now: start, rng: &rng)
        let sessions = 20_000
        var counts = [Int](repeating: 0, count: 5)
        var moved = 0
        var wronglyMoved = 0
        var landed = [Int](repeating: 0, count: 5)
        for session in 0..<sessions {
            let before = home(session, channels) ?? -1
            let after = home(session, channels, health) ?? -1
            counts[Int(before)] += 1
            if before == 2 { landed[Int(after)] += 1 }
            if before != after { moved += 1 }
            if before != after, before != 2 { wronglyMoved += 1 }
        }
        #expect(wronglyMoved == 0)
        #expect(moved == counts[2])
        let statistic = zip(counts, weights).reduce(0.0) { sum, pair in
            let expected = Double(sessions) * Double(pair.1) / 20
            return sum + (Double(pair.0) - expected) * (Double(pair.0) - expected) / expected
        }
        #expect(statistic < 18.47, "99.9 % quantile, 4 degrees of freedom: \(counts)")
        // Those of the failed channel spread over the others by weight: 1 : 2 : 4 : 10.
        #expect(landed[2] == 0 && landed[4] > landed[3] && landed[3] > landed[1] && landed[1] > landed[0], "\(landed)")
    }

    @Test func `a conversation keeps to one key, and different gateways agree`() {
        let channel = Fleet.channel(1, keys: 4)
        var keys: Set<Int> = []
        for session in 0..<50 {
            let choices = Set(
                (0..<5).compactMap { seed -> Int? in
                    var rng = SplitMix64(seed: UInt64(seed))
                    let query = RouteQuery(model: "m", affinity: AffinityKey("s\(session)"))
                    return Fleet.plan([channel], query: query, rng: &rng).candidates.first?.keyIndex
                })
            #expect(choices.count == 1)
            keys.formUnion(choices)
        }
        #expect(keys.count == 4)
    }

    @Test func `affinity can be off, and a client's sort wins over it`() throws {
        var rng = SplitMix64(seed: 1)
        let channels = (1...5).map { Fleet.channel(Int64($0)) }
        var query = RouteQuery(model: "m", affinity: AffinityKey("x"))
        #expect(Fleet.plan(channels, query: query, rng: &rng).usedAffinity)
        let off = Fleet.plan(channels, query: query, settings: RoutingSettings(affinity: .off), rng: &rng)
        #expect(!off.usedAffinity)
        query.preferences = try ClientPreferences(
            try JSONValue(parsing: ByteBuffer(string: #"{"sort":"price"}"#)), knownNames: [])
        #expect(!Fleet.plan(channels, query: query, rng: &rng).usedAffinity)
    }

    @Test func `the opening words of a conversation stay the same from turn to turn`() throws {
        func key(_ body: String) throws -> AffinityKey? {
            try RequestEnvelope(body: ByteBuffer(string: body), endpoint: .chat).openingWords
        }
        let first = try key(#"{"model":"m","messages":[{"role":"system","content":"s"},{"role":"user","content":"hi"}]}"#)
        let second = try key(
            #"{"model":"m","messages":[{"role":"system","content":"s"},{"role":"user","content":"hi"},{"role":"assistant","content":"a"},{"role":"user","content":"more"}]}"#
        )
        let other = try key(#"{"model":"m","messages":[{"role":"system","content":"s"},{"role":"user","content":"ho"}]}"#)
        #expect(first != nil && first == second && first != other)
    }
}
