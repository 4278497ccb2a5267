public import RouterCore

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
            let result = try await body(
                PostgresMigrations(migrations: try Migrations(directory: directory, dialect: .postgres), pool: pool))
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
            return exists ? try Self.unapplied(migrations, session) : migrations.all
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
            let waiting = try Self.unapplied(migrations, session)
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

    private static func unapplied(_ migrations: Migrations, _ session: PGSession) throws -> [Migrations.Migration] {
        let rows = try session.rows("SELECT version, name, checksum FROM schema_migrations ORDER BY version")
        return try migrations.unapplied(rows.map { (Int(try $0.int("version")), try $0.text("checksum")) })
    }
}
