/// The kind of work that a session is wanted for.
enum SQLAccess: Sendable {
    /// Statements that change nothing.
    case read
    /// One transaction.
    case write
    /// The same for leases and postings, which must not wait behind log pages and statistics.
    case moneyRead, moneyWrite

    var isWrite: Bool { self == .write || self == .moneyWrite }
}

/// Gives bodies a session, on threads where they may block.
protocol SQLDriver: Sendable {
    /// - Throws: what the body throws; failures of the database as ``StoreError``, after the transaction has been undone.
    func run<Value: Sendable>(
        _ access: SQLAccess, _ body: @escaping @Sendable (any LedgerSession) throws -> Value
    ) async throws -> Value
}

/// The database behind a store. Other targets see only that there is one.
public struct SQLDatabase: Sendable {
    let driver: any SQLDriver

    func read<Value: Sendable>(_ body: @escaping @Sendable (any LedgerSession) throws -> Value) async throws -> Value {
        try await driver.run(.read, body)
    }

    @discardableResult
    func write<Value: Sendable>(_ body: @escaping @Sendable (any LedgerSession) throws -> Value) async throws -> Value {
        try await driver.run(.write, body)
    }

    func moneyRead<Value: Sendable>(_ body: @escaping @Sendable (any LedgerSession) throws -> Value) async throws -> Value {
        try await driver.run(.moneyRead, body)
    }

    @discardableResult
    func moneyWrite<Value: Sendable>(_ body: @escaping @Sendable (any LedgerSession) throws -> Value) async throws -> Value {
        try await driver.run(.moneyWrite, body)
    }
}

/// A store in an SQL database: what the verbs do is the same in all of them and stands beside the verbs (`Verbs/`).
public protocol SQLStore: Store {
    var database: SQLDatabase { get }
}
