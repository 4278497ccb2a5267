import RouterCore
import Storage
import Testing

/// Wallets that users share: what every store must do.
@Suite(.timeLimit(.minutes(10)))
struct OrganizationConformance {
    private func nanos(_ value: Int64) -> NanoUSD { NanoUSD(nanos: value) }

    private struct Setting {
        var store: any Store
        var ada: Int64
        var bob: Int64
        /// An organisation that ada owns and bob belongs to, with 1,000 nano-dollars.
        var account: Int64
    }

    private func setting(_ factory: StoreFactory) async throws -> Setting {
        let store = try await factory.open()
        let ada = try await store.createUser(newUser("ada")).id
        let bob = try await store.createUser(newUser("bob")).id
        let account = try await store.createOrganization(
            name: "Research", handle: "org:1", group: "default", ownerID: ada, now: 100, audit: .some)
        #expect(account.kind == .organization && account.displayName == "Research" && account.balance == .zero)
        try await store.setMember(
            OrganizationMembership(accountID: account.id, userID: bob, role: .member, createdAt: 100), before: nil, most: 10, audit: .some)
        var gift = credit(ada, 1_000, "start")
        gift.accountID = account.id
        gift.source = "code"
        let posted = try await store.post(gift, audit: .some).entry
        #expect(posted.accountID == account.id && posted.userID == ada && posted.source == "code" && posted.balanceAfter == nanos(1_000))
        return Setting(store: store, ada: ada, bob: bob, account: account.id)
    }

    private func paid(_ id: Int, by account: Int64, user: Int64, _ charge: Int64?, model: String = "m") -> RequestRecord {
        var record = record(id, user: user, charge: charge)
        record.accountID = account
        record.model = model
        record.ceiling = nil
        return record
    }

    @Test(arguments: StoreFactory.all)
    func `a member's charge moves the organisation's money, and names both`(_ factory: StoreFactory) async throws {
        let setting = try await setting(factory)
        let (store, bob, account) = (setting.store, setting.bob, setting.account)
        let life = try await store.joined("one")
        _ = try await store.acquireLease(userID: account, needed: nanos(500), holder: life, now: 100)
        let posted = try await store.post([paid(1, by: account, user: bob, 30), record(2, user: bob, charge: nil)], holder: life)
        #expect(posted.charges == [account: nanos(30)])
        #expect(posted.states[account] == LeaseState(balance: nanos(970), lease: nanos(470)))
        #expect(try await store.user(id: account)?.balance == nanos(970))
        #expect(try await store.user(id: bob)?.balance == .zero)

        let entries = try await store.entries(EntryQuery(accountID: account), before: .max, size: 10).items
        #expect(entries.map(\.userID) == [bob, setting.ada] && entries.allSatisfy { $0.accountID == account })
        #expect(entries.first?.balanceAfter == nanos(970))
        #expect(try await store.entries(EntryQuery(userID: bob, accountID: account), before: .max, size: 10).items.count == 1)
        #expect(try await store.entries(EntryQuery(userID: bob), before: .max, size: 10).items == [], "his own account has no rows")
        #expect(try await store.entries(userID: bob, kind: nil, PageRequest()).items == [])
        var query = LogQuery(page: PageRequest(page: 1, size: 10))
        query.accountID = account
        #expect(try await store.logs(query, before: .max).items.map(\.record.userID) == [bob])
        #expect(try await store.logs(query).total == 1)
        query.userID = setting.ada
        #expect(try await store.logs(query, before: .max).items.isEmpty)

        let total: Int64 = 0
        let counters = [
            BudgetCounter(scope: .organization(account), window: total),
            BudgetCounter(scope: .member(organization: account, user: bob), window: total),
            BudgetCounter(scope: .key(7), window: total), BudgetCounter(scope: .user(bob), window: total),
        ]
        let spent = try await store.spending(counters)
        #expect(counters.map { spent[$0] ?? .zero } == [nanos(30), nanos(30), nanos(30), .zero])
        #expect(try await store.spent(userID: account)?.charged == nanos(30))
        let refund = Refund(
            reference: RequestID(bits: 1).description, amount: nanos(10), key: nil, description: "", createdAt: 400)
        #expect(try await store.refund(refund, audit: .some).entry.accountID == account)
        #expect(try await store.user(id: account)?.balance == nanos(980))
        #expect(try await store.verify().differences == [])
    }

