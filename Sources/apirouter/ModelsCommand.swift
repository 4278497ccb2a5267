import ArgumentParser
import Foundation
import Server

struct ModelsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "models", abstract: "Models and their prices.", subcommands: [Sync.self])

    struct Sync: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Refresh prices and limits from vendors' own lists of models; exit code 1 when one could not be asked.",
            discussion: """
                Prints one line a model: + new, ~ changed, = kept as an admin has set it, - no longer listed, ? without a price, \
                ! rounded. Prices are USD per million tokens. A running gateway on SQLite takes them up with the next reload (SIGHUP), gateways on \
                PostgreSQL at once.
                """)

        @OptionGroup var common: ConfigOption
        @Option(help: "Only this provider. Default: all that enabled channels use.") var provider: String?
        @Flag(help: "Print what would change, and change nothing.") var dryRun = false

        func run() async throws {
            let outcomes = try await common.withStore { store, configuration in
                do {
                    return try await CatalogueSync.once(
                        configuration, store: store, provider: provider, isDryRun: dryRun, now: Int64(Date().timeIntervalSince1970))
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
}
