import PostgresTesting
import RouterCore
import Storage
import Testing

/// Limits of keys and users, divided between the gateways of one ledger.
@Suite(.timeLimit(.minutes(10)))
struct LimitsConformance {
    @Test(arguments: StoreFactory.all)
    func `a gateway that is alone has all of a limit`(_ factory: StoreFactory) async throws {
        let store = try await factory.open()
        let whole = RateLimits(requestsPerMinute: 60, tokensPerMinute: 1_000, concurrency: 4)
        let report = LimitReport(scope: .key(1), limits: whole, demand: whole, inFlight: 2, share: whole, left: whole)
        for _ in 0..<2 {
            let shared = try await store.shareLimits([report], gateway: "one", lifetime: 60)
            #expect(shared.gateways == ["one"])
            #expect(shared.grants[.key(1)]?.share ?? whole == whole)
        }
        try await store.leaveLimits(gateway: "one")
    }

    @Test(arguments: StoreFactory.all)
    func `a change of limits that were changed meanwhile is refused`(_ factory: StoreFactory) async throws {
        let store = try await factory.open()
        let user = try await store.createUser(newUser("ada"))
        let token = try await store.createToken(
            Token(userID: user.id, keyHash: [UInt8](repeating: 1, count: 32), keyPrefix: "sk-", name: "k", createdAt: 1))
        var change = TokenChange()
        change.limits = #"{"rpm":5}"#
        change.limitsBefore = token.limits
        #expect(try await store.changeToken(id: token.id, change, audit: .some).limits == #"{"rpm":5}"#)
        var late = TokenChange()
        late.limits = #"{"rpm":50}"#
        late.limitsBefore = token.limits
        let second = late
        await #expect(throws: StoreError.conflict("the limits of this key were changed meanwhile; read them again")) {
            try await store.changeToken(id: token.id, second, audit: .some)
        }
        #expect(try await store.token(id: token.id)?.limits == #"{"rpm":5}"#)
    }

    @Test func `gateways divide a limit by what they are asked for`() async throws {
        let server = try PostgresServer.shared.get()
        let url = try server.makeDatabase()
        let store = try await PostgresStore.open(
            url: Secret(url), migrationsDirectory: try Migrations.locate(dialect: .postgres, environment: [:]), now: 1)
        func limits(_ requests: Int64, _ concurrency: Int64) -> RateLimits {
            RateLimits(requestsPerMinute: requests, concurrency: concurrency)
        }
        func report(_ asked: Int64, inFlight: Int64, share: RateLimits, left: Int64, isLeaving: Bool = false) -> LimitReport {
            LimitReport(
                scope: .user(7), limits: limits(160, 10), demand: limits(asked, inFlight), inFlight: inFlight, share: share,
                left: RateLimits(requestsPerMinute: left), isLeaving: isLeaving)
        }
        for name in ["one", "two"] { _ = try await store.shareLimits([], gateway: name, lifetime: 60) }
        // The first that asks gets all but the other's minimum, and a full bucket for it.
        let first = try await store.shareLimits([report(900, inFlight: 9, share: limits(10, 1), left: 10)], gateway: "one", lifetime: 60)
        #expect(first.gateways == ["one", "two"])
        #expect(first.grants[.user(7)] == LimitGrant(share: limits(150, 9), moved: RateLimits(requestsPerMinute: 140)))
        // The second gets its half only when the first has given it up, and of the bucket what the first had left.
        let second = try await store.shareLimits([report(900, inFlight: 1, share: limits(10, 1), left: 10)], gateway: "two", lifetime: 60)
        #expect(second.grants[.user(7)] == LimitGrant(share: limits(10, 1), moved: RateLimits(requestsPerMinute: 0)))
        let less = try await store.shareLimits([report(900, inFlight: 9, share: limits(150, 9), left: 100)], gateway: "one", lifetime: 60)
        #expect(less.grants[.user(7)]?.share?.requestsPerMinute == 80 && less.grants[.user(7)]?.moved.requestsPerMinute == -20)
        let grown = try await store.shareLimits([report(900, inFlight: 1, share: limits(10, 1), left: 0)], gateway: "two", lifetime: 60)
        #expect(grown.grants[.user(7)] == LimitGrant(share: limits(80, 1), moved: RateLimits(requestsPerMinute: 20)))
        // What is at work at the first is not granted to the second as well.
        #expect(try server.query(url, "SELECT sum(taken_concurrency) FROM limit_shares WHERE gateway <> ''").contains("10"))
        // One leaves: the other may have it all.
        _ = try await store.shareLimits(
            [report(0, inFlight: 0, share: limits(80, 5), left: 80, isLeaving: true)], gateway: "one", lifetime: 60)
        try await store.leaveLimits(gateway: "one")
        let alone = try await store.shareLimits([report(900, inFlight: 1, share: limits(80, 1), left: 0)], gateway: "two", lifetime: 60)
        #expect(alone.gateways == ["two"] && alone.grants[.user(7)]?.share == limits(160, 10))
        // A gateway that died is forgotten after its time.
        _ = try await store.shareLimits([], gateway: "dead", lifetime: -10)
        #expect(try await store.shareLimits([], gateway: "two", lifetime: 60).gateways == ["two"])
        try await store.close()
    }
}
