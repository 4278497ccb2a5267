import PostgresTesting
import RouterCore
import Storage
import Testing

/// Leases, budgets, corrections and reports: what every store must do.
@Suite(.timeLimit(.minutes(10)))
struct BooksConformance {
    private func rich(_ store: any Store, _ name: String = "ada", _ nanos: Int64 = 1_000) async throws -> User {
        let user = try await store.createUser(newUser(name))
        if nanos != 0 { _ = try await store.post(credit(user.id, nanos, "start of \(name)")) }
        return user
    }

    private func nanos(_ value: Int64) -> NanoUSD { NanoUSD(nanos: value) }

    // MARK: Leases

    @Test(arguments: StoreFactory.all)
    func `a large balance is leased in parts, a small one as needed, never more than there is`(_ factory: StoreFactory) async throws {
        let store = try await factory.open()
        let user = try await rich(store)
        let one = try await store.joined("one")
        let two = try await store.joined("two")
        let first = try await store.acquireLease(userID: user.id, needed: nanos(10), holder: one, now: 100)
        #expect(first == LeaseState(balance: nanos(1_000), lease: nanos(125)))
        let second = try await store.acquireLease(userID: user.id, needed: nanos(700), holder: two, now: 100)
        #expect(second == LeaseState(balance: nanos(1_000), lease: nanos(700), leasedElsewhere: nanos(125)))
        let third = try await store.acquireLease(userID: user.id, needed: nanos(300), holder: one, now: 100)
        #expect(third == LeaseState(balance: nanos(1_000), lease: nanos(300), leasedElsewhere: nanos(700)))
        try await store.returnLease(userID: user.id, amount: nanos(650), holder: two, now: 100)
        let fourth = try await store.acquireLease(userID: user.id, needed: nanos(600), holder: one, now: 100)
        #expect(fourth == LeaseState(balance: nanos(1_000), lease: nanos(900), leasedElsewhere: nanos(50)))
        #expect(try await store.acquireLease(userID: 999, needed: nanos(1), holder: one, now: 100) == nil)
        #expect(try await store.verify().differences == [])
    }

    @Test(arguments: StoreFactory.all)
    func `a posting takes its charge out of the balance and out of the lease at once`(_ factory: StoreFactory) async throws {
        let store = try await factory.open()
        let user = try await rich(store)
        let one = try await store.joined("one")
        _ = try await store.acquireLease(userID: user.id, needed: nanos(400), holder: one, now: 100)
        let group = [record(1, user: user.id, charge: 150), record(2, user: user.id, charge: 50)]
        for isNew in [true, false] {
            let result = try await store.post(group, holder: one)
            #expect(result.charges == (isNew ? [user.id: nanos(200)] : [:]))
            #expect(result.states == [user.id: LeaseState(balance: nanos(800), lease: nanos(200))])
        }
        // More than the lease: the rest comes out of the balance, the lease is empty.
        let late = try await store.post([record(3, user: user.id, charge: 300)], holder: one)
        #expect(late.states == [user.id: LeaseState(balance: nanos(500), lease: .zero)])
        // A gateway without a lease posts all the same.
        let other = try await store.post([record(4, user: user.id, charge: 1)], holder: gateway("two"))
        #expect(other.states == [user.id: LeaseState(balance: nanos(499), lease: .zero)])
    }

