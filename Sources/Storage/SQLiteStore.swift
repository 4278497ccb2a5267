import Foundation
import GRDB

/// The store on SQLite: one file, WAL, one writer.
public final class SQLiteStore: SQLStore {
    private let pool: DatabasePool
    /// Held by the one gateway that may spend from this ledger; nil for tools.
    private let lock: FileLock?

    private init(pool: DatabasePool, lock: FileLock?) {
        self.pool = pool
        self.lock = lock
    }

    /// Opens or makes the database and applies pending migrations.
    /// - Parameters:
    ///   - now: Unix seconds, for the records of migrations.
    ///   - locksOut: refuses to open while another gateway has done so with the same.
    ///   - durability: what a transaction has survived when a call returns; with `power` every commit waits for the disk.
    /// - Throws: ``StoreError``.
    public static func open(
        path: String, migrationsDirectory: String, now: Int64, locksOut: Bool = false, durability: JournalDurability = .process
    ) async throws -> SQLiteStore {
        let folder = URL(fileURLWithPath: path).deletingLastPathComponent().path
        let made = try PrivateFiles.makeFolder(folder, what: "folder")
        try PrivateFiles.makeFile(path)
        var configuration = Configuration()
        configuration.label = "ledger"
        configuration.foreignKeysEnabled = true
        configuration.busyMode = .timeout(10)
        configuration.maximumReaderCount = 4
        let prepared = configuration
        return try await mapped {
            let lock =
                locksOut
                ? try FileLock(
                    Self.realPath(path) + ".lock", holder: "another gateway is using the ledger \(path); share PostgreSQL instead")
                : nil
            let pool = try DatabasePool(path: path, configuration: prepared)
            let migrations = try Migrations(directory: migrationsDirectory, dialect: .sqlite)
            try await pool.writeWithoutTransaction { db in
                try synchronize(db, durability)
                try migrations.apply(db, now: now)
            }
            if durability == .power { for changed in made + [folder] { try JournalFile.synchronizeDirectory(changed) } }
            return SQLiteStore(pool: pool, lock: lock)
        }
    }

    /// A file has one lock, by whatever link it is reached.
    private static func realPath(_ path: String) -> String {
        let url = URL(fileURLWithPath: path)
        // The file itself may not be there yet.
        guard FileManager.default.fileExists(atPath: path) else {
            return url.deletingLastPathComponent().resolvingSymlinksInPath().appendingPathComponent(url.lastPathComponent).path
        }
        return url.resolvingSymlinksInPath().path
    }

    public var database: SQLDatabase { SQLDatabase(driver: SQLiteDriver(pool: pool)) }

    public func ping() async throws { _ = try await database.read { try $0.rows("SELECT 1 AS one") } }

    public func verify() async throws -> LedgerReport { try await database.read { try $0.verify() } }

    public func close() async throws {
        try pool.close()
        lock?.release()
    }

    public var isShared: Bool { false }

    public func changes() -> AsyncStream<[StoreChange]>? { nil }

    /// After GRDB has turned the WAL on, because that sets `synchronous` to NORMAL. With NORMAL a commit survives `kill -9` and is on the
    /// disk at the next checkpoint; with FULL it is on the disk when it returns, so that the journal may forget what was posted.
    private static func synchronize(_ db: Database, _ durability: JournalDurability) throws {
        try db.execute(sql: durability == .power ? "PRAGMA synchronous = FULL" : "PRAGMA synchronous = NORMAL")
        let mode = try Int64.fetchOne(db, sql: "PRAGMA synchronous")
        guard mode == (durability == .power ? 2 : 1) else {
            throw StoreError.database("SQLite does not take journal.durability \(durability.rawValue): synchronous is \(mode ?? -1)")
        }
    }

    public func notes() async throws -> [String] { [] }
}
