import RouterCore
import Storage
import Testing

/// Redemption codes and levels: what every store must do.
@Suite(.timeLimit(.minutes(10)))
struct RedemptionConformance {
    private func nanos(_ value: Int64) -> NanoUSD { NanoUSD(nanos: value) }

    private func batch(
        _ name: String, _ kind: RedemptionBatch.Kind, codes: Int64, perAccount: Int64? = 1, groups: [String] = [], until end: Int64? = nil,
        by creator: Int64? = nil
    ) -> RedemptionBatch {
        RedemptionBatch(
            name: name, amount: nanos(50), codes: codes, kind: kind, giftSeconds: kind == .gift ? 600 : nil, expiresAt: end,
            perAccount: perAccount, groups: groups, createdBy: creator, createdAt: 100)
    }

    /// Stands for SHA-256.
    private func hash(_ batch: Int, _ code: Int) -> [UInt8] { [UInt8](repeating: UInt8(batch), count: 30) + [0, UInt8(code)] }

    @discardableResult
    private func make(_ store: any Store, _ number: Int, _ batch: RedemptionBatch) async throws -> RedemptionBatch {
        let codes = (0..<Int(batch.codes)).map { RedemptionSecret(hash: hash(number, $0), prefix: "P\(number)\($0)") }
        return try await store.createRedemptionBatch(batch, codes: codes, audit: .some)
    }

    private func redeem(
        _ store: any Store, _ hash: [UInt8], _ user: Int64, now: Int64 = 300, levels: [AccountLevel] = []
    ) async throws -> Redeemed {
        try await store.redeem(Redemption(hash: hash, accountID: user, userID: user, levels: levels, now: now), audit: .some)
    }

    @Test(arguments: StoreFactory.all)
    func `a code brings a gift or cash, once, and the same account may ask again`(_ factory: StoreFactory) async throws {
        let store = try await factory.open()
        let ada = try await store.createUser(newUser("ada")).id
        let bob = try await store.createUser(newUser("bob")).id
        let made = try await make(store, 1, batch("spring", .gift, codes: 2))
        #expect(made.id > 0 && made.codes == 2 && made.redeemed == 0 && made.giftSeconds == 600 && made.disabledAt == nil)
        let first = try await redeem(store, hash(1, 0), ada)
        #expect(first.isNew && first.entry.amount == nanos(50) && first.entry.source == "gift" && first.batch.redeemed == 1)
        let credit = try #require(first.credit)
        #expect(credit.expiresAt == 900 && credit.source == .code && credit.reference == first.entry.referenceID && credit.accountID == ada)
        let again = try await redeem(store, hash(1, 0), ada, now: 5_000)
        #expect(!again.isNew && again.entry == first.entry && again.credit == credit)
        await #expect(throws: RedemptionRefusal.used) { try await redeem(store, hash(1, 0), bob) }
        await #expect(throws: RedemptionRefusal.unknown) { try await redeem(store, hash(9, 9), bob) }
        await #expect(throws: StoreError.notFound) { try await redeem(store, hash(1, 1), 99) }

        try await make(store, 2, batch("cards", .cash, codes: 1))
        let cash = try await redeem(store, hash(2, 0), ada)
        #expect(cash.credit == nil && cash.entry.source == "code" && cash.entry.balanceAfter == nanos(100))
        #expect(try await store.giftsLeft(accountID: ada) == nanos(50))
        #expect(try await store.recharged(accountID: ada) == nanos(50), "gifts are no recharges")
        #expect(try await store.user(id: bob)?.balance == .zero)
        #expect(try await store.verify().differences == [])
    }

