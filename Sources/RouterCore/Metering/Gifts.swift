/// The open gifts of one account, in the order in which they pay: the one that ends first, then those without an end, each from the oldest
/// to the newest. Cash pays what they leave.
///
/// A gift can pay until its end is a row of the ledger, whatever the clock says: until then it is in the balance, so that requests have
/// been admitted on it.
public struct Gifts: Sendable, Hashable {
    public struct Gift: Sendable, Hashable {
        public var id: Int64
        /// More than zero for an open gift.
        public var left: NanoUSD
        /// Unix seconds; nil = never.
        public var expiresAt: Int64?

        public init(id: Int64, left: NanoUSD, expiresAt: Int64?) {
            self.id = id
            self.left = left
            self.expiresAt = expiresAt
        }
    }

    public private(set) var gifts: [Gift]
    /// The first gift that may have something left.
    private var next = 0
    /// Those before it, and itself, have changed.
    public private(set) var touched: Range<Int> = 0..<0

    public init(_ gifts: [Gift]) {
        self.gifts = gifts.sorted { ($0.expiresAt ?? .max, $0.id) < ($1.expiresAt ?? .max, $1.id) }
    }

    /// Gifts that have paid, as they are now.
    public var changed: ArraySlice<Gift> { gifts[touched] }

    /// The sum that all of them have left, at most the largest amount that there is.
    public var left: NanoUSD {
        gifts.reduce(.zero) { sum, gift in (try? sum.adding(gift.left)) ?? .max }
    }

    /// Takes as much of a charge out of the gifts as they have.
    /// - Returns: the part that they pay, from zero to the charge.
    public mutating func pay(_ charge: NanoUSD) -> NanoUSD {
        var open = max(0, charge.nanos)
        let whole = open
        while open > 0, next < gifts.count {
            let part = min(open, gifts[next].left.nanos)
            gifts[next].left = NanoUSD(nanos: gifts[next].left.nanos - part)
            open -= part
            if part > 0 { touched = 0..<next + 1 }
            if gifts[next].left == .zero { next += 1 }
        }
        return NanoUSD(nanos: whole - open)
    }
}
