import ArgumentParser
import Foundation
import RouterCore
import Server
import Storage

struct CreditCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "credit", abstract: "Gifts: credit that pays before cash and may have an end.", subcommands: [Grant.self, List.self])

    struct Grant: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Give a user a gift.", discussion: "Works on the ledger of the configuration, whether a gateway is running or not.")

        @OptionGroup var common: ConfigOption
        @Option(help: "Name of the user.") var user: String
        @Option(help: "USD, such as 5 or 0.50.") var amount: String
        @Option(help: "How long it lasts: 12h, 30d. Default: for ever.") var lasts: String?
        @Option(help: "A name for this gift, so that a repeated command makes no second one.") var reference: String?
        @Option(help: "For people.") var description = ""

        func run() async throws {
            let amount = try Amount.positive(amount, "--amount")
            let now = Int64(Date().timeIntervalSince1970)
            let lifetime = try lasts.map { try Lifetime.seconds($0, "--lasts") }
            let reference = reference ?? "credit-\(UUID().uuidString.lowercased())"
            for own in ["gift:", "code:"] where reference.hasPrefix(own) {
                throw ValidationError("--reference must not begin with '\(own)'")
            }
            guard (1...100).contains(reference.utf8.count) else { throw ValidationError("--reference must have 1 to 100 bytes") }
            let granted = try await common.withStore { store, _ in
                guard let found = try await store.userForLogin(username: user)?.user else {
                    throw ValidationError("there is no user '\(user)'")
                }
                // The same name again means the same gift, however much later.
                let first = try await store.entry(kind: .recharge, referenceID: reference)
                let end = lifetime.map { (first?.createdAt ?? now) + $0 }
                do {
                    return try await store.grantCredit(
                        CreditGrant(
                            accountID: found.id, amount: amount, reference: reference, expiresAt: end, description: description,
                            createdAt: now),
                        audit: AuditEntry(
                            actorID: nil, action: "credit.grant",
                            detail: [
                                .init("user_id", .integer(found.id)), .init("amount", .usd(amount)),
                                .init("reference_id", .string(reference)),
                            ], at: now))
                } catch StoreError.conflict(let message) {
                    throw ValidationError("nothing was changed: \(message)")
                }
            }
            let done = granted.isNew ? "has got" : "had got"
            print("'\(user)' \(done) gift \(granted.credit.id) of \(amount); the balance was \(granted.entry.balanceAfter) then")
        }
    }

    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "List gifts as CSV, newest first.")

        @OptionGroup var common: ConfigOption
        @Option(help: "Name of a user. Default: all users.") var user: String?
        @Option(help: "open, spent or expired. Default: all.") var state: String?

        func run() async throws {
            let wanted = try state.map { text in
                guard let state = Credit.State(rawValue: text) else {
                    throw ValidationError("--state must be open, spent or expired, found '\(text)'")
                }
                return state
            }
            print("id,account_id,amount,left,spent,expired,source,reference_id,expires_at,state,created_at")
            try await common.withStore { store, _ in
                var query = CreditQuery(state: wanted)
                if let user {
                    guard let found = try await store.userForLogin(username: user)?.user else {
                        throw ValidationError("there is no user '\(user)'")
                    }
                    query.accountID = found.id
                }
                var before: Int64? = .max
                while let end = before {
                    let page = try await store.credits(query, before: end, size: 500)
                    for credit in page.items { print(Self.line(credit)) }
                    before = page.nextBefore
                }
            }
        }

        private static func line(_ credit: Credit) -> String {
            [
                "\(credit.id)", "\(credit.accountID)", credit.amount.usdText, credit.left.usdText, credit.spent.usdText,
                credit.expired.usdText, credit.source.rawValue, CSV.field(credit.reference), credit.expiresAt.map(String.init) ?? "",
                credit.state.rawValue, "\(credit.createdAt)",
            ].joined(separator: ",")
        }
    }
}

/// Amounts as people type them.
enum Amount {
    static func positive(_ text: String, _ option: String) throws -> NanoUSD {
        guard let amount = try? NanoUSD(usd: text), amount.isPositive, amount.nanos <= 1_000_000_000_000_000 else {
            throw ValidationError("\(option) must be USD of more than 0, up to 1000000, with at most nine decimals; found '\(text)'")
        }
        return amount
    }
}

/// `12h`, `30d`
enum Lifetime {
    static func seconds(_ text: String, _ option: String) throws -> Int64 {
        let unit: Int64? = text.hasSuffix("h") ? 3_600 : text.hasSuffix("d") ? 86_400 : nil
        guard let unit, let count = Int64(text.dropLast()), (1...36_500).contains(count) else {
            throw ValidationError("\(option) must be hours or days such as 12h or 30d, found '\(text)'")
        }
        return count * unit
    }
}
