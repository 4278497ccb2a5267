import ArgumentParser
import Config
import Foundation
import RouterCore
import Server
import Storage

struct CodeCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "code", abstract: "Redemption codes.", subcommands: [Create.self, List.self, Disable.self])

    struct Create: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Make a batch of codes and print them as CSV.",
            discussion: """
                The codes are printed this once: the ledger has only their hashes. Works whether a gateway is running or not. Codes that \
                are made here may be redeemed by administrators, too.
                """)

        @OptionGroup var common: ConfigOption
        @Option(help: "Name of the batch, which users find in their ledger.") var name: String
        @Option(help: "USD that each code brings.") var amount: String
        @Option(help: "How many codes, up to 10000.") var count: Int64
        @Flag(help: "Codes bring gifts, which pay before cash and may have an end. Default: cash, as if it had been paid in.") var gift =
            false
        @Option(help: "How long a gift lasts from its redemption on: 12h, 30d. Default: for ever.") var giftLasts: String?
        @Option(help: "How long the codes can be redeemed: 12h, 90d. Default: for ever.") var lasts: String?
        @Option(help: "Codes that one account may redeem; 0 = all of them.") var perAccount: Int64 = 1
        @Option(help: "Group whose accounts may redeem them; may be given several times. Default: all.") var group: [String] = []

        func run() async throws {
            let now = Int64(Date().timeIntervalSince1970)
            let amount = try Amount.positive(amount, "--amount")
            guard perAccount >= 0 else { throw ValidationError("--per-account must be a whole number from 0 on") }
            let batch = RedemptionBatch(
                name: name, amount: amount, codes: count, kind: gift ? .gift : .cash,
                giftSeconds: try giftLasts.map { try Lifetime.seconds($0, "--gift-lasts") },
                expiresAt: try lasts.map { now + (try Lifetime.seconds($0, "--lasts")) }, perAccount: perAccount == 0 ? nil : perAccount,
                groups: group, createdBy: nil, createdAt: now)
            let made = try await common.withStore { store, configuration in
                for name in group where configuration.groups[name] == nil {
                    let known = configuration.groups.keys.sorted().joined(separator: ", ")
                    throw ValidationError("--group must be one of the groups of gateway.yaml (\(known)), found '\(name)'")
                }
                do {
                    return try await RedemptionDesk.create(
                        batch, in: store,
                        audit: AuditEntry(
                            actorID: nil, action: "code.create",
                            detail: [
                                .init("amount", .usd(amount)), .init("count", .integer(count)), .init("kind", .string(batch.kind.rawValue)),
                            ], at: now))
                } catch let problem as RedemptionDesk.Problem {
                    throw ValidationError(problem.message)
                }
            }
            print("code,amount,kind")
            for code in made.codes { print("\(code),\(amount.usdText),\(batch.kind.rawValue)") }
            FileHandle.standardError.write(Data("batch \(made.batch.id): \(made.codes.count) codes of \(amount)\n".utf8))
        }
    }

    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "List batches as CSV, or the codes of one, newest first.")

        @OptionGroup var common: ConfigOption
        @Option(help: "Id of a batch: its codes are listed.") var batch: Int64?

        func run() async throws {
            try await common.withStore { store, _ in
                if let batch {
                    guard try await store.redemptionBatch(id: batch) != nil else { throw ValidationError("there is no batch \(batch)") }
                    try await Self.codes(of: batch, store)
                } else {
                    try await Self.batches(store)
                }
            }
        }

        private static func batches(_ store: any RedemptionStore) async throws {
            print("id,name,amount,kind,count,redeemed,expires_at,disabled_at,created_at")
            var before: Int64? = .max
            while let end = before {
                let page = try await store.redemptionBatches(before: end, size: 500)
                for batch in page.items {
                    print(
                        [
                            "\(batch.id)", CSV.field(batch.name), batch.amount.usdText, batch.kind.rawValue, "\(batch.codes)",
                            "\(batch.redeemed)", batch.expiresAt.map(String.init) ?? "", batch.disabledAt.map(String.init) ?? "",
                            "\(batch.createdAt)",
                        ].joined(separator: ","))
                }
                before = page.nextBefore
            }
        }

        private static func codes(of batch: Int64, _ store: any RedemptionStore) async throws {
            print("id,prefix,account_id,redeemed_by,redeemed_at")
            var before: Int64? = .max
            while let end = before {
                let page = try await store.redemptionCodes(RedemptionQuery(batchID: batch), before: end, size: 500)
                for code in page.items {
                    let numbers = [code.accountID, code.redeemedBy, code.redeemedAt].map { $0.map(String.init) ?? "" }
                    print((["\(code.id)", code.prefix] + numbers).joined(separator: ","))
                }
                before = page.nextBefore
            }
        }
    }

    struct Disable: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Have no code of a batch be redeemed any more.")

        @OptionGroup var common: ConfigOption
        @Argument(help: "Id of the batch.") var batch: Int64

        func run() async throws {
            let now = Int64(Date().timeIntervalSince1970)
            let disabled = try await common.withStore { store, _ in
                do {
                    return try await store.disableRedemptionBatch(
                        id: batch, now: now, audit: AuditEntry(actorID: nil, action: "code.disable", at: now))
                } catch StoreError.notFound {
                    throw ValidationError("there is no batch \(batch)")
                }
            }
            print("batch \(batch) is disabled; \(disabled.redeemed) of its \(disabled.codes) codes have been redeemed")
        }
    }
}
