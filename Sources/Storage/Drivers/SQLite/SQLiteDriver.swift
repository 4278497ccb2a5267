import GRDB

/// One file, WAL: a few readers beside one writer, whose turn everybody awaits. Money needs no connections of its own, because a reader
/// never keeps the writer waiting.
struct SQLiteDriver: SQLDriver {
    let pool: DatabasePool

    func run<Value: Sendable>(
        _ access: SQLAccess, _ body: @escaping @Sendable (any LedgerSession) throws -> Value
    ) async throws -> Value {
        try await mapped {
            access.isWrite
                ? try await pool.write { db in try body(SQLiteSession(db: db)) }
                : try await pool.read { db in try body(SQLiteSession(db: db)) }
        }
    }
}

/// Turns errors of SQLite into ``StoreError``, without the arguments of statements.
func mapped<Value: Sendable>(_ body: () async throws -> Value) async throws -> Value {
    do {
        return try await body()
    } catch let error as DatabaseError {
        throw SQLFailure(sqlite: error).stored
    } catch let failure as SQLFailure {
        // GRDB stops the statements of a caller who has been cancelled.
        if failure.kind == .interrupted, Task.isCancelled { throw CancellationError() }
        throw failure.stored
    }
}
