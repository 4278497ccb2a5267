import Foundation
import GRDB
import Storage
import Testing

@Suite(.timeLimit(.minutes(10)))
struct MigrationsTests {
    private let folder: TemporaryFolder
    private var database: String { folder.path + "/a.db" }

    init() throws { folder = try TemporaryFolder() }

    private func files(_ contents: [String: String]) throws -> Migrations {
        let directory = folder.path + "/sql-" + UUID().uuidString + "/sqlite"
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        for (name, sql) in contents { try sql.write(toFile: directory + "/" + name, atomically: true, encoding: .utf8) }
        return try Migrations(directory: directory, dialect: .sqlite)
    }

    private func isSchemaError(_ error: any Error) -> Bool {
        if case StoreError.schema = error { true } else { false }
    }

    @Test func `a dry run names what waits and writes nothing`() async throws {
        let migrations = try files(["0001_one.sql": "CREATE TABLE a (x)", "0002_two.sql": "CREATE TABLE b (x)"])
        #expect(try await migrations.pending(databasePath: database).map(\.name) == ["one", "two"])
        #expect(!FileManager.default.fileExists(atPath: database))
        #expect(try await migrations.apply(databasePath: database, now: 5).map(\.version) == [1, 2])
        #expect(try await migrations.pending(databasePath: database).isEmpty)
        #expect(try await migrations.apply(databasePath: database, now: 6).isEmpty)
        let times = try await DatabaseQueue(path: database).read { db in
            try Int64.fetchAll(db, sql: "SELECT applied_at FROM schema_migrations")
        }
        #expect(times == [5, 5])
    }

    @Test func `a changed file is refused`() async throws {
        _ = try await files(["0001_one.sql": "CREATE TABLE a (x)"]).apply(databasePath: database, now: 5)
        let changed = try files(["0001_one.sql": "CREATE TABLE a (x, y)"])
        await #expect { try await changed.apply(databasePath: database, now: 6) } throws: { isSchemaError($0) }
        await #expect { try await changed.pending(databasePath: database) } throws: { isSchemaError($0) }
    }

    @Test func `a database newer than the files is refused`() async throws {
        let both = ["0001_one.sql": "CREATE TABLE a (x)", "0002_two.sql": "CREATE TABLE b (x)"]
        _ = try await files(both).apply(databasePath: database, now: 5)
        let older = try files(["0001_one.sql": "CREATE TABLE a (x)"])
        await #expect { try await older.pending(databasePath: database) } throws: { isSchemaError($0) }
    }

    @Test func `a failing file leaves the database at the version before it`() async throws {
        let broken = try files([
            "0001_one.sql": "CREATE TABLE a (x)", "0002_two.sql": "CREATE TABLE b (x); INSERT INTO nowhere VALUES (1)",
        ])
        await #expect(throws: StoreError.self) { try await broken.apply(databasePath: database, now: 5) }
        #expect(try await broken.pending(databasePath: database).map(\.version) == [2])
        let tables = try await DatabaseQueue(path: database).read { db in
            (try db.tableExists("a"), try db.tableExists("b"))
        }
        #expect(tables == (true, false))
    }

    @Test func `a gap in the numbers is refused`() throws {
        #expect { try files(["0001_one.sql": "", "0003_three.sql": ""]) } throws: { isSchemaError($0) }
    }

    @Test func `the files are found, and a named folder comes first`() throws {
        let named = folder.path + "/named"
        try FileManager.default.createDirectory(atPath: named + "/sqlite", withIntermediateDirectories: true)
        try "".write(toFile: named + "/sqlite/0001_initial.sql", atomically: true, encoding: .utf8)
        let found = try Migrations.locate(dialect: .sqlite, environment: ["APIROUTER_SQL_DIR": named])
        #expect(found == named + "/sqlite")
        let usual = try Migrations.locate(dialect: .sqlite, environment: [:])
        #expect(try Migrations(directory: usual, dialect: .sqlite).all.first?.name == "initial")
    }

