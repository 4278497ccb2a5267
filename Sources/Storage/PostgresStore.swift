public import RouterCore

/// The store on PostgreSQL 13 or later.
public final class PostgresStore: SQLStore {
    /// For people and for what is not urgent: log pages, statistics, users, tokens, prices.
    let pool: PGPool
    /// For leases and postings, so that no number of slow questions keeps a request waiting for its money.
    let money: PGPool
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
            let migrations = try Migrations(directory: migrationsDirectory, dialect: .postgres)
            _ = try await PostgresMigrations(migrations: migrations, pool: pool).apply(now: now)
            return PostgresStore(pool: pool, url: url)
        } catch {
            await pool.close()
            throw error
        }
    }

    public var database: SQLDatabase { SQLDatabase(driver: PostgresDriver(pool: pool, money: money)) }

    public func ping() async throws { _ = try await database.read { try $0.rows("SELECT 1 AS one") } }

    public func verify() async throws -> LedgerReport {
        try await pool.run(inTransaction: false) { session in
            // One picture of the books, while gateways go on posting.
            try session.script("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
            defer { try? session.script("ROLLBACK") }
            // As long as it takes: what cannot be verified within a limit is most worth verifying.
            try session.script("SET LOCAL statement_timeout = 0")
            return try session.verify()
        }
    }

    public func close() async throws {
        await feed.stop()
        await money.close()
        await pool.close()
        await presence.close()
    }

    public var isShared: Bool { true }

    public func changes() -> AsyncStream<[StoreChange]>? { feed.start() }
}
