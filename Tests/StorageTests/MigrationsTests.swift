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
        let directory = folder.path + "/sql-" + UUID().uuidString
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        for (name, sql) in contents { try sql.write(toFile: directory + "/" + name, atomically: true, encoding: .utf8) }
        return try Migrations(directory: directory)
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
        #expect(try Migrations(directory: usual).all.first?.name == "initial")
    }
}
