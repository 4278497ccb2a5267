import ArgumentParser
import Config
import Foundation
import Server
import Storage

struct SecretCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "secret", abstract: "The secret that the gateways of one ledger share.", subcommands: [Adopt.self])

    struct Adopt: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "adopt",
            abstract: "Make SESSION_SECRET, or data_dir/session_secret, the secret of this ledger. Stop all gateways first.")

        @OptionGroup var common: ConfigOption

        func run() async throws {
            let environment = ProcessInfo.processInfo.environment
            let configuration = try common.load(environment)
            let store = try await StoreOpening.open(
                configuration.storage, environment: environment, now: Int64(Date().timeIntervalSince1970), locksOut: false)
            let place = try await SessionSecret.adopt(configuration, store: store)
            try await store.close()
            print("the secret in \(place) is this ledger's; browsers that were known are strangers until their next login")
        }
    }
}
