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

/// Holds that last for days, over lives of a gateway in which any single call to the ledger or the journal fails, and over lives that end
/// without a word.
@Suite struct LongHoldFaultTests {
    private static let sql = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().appendingPathComponent("sql/sqlite").path
    private static let logger = Logger(label: "test")

    @Test(.timeLimit(.minutes(10)), arguments: [false, true])
    func `no single failure loses a long hold, charges it twice or spends its money`(_ afterwards: Bool) async throws {
        var call = 1
        while try await run(failing: call, afterwards: afterwards) { call += 1 }
        #expect(call > 20, "the run makes \(call) calls")
    }

    @Test(.timeLimit(.minutes(10)))
    func `recovery settles the requests of a dead life and leaves its long holds alone`() async throws {
        let folder = try Self.folder()
        defer { try? FileManager.default.removeItem(atPath: folder) }
        var userID: Int64 = 0
        do {
            let store = try await SQLiteStore.open(path: folder + "/ledger.db", migrationsDirectory: Self.sql, now: 1)
            let journal = try await FileJournal.open(directory: folder)
            userID = try await Self.richUser(store)
            let meter = try await Self.started(store, journal)
            try await meter.hold(Self.shortHold(9, userID))
            try await meter.holdLong(Self.hold(1, userID, 600))
            // The book knows that the money is gone, without asking the ledger.
            await #expect(throws: AccountBook.Refusal.self) { try await meter.holdLong(Self.hold(2, userID, 351)) }
            let standing = try #require(try await meter.standing(userID))
            #expect(standing.balance == NanoUSD(nanos: 400) && standing.available == NanoUSD(nanos: 350))
            // As `kill -9` leaves them: nothing is said to either.
            try await journal.close()
            try await store.close()
        }
        for _ in 0..<3 {
            let store = try await SQLiteStore.open(path: folder + "/ledger.db", migrationsDirectory: Self.sql, now: 1)
            let journal = try await FileJournal.open(directory: folder)
            let meter = try await Self.started(store, journal)
            #expect(try await store.longHold(RequestID(bits: 1))?.state == .open)
            let standing = try #require(try await meter.standing(userID))
            #expect(standing.balance == NanoUSD(nanos: 397), "the request is charged by its prompt, the long hold is out of the balance")
            await #expect(throws: AccountBook.Refusal.self) { try await meter.holdLong(Self.hold(2, userID, 398)) }
            #expect(try await store.verify().differences == [])
            try await journal.close()
            try await store.close()
        }
        let store = try await SQLiteStore.open(path: folder + "/ledger.db", migrationsDirectory: Self.sql, now: 1)
        let journal = try await FileJournal.open(directory: folder)
        let meter = try await Self.started(store, journal)
        #expect(try await meter.endLong(Self.record(1, userID, 200)))
        #expect(try await meter.endLong(Self.record(1, userID, 200)) == false)
        #expect(try await meter.standing(userID)?.balance == NanoUSD(nanos: 797))
        // The money is usable at once.
        try await meter.holdLong(Self.hold(2, userID, 797))
        #expect(try await store.verify().differences == [])
        try await journal.close()
        try await store.close()
    }

    @Test(.timeLimit(.minutes(10)))
    func `a budget counts a long hold while it is open, and then its charge`() async throws {
        let folder = try Self.folder()
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let store = try await SQLiteStore.open(path: folder + "/ledger.db", migrationsDirectory: Self.sql, now: 1)
        let journal = try await FileJournal.open(directory: folder)
        let userID = try await Self.richUser(store)
        let meter = try await Self.started(store, journal)
        let budget = [BudgetLimit(scope: .user(userID), window: .total, amount: NanoUSD(nanos: 500))]
        try await meter.holdLong(Self.hold(1, userID, 300), limits: budget)
        await #expect(throws: AccountBook.Refusal.self) { try await meter.holdLong(Self.hold(2, userID, 201), limits: budget) }
        #expect(try await meter.endLong(Self.record(1, userID, 40)))
        await #expect(throws: AccountBook.Refusal.self) { try await meter.holdLong(Self.hold(2, userID, 461), limits: budget) }
        try await meter.holdLong(Self.hold(2, userID, 460), limits: budget)
        try await journal.close()
        try await store.close()
    }

    // MARK: Lives

    private static func folder() throws -> String {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("long-holds-\(UUID().uuidString)").path
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        return folder
    }

    private static func richUser(_ store: any Store) async throws -> Int64 {
        let id = try await store.createUser(NewUser(username: "ada", passwordHash: "", createdAt: 1)).id
        _ = try await store.post(
            LedgerPosting(userID: id, amount: NanoUSD(nanos: 1_000), kind: .recharge, referenceID: "r", description: "", createdAt: 1))
        return id
    }

    private static func started(_ store: any Store, _ journal: any Journal) async throws -> Meter {
        let meter = Meter(journal: journal, store: store, postSignal: PostSignal())
        let poster = Poster(journal: journal, meter: meter, signal: PostSignal(), logger: logger)
        try await Recovery(meter: meter, poster: poster, logger: logger).start()
        return meter
    }

