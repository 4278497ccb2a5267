import Foundation
import GRDB

/// Something with named columns: a row of either database, a version in the history of prices, a row of an old journal.
protocol ColumnReader {
    func intOrNil(_ column: String) throws -> Int64?
    func textOrNil(_ column: String) throws -> String?
    func bytesOrNil(_ column: String) throws -> [UInt8]?
    func flag(_ column: String) throws -> Bool
}

extension ColumnReader {
    func int(_ column: String) throws -> Int64 { try present(intOrNil(column), column) }
    func text(_ column: String) throws -> String { try present(textOrNil(column), column) }
    func bytes(_ column: String) throws -> [UInt8] { try present(bytesOrNil(column), column) }

    private func present<Value>(_ value: Value?, _ column: String) throws -> Value {
        guard let value else { throw StoreError.database("the column \(column) is NULL") }
        return value
    }
}

/// Rows of the journal that was a SQLite file.
extension Row: ColumnReader {
    func intOrNil(_ column: String) throws -> Int64? { self[column] }
    func textOrNil(_ column: String) throws -> String? { self[column] }
    func bytesOrNil(_ column: String) throws -> [UInt8]? { (self[column] as Data?).map { Array($0) } }
    func flag(_ column: String) throws -> Bool { self[column] }
}
