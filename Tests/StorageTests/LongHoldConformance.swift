import RouterCore
import Storage
import Testing

/// Holds that last for days: what every store must do.
@Suite(.timeLimit(.minutes(10)))
struct LongHoldConformance {
    private func nanos(_ value: Int64) -> NanoUSD { NanoUSD(nanos: value) }

    private func rich(_ store: any Store, _ nanos: Int64 = 1_000) async throws -> Int64 {
        let user = try await store.createUser(newUser("ada"))
        _ = try await store.post(credit(user.id, nanos, "start"))
        return user.id
    }

    private func hold(_ id: Int, user: Int64, amount: Int64, object: String? = nil, nextAt: Int64 = 400) -> LongHold {
        LongHold(
            requestID: RequestID(bits: UInt128(id)), kind: .batch, userID: user, tokenID: 7, channelID: 8, keyMark: "mark",
            provider: "vendor", model: "openai/gpt-4o", upstreamModel: "gpt-4o", endpoint: .chat, objectID: object, amount: nanos(amount),
            ceiling: nanos(90), ratio: PriceRatio(millionths: 1_500_000), pricingVersion: 0, detail: #"{"a":1}"#, clientIP: "::1",
            nextAt: nextAt, deadline: 9_000, createdAt: 300)
    }

    private func references(_ store: any Store, _ user: Int64) async throws -> [String: Int64] {
        let rows = try await store.entries(userID: user, kind: nil, PageRequest(page: 1, size: 100)).items
        return Dictionary(uniqueKeysWithValues: rows.map { ("\($0.kind.rawValue) \($0.referenceID)", $0.amount.nanos) })
    }

    @Test(arguments: StoreFactory.all)
    func `an open hold is out of the balance and the lease, and a charge ends it once`(_ factory: StoreFactory) async throws {
        let store = try await factory.open()
        let user = try await rich(store)
        let one = try await store.joined("one")
        _ = try await store.acquireLease(userID: user, needed: nanos(400), holder: one, now: 100)
        let opened = try await store.openLongHold(hold(1, user: user, amount: 300), holder: one, now: 310)
        #expect(opened == LeaseState(balance: nanos(700), lease: nanos(100)))
        #expect(try await store.openLongHolds(userID: user) == (1, nanos(300)))
        #expect(try await store.openLongHolds(channelID: 8) == 1)
        #expect(try await store.openLongHolds(channelID: 9) == 0)
        #expect(
            try await store.countLongHolds(.batch, userID: user, accountID: nil, tokenID: 7)
                == LongHoldCount(ofKey: 1, ofUser: 1, ofMember: 1, ofAccount: 1, all: 1))
        #expect(try await store.countLongHolds(.batch, userID: user + 1, accountID: nil, tokenID: nil) == LongHoldCount(all: 1))
        #expect(try await store.openLongHolds(.batch) == [RequestID(bits: 1)])
        #expect(try await store.openLongHolds(.response) == [])
        #expect(try await store.countLongHolds(.response, userID: user, accountID: nil, tokenID: nil) == LongHoldCount())
        let total = BudgetCounter(scope: .user(user), window: 0)
        let key = BudgetCounter(scope: .key(7), window: BudgetWindow.day.number(at: 300))
        #expect(try await store.spending([total, key]) == [total: nanos(300), key: nanos(300)])
        #expect(try await store.verify().differences == [])

