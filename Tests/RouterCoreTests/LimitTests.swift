import RouterCore
import Testing

/// Limits of keys and users: the book, the shares of several gateways, and how the headers say it.
@Suite struct LimitTests {
    private let start = MonotonicInstant(nanoseconds: 1_000_000_000)
    private let key = BudgetScope.key(1)
    private let user = BudgetScope.user(2)

    private func after(_ milliseconds: Int64) -> MonotonicInstant { start.advanced(by: .milliseconds(milliseconds)) }

    private func rule(_ scope: BudgetScope, rpm: Int64? = nil, tpm: Int64? = nil, concurrency: Int64? = nil) -> LimitRule {
        LimitRule(scope: scope, limits: RateLimits(requestsPerMinute: rpm, tokensPerMinute: tpm, concurrency: concurrency))
    }

    private func admit(
        _ book: inout LimitBook, _ rules: [LimitRule], tokens: Int64 = 0, expected: Int64 = 0, at now: MonotonicInstant
    ) throws -> (ticket: LimitBook.Ticket, standing: LimitBook.Standing) {
        let admitted = try book.admit(rules, tokens: tokens, expected: expected, now: now).get()
        return (admitted.ticket, admitted.standing)
    }

    private func refusal(
        _ book: inout LimitBook, _ rules: [LimitRule], tokens: Int64 = 0, at now: MonotonicInstant
    ) -> LimitBook.Refusal? {
        if case .failure(let refusal) = book.admit(rules, tokens: tokens, now: now) { return refusal }
        return nil
    }

    // MARK: Words

    @Test(
        arguments: [
            (0, "0s"), (1, "1ms"), (20_000_000, "20ms"), (20_000_001, "21ms"), (999_999_999, "1s"), (1_000_000_000, "1s"),
            (1_500_000_000, "1.5s"), (8_640_000_000, "8.64s"), (59_001_000_000, "59.001s"), (60_000_000_000, "1m0s"),
            (75_380_000_000, "1m15.38s"), (360_000_000_000, "6m0s"), (3_600_000_000_000, "1h0m0s"), (90_061_000_000_000, "25h1m1s"),
        ] as [(Int64, String)])
    func `times are written as OpenAI writes them, and never too short`(_ nanoseconds: Int64, _ text: String) {
        #expect(RateText.duration(.nanoseconds(nanoseconds)) == text)
    }

    // MARK: The book

    @Test("audit 5: requests per minute: a minute's allowance at once, then as it comes back")
    func requestsPerMinute() throws {
        var book = LimitBook()
        let rules = [rule(key, rpm: 6)]
        for left in (0..<6 as Range<Int64>).reversed() {
            let standing = try admit(&book, rules, at: start).standing
            #expect(standing.requests == LimitBook.Gauge(limit: 6, remaining: left, reset: .seconds(10 * (6 - left))))
            #expect(standing.tokens == nil)
        }
        let refused = try #require(refusal(&book, rules, at: after(1_000)))
        #expect(refused.limit == .requestsPerMinute && refused.rule.scope == key && refused.wait == .seconds(9))
        #expect(refused.standing.requests == LimitBook.Gauge(limit: 6, remaining: 0, reset: .seconds(59)))
        // Refused requests count for nothing.
        #expect(refusal(&book, rules, at: after(9_999)) != nil)
        _ = try admit(&book, rules, at: after(10_000))
    }

    @Test("audit 5: tokens per minute are taken at admission and corrected at the end")
    func tokensPerMinute() throws {
        var book = LimitBook()
        let rules = [rule(key, tpm: 1_000)]
        let first = try admit(&book, rules, tokens: 900, at: start)
        #expect(first.standing.tokens == LimitBook.Gauge(limit: 1_000, remaining: 100, reset: .seconds(54)))
        #expect(refusal(&book, rules, tokens: 200, at: start)?.limit == .tokensPerMinute)
        book.end(first.ticket, used: 300, now: start)
        #expect(try admit(&book, rules, tokens: 700, at: start).standing.tokens?.remaining == 0)
        #expect(refusal(&book, rules, tokens: 1, at: start) != nil)
    }

    @Test("audit 5: what an answer used beyond its estimate is owed whole, for an hour at most")
    func debt() throws {
        var book = LimitBook()
        let rules = [rule(key, tpm: 1_000)]
        let ticket = try admit(&book, rules, tokens: 10, at: start).ticket
        book.end(ticket, used: 3_000, now: start)
        // Two thousand are owed: two minutes until there is one token again.
        #expect(refusal(&book, rules, tokens: 1, at: after(119_000)) != nil)
        let next = try admit(&book, rules, tokens: 1, at: after(120_100)).ticket
        book.end(next, used: .max, now: after(120_100))
        #expect(refusal(&book, rules, tokens: 1, at: after(120_100 + 3_540_000)) != nil)
        _ = try admit(&book, rules, tokens: 1, at: after(120_100 + 3_601_000))
    }

