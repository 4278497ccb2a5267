import CLibpq
import RouterCore

/// A failure of the database, with its SQLSTATE.
struct PGError: Error {
    /// Five characters; empty when the connection itself failed.
    var state: String
    var constraint: String
    var message: String
    /// The connection is of no use any more.
    var isConnectionLost: Bool

    var stored: StoreError {
        // 23505 unique_violation. Constraints are named table_column, so that the column can be told.
        if state == "23505" { return .duplicate(constraint.split(separator: "_", maxSplits: 1).last.map(String.init) ?? constraint) }
        // Class 22: the value does not fit; class 23: a constraint; P0001: refused by a trigger.
        if state.hasPrefix("22") || state.hasPrefix("23") || state == "P0001" { return .database(StoreError.constraintPrefix + message) }
        return .database(message)
    }
}

/// A value on its way into a statement, as the text that PostgreSQL reads. Values are parameters only, never part of the SQL.
protocol PGParameter {
    var parameterText: String? { get }
}

extension Int64: PGParameter { var parameterText: String? { String(self) } }
extension Int: PGParameter { var parameterText: String? { String(self) } }
extension String: PGParameter { var parameterText: String? { self } }
extension Bool: PGParameter { var parameterText: String? { self ? "t" : "f" } }
extension Array: PGParameter where Element == UInt8 {
    var parameterText: String? {
        let digits = Array<UInt8>("0123456789abcdef".utf8)
        var text: [UInt8] = [UInt8(ascii: "\\"), UInt8(ascii: "x")]
        for byte in self { text += [digits[Int(byte >> 4)], digits[Int(byte & 15)]] }
        return String(decoding: text, as: UTF8.self)
    }
}
extension Optional: PGParameter where Wrapped: PGParameter {
    var parameterText: String? { flatMap(\.parameterText) }
}

/// One row, copied out of the library's memory.
struct PGRow: ColumnReader {
    fileprivate final class Names: Sendable {
        let index: [String: Int]
        init(_ index: [String: Int]) { self.index = index }
    }
    fileprivate let names: Names
    fileprivate let values: [String?]

    func textOrNil(_ column: String) throws -> String? {
        guard let index = names.index[column] else { throw StoreError.database("the answer has no column \(column)") }
        return values[index]
    }

    func intOrNil(_ column: String) throws -> Int64? {
        guard let text = try textOrNil(column) else { return nil }
        guard let value = Int64(text) else { throw StoreError.database("the column \(column) is no whole number") }
        return value
    }

    func flag(_ column: String) throws -> Bool { try textOrNil(column) == "t" }

    func bytes(_ column: String) throws -> [UInt8] {
        let hex = Array(try text(column).utf8.dropFirst(2))
        func digit(_ byte: UInt8) -> UInt8 { byte >= UInt8(ascii: "a") ? byte - UInt8(ascii: "a") + 10 : byte &- UInt8(ascii: "0") }
        return stride(from: 0, to: hex.count - 1, by: 2).map { digit(hex[$0]) << 4 | digit(hex[$0 + 1]) }
    }
}

/// What a statement gave back.
struct PGResult {
    var rows: [PGRow]
    /// Rows inserted, changed or deleted.
    var changes: Int
}

/// One connection to PostgreSQL. Not copyable: the handle has one owner and is closed with it. Blocking; belongs to one thread at a time.
struct PGConnection: ~Copyable {
    private let handle: OpaquePointer
    /// Names of prepared statements by their text.
    private var prepared: [String: String] = [:]

    /// - Parameter url: `postgres://…`, with libpq's options (`sslmode`, `sslrootcert`, …) in its query.
    /// - Throws: ``PGError``; its message names the host, never the password.
    init(url: Secret) throws(PGError) {
        let base = url.reveal()
        let keywords = [
            "connect_timeout", "application_name", "client_encoding", "keepalives_idle", "keepalives_interval", "keepalives_count",
            "tcp_user_timeout", "options", "dbname",
        ]
        // A URL in `dbname` is expanded; what it says itself wins over what stands before it, so ours are defaults. A server that is gone
        // without a word is noticed within a quarter of a minute, whether we wait for its answer or it for our question.
        let values = [
            "5", "apirouter", "UTF8", "15", "5", "3", "15000",
            "-c statement_timeout=30000 -c lock_timeout=10000 -c idle_in_transaction_session_timeout=60000", base,
        ]
        let opened = CStrings.with(keywords) { names in
            CStrings.with(values) { texts in PQconnectdbParams(names, texts, 1) }
        }
        guard let opened else { throw PGError(state: "", constraint: "", message: "out of memory", isConnectionLost: true) }
        guard PQstatus(opened) == CONNECTION_OK else {
            let message = String(cString: PQerrorMessage(opened)).split(separator: "\n").joined(separator: "; ")
            PQfinish(opened)
            throw PGError(state: "", constraint: "", message: Self.withoutURL(message), isConnectionLost: true)
        }
        apir_silence(opened)
        handle = opened
    }

