/// One row, copied out of the library's memory.
struct SQLRow: ColumnReader {
    /// The places of an answer's columns by their names, shared by all its rows.
    final class Columns: Sendable {
        let places: [String: Int]

        init(_ names: some Sequence<String>) {
            places = Dictionary(names.enumerated().map { ($0.element, $0.offset) }) { first, _ in first }
        }
    }

    let columns: Columns
    let values: [SQLValue]

    private func value(_ column: String) throws -> SQLValue {
        guard let place = columns.places[column] else { throw StoreError.database("the answer has no column \(column)") }
        return values[place]
    }

    func intOrNil(_ column: String) throws -> Int64? {
        switch try value(column) {
        case .null: nil
        case .integer(let number): number
        case .text, .bytes: throw StoreError.database("the column \(column) is no whole number")
        }
    }

    func textOrNil(_ column: String) throws -> String? {
        switch try value(column) {
        case .null: nil
        case .text(let text): text
        case .integer, .bytes: throw StoreError.database("the column \(column) is no text")
        }
    }

    func bytesOrNil(_ column: String) throws -> [UInt8]? {
        switch try value(column) {
        case .null: nil
        case .bytes(let bytes): bytes
        case .integer, .text: throw StoreError.database("the column \(column) has no bytes")
        }
    }

    func flag(_ column: String) throws -> Bool { try int(column) != 0 }
}
