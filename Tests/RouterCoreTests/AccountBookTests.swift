import RouterCore
import Testing

@Suite struct AccountBookTests {
    private func id(_ number: Int) -> RequestID { RequestID(bits: UInt128(number)) }

    @Test func `a hold fits or is refused with both amounts`() throws {
        var book = AccountBook()
        book.setBalance(1, NanoUSD(nanos: 100))
        _ = try book.hold(id(1), userID: 1, amount: NanoUSD(nanos: 60))
        #expect(throws: AccountBook.Refusal.insufficient(needed: NanoUSD(nanos: 41), available: NanoUSD(nanos: 40))) {
            try book.hold(id(2), userID: 1, amount: NanoUSD(nanos: 41))
        }
        #expect(throws: AccountBook.Refusal.unknownUser) { try book.hold(id(3), userID: 2, amount: .zero) }
        _ = try book.hold(id(4), userID: 1, amount: NanoUSD(nanos: 40))
        #expect(book.account(1)?.available == .zero)
    }

    @Test func `a hold ends once`() throws {
        var book = AccountBook()
        book.setBalance(1, NanoUSD(nanos: 100))
        _ = try book.hold(id(1), userID: 1, amount: NanoUSD(nanos: 60))
        let first = book.settle(id(1), charge: NanoUSD(nanos: 10))
        let again = book.settle(id(1), charge: NanoUSD(nanos: 10))
        let voided = book.void(id(1))
        #expect(first && !again && !voided)
        #expect(book.account(1)?.available == NanoUSD(nanos: 90))
        book.posted(1, NanoUSD(nanos: 10))
        #expect(book.account(1)?.available == NanoUSD(nanos: 90) && book.account(1)?.balance == NanoUSD(nanos: 90))
    }

    @Test func `random sequences conserve the money`() throws {
        var rng = SplitMix64(seed: 99)
        var book = AccountBook()
        book.setBalance(1, NanoUSD(nanos: 1_000_000))
        var open: [(RequestID, Int64)] = []
        var charged: Int64 = 0
        var posted: Int64 = 0
        for number in 0..<5_000 {
            switch rng.below(4) {
            case 0, 1:
                let amount = Int64(rng.below(100_000))
                if (try? book.hold(id(number), userID: 1, amount: NanoUSD(nanos: amount))) != nil { open.append((id(number), amount)) }
            case 2 where !open.isEmpty:
                let (request, amount) = open.remove(at: Int(rng.below(UInt64(open.count))))
                let charge = Int64(rng.below(UInt64(amount / 50 + 1)))
                if rng.below(2) == 0 {
                    let ended = book.settle(request, charge: NanoUSD(nanos: charge))
                    #expect(ended)
                    charged += charge
                } else {
                    let ended = book.void(request)
                    #expect(ended)
                }
            default:
                book.posted(1, NanoUSD(nanos: charged - posted))
                posted = charged
            }
            let held = open.reduce(0) { $0 + $1.1 }
            #expect(book.account(1)?.available.nanos == 1_000_000 - charged - held, "seed 99, step \(number)")
            #expect((book.account(1)?.available.nanos ?? -1) >= 0)
        }
    }

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
