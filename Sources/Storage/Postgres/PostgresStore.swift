import Foundation
public import RouterCore

/// The store on PostgreSQL 13 or later. Each group of methods has its own file.
public final class PostgresStore: Store {
    /// For people and for what is not urgent: log pages, statistics, users, tokens, prices.
    let pool: PGPool
    /// For leases and postings, so that no number of slow questions keeps a request waiting for its money.
    private let money: PGPool
    /// One connection, which holds the lock of this gateway's identity and gives its signs of life.
    let presence: PGPool
    private let feed: PGChangeFeed

    /// One for what goes through the meter's gate, one for what goes around it.
    private static let moneyConnections = 2

    private init(pool: PGPool, url: Secret) {
        self.pool = pool
        money = PGPool(url: url, connections: Self.moneyConnections, durability: pool.durability)
        presence = PGPool(url: url, connections: 1, durability: pool.durability)
        feed = PGChangeFeed(url: url)
    }

    /// Connects and applies pending migrations, under an advisory lock, so that several gateways may start at once. With `durability`
    /// `power` a server that does not keep its commits over a loss of power is refused.
    /// - Parameters:
    ///   - url: `postgres://user:password@host:port/database?sslmode=…`
    ///   - now: Unix seconds, for the records of migrations.
    ///   - connections: of the part that is not money. Four more are opened when they are needed.
    /// - Throws: ``StoreError``.
    public static func open(
        url: Secret, migrationsDirectory: String, now: Int64, connections: Int = 4, durability: JournalDurability = .process
    ) async throws -> PostgresStore {
        let pool = PGPool(url: url, connections: connections, durability: durability)
        do {
            let migrations = try Migrations(directory: migrationsDirectory)
            _ = try await PostgresMigrations(migrations: migrations, pool: pool).apply(now: now)
            return PostgresStore(pool: pool, url: url)
        } catch {
            await pool.close()
            throw error
        }
    }

    public func ping() async throws { _ = try await read { try $0.rows("SELECT 1") } }

    public func close() async throws {
        await feed.stop()
        await money.close()
        await pool.close()
        await presence.close()
    }

    public var isShared: Bool { true }

    public func changes() -> AsyncStream<[StoreChange]>? { feed.start() }

    // MARK: Access

    /// Statements that change nothing: run again on a new connection when the old one was lost.
    func read<Value: Sendable>(_ body: @escaping @Sendable (inout PGPool.Session) throws -> Value) async throws -> Value {
        try await pool.run(inTransaction: false, body)
    }

    /// The same for money.
    func moneyRead<Value: Sendable>(_ body: @escaping @Sendable (inout PGPool.Session) throws -> Value) async throws -> Value {
        try await money.run(inTransaction: false, body)
    }

    /// One transaction that moves money or leases.
    @discardableResult
    func moneyWrite<Value: Sendable>(_ body: @escaping @Sendable (inout PGPool.Session) throws -> Value) async throws -> Value {
        try await money.run(inTransaction: true, body)
    }

    /// One transaction.
    @discardableResult
    func write<Value: Sendable>(_ body: @escaping @Sendable (inout PGPool.Session) throws -> Value) async throws -> Value {
        try await pool.run(inTransaction: true, body)
    }
}

/// Numbered SQL files on PostgreSQL.
public struct PostgresMigrations: Sendable {
    let migrations: Migrations
    let pool: PGPool

    /// Any number will do, as long as it stays the same: "apirouter" in hexadecimal digits of its letters, shortened.
    private static let lock: Int64 = 0x6170_6972_6F75

    init(migrations: Migrations, pool: PGPool) {
        self.migrations = migrations
        self.pool = pool
    }

    /// Those that the database has not had yet; nothing is written.
    /// - Throws: ``StoreError/schema(_:)`` when the database is newer than the files, or a file was changed afterwards.
    public static func pending(url: Secret, migrationsDirectory: String) async throws -> [Migrations.Migration] {
        try await with(url, migrationsDirectory) { try await $0.pending() }
    }

    /// - Returns: what was applied.
    public static func apply(url: Secret, migrationsDirectory: String, now: Int64) async throws -> [Migrations.Migration] {
        try await with(url, migrationsDirectory) { try await $0.apply(now: now) }
    }

    private static func with(
        _ url: Secret, _ directory: String, _ body: (PostgresMigrations) async throws -> [Migrations.Migration]
    ) async throws -> [Migrations.Migration] {
        let pool = PGPool(url: url, connections: 1)
        do {
            let result = try await body(PostgresMigrations(migrations: try Migrations(directory: directory), pool: pool))
            await pool.close()
            return result
        } catch {
            await pool.close()
            throw error
        }
    }

    func pending() async throws -> [Migrations.Migration] {
        let migrations = migrations
        return try await pool.run(inTransaction: false) { session in
            let exists = try session.rows("SELECT to_regclass('schema_migrations')::text AS name").first?.textOrNil("name") != nil
            return exists ? try Self.unapplied(migrations, &session) : migrations.all
        }
    }

    func apply(now: Int64) async throws -> [Migrations.Migration] {
        let migrations = migrations
        return try await pool.run(inTransaction: false) { session in
            // Another gateway may be at it, and a large table takes its time.
            try session.script("SET statement_timeout = 0; SET lock_timeout = 0")
            defer { try? session.script("RESET statement_timeout; RESET lock_timeout") }
            try session.script("SELECT pg_advisory_lock(\(Self.lock))")
            defer { try? session.script("SELECT pg_advisory_unlock(\(Self.lock))") }
            try session.script(
                """
                CREATE TABLE IF NOT EXISTS schema_migrations (
                    version INTEGER PRIMARY KEY, name TEXT NOT NULL, checksum TEXT NOT NULL, applied_at BIGINT NOT NULL)
                """)
            let waiting = try Self.unapplied(migrations, &session)
            for migration in waiting {
                try session.script("BEGIN")
                do {
                    try session.script(migration.sql)
                    try session.execute(
                        "INSERT INTO schema_migrations (version, name, checksum, applied_at) VALUES ($1, $2, $3, $4)",
                        [migration.version, migration.name, migration.checksum, now])
                    try session.script("COMMIT")
                } catch {
                    try? session.script("ROLLBACK")
                    throw error
                }
            }
            return waiting
        }
    }

    private static func unapplied(_ migrations: Migrations, _ session: inout PGPool.Session) throws -> [Migrations.Migration] {
        let rows = try session.rows("SELECT version, name, checksum FROM schema_migrations ORDER BY version")
        return try migrations.unapplied(rows.map { (Int(try $0.int("version")), try $0.text("checksum")) })
    }
}