        let found = try #require(try await store.longHold(RequestID(bits: 1)))
        #expect(found == hold(1, user: user, amount: 300))
        for isNew in [true, false] {
            #expect(try await store.endLongHold(record(1, user: user, charge: 120), now: 900) == isNew)
        }
        let id = RequestID(bits: 1)
        #expect(
            try await references(store, user)
                == ["recharge start": 1_000, "adjustment \(id):held": -300, "adjustment \(id):released": 300, "usage \(id)": -120])
        #expect(try await store.leaseState(userID: user, holder: one) == LeaseState(balance: nanos(880), lease: nanos(100)))
        #expect(try await store.spending([total, key]) == [total: nanos(120), key: nanos(120)])
        let ended = try #require(try await store.longHold(id))
        #expect(ended.state == .ended && ended.endedAt == 900)
        #expect(try await store.openLongHolds(userID: user) == (0, .zero))
        #expect(try await store.openLongHolds(channelID: 8) == 0)
        #expect(try await store.openLongHolds(.batch) == [])
        #expect(try await store.bindLongHold(id, objectID: "late", nextAt: 1) == false)
        #expect(try await store.verify().differences == [])
    }

    @Test(arguments: StoreFactory.all)
    func `a void ends a hold with a log row and no charge, and a free one moves nothing`(_ factory: StoreFactory) async throws {
        let store = try await factory.open()
        let user = try await rich(store)
        let one = try await store.joined("one")
        _ = try await store.openLongHold(hold(1, user: user, amount: 300), holder: one, now: 310)
        _ = try await store.openLongHold(hold(2, user: user, amount: 0), holder: one, now: 310)
        #expect(try await store.endLongHold(record(1, user: user, charge: nil), now: 900))
        #expect(try await store.endLongHold(record(2, user: user, charge: 0), now: 900))
        #expect(try await store.endLongHold(record(3, user: user, charge: 5), now: 900) == false, "there is no such hold")
        #expect(try await store.leaseState(userID: user, holder: one)?.balance == nanos(1_000))
        let first = "\(RequestID(bits: 1))"
        #expect(
            try await references(store, user) == [
                "recharge start": 1_000, "adjustment \(first):held": -300, "adjustment \(first):released": 300,
                "usage \(RequestID(bits: 2))": 0,
            ])
        #expect(try await store.logs(LogQuery(page: PageRequest())).items.count == 2)
        #expect(try await store.verify().differences == [])
    }

    @Test(arguments: StoreFactory.all)
    func `a charge that the ledger has already only gives the hold back`(_ factory: StoreFactory) async throws {
        let store = try await factory.open()
        let user = try await rich(store)
        let one = try await store.joined("one")
        _ = try await store.openLongHold(hold(1, user: user, amount: 300), holder: one, now: 310)
        // As a replay of a gateway's journal into a restored ledger does.
        _ = try await store.post([record(1, user: user, charge: 120)])
        #expect(try await store.endLongHold(record(1, user: user, charge: 120), now: 900))
        #expect(try await store.leaseState(userID: user, holder: one)?.balance == nanos(880))
        #expect(try await store.verify().differences == [])
    }

    @Test(arguments: StoreFactory.all)
    func `a hold opens for a life that may spend, for a user who is there, and once`(_ factory: StoreFactory) async throws {
        let store = try await factory.open()
        let user = try await rich(store)
        let old = try await store.joined("one")
        let new = try await store.joined("one", life: 2)
        await #expect(throws: StoreError.fenced) { try await store.openLongHold(hold(1, user: user, amount: 300), holder: old, now: 310) }
        await #expect(throws: StoreError.notFound) { try await store.openLongHold(hold(1, user: 99, amount: 300), holder: new, now: 310) }
        #expect(try await store.longHold(RequestID(bits: 1)) == nil)
        _ = try await store.openLongHold(hold(1, user: user, amount: 300), holder: new, now: 310)
        await #expect(throws: StoreError.duplicate("request_id")) {
            try await store.openLongHold(hold(1, user: user, amount: 300), holder: new, now: 310)
        }
        #expect(try await store.leaseState(userID: user, holder: new)?.balance == nanos(700))
        #expect(try await store.verify().differences == [])
    }

    @Test(arguments: StoreFactory.all)
    func `an object belongs to one hold, and a due hold to one claim at a time`(_ factory: StoreFactory) async throws {
        let store = try await factory.open()
        let user = try await rich(store)
        let one = try await store.joined("one")
        for id in 1...3 {
            _ = try await store.openLongHold(hold(id, user: user, amount: 10, nextAt: 400 + Int64(id)), holder: one, now: 310)
        }
        let ids = (1...3).map { RequestID(bits: UInt128($0)) }
        #expect(try await store.bindLongHold(ids[0], objectID: "batch_1", nextAt: 500))
        #expect(try await store.bindLongHold(ids[0], objectID: "batch_1", nextAt: 500), "an answer that was lost is noted again")
        #expect(try await store.bindLongHold(ids[0], objectID: "batch_2", nextAt: 500) == false)
        await #expect(throws: StoreError.duplicate("object_id")) { try await store.bindLongHold(ids[1], objectID: "batch_1", nextAt: 1) }
        #expect(try await store.longHold(.batch, objectID: "batch_1", channelID: 8)?.requestID == ids[0])
        #expect(try await store.longHold(.batch, objectID: "batch_1", channelID: 9) == nil)
        #expect(try await store.longHold(.response, objectID: "batch_1", channelID: 8) == nil)

        #expect(try await store.dueLongHolds(.batch, now: 401, claim: 60, limit: 9).isEmpty)
        #expect(try await store.dueLongHolds(.response, now: 900, claim: 60, limit: 9).isEmpty)
        #expect(try await store.dueLongHolds(.batch, now: 500, claim: 60, limit: 2).map(\.requestID) == [ids[1], ids[2]])
        #expect(try await store.dueLongHolds(.batch, now: 500, claim: 60, limit: 2).map(\.requestID) == [ids[0]])
        #expect(try await store.dueLongHolds(.batch, now: 500, claim: 60, limit: 2).isEmpty)
        try await store.postponeLongHold(ids[1], nextAt: 700, note: "in progress")
        try await store.setLongHoldDetail(ids[1], "{}")
        let due = try await store.dueLongHolds(.batch, now: 700, claim: 60, limit: 9)
        #expect(due.map(\.requestID) == [ids[0], ids[2], ids[1]])
        #expect(due.last?.tries == 1 && due.last?.note == "in progress" && due.last?.detail == "{}")
    }

    @Test(arguments: StoreFactory.all)
    func `the check of the books finds a hold without its rows`(_ factory: StoreFactory) async throws {
        let store = try await factory.open()
        let user = try await rich(store)
        let one = try await store.joined("one")
        _ = try await store.openLongHold(hold(1, user: user, amount: 300), holder: one, now: 310)
        // Money that comes back by hand under the name of the release.
        _ = try await store.post(credit(user, 300, "\(RequestID(bits: 1)):released", .adjustment))
        #expect(
            try await store.verify().differences == [
                "long hold \(RequestID(bits: 1)): it is open, and its rows in the ledger do not say so"
            ])
    }
}