    /// The library's message about a server that it has tried names host and role. Its message about a URL that it cannot read quotes the
    /// URL, and a password that was not percent-encoded may stand in any part of that.
    private static func withoutURL(_ message: String) -> String {
        if message.hasPrefix("connection to server") { return message }
        return
            "the PostgreSQL URL leads to no server: check its host, port and options, and percent-encode special characters of the password"
    }

    deinit { PQfinish(handle) }

    var isAlive: Bool { PQstatus(handle) == CONNECTION_OK }

    /// The descriptor, for waiting on notifications.
    var socket: Int32 { PQsocket(handle) }

    /// Runs statements without parameters (a migration file, BEGIN, COMMIT).
    func script(_ sql: String) throws(PGError) {
        _ = try collect(PQexec(handle, sql))
    }

    /// Runs one statement, prepared on its first use.
    @discardableResult
    mutating func execute(_ sql: String, _ parameters: [any PGParameter] = []) throws(PGError) -> PGResult {
        let name = try statement(sql, parameters.count)
        let texts = parameters.map(\.parameterText)
        // It would end there, and be another text.
        guard texts.allSatisfy({ $0?.utf8.contains(0) != true }) else {
            throw PGError(state: "22021", constraint: "", message: "a text with U+0000 cannot be stored", isConnectionLost: false)
        }
        let result = CStrings.with(texts) { values in
            PQexecPrepared(handle, name, Int32(texts.count), values, nil, nil, 0)
        }
        return try collect(result)
    }

    private mutating func statement(_ sql: String, _ count: Int) throws(PGError) -> String {
        if let name = prepared[sql] { return name }
        let name = "s\(prepared.count)"
        _ = try collect(PQprepare(handle, name, sql, Int32(count), nil))
        prepared[sql] = name
        return name
    }

    /// Copies a result and frees it.
    private func collect(_ result: OpaquePointer?) throws(PGError) -> PGResult {
        defer { PQclear(result) }
        switch PQresultStatus(result) {
        case PGRES_TUPLES_OK:
            let columns = PQnfields(result)
            var index: [String: Int] = [:]
            for column in 0..<columns { index[String(cString: PQfname(result, column))] = Int(column) }
            let names = PGRow.Names(index)
            let rows = (0..<PQntuples(result)).map { row in
                PGRow(
                    names: names,
                    values: (0..<columns).map { column in
                        PQgetisnull(result, row, column) == 1 ? nil : String(cString: PQgetvalue(result, row, column))
                    })
            }
            return PGResult(rows: rows, changes: Int(String(cString: PQcmdTuples(result))) ?? 0)
        case PGRES_COMMAND_OK, PGRES_EMPTY_QUERY:
            return PGResult(rows: [], changes: Int(String(cString: PQcmdTuples(result))) ?? 0)
        default:
            func text(_ pointer: UnsafePointer<CChar>?) -> String { pointer.map { String(cString: $0) } ?? "" }
            let message = text(apir_error_message(result))
            let state = text(apir_error_state(result))
            throw PGError(
                state: state, constraint: text(apir_error_constraint(result)),
                message: message.isEmpty ? text(PQerrorMessage(handle)) : message,
                // "cached plan must not change result type": another version has migrated a table; a new connection plans anew.
                isConnectionLost: PQstatus(handle) != CONNECTION_OK || state == "0A000")
        }
    }

    // MARK: Notifications

    /// Reads what has arrived without waiting. - Returns: channels and payloads.
    func notifications() throws(PGError) -> [(channel: String, payload: String)] {
        guard PQconsumeInput(handle) == 1 else {
            throw PGError(state: "", constraint: "", message: String(cString: PQerrorMessage(handle)), isConnectionLost: true)
        }
        var found: [(String, String)] = []
        while let notice = PQnotifies(handle) {
            found.append((String(cString: notice.pointee.relname), String(cString: notice.pointee.extra)))
            PQfreemem(notice)
        }
        return found
    }
}

/// Arrays of C strings that live as long as a call.
private enum CStrings {
    static func with<Result>(_ texts: [String?], _ body: (UnsafePointer<UnsafePointer<CChar>?>) -> Result) -> Result {
        // One block with all bytes, and the offsets into it.
        var bytes: [CChar] = []
        var offsets: [Int?] = []
        for text in texts {
            guard let text else { offsets.append(nil); continue }
            offsets.append(bytes.count)
            for byte in text.utf8 { bytes.append(CChar(bitPattern: byte)) }
            bytes.append(0)
        }
        return bytes.withUnsafeBufferPointer { block in
            var pointers: [UnsafePointer<CChar>?] = offsets.map { offset in offset.flatMap { block.baseAddress?.advanced(by: $0) } }
            pointers.append(nil)
            return pointers.withUnsafeBufferPointer { list in
                guard let base = list.baseAddress else { preconditionFailure("a list with an end has an address") }
                return body(base)
            }
        }
    }
}
