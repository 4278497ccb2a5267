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

    /// Where the files of a dialect are: `APIROUTER_SQL_DIR`, `./sql`, `../share/apirouter/sql` of the executable, or a `sql` folder in one of
    /// the executable's parent folders (a build tree).
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

    /// Those that a database has not had yet.
    /// - Throws: ``StoreError/schema(_:)`` when the database is newer than the files, or a file was changed afterwards.
    func pending(_ db: Database) throws -> [Migration] {
        try db.execute(
            sql: """
                CREATE TABLE IF NOT EXISTS schema_migrations (
                    version INTEGER PRIMARY KEY, name TEXT NOT NULL, checksum TEXT NOT NULL, applied_at INTEGER NOT NULL
                ) STRICT
                """)
        let applied = try Row.fetchAll(db, sql: "SELECT version, name, checksum FROM schema_migrations ORDER BY version")
        for row in applied {
            let version: Int = row["version"]
            guard version <= all.count else {
                throw StoreError.schema("the database has migration \(version), this program knows \(all.count); use a newer program")
            }
            guard row["checksum"] == all[version - 1].checksum else {
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
