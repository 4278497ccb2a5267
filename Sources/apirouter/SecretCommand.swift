import ArgumentParser
import Server

struct SecretCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "secret", abstract: "The secret that the gateways of one ledger share.", subcommands: [Adopt.self])

    struct Adopt: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "adopt",
            abstract: "Make SESSION_SECRET, or data_dir/session_secret, the secret of this ledger. Stop all gateways first.")

        @OptionGroup var common: ConfigOption

        func run() async throws {
            let place = try await common.withStore { store, configuration in
                try await SessionSecret.adopt(configuration, store: store)
            }
            print("the secret in \(place) is this ledger's; browsers that were known are strangers until their next login")
        }
    }
}
