import Foundation
import RouterCore
import Storage
import Testing

/// Figures, not checks: run with `APIROUTER_MEASURE=1`, in a release build for figures that mean something.
@Suite(
    .serialized, .timeLimit(.minutes(10)),
    .enabled(if: ProcessInfo.processInfo.environment["APIROUTER_MEASURE"] != nil))
struct StorageMeasurements {
    @Test(arguments: [JournalDurability.process, .power], [1, 64])
    func `journal, callers with a hold and a settlement in turn`(_ durability: JournalDurability, _ callers: Int) async throws {
        let folder = try TemporaryFolder()
        let journal = try await FileJournal.open(directory: folder.path, durability: durability)
        let each = (durability == .process ? 64_000 : 1_280) / callers
        let time = try await ContinuousClock().measure {
            try await withThrowingTaskGroup(of: Void.self) { group in
                for caller in 0..<callers {
                    group.addTask {
                        for number in 0..<each {
                            let id = caller * each + number
                            try await journal.hold(hold(id))
                            try await journal.settle(record(id, user: 1, charge: 1))
                        }
                    }
                }
                try await group.waitForAll()
            }
        }
        report("journal (\(durability.rawValue)), \(callers) callers, hold + settle", pairs: callers * each, time)
        try await journal.close()
    }

    @Test(arguments: StoreFactory.all) func `ledger, groups of 64`(_ factory: StoreFactory) async throws {
        let store = try await factory.open()
        let user = try await store.createUser(newUser("ada")).id
        let groups = 300
        let time = try await ContinuousClock().measure {
            for group in 0..<groups {
                _ = try await store.post((0..<64).map { record(group * 64 + $0, user: user, charge: 1) })
            }
        }
        report("ledger on \(factory.description), records in groups of 64", pairs: groups * 64, time)
        try await store.close()
    }

    private func report(_ what: String, pairs: Int, _ time: Duration) {
        print("MEASURED \(what): \(Int(Double(pairs) / (time / .seconds(1)))) per second, \(Int(time / .nanoseconds(pairs))) ns each")
    }
}