    @Test(arguments: StoreFactory.all)
    func `what an organisation used is known by member, key and model`(_ factory: StoreFactory) async throws {
        let setting = try await setting(factory)
        let store = setting.store
        _ = try await store.post([
            paid(1, by: setting.account, user: setting.bob, 30), paid(2, by: setting.account, user: setting.bob, 5, model: "n"),
            paid(3, by: setting.account, user: setting.ada, 7), record(4, user: setting.ada, charge: 0),
        ])
        func sums(_ dimension: UsageDimension?, user: Int64? = nil) async throws -> [String: Int64] {
            let query = UsageQuery(
                [0..<86_400], filter: UsageFilter(userID: user, accountID: setting.account), by: dimension)
            let rows = try await store.usage(query)
            return Dictionary(uniqueKeysWithValues: rows.map { ($0.key, $0.sums.charge.nanos) })
        }
        #expect(try await sums(nil) == ["": 42])
        #expect(try await sums(.user) == ["\(setting.bob)": 35, "\(setting.ada)": 7])
        #expect(try await sums(.model) == ["m": 37, "n": 5])
        #expect(try await sums(.token, user: setting.bob) == ["7": 35])
        #expect(try await store.verify().differences == [])
    }

    @Test(arguments: StoreFactory.all)
    func `a hold of days and a correction are the organisation's`(_ factory: StoreFactory) async throws {
        let setting = try await setting(factory)
        let (store, bob, account) = (setting.store, setting.bob, setting.account)
        let life = try await store.joined("one")
        _ = try await store.acquireLease(userID: account, needed: nanos(400), holder: life, now: 100)
        let hold = LongHold(
            requestID: RequestID(bits: 9), kind: .batch, userID: bob, tokenID: 7, channelID: 8, keyMark: "mark", provider: "vendor",
            model: "m", upstreamModel: "m", endpoint: .chat, amount: nanos(300), ratio: PriceRatio(millionths: 1_000_000),
            pricingVersion: 0, clientIP: "::1", nextAt: 400, deadline: 9_000, createdAt: 300, accountID: account)
        #expect(try await store.openLongHold(hold, holder: life, now: 310) == LeaseState(balance: nanos(700), lease: nanos(100)))
        #expect(try await store.longHold(RequestID(bits: 9)) == hold)
        #expect(try await store.openLongHolds(userID: account).count == 1)
        #expect(try await store.openLongHolds(userID: bob).count == 0)
        let count = try await store.countLongHolds(.batch, userID: bob, accountID: account, tokenID: 7)
        #expect(count == LongHoldCount(ofKey: 1, ofUser: 1, ofMember: 1, ofAccount: 1, all: 1))
        let own = try await store.countLongHolds(.batch, userID: bob, accountID: nil, tokenID: nil)
        #expect(own == LongHoldCount(ofUser: 1, all: 1))
        #expect(try await store.endLongHold(paid(9, by: account, user: bob, 120), now: 900))
        #expect(try await store.user(id: account)?.balance == nanos(880))

        let row = try #require(try await store.dueReconciliations(now: 1_000, limit: 10).first)
        #expect(row.requestID == RequestID(bits: 9) && row.payer == account)
        try await store.reconcile(row.requestID, usage: Usage(output: 1), bill: Bill(charge: nanos(100)), cost: nil, now: 1_100)
        #expect(try await store.user(id: account)?.balance == nanos(900))
        #expect(try await store.verify().differences == [])
    }

    @Test(arguments: StoreFactory.all)
    func `whoever leaves has no keys there, and an organisation keeps an owner`(_ factory: StoreFactory) async throws {
        let setting = try await setting(factory)
        let (store, ada, bob, account) = (setting.store, setting.ada, setting.bob, setting.account)
        var keys: [Int64] = []
        for (number, payer) in [(1, account), (2, nil)] as [(UInt8, Int64?)] {
            let token = Token(
                userID: bob, keyHash: Array(repeating: number, count: 32), keyPrefix: "sk-", name: "k", createdAt: 1, accountID: payer)
            keys.append(try await store.createToken(token, audit: .some).id)
        }
        #expect(try await store.token(id: keys[0])?.accountID == account)
        var query = TokenQuery(userID: bob)
        query.isOwn = true
        #expect(try await store.tokens(query).items.map(\.id) == [keys[1]])
        query = TokenQuery(userID: nil)
        query.accountID = account
        #expect(try await store.tokens(query).items.map(\.id) == [keys[0]])

        await #expect(throws: StoreError.self) { try await store.removeMember(account, userID: ada, audit: .some) }
        await #expect(throws: StoreError.self) {
            try await store.setMember(
                OrganizationMembership(accountID: account, userID: ada, role: .admin, createdAt: 1),
                before: try await store.membership(account, userID: ada), most: 10, audit: .some)
        }
        await #expect(throws: StoreError.self) { try await store.deleteUser(id: ada, audit: .some) }
        #expect(try await store.onlyOwned(by: ada).map(\.id) == [account])
        #expect(try await store.removeMember(account, userID: bob, audit: .some).map(\.id) == [keys[0]])
        #expect(try await store.token(id: keys[0])?.status == .disabled)
        #expect(try await store.token(id: keys[1])?.status == .enabled)
        #expect(try await store.membership(account, userID: bob) == nil)
        await #expect(throws: StoreError.notFound) { _ = try await store.removeMember(account, userID: bob, audit: .some) }
        #expect(try await store.organizations(of: bob).isEmpty)
        #expect(try await store.organizations(of: ada).map(\.role) == [.owner])

