/// A factor on prices (group ratio), exact to a millionth: `1.0`, `0.85`, `2`. Never negative.
public struct PriceRatio: Sendable, Hashable, CustomStringConvertible {
    public let millionths: Int64

    public init(millionths: Int64) {
        precondition(millionths >= 0, "a ratio is never negative")
        self.millionths = millionths
    }

    public static let one = PriceRatio(millionths: 1_000_000)

    /// - Throws: ``MoneyError`` when the text is no number, negative, above 1,000,000 or finer than 10⁻⁶.
    public init(text: some StringProtocol) throws(MoneyError) {
        let decimal = try DecimalText(text)
        if decimal.isNegative { throw .negative(String(text)) }
        let (value, exact) = try decimal.scaled(byPowerOfTen: 6)
        guard exact else { throw .notANumber(String(text)) }
        guard let millionths = Int64(exactly: value), millionths <= 1_000_000_000_000 else { throw .overflow }
        self.millionths = millionths
    }

    public var description: String { decimalText(Int128(millionths), places: 6) }
}
