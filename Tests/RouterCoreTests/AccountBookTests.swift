import RouterCore
import Testing

@Suite struct AccountBookTests {
    private func id(_ number: Int) -> RequestID { RequestID(bits: UInt128(number)) }

    private let now = MonotonicInstant(nanoseconds: 1_000)

    private func book(_ lease: Int64, balance: Int64? = nil, validUntil: MonotonicInstant? = nil) -> AccountBook {
        var book = AccountBook()
        let state = LeaseState(balance: NanoUSD(nanos: balance ?? lease), lease: NanoUSD(nanos: lease))
        book.leased(1, state, now: now)
        book.trust(until: validUntil)
        return book
    }

    private func hold(
        _ book: inout AccountBook, _ number: Int, _ amount: Int64, user: Int64 = 1, floor: NanoUSD = .zero,
        limits: [BudgetLimit] = [], at: Int64 = 0
    ) throws(AccountBook.Refusal) {
        try book.hold(
            id(number), userID: user, amount: NanoUSD(nanos: amount), floor: floor, limits: limits, at: at, now: now)
    }

    @Test func `a hold fits or is refused with both amounts`() throws {
        var book = book(100)
        try hold(&book, 1, 60)
        #expect(throws: AccountBook.Refusal.insufficient(needed: NanoUSD(nanos: 41), available: NanoUSD(nanos: 40))) {
            try hold(&book, 2, 41)
        }
        #expect(throws: AccountBook.Refusal.noLease) { try hold(&book, 3, 0, user: 2) }
        try hold(&book, 4, 40)
        #expect(book.account(1)?.available == .zero)
    }

    @Test func `a hold ends once`() throws {
        var book = book(100)
        try hold(&book, 1, 60)
        let first = book.settle(id(1), charge: NanoUSD(nanos: 10))
        let again = book.settle(id(1), charge: NanoUSD(nanos: 10))
        let voided = book.void(id(1))
        #expect(first && !again && !voided)
        #expect(book.account(1)?.available == NanoUSD(nanos: 90))
        let after = LeaseState(balance: NanoUSD(nanos: 90), lease: NanoUSD(nanos: 90))
        for _ in 0..<2 {
            // A posting that is told twice counts once.
            book.posted([id(1)], setAside: [], states: [1: after])
            #expect(book.account(1)?.available == NanoUSD(nanos: 90) && book.account(1)?.balance == NanoUSD(nanos: 90))
        }
    }

    @Test func `a free request is refused to an overdrawn user`() throws {
        var book = book(0, balance: -5)
        #expect(throws: AccountBook.Refusal.insufficient(needed: .zero, available: NanoUSD(nanos: -5))) { try hold(&book, 1, 0) }
        var empty = self.book(0)
        try hold(&empty, 1, 0)
    }

    @Test func `audit 5: credit can be held down to the floor and not below`() throws {
        var book = book(10, balance: 0)
        let floor = NanoUSD(nanos: -10)
        try hold(&book, 1, 10, floor: floor)
        #expect(throws: AccountBook.Refusal.insufficient(needed: NanoUSD(nanos: 1), available: .zero)) {
            try hold(&book, 2, 1, floor: floor)
        }
        // Free models are allowed while nothing is below the floor.
        try hold(&book, 3, 0, floor: floor)
        // The floor was raised meanwhile: what was leased as credit is no money any more.
        #expect(throws: AccountBook.Refusal.insufficient(needed: .zero, available: NanoUSD(nanos: -10))) { try hold(&book, 4, 0) }
    }

    @Test func `audit 5: a reserve stays untouched`() throws {
        var book = book(100)
        let floor = NanoUSD(nanos: 30)
        #expect(throws: AccountBook.Refusal.insufficient(needed: NanoUSD(nanos: 71), available: NanoUSD(nanos: 70))) {
            try hold(&book, 1, 71, floor: floor)
        }
        try hold(&book, 1, 70, floor: floor)
        try hold(&book, 2, 0, floor: floor)
    }

    @Test func `audit 5: a bill above its hold stops the account until its balance covers it`() throws {
        var book = book(100)
        try hold(&book, 1, 10)
        _ = book.settle(id(1), charge: NanoUSD(nanos: 150))
        #expect(throws: AccountBook.Refusal.insufficient(needed: .zero, available: NanoUSD(nanos: -50))) { try hold(&book, 2, 0) }
        book.posted([id(1)], setAside: [], states: [1: LeaseState(balance: NanoUSD(nanos: -50), lease: .zero)])
        #expect(throws: AccountBook.Refusal.insufficient(needed: .zero, available: NanoUSD(nanos: -50))) { try hold(&book, 2, 0) }
        book.leased(1, LeaseState(balance: .zero, lease: .zero), now: now)
        try hold(&book, 2, 0)
        book.leased(1, LeaseState(balance: NanoUSD(nanos: 5), lease: NanoUSD(nanos: 5)), now: now)
        try hold(&book, 3, 5)
    }

    @Test func `audit 5: a lease that is larger than what is left of the balance cannot be spent whole`() throws {
        // Another gateway's charge went above its hold, so the balance is smaller than the leases.
        var book = book(5, balance: 2)
        #expect(throws: AccountBook.Refusal.insufficient(needed: NanoUSD(nanos: 3), available: NanoUSD(nanos: 2))) { try hold(&book, 1, 3) }
        try hold(&book, 1, 2)
    }

    @Test func `leases that have run out are asked for again, and those that others took are gone`() throws {
        var book = book(100, validUntil: MonotonicInstant(nanoseconds: 1_000))
        #expect(throws: AccountBook.Refusal.noLease) { try hold(&book, 1, 1) }
        book.trust(until: MonotonicInstant(nanoseconds: 2_000))
        try hold(&book, 1, 70)
        book.loseLeases()
        #expect(book.account(1)?.available == NanoUSD(nanos: -70))
        #expect(throws: AccountBook.Refusal.self) { try hold(&book, 2, 0) }
    }

    @Test func `what is given back is what nobody holds`() throws {
        var book = book(100)
        try hold(&book, 1, 60)
        let idle = book.idle(before: MonotonicInstant(nanoseconds: 2_000)).map(\.amount)
        #expect(idle == [NanoUSD(nanos: 40)])
        #expect(book.takeBack(1) == NanoUSD(nanos: 40))
        #expect(book.takeBack(1) == .zero)
        #expect(book.account(1)?.lease == NanoUSD(nanos: 60))
    }

    // MARK: Budgets

    @Test func `every budget counts, and the one that is used up is named`() throws {
        var book = book(1_000)
        let day = BudgetLimit(scope: .key(7), window: .day, amount: NanoUSD(nanos: 100))
        let total = BudgetLimit(scope: .user(1), window: .total, amount: NanoUSD(nanos: 150))
        let noon: Int64 = 1_795_608_000
        let counters = [day, total].map { $0.counter(at: noon) }
        #expect(throws: AccountBook.Refusal.unknownSpending(counters)) { try hold(&book, 1, 10, limits: [day, total], at: noon) }
        book.spent([counters[1]: NanoUSD(nanos: 40)], asked: counters)
        try hold(&book, 1, 90, limits: [day, total], at: noon)
        #expect(throws: AccountBook.Refusal.overBudget(day, needed: NanoUSD(nanos: 11), available: NanoUSD(nanos: 10))) {
            try hold(&book, 2, 11, limits: [day, total], at: noon)
        }
        _ = book.settle(id(1), charge: NanoUSD(nanos: 95))
        #expect(throws: AccountBook.Refusal.overBudget(day, needed: NanoUSD(nanos: 6), available: NanoUSD(nanos: 5))) {
            try hold(&book, 2, 6, limits: [day, total], at: noon)
        }
        // The next day has a counter of its own; the total goes on.
        let tomorrow = noon + 86_400
        book.spent([:], asked: [day.counter(at: tomorrow)])
        #expect(throws: AccountBook.Refusal.overBudget(total, needed: NanoUSD(nanos: 16), available: NanoUSD(nanos: 15))) {
            try hold(&book, 2, 16, limits: [day, total], at: tomorrow)
        }
        try hold(&book, 2, 15, limits: [day, total], at: tomorrow)
        _ = book.void(id(2))
        // Posting moves spending from here to the ledger, once.
        for _ in 0..<2 { book.posted([id(1)], setAside: [], states: [:]) }
        try hold(&book, 3, 15, limits: [total], at: tomorrow)
    }

    @Test(
        arguments: [
            (0, 1970_01_01, 197_001, 2_678_400, 86_400), (1_795_608_000, 2026_11_25, 202_611, 475_200, 43_200),
            (951_782_400, 2000_02_29, 200_002, 86_400, 86_400), (1_798_761_599, 2026_12_31, 202_612, 1, 1),
        ] as [(Int64, Int64, Int64, Int64, Int64)])
    func `windows follow the calendar of UTC`(_ seconds: Int64, _ day: Int64, _ month: Int64, _ restOfMonth: Int64, _ restOfDay: Int64) {
        #expect(BudgetWindow.day.number(at: seconds) == day)
        #expect(BudgetWindow.month.number(at: seconds) == month)
        #expect(BudgetWindow.total.number(at: seconds) == 0 && BudgetWindow.total.remaining(at: seconds) == nil)
        #expect(BudgetWindow.month.remaining(at: seconds) == restOfMonth)
        #expect(BudgetWindow.day.remaining(at: seconds) == restOfDay)
        let date = CalendarDate(unixSeconds: seconds)
        #expect(CalendarDate(date.description) == CalendarDate(unixSeconds: date.startOfDay))
    }

    @Test(arguments: ["2026-13-01", "2026-02-29", "2026-1-1", "20261125", "", "2026-11-25-1", "x026-11-25"])
    func `what is no day is refused`(_ text: String) { #expect(CalendarDate(text) == nil) }

    @Test func `request ids are of version 7 and sort by time`() throws {
        let early = RequestID(unixMilliseconds: 1_795_530_740_000, randomHigh: .max, randomLow: .max)
        let late = RequestID(unixMilliseconds: 1_795_530_740_001, randomHigh: 0, randomLow: 0)
        #expect(early < late && early.description < late.description)
        let text = early.description
        #expect(Array(text)[14] == "7" && "89ab".contains(Array(text)[19]) && text.count == 36)
        #expect(RequestID(text) == early && RequestID(text.uppercased()) == early)
        for bad in ["", "x", String(text.dropLast()), text + "0", text.replacing("-", with: "_")] { #expect(RequestID(bad) == nil) }
    }

    @Test func `secrets never print`() {
        let secret = Secret("marker-value")
        var dumped = ""
        dump(secret, to: &dumped)
        dump([secret: [secret]], to: &dumped)
        let all = dumped + "\(secret)" + String(describing: secret) + String(reflecting: secret) + "\(Optional(secret) as Any)"
        #expect(!all.contains("marker") && all.contains("<redacted>"))
    }
}