    @Test(arguments: StoreFactory.all)
    func `the leases of a silent gateway come back, and what it owes is posted even so late`(_ factory: StoreFactory) async throws {
        let store = try await factory.open()
        let user = try await rich(store)
        let dead = try await store.joined("dead")
        let heir = try await store.joined("heir")
        _ = try await store.acquireLease(userID: user.id, needed: nanos(1_000), holder: dead, now: 100)
        // No clock of the ledger ends a lease, however late it is.
        let none = try await store.acquireLease(userID: user.id, needed: nanos(1), holder: heir, now: 1_000_000)
        #expect(none == LeaseState(balance: nanos(1_000), lease: .zero, leasedElsewhere: nanos(1_000)))
        let seen = try #require(try await store.gateways(now: 100).first { $0.incarnation == dead.incarnation })
        #expect(try await store.beat(dead, now: 101).contains { $0.incarnation == dead.incarnation && $0.beats == seen.beats + 1 })
        // There was a sign of life since the observer looked.
        #expect(try await store.reap(dead.incarnation, beats: seen.beats) == false)
        #expect(try await store.reap(dead.incarnation, beats: seen.beats + 1))
        let all = try await store.acquireLease(userID: user.id, needed: nanos(1_000), holder: heir, now: 100)
        #expect(all == LeaseState(balance: nanos(1_000), lease: nanos(1_000)))
        // It wakes up and may not spend; what it owes is posted.
        await #expect(throws: StoreError.fenced) { try await store.beat(dead, now: 102) }
        await #expect(throws: StoreError.fenced) { try await store.acquireLease(userID: user.id, needed: nanos(1), holder: dead, now: 102) }
        let late = try await store.post([record(1, user: user.id, charge: 70)], holder: dead)
        #expect(late.states == [user.id: LeaseState(balance: nanos(930), lease: .zero)])
        #expect(try await store.verify().differences == [])
    }

    @Test(arguments: StoreFactory.all)
    func `a gateway that starts again takes its leases over, and its earlier life is fenced`(_ factory: StoreFactory) async throws {
        let store = try await factory.open()
        let user = try await rich(store)
        let old = try await store.joined("one")
        _ = try await store.acquireLease(userID: user.id, needed: nanos(400), holder: old, now: 100)
        let new = gateway("one", life: 2)
        #expect(try await store.claim(new, now: 110) == .granted(earlier: 1))
        #expect(try await store.claim(new, now: 110) == .granted(earlier: 1), "a claim whose answer was lost is made again")
        await #expect(throws: StoreError.fenced) { try await store.beat(old, now: 110) }
        await #expect(throws: StoreError.fenced) { try await store.acquireLease(userID: user.id, needed: nanos(1), holder: old, now: 120) }
        // Only lives whose journal is here.
        #expect(try await store.takeOver(["another"], by: new) == [])
        #expect(try await store.leases(of: new) == [:])
        #expect(try await store.takeOver([old.incarnation], by: new) == [old.incarnation])
        #expect(try await store.leases(of: new) == [user.id: LeaseState(balance: nanos(1_000), lease: nanos(400))])
        #expect(try await store.leaseState(userID: user.id, holder: old) == LeaseState(balance: nanos(1_000), lease: .zero))
        #expect(try await store.takeOver([old.incarnation], by: new) == [])
        #expect(try await store.beat(new, now: 120).map(\.incarnation) == [new.incarnation])
        // With money out, the life stays; without, it goes.
        try await store.leave(new)
        #expect(try await store.gateways(now: 120).map(\.incarnation) == [new.incarnation])
        try await store.returnLease(userID: user.id, amount: nanos(400), holder: new, now: 120)
        try await store.leave(new)
        #expect(try await store.gateways(now: 120).isEmpty)
    }

    @Test(arguments: StoreFactory.all)
    func `a life takes over only from its own gateway, and only when it has the identity`(_ factory: StoreFactory) async throws {
        let store = try await factory.open()
        let user = try await rich(store)
        let one = try await store.joined("one")
        let two = try await store.joined("two")
        _ = try await store.acquireLease(userID: user.id, needed: nanos(400), holder: one, now: 100)
        #expect(try await store.takeOver([one.incarnation], by: two) == [])
        #expect(try await store.leases(of: one) == [user.id: LeaseState(balance: nanos(1_000), lease: nanos(400))])
    }

