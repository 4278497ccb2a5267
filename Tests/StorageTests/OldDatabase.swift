import Foundation
import GRDB
import PostgresTesting
import RouterCore
import Storage

/// A database of either kind at an older schema, and a way to look at it without the store.
struct OldDatabase: Sendable {
    let dialect: SQLDialect
    private let folder: TemporaryFolder
    private let url: String
    private var path: String { folder.path + "/ledger.db" }

    init(_ dialect: SQLDialect) throws {
        self.dialect = dialect
        folder = try TemporaryFolder()
        url = dialect == .postgres ? try PostgresServer.shared.get().makeDatabase() : ""
    }

    private static func directory(_ dialect: SQLDialect) throws -> String { try Migrations.locate(dialect: dialect, environment: [:]) }

    /// How many migrations there are.
    static func count(_ dialect: SQLDialect) throws -> Int { try Migrations(directory: directory(dialect), dialect: dialect).all.count }

    /// Applies the first files only, as an older program would.
    /// - Parameter count: of those that are a database's own.
    func migrate(first count: Int, now: Int64) async throws {
        let old = folder.path + "/sql-" + UUID().uuidString + "/\(dialect.rawValue)"
        try FileManager.default.createDirectory(atPath: old, withIntermediateDirectories: true)
        let directory = try Self.directory(dialect)
        for name in try FileManager.default.contentsOfDirectory(atPath: directory).sorted().prefix(count) {
            try FileManager.default.copyItem(atPath: directory + "/" + name, toPath: old + "/" + name)
        }
        switch dialect {
        case .sqlite: _ = try await Migrations(directory: old, dialect: dialect).apply(databasePath: path, now: now)
        case .postgres: _ = try await PostgresMigrations.apply(url: Secret(url), migrationsDirectory: old, now: now)
        }
    }

    /// Opens with today's program.
    func open(now: Int64) async throws -> any Store {
        switch dialect {
        case .sqlite: try await SQLiteStore.open(path: path, migrationsDirectory: Self.directory(dialect), now: now)
        case .postgres:
            try await PostgresStore.open(url: Secret(url), migrationsDirectory: Self.directory(dialect), now: now, connections: 2)
        }
    }

    /// Runs statements.
    func run(_ sql: String) async throws {
        switch dialect {
        case .sqlite: try await DatabaseQueue(path: path).write { try $0.execute(sql: sql) }
        case .postgres: _ = try PostgresServer.shared.get().query(url, sql)
        }
    }

    /// The rows of a statement whose only column is a text.
    func texts(_ sql: String) async throws -> [String] {
        switch dialect {
        case .sqlite: try await DatabaseQueue(path: path).read { try String.fetchAll($0, sql: sql) }
        case .postgres: try PostgresServer.shared.get().query(url, sql).split(separator: "\n").map(String.init)
        }
    }

    // MARK: Everything there is

    /// The columns of all tables, generated ones included.
    func columns() async throws -> [String: [String]] {
        let lines =
            switch dialect {
            case .sqlite:
                try await texts(
                    """
                    SELECT m.name || ' ' || c.name FROM sqlite_schema m, pragma_table_xinfo(m.name) c
                    WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite_%' ORDER BY m.name, c.cid
                    """)
            case .postgres:
                try await texts(
                    """
                    SELECT table_name || ' ' || column_name FROM information_schema.columns WHERE table_schema = 'public'
                    ORDER BY table_name, ordinal_position
                    """)
            }
        var columns: [String: [String]] = [:]
        for words in lines.map({ $0.split(separator: " ") }) where words.count == 2 {
            columns[String(words[0]), default: []].append(String(words[1]))
        }
        return columns
    }

    /// The rows of tables, as texts in a fixed order.
    func rows(_ columns: [String: [String]]) async throws -> [String: [String]] {
        var rows: [String: [String]] = [:]
        for (table, names) in columns {
            let quoted = names.map { "\"\($0)\"" }
            let row =
                dialect == .sqlite
                ? quoted.map { "quote(\($0))" }.joined(separator: " || ',' || ") : "ROW(\(quoted.joined(separator: ", ")))::text"
            rows[table] = try await texts("SELECT \(row) AS line FROM \(table) ORDER BY 1")
        }
        return rows
    }
}
