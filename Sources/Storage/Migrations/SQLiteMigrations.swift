import Foundation
import GRDB

/// Numbered SQL files on SQLite.
extension Migrations {
    /// Those that the database at a path has not had yet, for a dry run: nothing is written, and no file is made.
    /// - Throws: ``StoreError/schema(_:)`` as ``apply(databasePath:now:)`` would, ``StoreError/database(_:)``.
    public func pending(databasePath: String) async throws -> [Migration] {
        guard FileManager.default.fileExists(atPath: databasePath) else { return all }
        var configuration = Configuration()
        configuration.readonly = true
        let prepared = configuration
        return try await mapped {
            try await DatabaseQueue(path: databasePath, configuration: prepared).read { db in
                try db.tableExists("schema_migrations") ? unapplied(db) : all
            }
        }
    }

    /// Brings the database at a path up to date; makes it when there is none.
    /// - Parameter now: Unix seconds.
    /// - Returns: what was applied.
    /// - Throws: ``StoreError/schema(_:)``, ``StoreError/database(_:)``.
    public func apply(databasePath: String, now: Int64) async throws -> [Migration] {
        var configuration = Configuration()
        configuration.busyMode = .timeout(10)
        let prepared = configuration
        return try await mapped {
            try PrivateFiles.makeFile(databasePath)
            return try await DatabaseQueue(path: databasePath, configuration: prepared).writeWithoutTransaction { db in
                let waiting = try pending(db)
                try apply(db, now: now)
                return waiting
            }
        }
    }

    /// Those that an open database has not had yet; makes the table of migrations when it is missing.
    /// - Throws: ``StoreError/schema(_:)`` when the database is newer than the files, or a file was changed afterwards.
    func pending(_ db: Database) throws -> [Migration] {
        try db.execute(
            sql: """
                CREATE TABLE IF NOT EXISTS schema_migrations (
                    version INTEGER PRIMARY KEY, name TEXT NOT NULL, checksum TEXT NOT NULL, applied_at INTEGER NOT NULL
                ) STRICT
                """)
        return try unapplied(db)
    }

    private func unapplied(_ db: Database) throws -> [Migration] {
        let applied = try Row.fetchAll(db, sql: "SELECT version, name, checksum FROM schema_migrations ORDER BY version")
        return try unapplied(applied.map { ($0["version"], $0["checksum"]) })
    }

    /// Applies what is pending, each file in a transaction of its own.
    func apply(_ db: Database, now: Int64) throws {
        for migration in try pending(db) {
            try db.inTransaction {
                try db.execute(sql: migration.sql)
                try db.execute(
                    sql: "INSERT INTO schema_migrations (version, name, checksum, applied_at) VALUES (?, ?, ?, ?)",
                    arguments: [migration.version, migration.name, migration.checksum, now])
                return .commit
            }
        }
    }
}