    @Test(arguments: StoreFactory.all)
    func `a code that is over, off or for others is refused by its own name`(_ factory: StoreFactory) async throws {
        let store = try await factory.open()
        let ada = try await store.createUser(newUser("ada")).id
        var person = newUser("vip")
        person.group = "vip"
        let vip = try await store.createUser(person).id
        person = newUser("admin")
        person.role = .admin
        let admin = try await store.createUser(person).id
        person = newUser("root")
        person.role = .root
        let root = try await store.createUser(person).id

        try await make(store, 1, batch("over", .cash, codes: 1, until: 300))
        await #expect(throws: RedemptionRefusal.expired) { try await redeem(store, hash(1, 0), ada, now: 300) }
        let off = try await make(store, 2, batch("off", .cash, codes: 2))
        _ = try await redeem(store, hash(2, 0), ada)
        let rows = try await store.auditRows(PageRequest()).total
        #expect(try await store.disableRedemptionBatch(id: off.id, now: 400, audit: .some).disabledAt == 400)
        #expect(try await store.disableRedemptionBatch(id: off.id, now: 500, audit: .some).disabledAt == 400)
        #expect(try await store.auditRows(PageRequest()).total == rows + 1)
        await #expect(throws: StoreError.notFound) { try await store.disableRedemptionBatch(id: 99, now: 1, audit: .some) }
        await #expect(throws: RedemptionRefusal.disabled) { try await redeem(store, hash(2, 1), vip) }
        #expect(try await redeem(store, hash(2, 0), ada).isNew == false, "what was redeemed stays so")

        try await make(store, 3, batch("for vips", .cash, codes: 3, perAccount: 2, groups: ["vip"]))
        await #expect(throws: RedemptionRefusal.notForAccount) { try await redeem(store, hash(3, 0), ada) }
        for code in 0..<2 { _ = try await redeem(store, hash(3, code), vip) }
        await #expect(throws: RedemptionRefusal.notForAccount) { try await redeem(store, hash(3, 2), vip) }
        try await make(store, 4, batch("many", .cash, codes: 4, perAccount: nil))
        for code in 0..<3 { _ = try await redeem(store, hash(4, code), vip) }
        _ = try await redeem(store, hash(4, 3), admin)

        // The makers of codes cannot move money to themselves or to their peers by them; root may.
        try await make(store, 5, batch("of an admin", .cash, codes: 2, by: admin))
        await #expect(throws: RedemptionRefusal.notForAccount) { try await redeem(store, hash(5, 0), admin) }
        _ = try await redeem(store, hash(5, 0), ada)
        _ = try await redeem(store, hash(5, 1), root)
        try await make(store, 6, batch("of root", .cash, codes: 1, by: root))
        _ = try await redeem(store, hash(6, 0), admin)
        await #expect(throws: StoreError.duplicate("hash")) { try await make(store, 6, batch("twice", .cash, codes: 1)) }
        #expect(try await store.redemptionBatches(before: .max, size: 100).items.count == 6, "a batch without its codes is not made")
        #expect(try await store.verify().differences == [])
    }

