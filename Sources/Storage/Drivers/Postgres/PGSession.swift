/// A session on one connection to PostgreSQL, for as long as the connection lasts. Belongs to the thread of its connection.
final class PGSession: SQLSession {
    private var connection: PGConnection
    /// A savepoint is still open, though its body has succeeded.
    private var hasSavepoint = false

    init(_ connection: consuming PGConnection) { self.connection = connection }

    var dialect: SQLDialect { .postgres }

    var isAlive: Bool { connection.isAlive }

    func rows(_ sql: String, _ parameters: [any SQLParameter]) throws(SQLFailure) -> [SQLRow] {
        try connection.execute(sql, parameters.map(\.sqlValue)).rows
    }

    @discardableResult
    func execute(_ sql: String, _ parameters: [any SQLParameter]) throws(SQLFailure) -> Int {
        try connection.execute(sql, parameters.map(\.sqlValue)).changes
    }

    /// Statements without parameters.
    func script(_ sql: String) throws(SQLFailure) { try connection.script(sql) }

    /// One round trip for a body that succeeds: its savepoint is given up together with the next one, or by the end of the transaction.
    func savepoint(_ body: () throws -> Void) throws {
        try script(hasSavepoint ? "RELEASE body; SAVEPOINT body" : "SAVEPOINT body")
        hasSavepoint = true
        do {
            try body()
        } catch {
            try script("ROLLBACK TO body")
            throw error
        }
    }

    /// - Parameter hasCommitted: set when the body has done its work, so that it must not be run again.
    func run<Value>(inTransaction: Bool, hasCommitted: inout Bool, _ body: (PGSession) throws -> Value) throws -> Value {
        hasSavepoint = false
        if inTransaction { try script("BEGIN") }
        do {
            let value = try body(self)
            hasCommitted = true
            if inTransaction { try script("COMMIT") }
            return value
        } catch {
            if inTransaction, isAlive { try? script("ROLLBACK") }
            throw error
        }
    }
}
