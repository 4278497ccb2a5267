import ArgumentParser
import Config
import Foundation
import RouterCore
import Storage

struct MigrateCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "migrate", abstract: "Bring the ledger's schema up to date (serve does so at its start, too).",
        subcommands: [Status.self])

    @OptionGroup var common: ConfigOption
    @Flag(help: "Print the SQL that would run, and change nothing.") var dryRun = false

    func run() async throws {
        let schema = try common.schema()
        let pending = dryRun ? try await schema.pending() : try await schema.apply()
        for migration in pending {
            print(dryRun ? "-- \(migration.label)\n\(migration.sql)" : "applied \(migration.label)")
        }
        if pending.isEmpty { print("nothing to do: the schema is up to date") }
    }

    struct Status: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "status", abstract: "List migrations; exit code 1 when some are pending.")

        @OptionGroup var common: ConfigOption

        func run() async throws {
            let schema = try common.schema()
            let pending = Set(try await schema.pending().map(\.version))
            for migration in schema.migrations.all {
                print("\(pending.contains(migration.version) ? "pending" : "applied") \(migration.label)")
            }
            if !pending.isEmpty { throw ExitCode.failure }
        }
    }
}

extension Migrations.Migration {
    /// `0003_books`
    var label: String {
        let digits = String(version)
        return String(repeating: "0", count: max(0, 4 - digits.count)) + digits + "_" + name
    }
}

/// The migrations of one database.
struct Schema {
    let storage: GatewayConfiguration.StorageURL
    let directory: String
    let migrations: Migrations

    func pending() async throws -> [Migrations.Migration] {
        switch storage {
        case .sqlite(let path): try await migrations.pending(databasePath: path)
        case .postgres(let url): try await PostgresMigrations.pending(url: url, migrationsDirectory: directory)
        }
    }

    func apply() async throws -> [Migrations.Migration] {
        let now = Int64(Date().timeIntervalSince1970)
        switch storage {
        case .sqlite(let path):
            return try await migrations.apply(databasePath: path, now: now)
        case .postgres(let url):
            return try await PostgresMigrations.apply(url: url, migrationsDirectory: directory, now: now)
        }
    }
}

extension ConfigOption {
    fileprivate func schema() throws -> Schema {
        let environment = ProcessInfo.processInfo.environment
        let storage = try load(environment).storage
        let dialect: SQLDialect = if case .postgres = storage { .postgres } else { .sqlite }
        let directory = try Migrations.locate(dialect: dialect, environment: environment)
        return Schema(storage: storage, directory: directory, migrations: try Migrations(directory: directory, dialect: dialect))
    }
}