        // Whoever has another picture of a member changes nothing.
        await #expect(throws: StoreError.self) {
            try await store.setMember(
                OrganizationMembership(accountID: account, userID: bob, role: .member, createdAt: 1),
                before: OrganizationMembership(accountID: account, userID: bob, role: .billing, createdAt: 1), most: 10, audit: .some)
        }
        // One with money in its books is kept as a name that can do nothing; before, the money has to go.
        await #expect(throws: StoreError.self) { try await store.deleteUser(id: account, audit: .some) }
        var taken = credit(ada, -1_000, "end", .adjustment)
        taken.accountID = account
        _ = try await store.post(taken, audit: .some)
        try await store.deleteUser(id: account, audit: .some)
        #expect(try await store.user(id: account)?.status == .disabled)
        #expect(try await store.allMemberships().isEmpty)
        #expect(try await store.token(id: keys[0]) == nil)
        try await store.deleteUser(id: ada, audit: .some)
        #expect(try await store.verify().differences == [])
    }

    @Test(arguments: StoreFactory.all)
    func `an invitation is used once, by one of many who ask at once`(_ factory: StoreFactory) async throws {
        let setting = try await setting(factory)
        let (store, account) = (setting.store, setting.account)
        let hash = Array(repeating: UInt8(3), count: 32)
        let invitation = Invitation(accountID: account, role: .billing, createdBy: setting.ada, expiresAt: 1_000, createdAt: 100)
        let made = try await store.createInvitation(invitation, hash: hash, most: 1, audit: .some)
        await #expect(throws: StoreError.self) {
            _ = try await store.createInvitation(invitation, hash: [1], most: 1, audit: .some)
        }
        #expect(try await store.invitations(of: account, now: 999).map(\.id) == [made.id])
        #expect(try await store.invitations(of: account, now: 1_000).isEmpty)
        func join(_ user: Int64, at now: Int64 = 200, _ hash: [UInt8] = Array(repeating: 3, count: 32)) async throws -> InvitationProblem? {
            do {
                _ = try await store.join(hash: hash, userID: user, most: 3, now: now, audit: .some)
                return nil
            } catch let problem as InvitationProblem { return problem }
        }
        #expect(try await join(setting.bob) == .alreadyMember)
        #expect(try await join(setting.bob, [1]) == .unknown)
        var others: [Int64] = []
        for name in ["c", "d", "e"] { others.append(try await store.createUser(newUser(name)).id) }
        #expect(try await join(others[0], at: 1_000) == .expired)
        let problems = try await withThrowingTaskGroup(of: InvitationProblem?.self) { group in
            for user in others { group.addTask { try await join(user) } }
            return try await group.reduce(into: []) { $0.append($1) }
        }
        #expect(problems.filter { $0 == nil }.count == 1 && problems.filter { $0 == .used }.count == 2, "\(problems)")
        let members = try await store.members(of: account, matching: nil, after: 0, size: 10)
        #expect(members.count == 3 && members.last?.membership.role == .billing)
        #expect(try await store.members(of: account, matching: "AD", after: 0, size: 10).map(\.username) == ["ada"])
        #expect(try await store.members(of: account, matching: nil, after: members[0].membership.userID, size: 1).count == 1)
        await #expect(throws: StoreError.notFound) {
            try await store.deleteInvitation(made.id, of: account, audit: .some)
        }
        // A link does not outlive the rights of whoever made it.
        let bobs = Invitation(accountID: account, role: .owner, createdBy: setting.bob, expiresAt: 1_000, createdAt: 100)
        _ = try await store.createInvitation(bobs, hash: [7], most: 9, audit: .some)
        _ = try await store.removeMember(account, userID: setting.bob, audit: .some)
        #expect(try await join(setting.bob, [7]) == .unknown)
    }

    @Test(arguments: StoreFactory.all)
    func `organisations are no users`(_ factory: StoreFactory) async throws {
        let setting = try await setting(factory)
        let store = setting.store
        #expect(try await store.userForLogin(username: "org:1") == nil)
        #expect(try await store.users(UserQuery()).items.map(\.id).sorted() == [setting.ada, setting.bob])
        #expect(try await store.countUsers() == ["default": 2])
        #expect(try await store.organizations(matching: "SEAR", before: .max, size: 5).items.map(\.id) == [setting.account])
        #expect(try await store.organizations(matching: "\(setting.account)", before: .max, size: 5).items.count == 1)
        #expect(try await store.organizations(matching: nil, before: setting.account, size: 5).items.isEmpty)
        #expect(try await store.allUsers().count == 3)
    }
}
