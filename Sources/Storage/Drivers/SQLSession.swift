/// Statements on one connection, for as long as a body runs that a driver has given it to: inside one transaction, or for reading only.
/// Everything blocks. The verbs (`Verbs/`) are functions of a session, so that several of them make one transaction.
///
/// SQL is written once for both databases, with `?1`, `?2`, … for its parameters; ``SQLDialect`` has the words that differ. A statement is
/// prepared when a connection meets it for the first time and stays so: SQL is put together from texts of this program alone, of which
/// there is a bounded number, never from values.
protocol SQLSession {
    var dialect: SQLDialect { get }

    /// The rows of a statement, all of them: a statement whose answer could be large has a LIMIT.
    func rows(_ sql: String, _ parameters: [any SQLParameter]) throws(SQLFailure) -> [SQLRow]

    /// Runs a statement that gives no rows. - Returns: how many rows were inserted, changed or deleted.
    @discardableResult
    func execute(_ sql: String, _ parameters: [any SQLParameter]) throws(SQLFailure) -> Int

    /// Runs a body inside the transaction; a failure undoes only what the body has done, and the transaction can go on. Not nested.
    func savepoint(_ body: () throws -> Void) throws
}

extension SQLSession {
    func rows(_ sql: String) throws(SQLFailure) -> [SQLRow] { try rows(sql, []) }

    @discardableResult
    func execute(_ sql: String) throws(SQLFailure) -> Int { try execute(sql, []) }

    /// The first row, if there is one.
    func first(_ sql: String, _ parameters: [any SQLParameter] = []) throws(SQLFailure) -> SQLRow? {
        try rows(sql, parameters).first
    }

    /// Whether a SELECT finds anything.
    func finds(_ sql: String, _ parameters: [any SQLParameter]) throws(SQLFailure) -> Bool { try !rows(sql, parameters).isEmpty }

    /// Runs statements that can fail for one unique value only. - Throws: ``StoreError/duplicate(_:)`` with its name where it is taken.
    func unique<Value>(_ name: String, _ body: () throws -> Value) throws -> Value {
        do {
            return try body()
        } catch let failure as SQLFailure where failure.kind == .unique {
            throw StoreError.duplicate(name)
        }
    }

    /// Tells the gateways that share the database something (``StoreChange``), when the transaction has succeeded. SQLite has one gateway.
    func announce(_ topic: StoreChange.Topic, _ subject: String) throws(SQLFailure) {
        guard dialect == .postgres else { return }
        _ = try rows("SELECT announce(?1, ?2)", [topic.rawValue, subject])
    }
}
