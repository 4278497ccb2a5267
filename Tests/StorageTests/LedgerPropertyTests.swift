import Foundation
import RouterCore
import Storage
import Testing

/// Random sequences of operations against a plain model of what must come out.
@Suite(.timeLimit(.minutes(10)))
struct LedgerPropertyTests {
    /// Seeds that once failed stay here; `ROUTER_SEED` runs one alone.
    static let seeds: [UInt64] = {
        if let text = ProcessInfo.processInfo.environment["ROUTER_SEED"], let seed = UInt64(text) { return [seed] }
        return [1, 2, 3] + (0..<3).map { _ in UInt64.random(in: 0 ... .max) }
    }()

    private struct Model {
        var balances: [Int64: Int64] = [:]
        var credits: [String: (user: Int64, amount: Int64)] = [:]
        var requests: [Int: RequestRecord] = [:]
        var entries: Int64 = 0
    }

    /// The seed is the argument, so that a failure names it.
    @Test(arguments: seeds)
    func `no sequence of operations makes or loses money`(_ seed: UInt64) async throws {
        var random = SplitMix64(state: seed)
        let folder = try TemporaryFolder()
        var store = try await openStore(folder)
        var model = Model()
        for step in 0..<150 {
            switch random.below(10) {
            case 0:
                let user = try await store.createUser(newUser("user-\(step)"))
                model.balances[user.id] = 0
            case 1...3: try await postCredit(store, &model, &random)
            case 4...8: try await postGroup(store, &model, &random)
            default:
                // A new process on the same file.
                try await store.close()
                store = try await openStore(folder)
            }
        }
        for (user, balance) in model.balances {
            #expect(try await store.user(id: user)?.balance.nanos == balance, "seed \(seed), user \(user)")
        }
        let report = try await store.verify()
        #expect(report.differences == [], "seed \(seed)")
        #expect(report.entries == model.entries, "seed \(seed)")
        #expect(try await store.logs(LogQuery()).total == Int64(model.requests.count), "seed \(seed)")
        try await store.close()
    }

    private func postCredit(_ store: SQLiteStore, _ model: inout Model, _ random: inout SplitMix64) async throws {
        // Few references, so that repetitions and conflicts happen.
        let reference = "ref-\(random.below(40))"
        let user = Int64(random.below(12) + 1)
        let amount = Int64(random.below(5)) * 1_000_000_007 - 1_000_000_000
        let outcome: Result<Bool, StoreError>
        do {
            outcome = .success(try await store.post(credit(user, amount, reference)).isNew)
        } catch let error as StoreError {
            outcome = .failure(error)
        }
        if let first = model.credits[reference] {
            if first.user == user && first.amount == amount {
                #expect(outcome == .success(false))
            } else if case .failure(.conflict) = outcome {
            } else {
                Issue.record("expected a conflict, got \(outcome)")
            }
        } else if model.balances[user] != nil {
            #expect(outcome == .success(true))
            model.credits[reference] = (user, amount)
            model.balances[user, default: 0] += amount
            model.entries += 1
        } else {
            #expect(outcome == .failure(.notFound))
        }
    }

    private func postGroup(_ store: SQLiteStore, _ model: inout Model, _ random: inout SplitMix64) async throws {
        var group: [RequestRecord] = []
        for _ in 0..<random.below(12) {
            let id = random.below(400)
            // A request's contents never change; some users do not exist, some requests are void.
            let user = Int64(id % 15 + 1)
            group.append(record(id, user: user, charge: id % 7 == 0 ? nil : Int64(id) * 999_983))
        }
        var expected: [Int64: NanoUSD] = [:]
        for record in group where model.requests.updateValue(record, forKey: Int(record.requestID.bits)) == nil {
            guard let charge = record.charge, let balance = model.balances[record.userID] else { continue }
            model.balances[record.userID] = balance - charge.nanos
            model.entries += 1
            expected[record.userID] = try (expected[record.userID] ?? .zero).adding(charge)
        }
        #expect(try await store.post(group) == expected)
    }
}
