import Foundation
import Logging
import Platform
import RouterCore
import Storage
import Synchronization
import Testing

@testable import GatewayState
@testable import Metering
@testable import Server

/// Gifts and codes over lives of a gateway in which any single call to the ledger or the journal fails, before or after its work.
@Suite struct CreditFaultTests {
    private static let sql = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().appendingPathComponent("sql/sqlite").path
    private static let logger = Logger(label: "test")

    /// A clock whose seconds are set.
    private final class Wall: Sendable {
        private let seconds = Mutex<Int64>(100)
        func set(_ to: Int64) { seconds.withLock { $0 = to } }
        var clock: ServerClock {
            ServerClock(wall: { (self.seconds.withLock { $0 }, 0) }, monotonic: { ServerClock.system.monotonic })
        }
    }

    @Test(.timeLimit(.minutes(10)), arguments: [false, true])
    func `no single failure gives, spends or ends a gift twice`(_ afterwards: Bool) async throws {
        var call = 1
        while try await run(failing: call, afterwards: afterwards) { call += 1 }
        #expect(call > 10, "the run makes \(call) calls")
    }

    /// - Returns: false when the run had fewer calls than that.
    private func run(failing call: Int, afterwards: Bool) async throws -> Bool {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("credits-\(UUID().uuidString)").path
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let faults = Faults(call: call, failsAfterwards: afterwards)
        let name = "call \(call) fails \(afterwards ? "after" : "before") its work"
        var user: Int64 = 0
        do {
            let store = try await SQLiteStore.open(path: folder + "/ledger.db", migrationsDirectory: Self.sql, now: 1)
            let audit = AuditEntry(actorID: nil, action: "test", at: 1)
            user = try await store.createUser(NewUser(username: "ada", passwordHash: "x", createdAt: 1), audit: audit).id
            _ = try await store.post(
                LedgerPosting(
                    userID: user, amount: NanoUSD(nanos: 1_000), kind: .recharge, referenceID: "cash", description: "", createdAt: 1),
                audit: audit)
            _ = try await store.createRedemptionBatch(
                RedemptionBatch(name: "b", amount: NanoUSD(nanos: 200), codes: 1, kind: .gift, createdBy: nil, createdAt: 1),
                codes: [RedemptionSecret(hash: [7], prefix: "7")], audit: audit)
            let journal = try await FileJournal.open(directory: folder)
            await life(FaultyStore(store: store, faults: faults), FaultyJournal(journal: journal, faults: faults), user, request: 1)
            try await journal.close()
            try await store.close()
        }
        // The next life, in which nothing fails, does the same again.
        let store = try await SQLiteStore.open(path: folder + "/ledger.db", migrationsDirectory: Self.sql, now: 1)
        let journal = try await FileJournal.open(directory: folder)
        await life(store, journal, user, request: 2)
        let rows = try await store.entries(userID: user, kind: nil, PageRequest(page: 1, size: 100)).items
        let recharges = rows.filter { $0.kind == .recharge }
        #expect(recharges.map(\.amount.nanos).sorted() == [200, 300, 1_000], "\(name)")
        let usage = rows.filter { $0.kind == .usage }
        #expect(usage.contains { $0.referenceID == RequestID(bits: 2).description }, "\(name)")
        let credits = try await store.credits(CreditQuery(accountID: user), before: .max, size: 10).items
        #expect(credits.count == 2, "\(name)")
        let welcome = try #require(credits.first { $0.reference == "welcome" })
        #expect(welcome.state != .open, "\(name)")
        let ends = rows.filter { $0.source == EntrySource.giftExpired }
        #expect(ends.map(\.amount.nanos) == (welcome.expired.isPositive ? [-welcome.expired.nanos] : []), "\(name)")
        #expect(usage.reduce(0) { $0 + ($1.gift?.nanos ?? 0) } == credits.reduce(0) { $0 + $1.spent.nanos }, "\(name)")
        #expect(try await store.verify().differences == [], "\(name)")
        try await journal.close()
        try await store.close()
        return faults.hasFailed
    }

    /// A gift, a code, a request that uses them, and the end of the gift.
    private func life(_ store: any Store, _ journal: any Journal, _ user: Int64, request: Int) async {
        let wall = Wall()
        let meter = Meter(journal: journal, store: store, postSignal: PostSignal(), clock: wall.clock)
        let poster = Poster(journal: journal, meter: meter, signal: PostSignal(), logger: Self.logger)
        try? await Recovery(meter: meter, poster: poster, logger: Self.logger).start()
        let audit = AuditEntry(actorID: nil, action: "test", at: 1)
        let grant = CreditGrant(accountID: user, amount: NanoUSD(nanos: 300), reference: "welcome", expiresAt: 500, createdAt: 100)
        _ = try? await meter.grant(grant, audit: audit, in: store)
        _ = try? await meter.redeem(Redemption(hash: [7], accountID: user, userID: user, now: 100), audit: audit, in: store)
        let id = RequestID(bits: UInt128(request))
        let hold = HoldRecord(
            requestID: id, userID: user, tokenID: nil, amount: NanoUSD(nanos: 200), model: "m", endpoint: .chat, isStream: false,
            promptTokens: 3, promptCharge: NanoUSD(nanos: 3), pricingVersion: 0, clientIP: "", createdAt: 100)
        if (try? await meter.hold(hold)) != nil {
            try? await meter.end(
                RequestRecord(
                    requestID: id, userID: user, tokenID: nil, channelID: 1, provider: "p", model: "m", upstreamModel: "m",
                    endpoint: .chat, usage: Usage(uncachedInput: 3, output: 2), usageSource: .upstream, charge: NanoUSD(nanos: 170),
                    pricingVersion: 0, outcome: .completed, status: 200, isStream: false, attempts: 1, latencyMilliseconds: 1, clientIP: "",
                    createdAt: 100))
            try? await poster.drainOnce()
        }
        wall.set(600)
        let keeper = CreditKeeper(store: store, meter: meter, clock: wall.clock, logger: Self.logger)
        for _ in 0..<2 { _ = try? await keeper.expire(most: 10) }
        try? await poster.drainOnce()
    }
}
