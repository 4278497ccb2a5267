/// A fine amount in femto-dollars (10⁻¹⁵ USD): the price of one unit (a token, an image, a request),
/// or a cost as a vendor reports it. Never negative. Range up to 9,223 USD.
///
/// Nano-dollars are too coarse for prices: real lists have token prices with 14 and more decimals.
public struct FemtoUSD: Sendable, Hashable, Comparable, CustomStringConvertible {
    public let femtos: Int64

    /// - Precondition: not negative.
    public init(femtos: Int64) {
        precondition(femtos >= 0, "a price is never negative")
        self.femtos = femtos
    }

    public static let zero = FemtoUSD(femtos: 0)

    public static func < (left: FemtoUSD, right: FemtoUSD) -> Bool { left.femtos < right.femtos }

    /// A parsed price, and whether digits below a femto-dollar had to be rounded away.
    public struct Parsed: Sendable, Hashable {
        public var price: FemtoUSD
        public var isExact: Bool
    }

    /// From decimal text in USD per unit (`0.00000025` per token). Exponents are understood.
    /// - Throws: ``MoneyError``.
    public static func parse(usdPerUnit text: some StringProtocol) throws(MoneyError) -> Parsed {
        try parse(text, places: 15)
    }

    /// From decimal text in USD per million units (`0.25` per million tokens).
    /// - Throws: ``MoneyError``.
    public static func parse(usdPerMillion text: some StringProtocol) throws(MoneyError) -> Parsed {
        try parse(text, places: 9)
    }

    private static func parse(_ text: some StringProtocol, places: Int) throws(MoneyError) -> Parsed {
        let decimal = try DecimalText(text)
        if decimal.isNegative { throw .negative(String(text)) }
        let (value, exact) = try decimal.scaled(byPowerOfTen: places)
        guard let femtos = Int64(exactly: value) else { throw .overflow }
        return Parsed(price: FemtoUSD(femtos: femtos), isExact: exact)
    }

    /// USD per unit, exact, without exponent.
    public var usdText: String { decimalText(Int128(femtos), places: 15) }
    /// USD per million units, exact, without exponent.
    public var usdPerMillionText: String { decimalText(Int128(femtos), places: 9) }
    public var description: String { "$" + usdText }

    /// As an amount of money, rounded half up to a nano-dollar.
    public var roundedToNano: NanoUSD { NanoUSD(nanos: femtos / 1_000_000 + (femtos % 1_000_000 >= 500_000 ? 1 : 0)) }
}
