import Foundation
import Logging
import RouterCore
import Server
import Storage
import Testing

@testable import Gateway
@testable import GatewayState
@testable import Metering
@testable import Server

/// The n-th call to the ledger or the journal fails, for every n until a run needs no more calls, before and after it has done its work.
/// Whatever fails, after the next start the books have every charge that a client was told of, once.
@Suite struct MeterFaultTests {
    @Test(.timeLimit(.minutes(10)), arguments: [false, true])
    func `no single failure loses or doubles a charge`(_ afterwards: Bool) async throws {
        var call = 1
        while try await run(failing: call, afterwards: afterwards) { call += 1 }
        #expect(call > 15, "the run makes \(call) calls")
    }

    private static let sql = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().appendingPathComponent("sql/sqlite").path

    /// - Returns: false when the run had fewer calls than that.
    private func run(failing call: Int, afterwards: Bool) async throws -> Bool {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("faults-\(UUID().uuidString)").path
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let faults = Faults(call: call, failsAfterwards: afterwards)
        let name = "call \(call) fails \(afterwards ? "after" : "before") its work"
        var told: [RequestID: Int64] = [:]
        var userID: Int64 = 0
        do {
            let store = try await SQLiteStore.open(path: folder + "/ledger.db", migrationsDirectory: Self.sql, now: 1)
            userID = try await store.createUser(NewUser(username: "ada", passwordHash: "", createdAt: 1)).id
            let journal = try await FileJournal.open(directory: folder)
            told = await life(FaultyStore(store: store, faults: faults), FaultyJournal(journal: journal, faults: faults), userID)
            try await journal.close()
            try await store.close()
        }
        // The next life, in which nothing fails.
        let store = try await SQLiteStore.open(path: folder + "/ledger.db", migrationsDirectory: Self.sql, now: 1)
        let journal = try await FileJournal.open(directory: folder)
        let meter = Meter(journal: journal, store: store, postSignal: PostSignal())
        let logger = Logger(label: "test")
        let poster = Poster(journal: journal, meter: meter, signal: PostSignal(), logger: logger)
        try await Recovery(meter: meter, poster: poster, logger: logger).start()
        let rows = try await store.entries(userID: userID, kind: .usage, PageRequest(page: 1, size: 100)).items
        #expect(Set(rows.map(\.referenceID)).count == rows.count, "\(name)")
        for (id, charge) in told {
            let row = rows.first { $0.referenceID == id.description }
            #expect(
                row?.amount == NanoUSD(nanos: -charge),
                "\(name): \(id) was told \(charge), the ledger has \(String(describing: row?.amount))")
        }
        #expect(try await journal.orphans().isEmpty, "\(name)")
        #expect(try await journal.settled(limit: 10).isEmpty, "\(name)")
        #expect(try await store.verify().differences == [], "\(name)")
        let credits = try await store.entries(userID: userID, kind: .recharge, PageRequest()).items
        #expect(credits.count <= 1, "\(name)")
        try await journal.close()
        try await store.close()
        return faults.hasFailed
    }

    /// A life of a gateway: money comes in, requests are held, charged, voided and posted. - Returns: charges whose end was confirmed.
    private func life(_ store: FaultyStore, _ journal: FaultyJournal, _ userID: Int64) async -> [RequestID: Int64] {
        let meter = Meter(journal: journal, store: store, postSignal: PostSignal())
        let poster = Poster(journal: journal, meter: meter, signal: PostSignal(), logger: Logger(label: "test"))
        var told: [RequestID: Int64] = [:]
        try? await Recovery(meter: meter, poster: poster, logger: Logger(label: "test")).start()
        // A repeated credit is one credit.
        for _ in 0..<2 {
            _ = try? await meter.credit(
                LedgerPosting(
                    userID: userID, amount: NanoUSD(nanos: 1_000), kind: .recharge, referenceID: "r", description: "", createdAt: 1))
        }
        let budget = [BudgetLimit(scope: .user(userID), window: .total, amount: NanoUSD(nanos: 900))]
        for number in 1...6 {
            let id = RequestID(bits: UInt128(number))
            do {
                try await meter.hold(hold(id, userID), limits: budget)
                meter.progress(progress(id))
                let charge: Int64? = number % 3 == 0 ? nil : Int64(number)
                try await meter.end(record(id, userID, charge))
                if let charge { told[id] = charge }
            } catch {
                // The client got an error; what the books have of it is at most the hold.
            }
            if number % 2 == 0 { try? await poster.drainOnce() }
        }
        _ = try? await meter.standing(userID)
        try? await meter.recall(userID)
        return told
    }

    private func hold(_ id: RequestID, _ userID: Int64) -> HoldRecord {
        HoldRecord(
            requestID: id, userID: userID, tokenID: nil, amount: NanoUSD(nanos: 50), model: "m", endpoint: .chat, isStream: true,
            promptTokens: 3, promptCharge: NanoUSD(nanos: 3), pricingVersion: 0, clientIP: "", createdAt: 100)
    }

    private func progress(_ id: RequestID) -> ProgressRecord {
        ProgressRecord(
            requestID: id, channelID: 1, provider: "p", model: "m", upstreamModel: "m", generationID: nil, promptTokens: 3,
            completionTokens: 1, charge: NanoUSD(nanos: 4), pricingVersion: 0)
    }

    private func record(_ id: RequestID, _ userID: Int64, _ charge: Int64?) -> RequestRecord {
        RequestRecord(
            requestID: id, userID: userID, tokenID: nil, channelID: 1, provider: "p", model: "m", upstreamModel: "m", endpoint: .chat,
            usage: Usage(uncachedInput: 3, output: 2), usageSource: .upstream, charge: charge.map { NanoUSD(nanos: $0) }, pricingVersion: 0,
            outcome: charge == nil ? .failed : .completed, status: 200, isStream: true, attempts: 1, latencyMilliseconds: 1,
            clientIP: "", createdAt: 100)
    }
}
