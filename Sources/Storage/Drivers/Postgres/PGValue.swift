import CLibpq

extension SQLValue {
    /// As PostgreSQL reads it: every value goes there as text, and the type is that of the place in the statement.
    var postgresText: String? {
        switch self {
        case .null: nil
        case .integer(let number): String(number)
        case .text(let text): text
        case .bytes(let bytes): "\\x" + Hex.text(bytes)
        }
    }
}

/// How the text of a column is read.
enum PGColumnType {
    case integer, flag, bytes, text

    /// - Parameter oid: of the type, from PostgreSQL's `pg_type.dat`; numbers of built-in types never change.
    init(oid: Oid) {
        switch oid {
        case 16: self = .flag
        case 17: self = .bytes
        case 20, 21, 23: self = .integer
        default: self = .text
        }
    }

    func value(_ result: OpaquePointer?, _ row: Int32, _ column: Int32) throws(SQLFailure) -> SQLValue {
        guard PQgetisnull(result, row, column) == 0, let start = PQgetvalue(result, row, column) else { return .null }
        let bytes = UnsafeRawBufferPointer(start: start, count: Int(PQgetlength(result, row, column)))
        switch self {
        case .flag: return .integer(bytes.first == UInt8(ascii: "t") ? 1 : 0)
        case .text: return .text(String(decoding: bytes, as: UTF8.self))
        case .integer:
            guard let number = Int64(String(decoding: bytes, as: UTF8.self)) else {
                throw SQLFailure(kind: .other, message: "PostgreSQL has sent a whole number that is none")
            }
            return .integer(number)
        case .bytes:
            // `\x`, then two digits for each byte.
            guard let decoded = Hex.bytes(String(decoding: bytes.dropFirst(2), as: UTF8.self)) else {
                throw SQLFailure(kind: .other, message: "PostgreSQL has sent bytes in another form than hexadecimal digits")
            }
            return .bytes(decoded)
        }
    }
}