    // MARK: One numbering for both databases

    /// The migrations of both dialects, out of files that are named by their paths under `sql`.
    private func both(_ paths: [String]) throws -> [SQLDialect: [String]] {
        let root = folder.path + "/both-" + UUID().uuidString
        // Each database's own numbers.
        let own = (1...10).map { "sqlite/\(digits($0))_own.sql" } + (1...9).map { "postgres/\(digits($0))_own.sql" }
        for path in own + paths {
            let file = URL(fileURLWithPath: root + "/" + path)
            try FileManager.default.createDirectory(at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
            try "-- \(path)".write(to: file, atomically: true, encoding: .utf8)
        }
        var found: [SQLDialect: [String]] = [:]
        for dialect in SQLDialect.allCases {
            let migrations = try Migrations(directory: root + "/" + dialect.rawValue, dialect: dialect)
            found[dialect] = migrations.all.filter { $0.version >= Migrations.firstCommon }.map { "\($0.version) \($0.name) \($0.sql)" }
        }
        return found
    }

    private func digits(_ number: Int) -> String { String(repeating: "0", count: 4 - String(number).count) + String(number) }

    @Test func `from the first common number on both databases have the same numbers and names`() throws {
        let found = try both(["sqlite/0011_pair.sql", "postgres/0011_pair.sql", "0012_shared.sql"])
        #expect(found[.sqlite] == ["11 pair -- sqlite/0011_pair.sql", "12 shared -- 0012_shared.sql"])
        #expect(found[.postgres] == ["11 pair -- postgres/0011_pair.sql", "12 shared -- 0012_shared.sql"])
    }

    @Test(arguments: [
        ["sqlite/0011_alone.sql"], ["postgres/0011_alone.sql"], ["sqlite/0011_one.sql", "postgres/0011_other.sql"],
        ["0011_twice.sql", "sqlite/0011_twice.sql"], ["0011_twice.sql", "sqlite/0011_twice.sql", "postgres/0011_twice.sql"],
        ["0010_early.sql"], ["postgres/0010_never.sql"], ["0012_gap.sql"], ["0011_one.sql", "0011_other.sql"],
    ])
    func `a number without its partner, with two meanings or out of order is refused`(_ paths: [String]) {
        #expect { try both(paths) } throws: { isSchemaError($0) }
    }

    @Test func `a database goes on from its own numbers to the common ones`() async throws {
        var own = Dictionary(uniqueKeysWithValues: (1...10).map { ("\(digits($0))_own.sql", "CREATE TABLE own_\($0) (x)") })
        own["0009_own.sql"] = "-- A number may have nothing to do for one of the databases."
        let before = try files(own)
        _ = try await before.apply(databasePath: database, now: 5)
        let root = folder.path + "/next"
        try FileManager.default.createDirectory(atPath: root + "/sqlite", withIntermediateDirectories: true)
        for (name, sql) in own { try sql.write(toFile: root + "/sqlite/" + name, atomically: true, encoding: .utf8) }
        try "CREATE TABLE common (x)".write(toFile: root + "/0011_common.sql", atomically: true, encoding: .utf8)
        let next = try Migrations(directory: root + "/sqlite", dialect: .sqlite)
        #expect(try await next.apply(databasePath: database, now: 6).map(\.version) == [11])
        #expect(try await next.pending(databasePath: database).isEmpty)
        await #expect { try await before.pending(databasePath: database) } throws: { isSchemaError($0) }
    }

    @Test(arguments: SQLDialect.allCases)
    func `the files of this program keep to the numbering`(_ dialect: SQLDialect) throws {
        let migrations = try Migrations(directory: try Migrations.locate(dialect: dialect, environment: [:]), dialect: dialect)
        let last = dialect == .sqlite ? 10 : 9
        #expect(migrations.all.prefix(last).map(\.version) == Array(1...last))
        #expect(migrations.all.dropFirst(last).allSatisfy { $0.version >= 11 })
    }
}