    @Test func `output that a client has not bounded takes what there is and refuses nobody`() throws {
        var book = LimitBook()
        let rules = [rule(key, tpm: 1_000)]
        let first = try admit(&book, rules, tokens: 10, expected: 4_096, at: start)
        #expect(first.standing.tokens?.remaining == 0)
        #expect(refusal(&book, rules, tokens: 10, at: start) != nil, "many at once do not pass unseen")
        book.end(first.ticket, used: 30, now: start)
        #expect(try admit(&book, rules, tokens: 10, expected: 4_096, at: start).standing.tokens?.remaining == 0)
    }

    @Test func `a request that is larger than the whole limit passes when nothing else is used`() throws {
        var book = LimitBook()
        let rules = [rule(key, tpm: 1_000)]
        let ticket = try admit(&book, rules, tokens: 50_000, at: start).ticket
        book.end(ticket, used: 0, now: start)
        _ = try admit(&book, rules, tokens: 50_000, at: start)
        #expect(refusal(&book, rules, tokens: 50_000, at: after(59_000)) != nil)
        _ = try admit(&book, rules, tokens: 50_000, at: after(60_000))
    }

    @Test("audit 5: concurrency counts what is at work, and an end counts once")
    func concurrency() throws {
        var book = LimitBook()
        let rules = [rule(key, concurrency: 2)]
        let first = try admit(&book, rules, at: start).ticket
        _ = try admit(&book, rules, at: start)
        let refused = try #require(refusal(&book, rules, at: start))
        #expect(refused.limit == .concurrency && refused.wait == .seconds(1))
        book.end(first, used: 0, now: start)
        _ = try admit(&book, rules, at: start)
        #expect(refusal(&book, rules, at: start) != nil)
    }

