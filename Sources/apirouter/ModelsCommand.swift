import ArgumentParser
import Foundation
import Server
import Vendors

struct ModelsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "models", abstract: "Models and their prices.",
        subcommands: [Sync.self, Price.self, Held.self, Accept.self, Forget.self])

    struct Sync: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Refresh prices and limits from vendors' own lists and the price list; exit code 1 when one could not be asked.",
            discussion: """
                Prints one line a model: + new, ~ changed, = kept as an admin has set it, - no longer listed, ? without a price, \
                0 held back because the price fell to a tenth or to nothing, ! rounded. Prices are USD per million tokens. A running gateway \
                takes them up within seconds. Channels of the console are asked like those of \
                the files, with their keys: the ledger's secret (SESSION_SECRET, or data_dir/session_secret) opens them.
                """)

        @OptionGroup var common: ConfigOption
        @Option(help: "Only this provider. Default: all that enabled channels use.") var provider: String?
        @Flag(help: "Print what would change, and change nothing.") var dryRun = false
        @Flag(
            name: [.customLong("accept-falls"), .customLong("accept-zero")],
            help: "Believe lists that make a model free or ten times cheaper.")
        var acceptFalls = false

        func run() async throws {
            let outcomes = try await common.withConsole { store, configuration in
                do {
                    return try await CatalogueSync.once(
                        configuration, store: store, provider: provider, isDryRun: dryRun, acceptsFalls: acceptFalls,
                        now: Int64(Date().timeIntervalSince1970))
                } catch let problem as CatalogueSync.Problem {
                    throw ValidationError(problem.message)
                }
            }
            for outcome in outcomes {
                if let problem = outcome.problem {
                    print("\(outcome.provider): \(problem)")
                } else if outcome.hasNoList {
                    print("\(outcome.provider): has no list that can be read")
                } else {
                    for line in outcome.diff.lines { print(line) }
                    print("\(outcome.provider): \(outcome.diff.summary)" + (dryRun ? " (nothing written)" : "; \(outcome.written) written"))
                }
            }
            if outcomes.contains(where: { $0.problem != nil }) { throw ExitCode.failure }
        }
    }

    struct Forget: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Forget what a vendor's list of models said; exit code 1 when nothing was known.",
            discussion: """
                Models that only the list names are served no more, and the prices of the provider file come back. Prices of models that no file \
                has stay in the table. A running gateway takes it up with the next reload (SIGHUP).
                """)

        @OptionGroup var common: ConfigOption
        @Option(help: "The provider.") var provider: String

        func run() async throws {
            let count = try await common.withStore { store, _ in try await CatalogueSync.forget(provider, store: store) }
            guard let count else {
                print("\(provider): nothing was known of its list")
                throw ExitCode.failure
            }
            print("\(provider): \(count) models forgotten")
        }
    }
}
