import CLibpq
import RouterCore

/// The result of a statement.
struct PGResult {
    var rows: [SQLRow]
    /// Rows inserted, changed or deleted.
    var changes: Int
}

/// One connection to PostgreSQL. Not copyable: the handle has one owner and is closed with it. Blocking; belongs to one thread at a time.
struct PGConnection: ~Copyable {
    private let handle: OpaquePointer
    /// Names of prepared statements by their text.
    private var prepared: [String: String] = [:]

    /// - Parameter url: `postgres://…`, with libpq's options (`sslmode`, `sslrootcert`, …) in its query.
    /// - Throws: ``SQLFailure``; its message names the host, never the password.
    init(url: Secret) throws(SQLFailure) {
        let base = url.reveal()
        let keywords = [
            "connect_timeout", "application_name", "client_encoding", "keepalives_idle", "keepalives_interval", "keepalives_count",
            "tcp_user_timeout", "options", "dbname",
        ]
        // A URL in `dbname` is expanded; what it says itself wins over what stands before it, so ours are defaults. A server that is gone
        // without a word is noticed within a quarter of a minute, whether we wait for its answer or it for our question.
        // Compiling a statement takes longer than any of ours.
        let values = [
            "5", "apirouter", "UTF8", "15", "5", "3", "15000",
            "-c statement_timeout=30000 -c lock_timeout=10000 -c idle_in_transaction_session_timeout=60000 -c jit=off", base,
        ]
        let opened = CStrings.with(keywords) { names in
            CStrings.with(values) { texts in PQconnectdbParams(names, texts, 1) }
        }
        guard let opened else { throw .lost("out of memory") }
        guard PQstatus(opened) == CONNECTION_OK else {
            let message = String(cString: PQerrorMessage(opened)).split(separator: "\n").joined(separator: "; ")
            PQfinish(opened)
            throw .lost(Self.withoutURL(message))
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
    func script(_ sql: String) throws(SQLFailure) {
        _ = try collect(PQexec(handle, sql))
    }

    /// Runs one statement, prepared on its first use.
    @discardableResult
    mutating func execute(_ sql: String, _ values: [SQLValue] = []) throws(SQLFailure) -> PGResult {
        let name = try statement(sql, values.count)
        let texts = values.map(\.postgresText)
        // It would end there, and be another text.
        guard texts.allSatisfy({ $0?.utf8.contains(0) != true }) else {
            throw SQLFailure(kind: .value, message: "a text with U+0000 cannot be stored")
        }
        let result = CStrings.with(texts) { values in
            PQexecPrepared(handle, name, Int32(texts.count), values, nil, nil, 0)
        }
        return try collect(result)
    }

    private mutating func statement(_ sql: String, _ count: Int) throws(SQLFailure) -> String {
        if let name = prepared[sql] { return name }
        let name = "s\(prepared.count)"
        _ = try collect(PQprepare(handle, name, Self.numbered(sql), Int32(count), nil))
        prepared[sql] = name
        return name
    }

    /// `?1` is `$1` here. Quoted texts stay as they are.
    static func numbered(_ sql: String) -> String {
        var bytes = Array(sql.utf8)
        var quote: UInt8?
        for (index, byte) in bytes.enumerated() {
            if let open = quote {
                if byte == open { quote = nil }
            } else if byte == UInt8(ascii: "'") || byte == UInt8(ascii: "\"") {
                quote = byte
            } else if byte == UInt8(ascii: "?"), index + 1 < bytes.count, (0x31...0x39).contains(bytes[index + 1]) {
                bytes[index] = UInt8(ascii: "$")
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    /// Copies a result and frees it.
    private func collect(_ result: OpaquePointer?) throws(SQLFailure) -> PGResult {
        defer { PQclear(result) }
        switch PQresultStatus(result) {
        case PGRES_TUPLES_OK:
            let count = PQnfields(result)
            let columns = SQLRow.Columns((0..<count).map { String(cString: PQfname(result, $0)) })
            let types = (0..<count).map { PGColumnType(oid: PQftype(result, $0)) }
            var rows: [SQLRow] = []
            rows.reserveCapacity(Int(PQntuples(result)))
            for row in 0..<PQntuples(result) {
                var values: [SQLValue] = []
                values.reserveCapacity(Int(count))
                for column in 0..<count { values.append(try types[Int(column)].value(result, row, column)) }
                rows.append(SQLRow(columns: columns, values: values))
            }
            return PGResult(rows: rows, changes: Int(String(cString: PQcmdTuples(result))) ?? 0)
        case PGRES_COMMAND_OK, PGRES_EMPTY_QUERY:
            return PGResult(rows: [], changes: Int(String(cString: PQcmdTuples(result))) ?? 0)
        default:
            func text(_ pointer: UnsafePointer<CChar>?) -> String { pointer.map { String(cString: $0) } ?? "" }
            let message = text(apir_error_message(result))
            let state = text(apir_error_state(result))
            throw SQLFailure(
                postgres: state, constraint: text(apir_error_constraint(result)),
                message: message.isEmpty ? text(PQerrorMessage(handle)) : message,
                // "cached plan must not change result type": another version has migrated a table; a new connection plans anew.
                isConnectionLost: PQstatus(handle) != CONNECTION_OK || state == "0A000")
        }
    }

    // MARK: Notifications

    /// Reads what has arrived without waiting. - Returns: channels and payloads.
    func notifications() throws(SQLFailure) -> [(channel: String, payload: String)] {
        guard PQconsumeInput(handle) == 1 else {
            throw .lost(String(cString: PQerrorMessage(handle)))
        }
        var found: [(String, String)] = []
        while let notice = PQnotifies(handle) {
            found.append((String(cString: notice.pointee.relname), String(cString: notice.pointee.extra)))
            PQfreemem(notice)
        }
        return found
    }
}
