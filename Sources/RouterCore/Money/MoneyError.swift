/// What can go wrong with an amount or a price.
public enum MoneyError: Error, Sendable, Hashable, CustomStringConvertible {
    /// The result does not fit the 64-bit range.
    case overflow
    /// The text is not a decimal number.
    case notANumber(String)
    /// A price below zero (only the sentinel -1 is known, and that is handled by the caller).
    case negative(String)

    public var description: String {
        switch self {
        case .overflow: "amount out of range (the limit is about 9.2 billion US dollars)"
        case .notANumber(let text): "“\(text)” is not a decimal number"
        case .negative(let text): "“\(text)” is negative"
        }
    }
}
