import RouterCore
import Storage
import Testing

/// Gifts: what every store must do.
@Suite(.timeLimit(.minutes(10)))
struct CreditConformance {
    private func nanos(_ value: Int64) -> NanoUSD { NanoUSD(nanos: value) }

    private func gift(_ account: Int64, _ amount: Int64, _ reference: String, until end: Int64? = nil) -> CreditGrant {
        CreditGrant(accountID: account, amount: nanos(amount), reference: reference, expiresAt: end, description: "test", createdAt: 200)
    }

    private func all(_ store: any Store, _ account: Int64?) async throws -> [Credit] {
        try await store.credits(CreditQuery(accountID: account), before: .max, size: 100).items
    }

    @Test(arguments: StoreFactory.all)
    func `a gift is a part of the balance, and is given once`(_ factory: StoreFactory) async throws {
        let store = try await factory.open()
        let user = try await store.createUser(newUser("ada")).id
        let other = try await store.createUser(newUser("bob")).id
        _ = try await store.post(credit(user, 100, "cash"))
        let granted = try await store.grantCredit(gift(user, 40, "g1", until: 900), audit: .some)
        #expect(
            granted.isNew && granted.entry.kind == .recharge && granted.entry.source == "gift" && granted.entry.balanceAfter == nanos(140))
        let stored = granted.credit
        #expect(
            stored.accountID == user && stored.amount == nanos(40) && stored.left == nanos(40) && stored.expired == .zero
                && stored.source == .grant && stored.reference == "g1" && stored.expiresAt == 900 && stored.state == .open
                && stored.createdAt == 200 && stored.endedAt == nil && stored.spent == .zero)
        let again = try await store.grantCredit(gift(user, 40, "g1", until: 900), audit: .some)
        #expect(!again.isNew && again.credit == stored && again.entry == granted.entry)
        #expect(try await store.giftsLeft(accountID: user) == nanos(40))
        #expect(try await store.giftsLeft(accountID: other) == .zero)
        #expect(try await store.giftsLeft(accountID: 99) == .zero)
        // The same name for anything else is a mistake, whichever call has taken it.
        for wrong in [gift(user, 41, "g1", until: 900), gift(other, 40, "g1", until: 900), gift(user, 40, "g1"), gift(user, 100, "cash")] {
            await #expect(throws: StoreError.self, "\(wrong)") { try await store.grantCredit(wrong, audit: .some) }
        }
        await #expect(throws: StoreError.self) { try await store.post(credit(user, 40, "g1")) }
        await #expect(throws: StoreError.notFound) { try await store.grantCredit(gift(99, 1, "g2"), audit: .some) }
        #expect(try await all(store, user) == [stored])
        #expect(try await store.user(id: user)?.balance == nanos(140))
        #expect(try await store.verify().differences == [])
    }

    @Test(arguments: StoreFactory.all)
    func `each row says what gifts have paid of it, and cash pays the rest`(_ factory: StoreFactory) async throws {
        let store = try await factory.open()
        let user = try await store.createUser(newUser("ada")).id
        let poor = try await store.createUser(newUser("bob")).id
        for id in [user, poor] { _ = try await store.post(credit(id, 1_000, "cash-\(id)")) }
        let endless = try await store.grantCredit(gift(user, 30, "g1"), audit: .some).credit.id
        let late = try await store.grantCredit(gift(user, 20, "g2", until: 900), audit: .some).credit.id
        let soon = try await store.grantCredit(gift(user, 10, "g3", until: 800), audit: .some).credit.id
        let holder = try await store.joined("one")
        _ = try await store.acquireLease(userID: user, needed: nanos(500), holder: holder, now: 100)
        // One group with another account and a free request between.
        let group = [
            record(1, user: user, charge: 4, createdAt: 301), record(2, user: poor, charge: 50, createdAt: 302),
            record(3, user: user, charge: 0, createdAt: 303), record(4, user: user, charge: 11, createdAt: 304),
            record(5, user: user, charge: nil, createdAt: 305), record(6, user: user, charge: 100, createdAt: 306),
            record(7, user: user, charge: 5, createdAt: 307),
        ]
        let result = try await store.post(group, holder: holder)
        #expect(result.charges == [user: nanos(120), poor: nanos(50)])
        var parts: [Int64?] = []
        for number in [1, 2, 3, 4, 6, 7] {
            parts.append(try await store.entry(kind: .usage, referenceID: RequestID(bits: UInt128(number)).description)?.gift?.nanos)
        }
        #expect(parts == [4, nil, nil, 11, 45, nil])
        let left = Dictionary(uniqueKeysWithValues: try await all(store, user).map { ($0.id, $0) })
        #expect(left.values.allSatisfy { $0.state == .spent && $0.left == .zero && $0.expired == .zero && $0.endedAt == 306 })
        #expect(Set(left.keys) == [endless, late, soon])
        // Once more, as after a crash: nothing is used twice.
        _ = try await store.post(group, holder: holder)
        #expect(try await store.user(id: user)?.balance == nanos(1_060 - 120))
        #expect(try await store.giftsLeft(accountID: user) == .zero)
        #expect(try await store.verify().differences == [])
    }

    @Test(arguments: StoreFactory.all)
    func `a bad record in a group takes nothing from gifts`(_ factory: StoreFactory) async throws {
        let store = try await factory.open()
        let user = try await store.createUser(newUser("ada")).id
        _ = try await store.post(credit(user, -.max, "fine", .adjustment))
        _ = try await store.grantCredit(gift(user, 100, "g1"), audit: .some)
        // The second would take the balance out of its range, so the group is posted one by one.
        let result = try await store.post(
            [record(1, user: user, charge: 10), record(2, user: user, charge: 1_000), record(3, user: user, charge: 20)], holder: nil)
        #expect(Set(result.setAside.keys) == [RequestID(bits: 2)])
        let spent = try await all(store, user).map(\.spent.nanos)
        var paid: Int64 = 0
        for number in 1...3 {
            paid += try await store.entry(kind: .usage, referenceID: RequestID(bits: UInt128(number)).description)?.gift?.nanos ?? 0
        }
        #expect(spent == [30] && paid == 30)
        #expect(try await store.verify().differences == [])
    }

    @Test(arguments: StoreFactory.all)
    func `what is left at the end is taken back once, and later requests pay with cash`(_ factory: StoreFactory) async throws {
        let store = try await factory.open()
        let user = try await store.createUser(newUser("ada")).id
        _ = try await store.post(credit(user, 100, "cash"))
        let soon = try await store.grantCredit(gift(user, 40, "g1", until: 500), audit: .some).credit
        let used = try await store.grantCredit(gift(user, 5, "g2", until: 400), audit: .some).credit
        let endless = try await store.grantCredit(gift(user, 7, "g3"), audit: .some).credit
        _ = try await store.post([record(1, user: user, charge: 15, createdAt: 499)])
        #expect(try await store.dueCredits(now: 499, limit: 10).isEmpty)
        #expect(try await store.dueCredits(now: 500, limit: 10).map(\.id) == [soon.id])
        // Neither before its time, nor one that has no end, is spent or is not there.
        for (id, now) in [(soon.id, 499), (used.id, 600), (endless.id, 600), (99, 600)] as [(Int64, Int64)] {
            #expect(try await store.expireCredit(id, now: now) == nil, "\(id)")
        }
        // A request that is posted before the end is in the ledger may use it.
        _ = try await store.post([record(2, user: user, charge: 3, createdAt: 501)])
        let entry = try #require(try await store.expireCredit(soon.id, now: 510))
        #expect(entry.kind == .adjustment && entry.source == "gift_expired" && entry.referenceID == "gift:\(soon.id):expired")
        #expect(entry.amount == nanos(-27) && entry.balanceAfter == nanos(107) && entry.createdAt == 510)
        #expect(try await store.expireCredit(soon.id, now: 520) == nil)
        let ended = try #require(try await all(store, user).first { $0.id == soon.id })
        #expect(
            ended.state == .expired && ended.left == .zero && ended.expired == nanos(27) && ended.spent == nanos(13) && ended.endedAt == 510
        )
        // It began before the end, and comes late: the endless gift pays its part, cash the rest.
        _ = try await store.post([record(3, user: user, charge: 10, createdAt: 499)])
        #expect(try await store.entry(kind: .usage, referenceID: RequestID(bits: 3).description)?.gift == nanos(7))
        #expect(try await store.user(id: user)?.balance == nanos(97))
        #expect(try await store.dueCredits(now: 9_999, limit: 10).isEmpty)
        #expect(try await store.verify().differences == [])
    }

    @Test(arguments: StoreFactory.all)
    func `lists go from the newest to the oldest`(_ factory: StoreFactory) async throws {
        let store = try await factory.open()
        var ids: [Int64: [Int64]] = [:]
        for name in ["ada", "bob"] {
            let user = try await store.createUser(newUser(name)).id
            for number in 0..<5 {
                ids[user, default: []].append(try await store.grantCredit(gift(user, 10, "\(name)-\(number)"), audit: .some).credit.id)
            }
            _ = try await store.post([record(Int(user), user: user, charge: 20)])
        }
        for (user, made) in ids {
            let query = CreditQuery(accountID: user)
            let first = try await store.credits(query, before: .max, size: 3)
            #expect(first.items.map(\.id) == Array(made.reversed().prefix(3)))
            let rest = try await store.credits(query, before: try #require(first.nextBefore), size: 3)
            #expect(rest.items.map(\.id) == Array(made.reversed().suffix(2)) && rest.nextBefore == nil)
            let spent = try await store.credits(CreditQuery(accountID: user, state: .spent), before: .max, size: 10)
            #expect(spent.items.map(\.id) == Array(made.prefix(2).reversed()), "the oldest pay first")
        }
        #expect(try await store.credits(CreditQuery(), before: .max, size: 100).items.count == 10)
        #expect(try await store.credits(CreditQuery(state: .expired), before: .max, size: 100).items.isEmpty)
    }

    @Test(arguments: SQLDialect.allCases)
    func `of two gateways that end a gift at once, one does`(_ dialect: SQLDialect) async throws {
        let pair = try await StorePair(dialect)
        let user = try await pair.one.createUser(newUser("ada")).id
        for number in 0..<10 { _ = try await pair.one.grantCredit(gift(user, 5, "g\(number)", until: 300), audit: .some) }
        let due = try await pair.one.dueCredits(now: 300, limit: 100)
        let ended = try await withThrowingTaskGroup(of: Int.self) { group in
            for store in pair.both {
                for credit in due { group.addTask { try await store.expireCredit(credit.id, now: 300) == nil ? 0 : 1 } }
            }
            return try await group.reduce(0, +)
        }
        #expect(due.count == 10 && ended == 10)
        #expect(try await pair.two.user(id: user)?.balance == .zero)
        #expect(try await pair.two.verify().differences == [])
        try await pair.close()
    }

    // MARK: Against a model

    /// A plain model: every nano-dollar of a charge looks for the gift that pays it.
    private struct Model {
        var gifts: [(id: Int64, left: Int64, end: Int64?)] = []
        var balance: Int64 = 0

        mutating func pay(_ charge: Int64) -> Int64 {
            var paid: Int64 = 0
            for _ in 0..<charge {
                let open = gifts.indices.filter { gifts[$0].left > 0 }
                guard let next = open.min(by: { (gifts[$0].end ?? .max, gifts[$0].id) < (gifts[$1].end ?? .max, gifts[$1].id) }) else {
                    break
                }
                gifts[next].left -= 1
                paid += 1
            }
            balance -= charge
            return paid
        }
    }

    @Test(arguments: StoreFactory.all, [11, 12, 13] as [UInt64])
    func `no order of gifts, charges and ends pays otherwise than the model`(_ factory: StoreFactory, _ seed: UInt64) async throws {
        var random = SplitMix64(state: seed)
        let store = try await factory.open()
        var models: [Int64: Model] = [:]
        var users: [Int64] = []
        for name in ["ada", "bob", "eve"] { users.append(try await store.createUser(newUser(name)).id) }
        for user in users { models[user] = Model() }
        var (clock, next) = (Int64(1_000), 1)
        for step in 0..<60 {
            clock += Int64(random.below(50))
            switch random.below(6) {
            case 0, 1:
                // The last one has no gifts at all.
                let user = users[random.below(2)]
                let (amount, end) = (Int64(random.below(40) + 1), random.below(3) == 0 ? nil : clock + Int64(random.below(200) + 1))
                let made = try await store.grantCredit(gift(user, amount, "g\(step)", until: end), audit: .some).credit
                models[user]?.gifts.append((made.id, amount, end))
                models[user]?.balance += amount
            case 2:
                for credit in try await store.dueCredits(now: clock, limit: 100) {
                    let left = -(try await store.expireCredit(credit.id, now: clock)?.amount.nanos ?? 0)
                    let place = try #require(models[credit.accountID]?.gifts.firstIndex { $0.id == credit.id })
                    #expect(models[credit.accountID]?.gifts[place].left == left, "seed \(seed), step \(step)")
                    models[credit.accountID]?.gifts[place].left = 0
                    models[credit.accountID]?.balance -= left
                }
                #expect(models.values.allSatisfy { $0.gifts.allSatisfy { $0.left == 0 || ($0.end ?? .max) > clock } })
            default:
                var group: [RequestRecord] = []
                for _ in 0..<random.below(6) + 1 {
                    group.append(record(next, user: users[random.below(3)], charge: Int64(random.below(25)), createdAt: clock))
                    next += 1
                }
                _ = try await store.post(group)
                for record in group {
                    let paid = models[record.userID]?.pay(record.charge?.nanos ?? 0) ?? 0
                    let row = try await store.entry(kind: .usage, referenceID: record.requestID.description)
                    #expect(row?.gift?.nanos ?? 0 == paid, "seed \(seed), step \(step), \(record.requestID)")
                }
            }
        }
        for (user, model) in models {
            #expect(try await store.user(id: user)?.balance.nanos == model.balance, "seed \(seed)")
            #expect(try await store.giftsLeft(accountID: user).nanos == model.gifts.map(\.left).reduce(0, +), "seed \(seed)")
            let left = Dictionary(uniqueKeysWithValues: try await all(store, user).map { ($0.id, $0.left.nanos) })
            #expect(left == Dictionary(uniqueKeysWithValues: model.gifts.map { ($0.id, $0.left) }), "seed \(seed)")
        }
        #expect(try await store.verify().differences == [], "seed \(seed)")
    }

    /// Changes that somebody has made to the tables by hand.
    @Test(arguments: SQLDialect.allCases)
    func `verify tells of gifts and codes that do not fit their rows`(_ dialect: SQLDialect) async throws {
        let pair = try await StorePair(dialect)
        let user = try await pair.one.createUser(newUser("ada")).id
        let credit = try await pair.one.grantCredit(gift(user, 40, "g1", until: 300), audit: .some).credit
        let batch = RedemptionBatch(name: "b", amount: nanos(5), codes: 1, kind: .cash, createdBy: nil, createdAt: 100)
        _ = try await pair.one.createRedemptionBatch(batch, codes: [RedemptionSecret(hash: [1], prefix: "A")], audit: .some)
        #expect(try await pair.one.verify().differences == [])
        let id = credit.id
        try await pair.run("UPDATE credits SET left_nanos = 39 WHERE id = \(id)")
        #expect(try await pair.one.verify().differences.contains { $0.hasPrefix("gifts of user \(user)") })
        try await pair.run("UPDATE credits SET left_nanos = 0, expired_nanos = 40, state = 'expired' WHERE id = \(id)")
        #expect(try await pair.one.verify().differences.contains { $0.hasPrefix("gift \(id): it is expired") })
        try await pair.run("UPDATE credits SET left_nanos = 40, expired_nanos = 0, state = 'open', reference = 'other' WHERE id = \(id)")
        let differences = try await pair.one.verify().differences
        #expect(
            differences.contains { $0.hasPrefix("gift \(id): it is open") }
                && differences.contains { $0.hasSuffix("gift that is not there") })
        try await pair.run("UPDATE credits SET reference = 'g1' WHERE id = \(id)")
        try await pair.run("UPDATE redemption_codes SET redeemed_at = 5, account_id = \(user)")
        let codes = try await pair.one.verify().differences
        #expect(codes.contains { $0.hasPrefix("code 1") } && codes.contains { $0.hasPrefix("codes of batch 1") } && codes.count == 2)
        try await pair.close()
    }
}
