import ArgumentParser
import Config
import Foundation
import Storage

struct LedgerCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "ledger", abstract: "The books.", subcommands: [Verify.self])

    struct Verify: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Recompute every balance from the rows; exit code 1 on any difference.")

        @OptionGroup var common: ConfigOption

        func run() async throws {
            let environment = ProcessInfo.processInfo.environment
            let configuration = try common.load(environment)
            guard case .sqlite(let path) = configuration.storage else {
                throw ValidationError("ledger verify reads sqlite stores only in this build")
            }
            guard FileManager.default.fileExists(atPath: path) else {
                throw ValidationError("there is no database at \(path)")
            }
            let store = try await SQLiteStore.open(
                path: path,
                migrationsDirectory: Migrations.locate(dialect: .sqlite, environment: environment),
                now: Int64(Date().timeIntervalSince1970))
            let report = try await store.verify()
            try await store.close()
            for difference in report.differences { print(difference) }
            print("\(report.users) users, \(report.entries) entries, \(report.differences.count) differences")
            if !report.differences.isEmpty { throw ExitCode.failure }
        }
    }
}