    @Test(arguments: StoreFactory.all)
    func `an exclusive gateway leases all, and a user with a lease can be deleted`(_ factory: StoreFactory) async throws {
        let store = try await factory.open()
        let user = try await rich(store)
        let only = try await store.joined("only", isExclusive: true)
        let all = try await store.acquireLease(userID: user.id, needed: .zero, holder: only, now: 100)
        #expect(all?.lease == nanos(1_000))
        let poor = try await rich(store, "poor", 0)
        let nothing = try await store.acquireLease(userID: poor.id, needed: nanos(5), holder: only, now: 100)
        #expect(nothing == LeaseState(balance: .zero, lease: .zero))
        try await store.deleteUser(id: poor.id)
        #expect(try await store.user(id: poor.id) == nil)
    }

    @Test(arguments: StoreFactory.all)
    func `audit 5: a lease goes down to the floor and not below`(_ factory: StoreFactory) async throws {
        let store = try await factory.open()
        let user = try await rich(store, "ada", 100)
        let one = try await store.joined("one")
        let two = try await store.joined("two")
        // A reserve: 60 of 100 can be leased.
        let kept = try await store.acquireLease(userID: user.id, needed: nanos(200), floor: nanos(40), holder: one, now: 100)
        #expect(kept == LeaseState(balance: nanos(100), lease: nanos(60)))
        let none = try await store.acquireLease(userID: user.id, needed: nanos(1), floor: nanos(40), holder: two, now: 100)
        #expect(none == LeaseState(balance: nanos(100), lease: .zero, leasedElsewhere: nanos(60)))
        // Credit: another 40 to zero, and 50 below it.
        let credit = try await store.acquireLease(userID: user.id, needed: nanos(500), floor: nanos(-50), holder: two, now: 100)
        #expect(credit == LeaseState(balance: nanos(100), lease: nanos(90), leasedElsewhere: nanos(60)))
        // What is leased as credit is spent like money; the balance bears it.
        let posted = try await store.post([record(1, user: user.id, charge: 90)], holder: two)
        #expect(posted.states == [user.id: LeaseState(balance: nanos(10), lease: .zero)])
        let last = try await store.post([record(2, user: user.id, charge: 60)], holder: one)
        #expect(last.states == [user.id: LeaseState(balance: nanos(-50), lease: .zero)])
        let spent = try await store.acquireLease(userID: user.id, needed: nanos(1), floor: nanos(-50), holder: one, now: 100)
        #expect(spent == LeaseState(balance: nanos(-50), lease: .zero))
        // The only gateway of its ledger leases the credit at once.
        let poor = try await rich(store, "poor", 0)
        let only = try await store.joined("only", isExclusive: true)
        let all = try await store.acquireLease(userID: poor.id, needed: nanos(1), floor: nanos(-70), holder: only, now: 100)
        #expect(all == LeaseState(balance: .zero, lease: nanos(70)))
        #expect(try await store.verify().differences == [])
    }

    // MARK: Budgets

    @Test(arguments: StoreFactory.all)
    func `spending is counted by key and user, by month and day of UTC`(_ factory: StoreFactory) async throws {
        let store = try await factory.open()
        let user = try await rich(store)
        let evening: Int64 = 1_795_651_199
        let records = [
            record(1, user: user.id, charge: 10, createdAt: evening), record(2, user: user.id, charge: 5, createdAt: evening + 1),
            record(3, user: user.id, charge: nil, createdAt: evening), record(4, user: user.id, charge: 0, createdAt: evening),
        ]
        _ = try await store.post(records)
        _ = try await store.post(records)
        let counters = BudgetCounter.all(ChargedAccount(userID: user.id), tokenID: 7, at: evening)
        let spent = try await store.spending(counters)
        #expect(spent.count == 6)
        for scope in [BudgetScope.user(user.id), .key(7)] {
            #expect(spent[BudgetCounter(scope: scope, window: 0)] == nanos(15))
            #expect(spent[BudgetCounter(scope: scope, window: 202_611)] == nanos(15))
            #expect(spent[BudgetCounter(scope: scope, window: 2026_11_25)] == nanos(10))
        }
        #expect(try await store.spending([BudgetCounter(scope: .key(8), window: 0)]) == [:])
        var change = UserChange()
        change.limits = #"{"budget":{"day":1}}"#
        #expect(try await store.changeUser(id: user.id, change).limits == change.limits)
    }