    @Test("audit 5: all limits hold, the tightest is shown, and a refused request counts in none")
    func tightest() throws {
        var book = LimitBook()
        let both = [rule(key, rpm: 100, concurrency: 1), rule(user, rpm: 3, tpm: 500)]
        let first = try admit(&book, both, tokens: 5, at: start)
        #expect(first.standing.requests?.limit == 3 && first.standing.requests?.remaining == 2)
        #expect(first.standing.tokens?.limit == 500)
        // The key is full: the user's requests are not used up by what is refused.
        for _ in 0..<10 { #expect(refusal(&book, both, at: start)?.rule.scope == key) }
        book.end(first.ticket, used: 5, now: start)
        for _ in 0..<2 { book.end(try admit(&book, both, at: start).ticket, used: 0, now: start) }
        #expect(refusal(&book, both, at: start)?.rule.scope == user)
        // Another key of the same user.
        #expect(refusal(&book, [rule(.key(9), rpm: 100), both[1]], at: start)?.rule.scope == user)
    }

    @Test func `a limit that goes down and up again gives nothing away`() throws {
        var book = LimitBook()
        for _ in 0..<10 { _ = try admit(&book, [rule(key, rpm: 10)], at: start) }
        for limit in [5, 10, 20, 10] as [Int64] { #expect(refusal(&book, [rule(key, rpm: limit)], at: start) != nil) }
        // At ten a minute the next one comes after six seconds, at a thousand almost at once.
        #expect(refusal(&book, [rule(key, rpm: 10)], at: after(5_900)) != nil)
        _ = try admit(&book, [rule(key, rpm: 1_000)], at: after(6_100))
    }

    @Test func `what nobody uses is forgotten, what is at work is not`() throws {
        var book = LimitBook()
        let ticket = try admit(&book, [rule(key, rpm: 60, concurrency: 5)], at: start).ticket
        for _ in 0..<40 { _ = book.report(atMost: 10, elapsed: .seconds(2), now: after(120_000)) }
        book.forgetIdle(now: after(120_000))
        #expect(book.count == 1)
        book.end(ticket, used: 0, now: after(120_000))
        book.forgetIdle(now: after(120_000))
        #expect(book.count == 0)
    }

    // MARK: Shares

    private func claim(_ id: String, _ demand: Int64, _ taken: Int64) -> LimitShares.Claim {
        LimitShares.Claim(gatewayID: id, demand: demand, taken: taken)
    }

    private func share(_ limit: Int64, _ demand: Int64, _ claims: [LimitShares.Claim], of gateways: [String] = ["a", "b"]) -> Int64 {
        LimitShares.share(of: limit, subject: "key:1", own: "a", demand: demand, claims: claims, gateways: gateways)
    }

    @Test func `shares follow the demand and leave the others their minimum`() {
        #expect(share(160, 5, [], of: ["a"]) == 160, "alone")
        // One asks, the other has never been heard of: a sixteenth is kept for it.
        #expect(share(160, 500, []) == 150)
        #expect(share(160, 500, [claim("b", 0, 10)]) == 150)
        // Equal demand, equal shares; but only as much as the other has not taken yet.
        #expect(share(160, 500, [claim("b", 500, 80)]) == 80)
        #expect(share(160, 500, [claim("b", 500, 150)]) == 10)
        // A small wish is granted whole, the rest goes to the large one.
        #expect(share(160, 30, [claim("b", 1_000, 0)]) == 30)
        #expect(share(160, 1_000, [claim("b", 30, 0)]) == 130)
        // There is more than is asked for: in proportion.
        #expect(share(160, 60, [claim("b", 20, 0)]) == 60 + 80 * 60 / 80)
        #expect(share(160, 0, [claim("b", 0, 0)]) == 80)
    }

    @Test func `a limit below the number of gateways goes to that many of them, the same everywhere`() {
        let gateways = (0..<5).map { "gateway-\($0)" }
        var winners: Set<[String]> = []
        for number in 0..<40 {
            let subject = "key:\(number)"
            let served = gateways.filter { own in
                LimitShares.share(of: 2, subject: subject, own: own, demand: 9, claims: [], gateways: gateways.shuffledBy(number)) == 1
            }
            #expect(served.count == 2, "\(subject)")
            winners.insert(served)
        }
        #expect(winners.count > 3, "different keys fall to different gateways")
    }

    /// Many gateways, one limit, demands that change: what they have written down never sums up to more than the limit, and they end with
    /// all of it.
    @Test func `shares never sum up to more than the limit`() throws {
        for seed in 0..<400 as Range<UInt64> {
            var rng = SplitMix64(seed: seed)
            let count = 2 + Int(rng.below(4))
            let gateways = (0..<count).map { "g\($0)" }
            let limit = Int64(count) + Int64(rng.below(500))
            let least = LimitShares.minimum(limit, subject: "user:7", own: gateways[0], gateways: gateways)
            var table: [String: LimitShares.Claim] = [:]
            var demands = gateways.map { _ in Int64(rng.below(400)) }
            func tick(_ index: Int) {
                let own = gateways[index]
                let others = table.values.filter { $0.gatewayID != own }
                let share = LimitShares.share(
                    of: limit, subject: "user:7", own: own, demand: demands[index], claims: others, gateways: gateways)
                table[own] = claim(own, demands[index], share)
                #expect(share >= least, "seed \(seed)")
                let taken = gateways.reduce(0) { $0 + (table[$1]?.taken ?? least) }
                #expect(taken <= limit, "seed \(seed): \(taken) of \(limit)")
            }
            for _ in 0..<200 {
                if rng.below(10) == 0 { demands[Int(rng.below(UInt64(count)))] = Int64(rng.below(900)) }
                tick(Int(rng.below(UInt64(count))))
            }
            for _ in 0..<3 { for index in gateways.indices { tick(index) } }
            let taken = table.values.reduce(0) { $0 + $1.taken }
            #expect(taken > limit - Int64(count), "seed \(seed): \(taken) of \(limit) are used")
        }
    }

    /// The whole way in virtual time: gateways that report, take shares and let requests in. What they let in together fits into one bucket
    /// of the whole limit, wherever the clients go.
    @Test func `several gateways together let in what one would`() throws {
        for seed in 0..<60 as Range<UInt64> {
            var fleet = SharingFleet(seed: seed, scope: user, limit: 120, count: 2 + Int(seed % 3))
            for step in 0..<6_000 { fleet.step(step) }
            // A full bucket, and ten minutes.
            #expect(fleet.passed <= 120 * 11, "seed \(seed): \(fleet.passed)")
            #expect(fleet.worst <= 0, "seed \(seed): \(fleet.worst) beyond one bucket")
            // The clients ask for more than there is, and get most of it although they move about.
            #expect(fleet.passed >= 120 * 7, "seed \(seed): \(fleet.passed)")
        }
    }

    @Test func `a quiet limit can be used up at once at any gateway`() throws {
        var fleet = SharingFleet(seed: 1, scope: user, limit: 120, count: 3)
        #expect(fleet.ask(1, 200) == 5, "what it may without asking: a limit of 120, an eighth of a third")
        fleet.tick(1)
        #expect(fleet.ask(1, 200) == 105, "all but what is kept for the others")
        // They have their five each, and nothing of the rest until time brings it.
        for other in [0, 2] {
            fleet.tick(other)
            #expect(fleet.ask(other, 200) == 5)
            fleet.tick(other)
            #expect(fleet.ask(other, 200) == 0)
        }
    }

    @Test func `what a lone gateway has in its bucket is not in the pool as well`() throws {
        var book = LimitBook()
        book.apply([:], gateways: ["a"], own: "a", now: start)
        _ = try admit(&book, [rule(key, rpm: 240)], at: start)
        let report = try #require(book.report(atMost: 10, elapsed: .seconds(2), now: start).first)
        let alone = LimitShares.decide(report, own: "a", rows: [], pool: nil, gateways: ["a"])
        #expect(alone.grant.share?.requestsPerMinute == 240)
        #expect(alone.pool?.requestsPerMinute == 0)
    }

    @Test func `a limit that becomes smaller during a request takes nothing twice`() {
        var traffic = LimitedTraffic()
        traffic.began(limits: RateLimits(tokensPerMinute: 100_000), tokens: 50_000, now: start)
        let small = RateLimits(tokensPerMinute: 1_000)
        traffic.ended(reserved: 50_000, used: 50_000, limits: small, now: start, owesAll: true)
        #expect(traffic.full(small, tokens: 1, now: start) == nil)
    }

    @Test func `a gateway that cannot ask falls back to an equal part`() throws {
        var book = LimitBook()
        let rules = [rule(key, rpm: 60)]
        _ = try admit(&book, rules, at: start)
        book.apply([key: LimitGrant(share: RateLimits(requestsPerMinute: 58))], gateways: ["a", "b"], own: "a", now: start)
        let standing = try admit(&book, rules, at: start).standing
        #expect(standing.requests == LimitBook.Gauge(limit: 60, remaining: 57, reset: .nanoseconds(1_034_482_758)))
        book.loseShares(now: start)
        #expect(try admit(&book, rules, at: start).standing.requests?.remaining == 29)
        // Alone again: all of it, but nothing that was not there.
        book.apply([:], gateways: ["a"], own: "a", now: start)
        #expect(try admit(&book, rules, at: start).standing.requests?.remaining == 28)
    }
}

/// Gateways with one limit, and the table through which they share it.
private struct SharingFleet {
    private let scope: BudgetScope
    private let limit: Int64
    private let rules: [LimitRule]
    private let gateways: [String]
    private var books: [LimitBook]
    private var rows: [String: LimitShares.Row] = [:]
    private var pool: RateLimits?
    private var rng: SplitMix64
    private var now = MonotonicInstant(nanoseconds: 1_000_000_000)
    private var busy = 0
    /// One bucket of the whole limit, in thousandths; what it lacked at most when something was let in.
    private var bucket: Int64
    private(set) var worst = Int64.min
    private(set) var passed = 0

    init(seed: UInt64, scope: BudgetScope, limit: Int64, count: Int) {
        self.scope = scope
        self.limit = limit
        rules = [LimitRule(scope: scope, limits: RateLimits(requestsPerMinute: limit))]
        gateways = (0..<count).map { "g\($0)" }
        books = Array(repeating: LimitBook(), count: count)
        rng = SplitMix64(seed: seed)
        bucket = limit * 1_000
        for index in books.indices { books[index].apply([:], gateways: gateways, own: gateways[index], now: now) }
    }

    /// A tenth of a second: the clients ask, now and then elsewhere; every gateway looks at the table every two seconds, at moments of its
    /// own.
    mutating func step(_ number: Int) {
        now = now.advanced(by: .milliseconds(100))
        bucket = min(bucket + limit * 1_000 / 600, limit * 1_000)
        for index in books.indices where number % 20 == index * 7 % 20 { tick(index) }
        if rng.below(150) == 0 { busy = Int(rng.below(UInt64(books.count))) }
        // Pauses in which the limit fills up again.
        if number / 600 % 3 != 2 { _ = ask(busy, 1) }
        _ = ask(Int(rng.below(UInt64(books.count))), Int(rng.below(3)))
    }

    /// - Returns: how many were let in.
    mutating func ask(_ index: Int, _ count: Int) -> Int {
        var granted = 0
        for _ in 0..<count {
            guard case .success(let admitted) = books[index].admit(rules, tokens: 0, now: now) else { continue }
            books[index].end(admitted.ticket, used: 0, now: now)
            granted += 1
            bucket -= 1_000
            worst = max(worst, -bucket)
        }
        passed += granted
        return granted
    }

    mutating func tick(_ index: Int) {
        let own = gateways[index]
        var grants: [BudgetScope: LimitGrant] = [:]
        for report in books[index].report(atMost: 10, elapsed: .seconds(2), now: now) {
            if rows.isEmpty { pool = nil }
            let others = rows.values.filter { $0.gatewayID != own }
            let decision = LimitShares.decide(report, own: own, rows: others, pool: pool, gateways: gateways)
            rows[own] = decision.row
            pool = decision.pool
            grants[report.scope] = decision.grant
        }
        books[index].apply(grants, gateways: gateways, own: own, now: now)
    }
}

extension Array {
    fileprivate func shuffledBy(_ seed: Int) -> [Element] {
        var rng = SplitMix64(seed: UInt64(seed))
        return shuffled(using: &rng)
    }
}