    @Test(arguments: StoreFactory.all)
    func `lists of batches and codes go from the newest to the oldest`(_ factory: StoreFactory) async throws {
        let store = try await factory.open()
        let ada = try await store.createUser(newUser("ada")).id
        var ids: [Int64] = []
        for number in 1...3 { ids.append(try await make(store, number, batch("b\(number)", .cash, codes: 4)).id) }
        _ = try await redeem(store, hash(2, 1), ada)
        let first = try await store.redemptionBatches(before: .max, size: 2)
        #expect(first.items.map(\.id) == [ids[2], ids[1]] && first.items.map(\.redeemed) == [0, 1])
        let rest = try await store.redemptionBatches(before: try #require(first.nextBefore), size: 2)
        #expect(rest.items.map(\.name) == ["b1"] && rest.nextBefore == nil)
        #expect(try await store.redemptionBatch(id: ids[1])?.redeemed == 1)
        #expect(try await store.redemptionBatch(id: 99) == nil)

        let codes = try await store.redemptionCodes(RedemptionQuery(batchID: ids[1]), before: .max, size: 3)
        #expect(codes.items.map(\.prefix) == ["P23", "P22", "P21"] && codes.items.map(\.redeemedBy) == [nil, nil, ada])
        let last = try await store.redemptionCodes(RedemptionQuery(batchID: ids[1]), before: try #require(codes.nextBefore), size: 3)
        #expect(last.items.map(\.prefix) == ["P20"] && last.nextBefore == nil)
        let redeemed = try await store.redemptionCodes(RedemptionQuery(isRedeemed: true), before: .max, size: 100).items
        #expect(redeemed.map(\.accountID) == [ada] && redeemed.map(\.redeemedAt) == [300])
        #expect(try await store.redemptionCodes(RedemptionQuery(isRedeemed: false), before: .max, size: 100).items.count == 11)
    }

    // MARK: Two gateways

    @Test(arguments: SQLDialect.allCases)
    func `of many who redeem a code at two gateways at once, one gets it`(_ dialect: SQLDialect) async throws {
        let pair = try await StorePair(dialect)
        var users: [Int64] = []
        for number in 0..<6 { users.append(try await pair.one.createUser(newUser("user-\(number)")).id) }
        try await make(pair.one, 1, batch("race", .gift, codes: 5))
        for code in 0..<5 {
            let accounts = try await withThrowingTaskGroup(of: Int64?.self) { group in
                for (place, user) in users.enumerated() {
                    group.addTask {
                        do {
                            return try await redeem(pair.both[place % 2], hash(1, code), user).isNew ? user : nil
                        } catch RedemptionRefusal.used {
                            return nil
                        } catch RedemptionRefusal.notForAccount {
                            // It has got one of the batch.
                            return nil
                        }
                    }
                }
                return try await group.reduce(into: []) { found, user in if let user { found.append(user) } }
            }
            #expect(accounts.count == 1, "code \(code): \(accounts)")
        }
        #expect(try await pair.two.redemptionBatches(before: .max, size: 1).items.first?.redeemed == 5)
        var sum: Int64 = 0
        for user in users { sum += try await pair.one.user(id: user)?.balance.nanos ?? 0 }
        #expect(sum == 5 * 50)
        #expect(try await pair.two.verify().differences == [])
        try await pair.close()
    }

    @Test(arguments: SQLDialect.allCases)
    func `an account that redeems at two gateways at once gets no more than it may`(_ dialect: SQLDialect) async throws {
        let pair = try await StorePair(dialect)
        let ada = try await pair.one.createUser(newUser("ada")).id
        try await make(pair.one, 1, batch("one each", .cash, codes: 6))
        let new = try await withThrowingTaskGroup(of: Int.self) { group in
            for place in 0..<12 {
                group.addTask {
                    do {
                        // Each code twice, so that some are repetitions.
                        return try await redeem(pair.both[place % 2], hash(1, place / 2), ada).isNew ? 1 : 0
                    } catch RedemptionRefusal.notForAccount {
                        return 0
                    }
                }
            }
            return try await group.reduce(0, +)
        }
        #expect(new == 1)
        #expect(try await pair.two.user(id: ada)?.balance == nanos(50))
        #expect(try await pair.one.verify().differences == [])
        try await pair.close()
    }

    // MARK: Levels

    private static let levels = [("silver", 100, "vip"), ("gold", 300, "best")].map {
        AccountLevel(name: $0.0, atLeast: NanoUSD(nanos: $0.1), group: $0.2)
    }

    private func recharge(_ user: Int64, _ amount: Int64, _ name: String, _ kind: TransactionKind = .recharge) -> LedgerPosting {
        var posting = credit(user, amount, name, kind)
        posting.levels = Self.levels
        return posting
    }

    @Test(arguments: StoreFactory.all)
    func `what was recharged in cash gives the group, in the transaction of the recharge`(_ factory: StoreFactory) async throws {
        let store = try await factory.open()
        let ada = try await store.createUser(newUser("ada")).id
        _ = try await store.post(recharge(ada, 99, "r1"))
        #expect(try await store.user(id: ada)?.groupSource == nil)
        // Neither gifts nor good will are recharges.
        _ = try await store.grantCredit(
            CreditGrant(accountID: ada, amount: nanos(500), reference: "g", expiresAt: nil, createdAt: 200), audit: .some)
        _ = try await store.post(recharge(ada, 500, "a1", .adjustment))
        #expect(try await store.user(id: ada)?.group == "default")
        let rows = try await store.auditRows(PageRequest()).total
        _ = try await store.post(recharge(ada, 1, "r2"))
        let silver = try #require(try await store.user(id: ada))
        #expect(silver.group == "vip" && silver.groupSource == .level)
        let audit = try await store.auditRows(PageRequest(page: 1, size: 2)).items
        #expect(try await store.auditRows(PageRequest()).total == rows + 2)
        #expect(audit.first?.action == "level.change" && audit.first?.actorID == nil)
        #expect(
            audit.first?.detail == #"{"user_id":\#(ada),"level":"silver","group":"vip","group_before":"default","recharged":0.0000001}"#)
        // Once more changes nothing.
        _ = try await store.post(recharge(ada, 1, "r2"))
        #expect(try await store.auditRows(PageRequest()).total == rows + 2)
        try await make(store, 1, batch("cards", .cash, codes: 4, perAccount: nil))
        for code in 0..<4 { _ = try await redeem(store, hash(1, code), ada, levels: Self.levels) }
        #expect(try await store.user(id: ada)?.group == "best")
        var chargeback = credit(ada, -250, "back", .adjustment)
        chargeback.source = EntrySource.chargeback
        _ = try await store.post(chargeback)
        #expect(try await store.recharged(accountID: ada) == nanos(50))
        #expect(try await store.promote(accountID: ada, levels: Self.levels, now: 400) == nil, "nobody goes down")
        #expect(try await store.verify().differences == [])
    }

    @Test(arguments: StoreFactory.all)
    func `a group that was chosen by hand stays`(_ factory: StoreFactory) async throws {
        let store = try await factory.open()
        let ada = try await store.createUser(newUser("ada")).id
        var change = UserChange()
        change.group = "default"
        #expect(try await store.changeUser(id: ada, change).groupSource == nil, "the same group is no choice")
        change.group = "test"
        #expect(try await store.changeUser(id: ada, change).groupSource == .admin)
        _ = try await store.post(recharge(ada, 400, "r1"))
        #expect(try await store.user(id: ada)?.group == "test")
        #expect(try await store.promote(accountID: ada, levels: Self.levels, now: 400) == nil)
        change = UserChange()
        change.groupFollowsLevels = true
        #expect(try await store.changeUser(id: ada, change).groupSource == nil)
        let promoted = try #require(try await store.promote(accountID: ada, levels: Self.levels, now: 400))
        #expect(promoted.group == "best" && promoted.groupSource == .level)
        #expect(try await store.promote(accountID: ada, levels: Self.levels, now: 400) == nil)
        #expect(try await store.promote(accountID: 99, levels: Self.levels, now: 400) == nil)
        change = UserChange()
        change.group = "default"
        #expect(try await store.changeUser(id: ada, change).groupSource == .admin, "an administrator may take a level away")
        var person = newUser("bob")
        person.group = "vip"
        #expect(try await store.createUser(person).groupSource == .admin)
    }

    @Test(arguments: StoreFactory.all)
    func `accounts that have recharged enough are found in portions`(_ factory: StoreFactory) async throws {
        let store = try await factory.open()
        var rich: [Int64] = []
        for number in 0..<7 {
            let user = try await store.createUser(newUser("user-\(number)")).id
            for part in 0..<number { _ = try await store.post(credit(user, 50, "r\(number)-\(part)")) }
            if number >= 3 { rich.append(user) }
        }
        var (found, last): ([Int64], Int64) = ([], 0)
        while true {
            let portion = try await store.accountsRecharged(atLeast: nanos(150), after: last, limit: 2)
            found += portion
            guard let end = portion.last else { break }
            #expect(portion.count <= 2)
            last = end
        }
        #expect(found == rich)
    }

    @Test(arguments: StoreFactory.all)
    func `what members recharge and redeem for an organisation gives it its level`(_ factory: StoreFactory) async throws {
        let store = try await factory.open()
        let ada = try await store.createUser(newUser("ada")).id
        let account = try await store.createOrganization(
            name: "Acme", handle: "acme", group: "default", ownerID: ada, now: 100, audit: .some
        ).id
        var posting = recharge(ada, 80, "r1")
        posting.accountID = account
        _ = try await store.post(posting)
        #expect(try await store.recharged(accountID: account) == nanos(80))
        try await make(store, 1, batch("cards", .cash, codes: 1))
        try await make(store, 2, batch("gifts", .gift, codes: 1))
        for number in 1...2 {
            let redemption = Redemption(hash: hash(number, 0), accountID: account, userID: ada, levels: Self.levels, now: 300)
            let redeemed = try await store.redeem(redemption, audit: .some)
            #expect(redeemed.entry.payer == account && redeemed.entry.userID == ada)
        }
        #expect(try await store.recharged(accountID: account) == nanos(130))
        #expect(try await store.recharged(accountID: ada) == .zero)
        #expect(try await store.user(id: account)?.group == "vip")
        #expect(try await store.user(id: ada)?.group == "default")
        #expect(try await store.accountsRecharged(atLeast: nanos(100), after: 0, limit: 10) == [account])
        // Its members' requests use its gifts, and none of theirs.
        _ = try await store.grantCredit(
            CreditGrant(accountID: ada, amount: nanos(9), reference: "hers", expiresAt: nil, createdAt: 200), audit: .some)
        var request = record(1, user: ada, charge: 60)
        request.accountID = account
        _ = try await store.post([request, record(2, user: ada, charge: 4)])
        #expect(try await store.giftsLeft(accountID: account) == .zero)
        #expect(try await store.giftsLeft(accountID: ada) == nanos(5))
        #expect(try await store.entry(kind: .usage, referenceID: request.requestID.description)?.gift == nanos(50))
        let ended = try await store.grantCredit(
            CreditGrant(accountID: account, amount: nanos(7), reference: "its", expiresAt: 400, createdAt: 200), audit: .some
        ).credit
        let entry = try #require(try await store.expireCredit(ended.id, now: 400))
        #expect(entry.payer == account && entry.balanceAfter == nanos(120))
        #expect(try await store.verify().differences == [])
    }
}