    // MARK: Refunds

    @Test(arguments: StoreFactory.all)
    func `a charge is refunded once and at most the charge`(_ factory: StoreFactory) async throws {
        let store = try await factory.open()
        let user = try await rich(store)
        _ = try await store.post([record(1, user: user.id, charge: 100), record(2, user: user.id, charge: 40)])
        let id = RequestID(bits: 1).description
        await #expect(throws: StoreError.self) {
            try await store.refund(reference: id, amount: nanos(101), description: "too much", now: 500)
        }
        let refund = try await store.refund(reference: id, amount: nanos(60), description: "sorry", now: 500)
        #expect(refund.isNew && refund.entry.amount == nanos(60) && refund.entry.kind == .refund && refund.entry.balanceAfter == nanos(920))
        let again = try await store.refund(reference: id, amount: nanos(60), description: "sorry", now: 501)
        #expect(!again.isNew && again.entry == refund.entry)
        await #expect(throws: StoreError.self) {
            try await store.refund(reference: id, amount: nanos(40), description: "the rest", now: 502)
        }
        let whole = try await store.refund(reference: RequestID(bits: 2).description, amount: nil, description: "", now: 503)
        #expect(whole.entry.amount == nanos(40))
        await #expect(throws: StoreError.notFound) {
            try await store.refund(reference: "start of ada", amount: nil, description: "", now: 504)
        }
        #expect(try await store.verify().differences == [])
    }

    @Test(arguments: StoreFactory.all)
    func `many at once give one refund`(_ factory: StoreFactory) async throws {
        let store = try await factory.open()
        let user = try await rich(store)
        _ = try await store.post([record(1, user: user.id, charge: 100)])
        let id = RequestID(bits: 1).description
        let new = try await withThrowingTaskGroup(of: Bool.self) { group in
            for _ in 0..<16 {
                group.addTask { try await store.refund(reference: id, amount: nil, description: "", now: 500).isNew }
            }
            return try await group.reduce(0) { $0 + ($1 ? 1 : 0) }
        }
        #expect(new == 1)
        #expect(try await store.user(id: user.id)?.balance == nanos(1_000))
    }

    // MARK: Reconciliation

    @Test(arguments: StoreFactory.all)
    func `an estimate is corrected by an adjustment that names the original, once`(_ factory: StoreFactory) async throws {
        let store = try await factory.open()
        let user = try await rich(store)
        var unnamed = record(2, user: user.id, charge: 9)
        unnamed.generationID = nil
        var exact = record(3, user: user.id, charge: 9)
        exact.usageSource = .upstream
        _ = try await store.post([record(1, user: user.id, charge: 100), unnamed, exact])
        let open = try await store.reconciliations(nil, open: true, PageRequest())
        #expect(open.total == 2 && Set(open.items.map(\.state)) == [.pending, .unresolved])
        #expect(try await store.dueReconciliations(now: 301, limit: 10).isEmpty)
        let due = try await store.dueReconciliations(now: 302, limit: 10)
        #expect(due.map(\.requestID) == [RequestID(bits: 1)] && due.first?.generationID == "gen-1" && due.first?.charge == nanos(100))
        // Claimed: nobody else gets it now.
        #expect(try await store.dueReconciliations(now: 302, limit: 10).isEmpty)
        try await store.postponeReconciliation(RequestID(bits: 1), nextAt: 310, note: "404")
        #expect(try await store.dueReconciliations(now: 310, limit: 10).first?.tries == 1)
        let usage = Usage(uncachedInput: 7, cacheRead: 2, output: 11, reasoning: 3, upstreamCost: FemtoUSD(femtos: 5_000_000))
        for _ in 0..<2 { try await store.reconcile(RequestID(bits: 1), usage: usage, bill: Bill(charge: nanos(130)), cost: nil, now: 400) }
        let rows = try await store.entries(userID: user.id, kind: .adjustment, PageRequest()).items
        #expect(rows.count == 1 && rows.first?.amount == nanos(-30))
        #expect(rows.first?.referenceID == "\(RequestID(bits: 1)):reconciled")
        #expect(rows.first?.description.contains(RequestID(bits: 1).description) == true)
        var query = LogQuery()
        query.requestID = RequestID(bits: 1)
        let log = try #require(try await store.logs(query).items.first?.record)
        #expect(log.usageSource == .reconciled && log.charge == nanos(130) && log.usage.promptTokens == 9 && log.usage.output == 11 - 2)
        // A refund may give back what the correction added.
        let refund = try await store.refund(reference: RequestID(bits: 1).description, amount: nil, description: "", now: 500)
        #expect(refund.entry.amount == nanos(130))
        try await store.postponeReconciliation(RequestID(bits: 1), nextAt: nil, note: "never")
        #expect(try await store.reconciliations(.resolved, open: false, PageRequest()).items.first?.note == "the vendor says $0.00000013")
        #expect(try await store.verify().differences == [])
    }

    @Test(arguments: StoreFactory.all)
    func `what was refunded is not corrected afterwards`(_ factory: StoreFactory) async throws {
        let store = try await factory.open()
        let user = try await rich(store)
        _ = try await store.post([record(1, user: user.id, charge: 100)])
        let id = RequestID(bits: 1)
        #expect(try await store.refund(reference: id.description, amount: nil, description: "", now: 300).entry.amount == nanos(100))
        try await store.reconcile(id, usage: Usage(uncachedInput: 1, output: 1), bill: Bill(charge: nanos(20)), cost: nil, now: 400)
        #expect(try await store.entries(userID: user.id, kind: .adjustment, PageRequest()).total == 0)
        #expect(try await store.dueReconciliations(now: 100_000, limit: 10).isEmpty)
        let open = try await store.reconciliations(nil, open: true, PageRequest()).items
        #expect(open.map(\.state) == [.unresolved] && open.first?.note == "the charge was refunded")
        #expect(try await store.verify().differences == [])
    }

    @Test(arguments: StoreFactory.all)
    func `an estimate that was right needs no row, and one that was too high gives back`(_ factory: StoreFactory) async throws {
        let store = try await factory.open()
        let user = try await rich(store)
        _ = try await store.post([record(1, user: user.id, charge: 100), record(2, user: user.id, charge: 100)])
        try await store.reconcile(RequestID(bits: 1), usage: Usage(), bill: Bill(charge: nanos(100)), cost: nil, now: 400)
        try await store.reconcile(RequestID(bits: 2), usage: Usage(), bill: Bill(charge: .zero), cost: nil, now: 400)
        #expect(try await store.entries(userID: user.id, kind: .adjustment, PageRequest()).items.map(\.amount) == [nanos(100)])
        #expect(try await store.user(id: user.id)?.balance == nanos(900))
        #expect(try await store.verify().differences == [])
    }

    // MARK: Reports

    @Test(arguments: StoreFactory.all)
    func `rows of a time range come in order and in groups`(_ factory: StoreFactory) async throws {
        let store = try await factory.open()
        let user = try await rich(store)
        _ = try await store.post((1...5).map { record($0, user: user.id, charge: Int64($0), createdAt: 1_000 + Int64($0)) })
        let first = try await store.entries(in: 1_002..<1_005, after: 0, limit: 2)
        #expect(first.map(\.amount.nanos) == [-2, -3])
        let rest = try await store.entries(in: 1_002..<1_005, after: first[1].id, limit: 2)
        #expect(rest.map(\.amount.nanos) == [-4])
    }

    @Test(arguments: StoreFactory.all)
    func `margin and upstream cost are summed`(_ factory: StoreFactory) async throws {
        let store = try await factory.open()
        let user = try await rich(store)
        var unknown = record(3, user: user.id, charge: 7)
        unknown.usage.upstreamCost = nil
        unknown.vendorCost = nil
        // As a program wrote it that knew only what the vendor reported; and attempts that all failed, and were billed.
        var old = record(2, user: user.id, charge: 3_000)
        old.vendorCost = nil
        var failed = record(5, user: user.id, charge: nil)
        failed.vendorCost = VendorCost(NanoUSD(nanos: 10), .computed)
        failed.usage.upstreamCost = nil
        _ = try await store.post([
            record(1, user: user.id, charge: 2_000), old, unknown,
            record(4, user: user.id, charge: 1, createdAt: 90_000), failed,
        ])
        // The cost of what was not charged counts as well.
        let margin = try await store.margins(in: 0..<1_000)
        #expect(
            margin == [
                MarginRow(
                    model: "openai/gpt-4o", channelID: 8, requests: 3, charged: nanos(5_007), upstreamCost: nanos(2_468),
                    cost: nanos(1_300 + 1_234 + 10), unknownCost: 1, unknownCharge: nanos(7))
            ])
        #expect(margin.first?.margin == nanos(5_000 - 2_544))
        let days = try await store.upstreamCosts(provider: "vendor", in: 0..<200_000)
        #expect(
            days == [
                DailyCost(day: "1970-01-01", requests: 3, upstreamCost: nanos(2_468)),
                DailyCost(day: "1970-01-02", requests: 1, upstreamCost: nanos(1_234)),
            ])
        #expect(try await store.upstreamCosts(provider: "other", in: 0..<200_000) == [])
    }

    @Test(arguments: StoreFactory.all)
    func `a price can be had by its version when it has changed since`(_ factory: StoreFactory) async throws {
        let store = try await factory.open()
        let old = ModelPrice(rates: .init(input: FemtoUSD(femtos: 17_030_120), output: FemtoUSD(femtos: 5)), request: FemtoUSD(femtos: 9))
        let first = try await store.setPrice(PricingRow(modelName: "m", price: old), now: 1)
        _ = try await store.setPrice(PricingRow(modelName: "m", price: .free), now: 2)
        #expect(try await store.price(version: first.version) == old)
        #expect(try await store.price(version: 0) == nil)
    }

    @Test(arguments: StoreFactory.all)
    func `a record that the database refuses is set aside and named`(_ factory: StoreFactory) async throws {
        let store = try await factory.open()
        let user = try await rich(store)
        let one = try await store.joined("one")
        _ = try await store.acquireLease(userID: user.id, needed: nanos(500), holder: one, now: 100)
        // Charges of nine billion dollars on top of others leave the range of amounts; nobody has the id 999.
        let result = try await store.post(
            [
                record(1, user: user.id, charge: 10), record(2, user: user.id, charge: .max), record(3, user: 999, charge: 5),
                record(4, user: user.id, charge: .max), record(5, user: user.id, charge: 20),
            ], holder: one)
        #expect(Set(result.setAside.keys) == Set([2, 3, 4].map { RequestID(bits: $0) }))
        #expect(try await store.entries(userID: user.id, kind: .usage, PageRequest()).total == 2)
        #expect(result.states[user.id]?.balance == (try await store.user(id: user.id)?.balance))
        // One alone fits; what comes after it is still posted, although the counters of spending are at their end.
        let other = try await rich(store, "other", 0)
        _ = try await store.post([record(6, user: other.id, charge: .max)], holder: one)
        let next = try await store.post([record(7, user: user.id, charge: 5)], holder: one)
        #expect(next.charges == [user.id: nanos(5)])
        #expect(try await store.spending([BudgetCounter(scope: .key(7), window: 0)]).values.first == .max)
        #expect(try await store.verify().differences == [])
    }
}
