/// An amount of money in nano-dollars (10⁻⁹ USD). Range ±9.2 billion dollars.
///
/// Not expressible by a literal and not convertible to floating point, so that `amount + 5` does not compile.
/// Arithmetic that can leave the range throws; nothing wraps.
public struct NanoUSD: Sendable, Hashable, Comparable, CustomStringConvertible {
    public let nanos: Int64

    public init(nanos: Int64) { self.nanos = nanos }

    public static let zero = NanoUSD(nanos: 0)
    public static let max = NanoUSD(nanos: .max)

    /// From decimal text in USD, such as `10.00`; digits below a nano-dollar are an error.
    /// - Throws: ``MoneyError`` when the text is no number, is out of range or is finer than 10⁻⁹.
    public init(usd text: some StringProtocol) throws(MoneyError) {
        let (value, exact) = try DecimalText(text).scaled(byPowerOfTen: 9)
        guard exact else { throw .notANumber(String(text)) }
        guard let nanos = Int64(exactly: value) else { throw .overflow }
        self.nanos = nanos
    }

    public static func < (left: NanoUSD, right: NanoUSD) -> Bool { left.nanos < right.nanos }

    public func adding(_ other: NanoUSD) throws(MoneyError) -> NanoUSD {
        let (sum, overflowed) = nanos.addingReportingOverflow(other.nanos)
        if overflowed { throw .overflow }
        return NanoUSD(nanos: sum)
    }

    public func subtracting(_ other: NanoUSD) throws(MoneyError) -> NanoUSD {
        let (difference, overflowed) = nanos.subtractingReportingOverflow(other.nanos)
        if overflowed { throw .overflow }
        return NanoUSD(nanos: difference)
    }

    /// - Throws: ``MoneyError/overflow`` for the one value without a counterpart.
    public func negated() throws(MoneyError) -> NanoUSD { try NanoUSD.zero.subtracting(self) }

    public var isNegative: Bool { nanos < 0 }
    public var isPositive: Bool { nanos > 0 }

    /// Whole cents, rounded towards minus infinity (the seed's `quota`).
    public var wholeCents: Int64 {
        let (quotient, remainder) = nanos.quotientAndRemainder(dividingBy: 10_000_000)
        return remainder < 0 ? quotient - 1 : quotient
    }

    /// Exact decimal text in USD, without exponent: `0.00000123`, `-12.5`, `0`.
    public var usdText: String { decimalText(Int128(nanos), places: 9) }
    public var description: String { "$" + usdText }
}
