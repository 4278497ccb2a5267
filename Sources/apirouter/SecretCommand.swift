import ArgumentParser
import Foundation
import RouterCore
import Server
import Storage

struct SecretCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "secret", abstract: "The secret that the gateways of one ledger share.", subcommands: [Adopt.self, Reseal.self])

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
            print("keys that were entered in the console open with the old secret only: 'apirouter secret reseal' takes them along")
        }
    }

    struct Reseal: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "reseal",
            abstract: "Seal keys that were entered in the console with a new secret, and make it this ledger's. Stop all gateways first.",
            discussion: """
                The new secret is SESSION_SECRET, or data_dir/session_secret. What cannot be opened is named, and nothing is changed then.
                """)

        @OptionGroup var common: ConfigOption
        @Option(help: "The environment variable that has the old secret.") var oldSecretEnv: String

        func run() async throws {
            guard let old = ProcessInfo.processInfo.environment[oldSecretEnv], !old.isEmpty else {
                throw ValidationError("the environment variable \(oldSecretEnv) is not set")
            }
            do {
                let (count, place) = try await common.withStore(locksOut: true) { store, configuration in
                    try await SessionSecret.reseal(
                        configuration, old: Secret(old), store: store, now: Int64(Date().timeIntervalSince1970))
                }
                print("\(count) values are sealed anew; the secret in \(place) is this ledger's")
            } catch StoreError.schema(let message) {
                throw ValidationError(message)
            } catch StoreError.conflict(let message) {
                throw ValidationError("nothing was changed: \(message)")
            }
        }
    }
}
