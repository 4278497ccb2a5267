import GRDB

/// A session on one of GRDB's connections.
struct SQLiteSession: SQLSession {
    let db: Database

    var dialect: SQLDialect { .sqlite }

    func rows(_ sql: String, _ parameters: [any SQLParameter]) throws(SQLFailure) -> [SQLRow] {
        try BoundStatement(db, sql).rows(parameters.map(\.sqlValue))
    }

    @discardableResult
    func execute(_ sql: String, _ parameters: [any SQLParameter]) throws(SQLFailure) -> Int {
        try BoundStatement(db, sql).execute(parameters.map(\.sqlValue))
    }

    func savepoint(_ body: () throws -> Void) throws {
        do {
            try db.inSavepoint {
                try body()
                return .commit
            }
        } catch let error as DatabaseError {
            throw SQLFailure(sqlite: error)
        }
    }
}
