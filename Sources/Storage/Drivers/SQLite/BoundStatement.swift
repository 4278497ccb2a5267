import GRDB
import GRDBSQLite

/// A prepared statement. Its values go to SQLite directly and come from there directly, which for a log row's three dozen columns takes a
/// fifth of the time of GRDB's arguments and rows. Everything else (connections, transactions, the statements' cache) is GRDB's.
struct BoundStatement {
    private let statement: Statement
    private let db: Database

    init(_ db: Database, _ sql: String) throws(SQLFailure) {
        self.db = db
        do { statement = try db.cachedStatement(sql: sql) } catch { throw SQLFailure(sqlite: error) }
    }

    /// Runs the statement and reads no rows. - Returns: how many rows were changed.
    @discardableResult
    func execute(_ values: [SQLValue]) throws(SQLFailure) -> Int {
        let handle = statement.sqliteStatement
        try bind(values, handle)
        // A statement that failed says why when it is reset; its message is to be read before.
        defer { sqlite3_reset(handle) }
        var code = sqlite3_step(handle)
        while code == SQLITE_ROW { code = sqlite3_step(handle) }
        guard code == SQLITE_DONE else { throw failure(code) }
        return sqlite3_stmt_readonly(handle) == 0 ? db.changesCount : 0
    }

    /// Runs the statement and hands over its rows, one at a time.
    func forEach(_ values: [SQLValue], _ body: (SQLRow) throws -> Void) throws {
        let handle = statement.sqliteStatement
        try bind(values, handle)
        defer { sqlite3_reset(handle) }
        var columns: SQLRow.Columns?
        while true {
            let code = sqlite3_step(handle)
            guard code == SQLITE_ROW else {
                guard code == SQLITE_DONE else { throw failure(code) }
                return
            }
            // Known after the first step only: a statement is prepared again where the schema has changed.
            let count = sqlite3_column_count(handle)
            let known = columns ?? SQLRow.Columns((0..<count).map { String(cString: sqlite3_column_name(handle, $0)) })
            columns = known
            var row: [SQLValue] = []
            row.reserveCapacity(Int(count))
            for place in 0..<count { row.append(try Self.value(handle, place)) }
            try body(SQLRow(columns: known, values: row))
        }
    }

    func rows(_ values: [SQLValue]) throws(SQLFailure) -> [SQLRow] {
        var rows: [SQLRow] = []
        do {
            try forEach(values) { rows.append($0) }
        } catch let failure as SQLFailure {
            throw failure
        } catch {
            throw SQLFailure(kind: .other, message: "\(error)")
        }
        return rows
    }

    // MARK: Values

    private func bind(_ values: [SQLValue], _ handle: OpaquePointer) throws(SQLFailure) {
        sqlite3_reset(handle)
        guard Int(sqlite3_bind_parameter_count(handle)) == values.count else {
            throw SQLFailure(kind: .other, message: "a statement was given \(values.count) values: \(statement.sql)")
        }
        for (index, value) in values.enumerated() {
            let place = Int32(index + 1)
            let code =
                switch value {
                case .null: sqlite3_bind_null(handle, place)
                case .integer(let number): sqlite3_bind_int64(handle, place, number)
                case .text(let text): Self.bind(text, handle, place)
                case .bytes(let bytes): Self.bind(bytes, handle, place)
                }
            guard code == SQLITE_OK else { throw failure(code) }
        }
    }

    /// SQLITE_TRANSIENT, a macro that Swift does not see: SQLite takes a copy.
    private static var transient: sqlite3_destructor_type { unsafeBitCast(-1, to: sqlite3_destructor_type.self) }

    private static func bind(_ text: String, _ handle: OpaquePointer, _ place: Int32) -> Int32 {
        var text = text
        return text.withUTF8 { bytes in
            // An empty buffer may have no address, and a text without one would be NULL.
            guard let start = bytes.baseAddress else { return sqlite3_bind_text(handle, place, "", 0, transient) }
            return start.withMemoryRebound(to: CChar.self, capacity: bytes.count) {
                sqlite3_bind_text(handle, place, $0, Int32(bytes.count), transient)
            }
        }
    }

    private static func bind(_ bytes: [UInt8], _ handle: OpaquePointer, _ place: Int32) -> Int32 {
        // The same goes for bytes.
        guard !bytes.isEmpty else { return sqlite3_bind_zeroblob(handle, place, 0) }
        return bytes.withUnsafeBytes { sqlite3_bind_blob(handle, place, $0.baseAddress, Int32($0.count), transient) }
    }

    private static func value(_ handle: OpaquePointer, _ place: Int32) throws(SQLFailure) -> SQLValue {
        switch sqlite3_column_type(handle, place) {
        case SQLITE_NULL: return .null
        case SQLITE_INTEGER: return .integer(sqlite3_column_int64(handle, place))
        case SQLITE_TEXT:
            guard let start = sqlite3_column_text(handle, place) else { return .text("") }
            let bytes = UnsafeBufferPointer(start: start, count: Int(sqlite3_column_bytes(handle, place)))
            return .text(String(decoding: bytes, as: UTF8.self))
        case SQLITE_BLOB:
            guard let start = sqlite3_column_blob(handle, place) else { return .bytes([]) }
            return .bytes(Array(UnsafeRawBufferPointer(start: start, count: Int(sqlite3_column_bytes(handle, place)))))
        default: throw SQLFailure(kind: .other, message: "a floating-point number came out of the database")
        }
    }

    private func failure(_ code: Int32) -> SQLFailure {
        let extended = sqlite3_extended_errcode(db.sqliteConnection)
        return SQLFailure(
            sqlite: ResultCode(rawValue: extended & 0xFF == code & 0xFF ? extended : code),
            message: sqlite3_errmsg(db.sqliteConnection).map { String(cString: $0) })
    }
}

extension SQLFailure {
    /// GRDB's own errors: connections, transactions, statements that cannot be prepared.
    init(sqlite error: any Error) {
        guard let error = error as? DatabaseError else {
            // GRDB has no other errors here than that of a caller who has been cancelled.
            self.init(kind: .interrupted, message: "\(error)")
            return
        }
        self.init(sqlite: error.extendedResultCode, message: error.message)
    }

    init(sqlite code: ResultCode, message: String?) {
        let kind: Kind =
            switch code {
            case .SQLITE_CONSTRAINT_UNIQUE, .SQLITE_CONSTRAINT_PRIMARYKEY, .SQLITE_CONSTRAINT_ROWID: .unique
            case .SQLITE_CONSTRAINT_FOREIGNKEY: .foreignKey
            case .SQLITE_CONSTRAINT_NOTNULL: .notNull
            case .SQLITE_CONSTRAINT_TRIGGER: .trigger
            case .SQLITE_CONSTRAINT_DATATYPE: .value
            case .SQLITE_BUSY_SNAPSHOT: .serialization
            default:
                switch code.primaryResultCode {
                case .SQLITE_CONSTRAINT: .check
                case .SQLITE_MISMATCH: .value
                case .SQLITE_TOOBIG: .tooBig
                case .SQLITE_BUSY, .SQLITE_LOCKED: .busy
                case .SQLITE_INTERRUPT: .interrupted
                default: .other
                }
            }
        self.init(kind: kind, message: message ?? "SQLite error \(code.rawValue)")
    }
}
