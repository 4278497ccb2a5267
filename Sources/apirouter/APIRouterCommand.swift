import ArgumentParser

/// The command line. Each command lives in its own file.
@main
struct APIRouterCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "apirouter",
        abstract: "A self-hosted gateway between OpenAI-format clients and the vendors that serve models.",
        version: Build.version,
        subcommands: [
            ServeCommand.self, CheckCommand.self, MigrateCommand.self, LedgerCommand.self, ModelsCommand.self, ProviderCommand.self,
            UserCommand.self, CreditCommand.self, CodeCommand.self, SecretCommand.self,
        ],
        defaultSubcommand: nil)
}

enum Build {
    static let version = "0.1.0"
}
