import RouterCore
import Storage
import Testing

/// What every store must do, whatever the database.
@Suite(.timeLimit(.minutes(10)))
struct StoreConformance {
    // MARK: Users

    @Test(arguments: StoreFactory.all)
    func `a user comes back as it was made, and names are taken without regard to case`(
        _ factory: StoreFactory
    ) async throws {
        let store = try await factory.open()
        var new = newUser("Ada")
        new.email = "ada@example.org"
        new.group = "vip"
        new.role = .admin
        let user = try await store.createUser(new)
        #expect(user.balance == .zero && user.status == .enabled && user.group == "vip" && user.role == .admin)
        #expect(try await store.user(id: user.id) == user)
        let login = try await store.userForLogin(username: "aDA")
        #expect(login?.user == user && login?.passwordHash == "hash of Ada")
        await #expect(throws: StoreError.duplicate("username")) { try await store.createUser(newUser("ADA")) }
        let other = try await store.createUser(newUser("bob"))
        var rename = UserChange()
        rename.username = "ada"
        await #expect(throws: StoreError.duplicate("username")) {
            try await store.changeUser(id: other.id, rename)
        }
    }

    @Test(arguments: StoreFactory.all)
    func `a change touches the named fields only`(_ factory: StoreFactory) async throws {
        let store = try await factory.open()
        let user = try await store.createUser(newUser("ada"))
        _ = try await store.post(credit(user.id, 42, "r1"))
        var change = UserChange()
        change.status = .disabled
        change.group = "vip"
        let changed = try await store.changeUser(id: user.id, change)
        var expected = user
        expected.status = .disabled
        expected.group = "vip"
        // Somebody has chosen it, so it follows no level.
        expected.groupSource = .admin
        expected.balance = NanoUSD(nanos: 42)
        #expect(changed == expected)
        await #expect(throws: StoreError.notFound) { try await store.changeUser(id: 999, change) }
    }

    @Test(arguments: StoreFactory.all)
    func `a user with ledger rows is kept, one without is deleted`(_ factory: StoreFactory) async throws {
        let store = try await factory.open()
        let clean = try await store.createUser(newUser("clean"))
        let paying = try await store.createUser(newUser("paying"))
        _ = try await store.post(credit(paying.id, 5, "r1"))
        try await store.deleteUser(id: clean.id)
        try await store.deleteUser(id: paying.id)
        #expect(try await store.user(id: clean.id) == nil)
        let kept = try #require(try await store.user(id: paying.id))
        #expect(kept.status == .disabled && kept.username != "paying" && kept.balance == NanoUSD(nanos: 5))
        #expect(try await store.entries(userID: paying.id, kind: nil, PageRequest()).total == 1)
        // The name is free again.
        _ = try await store.createUser(newUser("paying"))
        await #expect(throws: StoreError.notFound) { try await store.deleteUser(id: 999) }
    }

    @Test(arguments: StoreFactory.all)
    func `pages are newest first, with the total`(_ factory: StoreFactory) async throws {
        let store = try await factory.open()
        for index in 1...5 { _ = try await store.createUser(newUser("u\(index)")) }
        let page = try await store.users(UserQuery(page: PageRequest(page: 2, size: 2)))
        #expect(page.items.map(\.username) == ["u3", "u2"] && page.total == 5)
        #expect(try await store.users(UserQuery(page: PageRequest(page: 4, size: 2))).items.isEmpty)
        #expect(try await store.allUsers().count == 5)
    }

    @Test(arguments: StoreFactory.all)
    func `an access token ends at its time and by removal`(_ factory: StoreFactory) async throws {
        let store = try await factory.open()
        let user = try await store.createUser(newUser("ada"))
        let session = [UInt8](repeating: 1, count: 32)
        let lasting = [UInt8](repeating: 2, count: 32)
        try await store.addAccessToken(userID: user.id, hash: session, expiresAt: 500, createdAt: 100)
        try await store.addAccessToken(userID: user.id, hash: lasting, expiresAt: nil, createdAt: 100)
        #expect(try await store.userForAccessToken(hash: session, now: 499)?.id == user.id)
        #expect(try await store.userForAccessToken(hash: session, now: 500) == nil)
        #expect(try await store.userForAccessToken(hash: lasting, now: 1 << 40)?.id == user.id)
        try await store.endManagementTokens(userID: user.id, except: lasting, audit: .some)
        #expect(try await store.userForAccessToken(hash: session, now: 200) == nil)
        #expect(try await store.userForAccessToken(hash: lasting, now: 200)?.id == user.id)
        try await store.removeAccessToken(hash: lasting)
        #expect(try await store.userForAccessToken(hash: lasting, now: 200) == nil)
    }

    // MARK: Keys

    @Test(arguments: StoreFactory.all)
    func `a key comes back as it was made, changes by field and is deleted`(_ factory: StoreFactory) async throws {
        let store = try await factory.open()
        let user = try await store.createUser(newUser("ada"))
        let other = try await store.createUser(newUser("bob"))
        var wanted = Token(
            userID: user.id, keyHash: [UInt8](repeating: 9, count: 32), keyPrefix: "sk-abc", name: "first",
            expiresAt: 900,
            models: ["openai/gpt-4o", "a \"quoted\" one"], limits: #"{"rpm":5}"#, createdAt: 100)
        wanted.id = try await store.createToken(wanted).id
        #expect(try await store.token(id: wanted.id) == wanted)
        #expect(try await store.token(keyHash: wanted.keyHash) == wanted)
        #expect(try await store.token(keyHash: [UInt8](repeating: 8, count: 32)) == nil)
        await #expect(throws: StoreError.duplicate("key_hash")) { try await store.createToken(wanted) }
        var change = TokenChange()
        change.expiresAt = .some(nil)
        change.name = "renamed"
        wanted.expiresAt = nil
        wanted.name = "renamed"
        #expect(try await store.changeToken(id: wanted.id, change) == wanted)
        try await store.touchTokens([wanted.id: 777, 999: 1])
        wanted.accessedAt = 777
        #expect(try await store.allTokens() == [wanted])
        #expect(try await store.tokens(TokenQuery(userID: user.id)).items == [wanted])
        #expect(try await store.tokens(TokenQuery(userID: other.id)).total == 0)
        #expect(try await store.tokens(TokenQuery(userID: nil)).total == 1)
        try await store.deleteToken(id: wanted.id)
        await #expect(throws: StoreError.notFound) { try await store.deleteToken(id: wanted.id) }
        await #expect(throws: StoreError.notFound) { try await store.changeToken(id: wanted.id, change) }
    }

    // MARK: Prices

    @Test(arguments: StoreFactory.all)
    func `prices come back exactly, tiers and fine decimals included`(_ factory: StoreFactory) async throws {
        let store = try await factory.open()
        let rates = ModelPrice.Rates(
            input: FemtoUSD(femtos: 17_030_120), output: FemtoUSD(femtos: 1), cacheRead: FemtoUSD(femtos: 2),
            cacheWrite5m: FemtoUSD(femtos: 3), cacheWrite1h: FemtoUSD(femtos: 4), reasoning: FemtoUSD(femtos: 5),
            audioInput: FemtoUSD(femtos: 6), audioOutput: FemtoUSD(femtos: .max))
        let dear = ModelPrice.Rates(input: FemtoUSD(femtos: 34_060_240), output: FemtoUSD(femtos: 7))
        let price = ModelPrice(
            rates: rates,
            tiers: [.init(abovePromptTokens: 200_000, rates: dear), .init(abovePromptTokens: 9, rates: rates)],
            serviceTiers: [
                .init(name: "priority", rates: dear), .init(name: "flex", rates: rates, tiers: [.init(abovePromptTokens: 9, rates: dear)]),
            ],
            image: FemtoUSD(femtos: 8), request: FemtoUSD(femtos: 9), search: FemtoUSD(femtos: 10), character: FemtoUSD(femtos: 15_000_000),
            audioSecond: FemtoUSD(femtos: 11),
            pictures: PicturePrices(
                input: FemtoUSD(femtos: 12),
                sizes: [
                    .init(size: "1024x1024", quality: nil, price: FemtoUSD(femtos: 13)),
                    .init(size: nil, quality: "h\"d", price: FemtoUSD(femtos: .max)),
                ]))
        let rows = [
            PricingRow(modelName: "a", displayName: "A", provider: "p", contextLength: 10, price: price),
            PricingRow(modelName: "b", maxOutputTokens: 3, price: .upstreamCost, isActive: false),
        ]
        #expect(try await store.seedPrices(rows, now: 50) == 2)
        let read = try await store.allPrices()
        #expect(read.map(\.price) == [price, .upstreamCost])
        #expect(read.map(\.isActive) == [true, false])
        #expect(read[0].contextLength == 10 && read[1].maxOutputTokens == 3)
    }

    @Test(arguments: StoreFactory.all)
    func `seeding changes what differs, raises the version, and leaves edited rows alone`(
        _ factory: StoreFactory
    ) async throws {
        let store = try await factory.open()
        var rows = ["a", "b"].map { PricingRow(modelName: $0, price: .free) }
        #expect(try await store.seedPrices(rows, now: 50) == 2)
        #expect(try await store.seedPrices(rows, now: 51) == 0)
        let edited = try await store.setPrice(PricingRow(modelName: "a", price: .upstreamCost), now: 60)
        #expect(edited.isEdited && edited.updatedAt == 60 && edited.createdAt == 50)
        for index in rows.indices {
            rows[index].price = ModelPrice(rates: .init(input: FemtoUSD(femtos: 1), output: FemtoUSD(femtos: 2)))
        }
        #expect(try await store.seedPrices(rows, now: 70) == 1)
        let read = try await store.allPrices()
        #expect(read[0].price == .upstreamCost && read[0].isEdited && read[0].version == edited.version)
        #expect(read[1].price == rows[1].price && read[1].updatedAt == 70 && read[1].version > edited.version)
        // Two changes of one version: the second would undo the first.
        let changed = try await store.setPrice(read[1], now: 80)
        #expect(changed.version > read[1].version)
        await #expect(throws: StoreError.conflict("the price of 'b' has been changed meanwhile; look at it again")) {
            try await store.setPrice(read[1], now: 81)
        }
        #expect(try await store.setPrice(changed, now: 82).version > changed.version)
        // Its earlier prices, newest first.
        let history = try await store.priceHistory("a", limit: 10)
        #expect(history.map(\.updatedAt) == [60, 50] && history.map(\.price) == [.upstreamCost, .free])
        #expect(history.map(\.version).first == edited.version && history.allSatisfy { $0.modelName == "a" })
        #expect(try await store.priceHistory("b", limit: 2).map(\.updatedAt) == [82, 80])
        #expect(try await store.priceHistory("nobody", limit: 2) == [])
    }

    @Test(arguments: StoreFactory.all) func `a management key is known as one`(_ factory: StoreFactory) async throws {
        let store = try await factory.open()
        let user = try await store.createUser(newUser("ada"))
        for isManagement in [true, false] {
            let token = Token(
                userID: user.id, keyHash: [UInt8](repeating: isManagement ? 1 : 2, count: 32), keyPrefix: "sk-", name: "k", createdAt: 1,
                isManagement: isManagement)
            let made = try await store.createToken(token)
            #expect(made.isManagement == isManagement)
            var change = TokenChange()
            change.name = "other"
            #expect(try await store.changeToken(id: made.id, change).isManagement == isManagement)
            #expect(try await store.token(keyHash: token.keyHash)?.isManagement == isManagement)
        }
        #expect(try await store.allTokens().map(\.isManagement) == [true, false])
    }

    @Test(arguments: StoreFactory.all)
    func `a request is found by the ids of its answer, by its own user only, and the newest wins`(_ factory: StoreFactory) async throws {
        let store = try await factory.open()
        let (ada, bob) = (try await store.createUser(newUser("ada")).id, try await store.createUser(newUser("bob")).id)
        var records = [record(1, user: ada, charge: 1), record(2, user: ada, charge: 2), record(3, user: bob, charge: 3)]
        (records[0].generationID, records[0].answerID) = ("gen-1", "msg-1")
        (records[1].generationID, records[1].answerID) = ("gen-1", nil)
        (records[2].generationID, records[2].answerID) = ("gen-2", "msg-2")
        records[1].finish = nil
        _ = try await store.post(records)
        func found(_ id: String, _ user: Int64) async throws -> RequestRecord? { try await store.log(answerID: id, userID: user)?.record }
        #expect(try await found("gen-1", ada) == records[1])
        #expect(try await found("msg-1", ada) == records[0])
        for id in ["gen-2", "msg-2"] {
            #expect(try await found(id, bob) == records[2])
            #expect(try await found(id, ada) == nil)
        }
        #expect(try await found("gen-1", bob) == nil)
        #expect(try await found("", ada) == nil)
    }

    @Test(arguments: StoreFactory.all)
    func `what an account was charged and its balance are read together`(_ factory: StoreFactory) async throws {
        let store = try await factory.open()
        let user = try await store.createUser(newUser("ada")).id
        #expect(try await store.spent(userID: user + 1) == nil)
        let fresh = try #require(try await store.spent(userID: user))
        #expect(fresh == (.zero, .zero))
        _ = try await store.post(credit(user, 1_000, "r1"))
        _ = try await store.post([record(1, user: user, charge: 30), record(2, user: user, charge: 12), record(3, user: user, charge: nil)])
        _ = try await store.post(credit(user, -8, "a1", .adjustment))
        let now = try #require(try await store.spent(userID: user))
        #expect(now == (NanoUSD(nanos: 950), NanoUSD(nanos: 42)))
        #expect(try await store.user(id: user)?.balance == now.balance)
    }

    // MARK: Ledger

    @Test(arguments: StoreFactory.all)
    func `a posted request is one log row and one ledger row, and a second posting changes nothing`(
        _ factory: StoreFactory
    ) async throws {
        let store = try await factory.open()
        let user = try await store.createUser(newUser("ada"))
        _ = try await store.post(credit(user.id, 1000, "r1"))
        let group = [record(1, user: user.id, charge: 30), record(2, user: user.id, charge: 12)]
        #expect(try await store.post(group) == [user.id: NanoUSD(nanos: 42)])
        #expect(try await store.post(group) == [:])
        let third = record(3, user: user.id, charge: 8)
        #expect(try await store.post([group[0], group[0], third]) == [user.id: NanoUSD(nanos: 8)])
        #expect(try await store.user(id: user.id)?.balance == NanoUSD(nanos: 950))
        let usage = try await store.entries(userID: user.id, kind: .usage, PageRequest())
        #expect(usage.items.map(\.amount.nanos) == [-8, -12, -30] && usage.total == 3)
        #expect(usage.items.map(\.balanceAfter.nanos) == [950, 958, 970])
        #expect(usage.items[2].referenceID == group[0].requestID.description)
        #expect(usage.items[2].description == "openai/gpt-4o chat: 41 in, 36 out tokens (estimated)")
        #expect(try await store.entries(userID: user.id, kind: nil, PageRequest()).total == 4)
        let logs = try await store.logs(LogQuery(userID: user.id))
        #expect(logs.items.map(\.record) == [third, group[1], group[0]])
        #expect(try await store.verify() == LedgerReport(users: 1, entries: 4, differences: []))
    }

    @Test(arguments: StoreFactory.all)
    func `a void request has a log row only, a free one has a ledger row of zero`(
        _ factory: StoreFactory
    ) async throws {
        let store = try await factory.open()
        let user = try await store.createUser(newUser("ada"))
        let posted = try await store.post([record(1, user: user.id, charge: nil), record(2, user: user.id, charge: 0)])
        #expect(posted[user.id, default: .zero] == .zero)
        let entries = try await store.entries(userID: user.id, kind: nil, PageRequest())
        #expect(entries.items.map(\.amount) == [.zero])
        #expect(entries.items.map(\.referenceID) == [RequestID(bits: 2).description])
        #expect(try await store.logs(LogQuery()).items.map(\.record.charge) == [.zero, nil])
        #expect(try await store.verify().differences == [])
    }

    @Test(arguments: StoreFactory.all)
    func `a record without a user does not hold up the others, before or after it`(
        _ factory: StoreFactory
    ) async throws {
        let store = try await factory.open()
        let user = try await store.createUser(newUser("ada"))
        let group = [
            record(1, user: user.id, charge: 1), record(2, user: -5, charge: 2), record(3, user: 999, charge: 3),
            record(4, user: user.id, charge: 4),
        ]
        #expect(try await store.post(group) == [user.id: NanoUSD(nanos: 5)])
        #expect(try await store.post(group) == [:])
        #expect(try await store.logs(LogQuery()).total == 4)
        #expect(try await store.verify().differences == [])
    }

    @Test(arguments: StoreFactory.all)
    func `a credit repeats to its first row, and a reference used otherwise is a conflict`(
        _ factory: StoreFactory
    ) async throws {
        let store = try await factory.open()
        let user = try await store.createUser(newUser("ada"))
        let other = try await store.createUser(newUser("bob"))
        let first = try await store.post(credit(user.id, 700, "r1"))
        let again = try await store.post(credit(user.id, 700, "r1"))
        #expect(first.isNew && !again.isNew && first.entry == again.entry)
        #expect(first.entry.balanceAfter == NanoUSD(nanos: 700))
        await #expect { try await store.post(credit(user.id, 701, "r1")) } throws: { isConflict($0) }
        await #expect { try await store.post(credit(other.id, 700, "r1")) } throws: { isConflict($0) }
        // The same reference under another kind is another posting.
        #expect(try await store.post(credit(user.id, -100, "r1 back", .adjustment)).isNew)
        await #expect(throws: StoreError.notFound) { try await store.post(credit(999, 1, "r2")) }
        #expect(try await store.user(id: user.id)?.balance == NanoUSD(nanos: 600))
        #expect(try await store.verify().differences == [])
    }

    private func isConflict(_ error: any Error) -> Bool {
        if case StoreError.conflict = error { true } else { false }
    }

    @Test(arguments: StoreFactory.all)
    func `overflow is refused and moves nothing`(_ factory: StoreFactory) async throws {
        let store = try await factory.open()
        let user = try await store.createUser(newUser("ada"))
        let poor = try await store.createUser(newUser("bob"))
        _ = try await store.post(credit(user.id, .max, "r1"))
        await #expect(throws: StoreError.self) { try await store.post(credit(user.id, 1, "r2")) }
        _ = try await store.post(credit(poor.id, .min, "r3", .adjustment))
        // The charge that does not fit is set aside; its neighbours are posted.
        let posted = try await store.post([record(1, user: user.id, charge: 5), record(2, user: poor.id, charge: 1)])
        #expect(posted == [user.id: NanoUSD(nanos: 5)])
        #expect(try await store.user(id: user.id)?.balance == NanoUSD(nanos: .max - 5))
        #expect(try await store.user(id: poor.id)?.balance == NanoUSD(nanos: .min))
        #expect(try await store.verify().differences == [])
    }

    @Test(arguments: StoreFactory.all)
    func `fifty groups and fifty credits at once keep the sums`(_ factory: StoreFactory) async throws {
        let store = try await factory.open()
        let users = [
            try await store.createUser(newUser("a")).id, try await store.createUser(newUser("b")).id,
            try await store.createUser(newUser("c")).id,
        ]
        let returned = try await withThrowingTaskGroup(of: [Int64: NanoUSD].self) { group in
            for number in 0..<50 {
                group.addTask {
                    // Each request is in two groups, as after a crash between posting and clearing.
                    let ids = (number * 10)..<(number * 10 + 20)
                    return try await store.post(ids.map { record($0, user: users[$0 % 3], charge: Int64($0)) })
                }
                group.addTask {
                    _ = try await store.post(credit(users[number % 3], 1000, "credit-\(number / 2)-\(number % 3)"))
                    return [:]
                }
            }
            var sum: [Int64: Int64] = [:]
            for try await charges in group { for (user, charge) in charges { sum[user, default: 0] += charge.nanos } }
            return sum
        }
        var charged: [Int64: Int64] = [:]
        for id in 0..<510 { charged[users[id % 3], default: 0] += Int64(id) }
        #expect(returned == charged)
        var references: [Int64: Set<String>] = [:]
        for number in 0..<50 { references[users[number % 3], default: []].insert("credit-\(number / 2)-\(number % 3)") }
        for user in users {
            let balance = Int64(references[user, default: []].count) * 1000 - charged[user, default: 0]
            #expect(try await store.user(id: user)?.balance == NanoUSD(nanos: balance))
        }
        #expect(try await store.verify().differences == [])
    }

    // MARK: Logs and small things

    @Test(arguments: StoreFactory.all)
    func `logs are found by each field of a query, and summed`(_ factory: StoreFactory) async throws {
        let store = try await factory.open()
        let ada = try await store.createUser(newUser("ada")).id
        let bob = try await store.createUser(newUser("bob")).id
        var odd = record(2, user: bob, charge: 20, createdAt: 400)
        odd.tokenID = 70
        odd.channelID = 80
        odd.model = "other"
        let void = record(3, user: ada, charge: nil, createdAt: 500)
        _ = try await store.post([record(1, user: ada, charge: 10), odd, void])
        func found(_ edit: (inout LogQuery) -> Void) async throws -> [Int] {
            var query = LogQuery()
            edit(&query)
            let page = try await store.logs(query)
            #expect(try await store.logStatistics(query).requests == page.total)
            return page.items.map { Int($0.record.requestID.bits) }.sorted()
        }
        #expect(try await found { $0.userID = ada } == [1, 3])
        #expect(try await found { $0.tokenID = 70 } == [2])
        #expect(try await found { $0.channelID = 80 } == [2])
        #expect(try await found { $0.model = "other" } == [2])
        #expect(try await found { $0.requestID = RequestID(bits: 3) } == [3])
        #expect(try await found { $0.from = 400 } == [2, 3])
        #expect(try await found { $0.to = 400 } == [1, 2])
        #expect(try await found { ($0.from, $0.to) = (301, 499) } == [2])
        #expect(try await found { ($0.userID, $0.tokenID) = (ada, 70) } == [])
        let sums = try await store.logStatistics(LogQuery())
        #expect(sums.cost == NanoUSD(nanos: 30) && sums.promptTokens == 123 && sums.completionTokens == 108)
        #expect(sums.upstreamCost == NanoUSD(nanos: 3 * 1234))
        let second = try await store.logs(LogQuery(page: PageRequest(page: 2, size: 1)))
        #expect(second.items.count == 1 && second.total == 3)
    }

    @Test(arguments: StoreFactory.all)
    func `health records come back as they were, and a save replaces all of them`(_ factory: StoreFactory) async throws {
        let store = try await factory.open()
        let rows = [
            ChannelHealthRow(
                scope: HealthScope(account: "acme", model: "m"), state: .open, kind: .rateLimit, openUntil: 99, failures: 1, openings: 2,
                isWished: true),
            ChannelHealthRow(scope: HealthScope(channelID: 1), state: .closed, kind: .server, failures: 2, openings: 0),
            ChannelHealthRow(
                scope: HealthScope(channelID: 1, keyIndex: -1, model: "m"), state: .halfOpen, kind: .connect, failures: 3, openings: 1),
        ]
        try await store.saveHealth(rows, now: 5)
        #expect(Set(try await store.loadHealth()) == Set(rows))
        try await store.saveHealth([rows[0]], now: 6)
        #expect(try await store.loadHealth() == [rows[0]])
        try await store.saveHealth([], now: 7)
        #expect(try await store.loadHealth().isEmpty)
    }

    @Test(arguments: StoreFactory.all)
    func `settings are replaced, and the store answers a ping`(_ factory: StoreFactory) async throws {
        let store = try await factory.open()
        #expect(try await store.setting("k") == nil)
        try await store.setSetting("k", "1")
        try await store.setSetting("k", "2")
        #expect(try await store.setting("k") == "2")
        try await store.audit(.some)
        try await store.ping()
    }
}
