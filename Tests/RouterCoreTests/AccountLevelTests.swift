import RouterCore
import Testing

@Suite struct AccountLevelTests {
    private static let levels = [("bronze", 0, "default"), ("silver", 10, "vip"), ("gold", 50, "vip"), ("platinum", 90, "best")].map {
        AccountLevel(name: $0.0, atLeast: NanoUSD(nanos: $0.1), group: $0.2)
    }

    @Test(
        arguments: [
            (-1, nil, "bronze"), (0, "bronze", "silver"), (9, "bronze", "silver"), (10, "silver", "gold"), (90, "platinum", nil),
        ] as [(Int64, String?, String?)])
    func `the highest level that fits is reached`(_ recharged: Int64, _ reached: String?, _ next: String?) {
        #expect(Self.levels.reached(with: NanoUSD(nanos: recharged))?.name == reached)
        #expect(Self.levels.next(after: NanoUSD(nanos: recharged))?.name == next)
        #expect([AccountLevel]().reached(with: NanoUSD(nanos: recharged)) == nil)
    }

    /// From which group, with how much recharged, to which group; nil = it stays.
    @Test(
        arguments: [
            ("default", 5, nil), ("default", 10, "vip"), ("default", 95, "best"), ("vip", 60, nil), ("vip", 90, "best"), ("vip", 1, nil),
            ("best", 10, nil), ("gone", 10, "vip"), ("gone", -1, nil), ("gone", 3, "default"),
        ] as [(String, Int64, String?)])
    func `an account goes up, and never down`(_ group: String, _ recharged: Int64, _ to: String?) {
        #expect(Self.levels.promotion(from: group, recharged: NanoUSD(nanos: recharged))?.group == to)
    }

    @Test func `gifts pay in the order of their ends, and what they have`() {
        var gifts = Gifts([
            .init(id: 1, left: NanoUSD(nanos: 10), expiresAt: nil), .init(id: 2, left: NanoUSD(nanos: 10), expiresAt: 900),
            .init(id: 3, left: NanoUSD(nanos: 5), expiresAt: 700), .init(id: 4, left: NanoUSD(nanos: 5), expiresAt: 900),
        ])
        #expect(gifts.gifts.map(\.id) == [3, 2, 4, 1] && gifts.left.nanos == 30 && gifts.changed.isEmpty)
        #expect(gifts.pay(NanoUSD(nanos: 0)) == .zero && gifts.changed.isEmpty)
        #expect(gifts.pay(NanoUSD(nanos: 7)).nanos == 7)
        #expect(gifts.changed.map(\.id) == [3, 2] && gifts.changed.map(\.left.nanos) == [0, 8])
        #expect(gifts.pay(NanoUSD(nanos: 8)).nanos == 8 && gifts.changed.map(\.id) == [3, 2])
        #expect(gifts.pay(NanoUSD(nanos: 100)).nanos == 15, "cash pays the rest")
        #expect(gifts.left == .zero && gifts.changed.map(\.left.nanos) == [0, 0, 0, 0] && gifts.pay(NanoUSD(nanos: 1)) == .zero)
        var large = Gifts([.init(id: 1, left: .max, expiresAt: nil), .init(id: 2, left: .max, expiresAt: nil)])
        #expect(large.left == .max && large.pay(.max) == .max && large.left == .max)
    }
}
