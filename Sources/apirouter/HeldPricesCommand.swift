import ArgumentParser
import Foundation
import RouterCore
import Storage
import Vendors

extension ModelsCommand {
    struct Held: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "held", abstract: "List prices of lists that fell to a tenth or to nothing and wait for `models accept`.")

        @OptionGroup var common: ConfigOption

        func run() async throws {
            let items = try await common.withStore { store, configuration in
                try await HeldPriceList(configuration, store: store).all()
            }
            for item in items {
                let list = item.source == "vendor" ? "the list of \(item.row.provider)" : "the price list for \(item.row.provider)"
                print("\(item.row.modelName): \(item.changes) (\(list))")
            }
            if items.isEmpty { print("no price is held back") }
        }
    }

    struct Accept: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "accept", abstract: "Accept prices that `models held` lists; exit code 1 when one is not held.",
            discussion: "The list goes on to set the price. A running gateway takes it up within seconds.")

        @OptionGroup var common: ConfigOption
        @Argument(help: "Public names of the models.") var models: [String] = []
        @Flag(help: "All that are held.") var all = false

        func validate() throws {
            guard all == models.isEmpty else { throw ValidationError("name models, or give --all") }
        }

        func run() async throws {
            let now = Int64(Date().timeIntervalSince1970)
            let missing = try await common.withStore { store, configuration in
                let held = HeldPriceList(configuration, store: store)
                var missing = false
                for model in all ? try await held.all().map(\.row.modelName) : models {
                    let audit = AuditEntry(actorID: nil, action: "pricing.accept", detail: [.init("model_name", .string(model))], at: now)
                    if let row = try await held.accept(model, now: now, audit: audit) {
                        print("\(model): \(PriceWords.text(row.price)) (version \(row.version))")
                    } else {
                        print("\(model): no price is held back, or an admin has set one")
                        missing = true
                    }
                }
                return missing
            }
            if missing { throw ExitCode.failure }
        }
    }
}
