/// A value that goes into a statement or comes out of a row. These are all the kinds of columns that there are: a floating-point number
/// is in none that this program reads. Truth values are the integers 0 and 1.
enum SQLValue: Sendable, Hashable {
    case null
    case integer(Int64)
    case text(String)
    case bytes([UInt8])

    init(_ value: Int64?) { self = value.map { .integer($0) } ?? .null }
    init(_ value: String?) { self = value.map { .text($0) } ?? .null }
}

/// A Swift value on its way into a statement. Values are parameters only, never part of the SQL.
protocol SQLParameter {
    var sqlValue: SQLValue { get }
}

extension SQLValue: SQLParameter { var sqlValue: SQLValue { self } }
extension Int64: SQLParameter { var sqlValue: SQLValue { .integer(self) } }
extension Int: SQLParameter { var sqlValue: SQLValue { .integer(Int64(self)) } }
extension String: SQLParameter { var sqlValue: SQLValue { .text(self) } }
extension Bool: SQLParameter { var sqlValue: SQLValue { .integer(self ? 1 : 0) } }
extension Array: SQLParameter where Element == UInt8 { var sqlValue: SQLValue { .bytes(self) } }
extension Optional: SQLParameter where Wrapped: SQLParameter {
    var sqlValue: SQLValue { map(\.sqlValue) ?? .null }
}