    /// - Returns: false when the run had fewer calls than that.
    private func run(failing call: Int, afterwards: Bool) async throws -> Bool {
        let folder = try Self.folder()
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let faults = Faults(call: call, failsAfterwards: afterwards)
        let name = "call \(call) fails \(afterwards ? "after" : "before") its work"
        var opened: Set<Int> = []
        var told: [Int: Int64] = [:]
        var userID: Int64 = 0
        do {
            let store = try await SQLiteStore.open(path: folder + "/ledger.db", migrationsDirectory: Self.sql, now: 1)
            userID = try await Self.richUser(store)
            let journal = try await FileJournal.open(directory: folder)
            (opened, told) = await life(FaultyStore(store: store, faults: faults), FaultyJournal(journal: journal, faults: faults), userID)
            try await journal.close()
            try await store.close()
        }
        // The next life, in which nothing fails: the owner ends what is open, twice.
        let store = try await SQLiteStore.open(path: folder + "/ledger.db", migrationsDirectory: Self.sql, now: 1)
        let journal = try await FileJournal.open(directory: folder)
        let meter = try await Self.started(store, journal)
        for number in opened where told[number] == nil { #expect(try await store.longHold(Self.id(number)) != nil, "\(name): \(number)") }
        for _ in 0..<2 {
            for hold in try await store.dueLongHolds(.batch, now: 1_000, claim: 0, limit: 20) {
                // One that no vendor was asked for is void.
                let isKnown = opened.contains(Int(hold.requestID.bits))
                _ = try await meter.endLong(Self.record(Int(hold.requestID.bits), userID, isKnown ? 7 : nil))
            }
        }
        let rows = try await store.entries(userID: userID, kind: .usage, PageRequest(page: 1, size: 100)).items
        #expect(Set(rows.map(\.referenceID)).count == rows.count, "\(name)")
        for number in opened {
            let row = rows.first { $0.referenceID == Self.id(number).description }
            #expect(row != nil, "\(name): \(number) was opened and must be charged once")
            if let charge = told[number] { #expect(row?.amount == NanoUSD(nanos: -charge), "\(name): \(number)") }
        }
        let spent = rows.map(\.amount.nanos).reduce(0, +)
        #expect(try await meter.standing(userID)?.balance == NanoUSD(nanos: 1_000 + spent), "\(name)")
        #expect(try await store.openLongHolds(userID: userID).count == 0, "\(name)")
        #expect(try await store.verify().differences == [], "\(name)")
        try await journal.close()
        try await store.close()
        return faults.hasFailed
    }

    /// - Returns: the holds that were confirmed, and the charges whose end was.
    private func life(_ store: FaultyStore, _ journal: FaultyJournal, _ userID: Int64) async -> (Set<Int>, [Int: Int64]) {
        let meter = Meter(journal: journal, store: store, postSignal: PostSignal())
        let poster = Poster(journal: journal, meter: meter, signal: PostSignal(), logger: Self.logger)
        try? await Recovery(meter: meter, poster: poster, logger: Self.logger).start()
        var opened: Set<Int> = []
        var told: [Int: Int64] = [:]
        for number in 1...5 {
            guard (try? await meter.holdLong(Self.hold(number, userID, 190))) != nil else { continue }
            opened.insert(number)
            _ = try? await store.bindLongHold(Self.id(number), objectID: "object-\(number)", nextAt: 400)
            // Never more than there is, whatever the book missed.
            let balance = try? await meter.standing(userID)?.balance
            if let balance { #expect(!balance.isNegative) }
            if number % 2 == 0, (try? await meter.endLong(Self.record(number, userID, Int64(number)))) == true {
                told[number] = Int64(number)
            }
        }
        try? await poster.drainOnce()
        return (opened, told)
    }

    // MARK: Values

    private static func id(_ number: Int) -> RequestID { RequestID(bits: UInt128(number)) }

    private static func hold(_ number: Int, _ userID: Int64, _ amount: Int64) -> LongHold {
        LongHold(
            requestID: id(number), kind: .batch, userID: userID, tokenID: nil, channelID: 1, keyMark: "k", provider: "p", model: "m",
            upstreamModel: "m", endpoint: .chat, amount: NanoUSD(nanos: amount), ratio: .one, pricingVersion: 0, clientIP: "", nextAt: 300,
            deadline: 9_000, createdAt: 100)
    }

    private static func shortHold(_ number: Int, _ userID: Int64) -> HoldRecord {
        HoldRecord(
            requestID: id(number), userID: userID, tokenID: nil, amount: NanoUSD(nanos: 50), model: "m", endpoint: .chat, isStream: true,
            promptTokens: 3, promptCharge: NanoUSD(nanos: 3), pricingVersion: 0, clientIP: "", createdAt: 100)
    }

    private static func record(_ number: Int, _ userID: Int64, _ charge: Int64?) -> RequestRecord {
        RequestRecord(
            requestID: id(number), userID: userID, tokenID: nil, channelID: 1, provider: "p", model: "m", upstreamModel: "m",
            endpoint: .chat, usage: Usage(uncachedInput: 3, output: 2), usageSource: .upstream, charge: charge.map { NanoUSD(nanos: $0) },
            pricingVersion: 0, outcome: charge == nil ? .failed : .completed, status: 200, isStream: false, attempts: 1,
            latencyMilliseconds: 1, clientIP: "", createdAt: 100)
    }
}
