import Foundation
import GRDB

/// Numbered SQL files, applied once each and in order.
public struct Migrations: Sendable {
    public enum Dialect: String, Sendable {
        case sqlite, postgres
    }

    public struct Migration: Sendable, Hashable {
        public var version: Int
        public var name: String
        public var sql: String
        public var checksum: String
    }

    /// Ascending by version.
    public let all: [Migration]

    /// Where the files of a dialect are: `APIROUTER_SQL_DIR`, `./sql`, `../share/apirouter/sql` of the executable, or a `sql` folder in one
    /// of the executable's parent folders (a build tree).
    /// - Throws: ``StoreError/schema(_:)`` that lists where it looked.
    public static func locate(dialect: Dialect, environment: [String: String]) throws -> String {
        var candidates: [String] = []
        if let named = environment["APIROUTER_SQL_DIR"], !named.isEmpty { candidates.append(named) }
        candidates.append("sql")
        let executable = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath()
        var folder = executable.deletingLastPathComponent()
        candidates.append(folder.deletingLastPathComponent().appendingPathComponent("share/apirouter/sql").path)
        for _ in 0..<8 where folder.path != "/" {
            candidates.append(folder.appendingPathComponent("sql").path)
            folder.deleteLastPathComponent()
        }
        #if DEBUG
            // The source tree, for tests of a package that lies elsewhere.
            var source = URL(fileURLWithPath: #filePath).resolvingSymlinksInPath()
            for _ in 0..<4 { source.deleteLastPathComponent() }
            candidates.append(source.appendingPathComponent("sql").path)
        #endif
        for candidate in candidates {
            let path = candidate + "/" + dialect.rawValue
            if FileManager.default.fileExists(atPath: path + "/0001_initial.sql") { return path }
        }
        throw StoreError.schema(
            "no migration files found; set APIROUTER_SQL_DIR. Looked in: \(candidates.joined(separator: ", "))")
    }

    /// Reads `NNNN_name.sql` from a folder.
    /// - Throws: ``StoreError/schema(_:)`` for a gap or a double number.
    public init(directory: String) throws {
        let names = try FileManager.default.contentsOfDirectory(atPath: directory).filter { $0.hasSuffix(".sql") }.sorted()
        var list: [Migration] = []
        for name in names {
            guard let version = Int(name.prefix(4)) else {
                throw StoreError.schema("\(directory)/\(name): the name must start with four digits")
            }
            let sql = try String(contentsOfFile: directory + "/" + name, encoding: .utf8)
            list.append(
                Migration(version: version, name: String(name.dropFirst(5).dropLast(4)), sql: sql, checksum: Self.checksum(sql)))
        }
        for (index, migration) in list.enumerated() where migration.version != index + 1 {
            throw StoreError.schema("\(directory): expected version \(index + 1), found \(migration.version)")
        }
        all = list
    }

    /// FNV-1a, 64 bits: guards against an edited file, not against an attacker.
    private static func checksum(_ text: String) -> String {
        var hash: UInt64 = 0xcbf2_9ce4_8422_2325
        for byte in text.utf8 {
            hash ^= UInt64(byte)
            hash = hash &* 0x0100_0000_01b3
        }
        return String(hash, radix: 16)
    }

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

    /// What is left when these have been applied, in order.
    func unapplied(_ applied: [(version: Int, checksum: String)]) throws -> [Migration] {
        for (index, row) in applied.enumerated() {
            let version = row.version
            guard version == index + 1 else {
                throw StoreError.schema("the database has migration \(version), but not migration \(index + 1)")
            }
            guard version <= all.count else {
                throw StoreError.schema("the database has migration \(version), this program knows \(all.count); use a newer program")
            }
            guard row.checksum == all[version - 1].checksum else {
                throw StoreError.schema("migration \(version) was changed after it was applied")
            }
        }
        return Array(all.dropFirst(applied.count))
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
