import Foundation
import Logging
import PostgresTesting
import RouterCore
import Server
import Storage
import Testing

@testable import Gateway
@testable import GatewayState
@testable import Metering
@testable import Server

/// Two gateways with the same identity on one PostgreSQL, without their processes: who serves, who does not, and what
/// becomes of the money.
@Suite(.timeLimit(.minutes(10))) struct MembershipTests {
    private static let sql = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().appendingPathComponent("sql/postgres").path

    /// The parts of a gateway that have to do with money.
    private struct Books {
        let folder: String
        let store: PostgresStore
        let journal: FileJournal
        let meter: Meter
        let poster: Poster
        let recovery: Recovery
        let logger: Logger

        init(_ folder: String, _ url: String) async throws {
            var logger = Logger(label: "test")
            logger.logLevel = .critical
            self.logger = logger
            self.folder = folder
            store = try await PostgresStore.open(url: Secret(url), migrationsDirectory: MembershipTests.sql, now: 1)
            journal = try await FileJournal.open(directory: folder)
            meter = Meter(journal: journal, store: store, postSignal: PostSignal())
            poster = Poster(journal: journal, meter: meter, signal: PostSignal(), logger: logger)
            recovery = Recovery(meter: meter, poster: poster, logger: logger)
        }

        func stop() async throws {
            try await meter.giveBackIdle(.zero)
            try await meter.leave()
            try await journal.close()
            try await store.close()
        }
    }

    private func with(_ body: (_ folder: String, _ copy: String, _ url: String) async throws -> Void) async throws {
        let root = FileManager.default.temporaryDirectory.appendingPathComponent("membership-\(UUID().uuidString)").path
        try FileManager.default.createDirectory(atPath: root, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: root) }
        try await body(root + "/one", root + "/two", try PostgresServer.shared.get().makeDatabase())
    }

    private func richUser(_ store: any Store) async throws -> Int64 {
        let id = try await store.createUser(NewUser(username: "ada", passwordHash: "", createdAt: 1)).id
        _ = try await store.post(
            LedgerPosting(
                userID: id, amount: NanoUSD(nanos: 1_000), kind: .recharge, referenceID: "r", description: "",
                createdAt: 1))
        return id
    }

    @Test(
        "audit 4: a copy of a running gateway's folder takes no calls, posts what has ended, and leaves alone what runs"
    )
    func copyOfARunningGateway() async throws {
        try await with { folder, copy, url in
            let one = try await Books(folder, url)
            try await one.recovery.start()
            let user = try await richUser(one.store)
            for number in 1...2 { try await one.meter.hold(hold(number, user)) }
            try await one.meter.end(record(2, user, 20))
            try FileManager.default.copyItem(atPath: folder, toPath: copy)

            let two = try await Books(copy, url)
            try await two.recovery.start()
            #expect(
                two.meter.membership.fencedReason?.contains("another gateway runs with this one's identity") == true)
            // What its journal has of finished requests is in the ledger, once, whoever posts it.
            #expect(try await usage(two.store, user) == ["\(RequestID(bits: 2))": -20])
            await #expect(throws: StoreError.fenced) { try await two.meter.hold(hold(3, user)) }
            #expect(try await two.recovery.startAgain() == false)

            // The original ends its request with the true figure.
            await one.meter.beat(logger: one.logger)
            #expect(!one.meter.membership.isFenced)
            try await one.meter.end(record(1, user, 7))
            try await one.poster.drainOnce()
            try await one.stop()
            // PostgreSQL gives a session's lock back a moment after its connection has closed.
            var hasPlace = try await two.recovery.startAgain()
            while !hasPlace {
                try await Task.sleep(for: .milliseconds(10))
                hasPlace = try await two.recovery.startAgain()
            }
            #expect(try await usage(two.store, user) == ["\(RequestID(bits: 1))": -7, "\(RequestID(bits: 2))": -20])
            try await two.meter.hold(hold(3, user))
            #expect(try await two.store.verify().differences == [])
            try await two.stop()
        }
    }

    @Test("audit 4: a copy with nothing open gets an identity of its own, and both spend no more than there is")
    func copyWithNothingOpen() async throws {
        try await with { folder, copy, url in
            let one = try await Books(folder, url)
            try await one.recovery.start()
            try FileManager.default.copyItem(atPath: folder, toPath: copy)
            let two = try await Books(copy, url)
            try await two.recovery.start()
            #expect(!two.meter.membership.isFenced && two.meter.holder.gatewayID != one.meter.holder.gatewayID)
            let user = try await richUser(one.store)
            var held = 0
            for number in 1...100 {
                for books in [one, two] {
                    let id = number * 2 + (books.folder == folder ? 0 : 1)
                    if (try? await books.meter.hold(hold(id, user))) != nil { held += 1 }
                }
            }
            #expect(held == 20, "a thousand in parts of fifty")
            try await one.stop()
            try await two.stop()
        }
    }

    @Test(
        "audit 4: a running gateway whose identity was taken stops at once, posts what it has, and goes on as another")
    func identityIsTaken() async throws {
        try await with { folder, copy, url in
            let one = try await Books(folder, url)
            try await one.recovery.start()
            let user = try await richUser(one.store)
            try await one.meter.hold(hold(1, user))
            // A connection that breaks is not yet a lost place.
            try await endSession(url, one)
            await one.meter.beat(logger: one.logger)
            #expect(!one.meter.membership.isFenced && !one.meter.membership.isLedgerAway)

            let two = try await Books(copy, url)
            try await endSession(url, one)
            // As a copy would that comes in this very moment.
            var thief = one.meter.holder
            thief.incarnation = "thief"
            #expect(try await two.store.claim(thief, now: 1) == .granted(earlier: 1))
            // Told on the money path, it stops at once, whether or not a sign of life comes through.
            let beyondLease = {
                var record = hold(90, user)
                record.amount = NanoUSD(nanos: 2_000)
                return record
            }()
            await #expect(throws: StoreError.fenced) { try await one.meter.hold(beyondLease) }
            #expect(one.meter.membership.isFenced)
            await #expect(throws: StoreError.fenced) { try await one.meter.hold(hold(91, user)) }
            await one.meter.beat(logger: one.logger)
            #expect(one.meter.membership.fencedReason != nil)
            await #expect(throws: StoreError.fenced) { try await one.meter.hold(hold(2, user)) }
            try await one.meter.end(record(1, user, 9))
            #expect(
                try await one.meter.beginAnotherLife(logger: one.logger) == false, "there is something to be posted")
            try await one.poster.drainOnce()
            #expect(try await one.meter.beginAnotherLife(logger: one.logger))
            #expect(one.meter.holder.gatewayID != thief.gatewayID)
            try await one.meter.hold(hold(3, user))
            #expect(try await usage(one.store, user) == ["\(RequestID(bits: 1))": -9])
            try await one.stop()
            try await two.stop()
        }
    }

    @Test(
        "audit 4: a gateway that was silent for too long may not spend, and begins another life under its own identity")
    func leasesWereGivenAway() async throws {
        try await with { folder, copy, url in
            let one = try await Books(folder, url)
            try await one.recovery.start()
            let two = try await Books(copy, url)
            try await two.recovery.start()
            let user = try await richUser(one.store)
            try await one.meter.hold(hold(1, user))
            let seen = try #require(
                try await two.store.gateways(now: 1).first { $0.incarnation == one.meter.holder.incarnation })
            #expect(try await two.store.reap(seen.incarnation, beats: seen.beats))
            // It asks before it spends, because its book was told so by its next sign of life.
            await one.meter.beat(logger: one.logger)
            await #expect(throws: StoreError.fenced) { try await one.meter.hold(hold(2, user)) }
            let before = one.meter.holder
            #expect(try await one.meter.beginAnotherLife(logger: one.logger))
            #expect(
                one.meter.holder.gatewayID == before.gatewayID && one.meter.holder.incarnation != before.incarnation)
            try await one.meter.hold(hold(3, user))
            await two.meter.beat(logger: two.logger)
            #expect(two.meter.membership.liveGateways == 2)
            try await one.stop()
            try await two.stop()
        }
    }

    @Test("audit 9: unknown tokens are asked about once, until a token is made")
    func unknownTokens() async throws {
        try await with { _, _, url in
            let store = try await PostgresStore.open(url: Secret(url), migrationsDirectory: Self.sql, now: 1)
            let user = try #require(try await store.user(id: try await richUser(store)))
            let lookups = TokenLookups()
            let now = MonotonicInstant(nanoseconds: 1)
            var asked = 0
            var owner: User?
            func look(_ token: [UInt8], _ instant: MonotonicInstant) async throws -> User? {
                try await lookups.user(token, at: instant) {
                    asked += 1
                    return owner
                }
            }
            #expect(try await look([1, 2, 3], now) == nil && asked == 1)
            owner = user
            #expect(try await look([1, 2, 3], now) == nil && asked == 1, "remembered")
            lookups.forgetUnknown()
            #expect(try await look([1, 2, 3], now)?.id == user.id && asked == 2)
            owner = nil
            #expect(try await look([4], now) == nil && asked == 3)
            owner = user
            #expect(try await look([4], now.advanced(by: .seconds(6)))?.id == user.id && asked == 4, "not for long")
            try await store.close()
        }
    }

    // MARK: Tools

    private func endSession(_ url: String, _ books: Books) async throws {
        let server = try PostgresServer.shared.get()
        let life = books.meter.holder.incarnation
        try server.query(
            url, "SELECT pg_terminate_backend(backend_pid, 10000) FROM gateway_sessions WHERE incarnation = '\(life)'")
    }

    private func usage(_ store: any Store, _ user: Int64) async throws -> [String: Int64] {
        let rows = try await store.entries(userID: user, kind: .usage, PageRequest(page: 1, size: 100)).items
        return Dictionary(uniqueKeysWithValues: rows.map { ($0.referenceID, $0.amount.nanos) })
    }

    private func hold(_ number: Int, _ user: Int64) -> HoldRecord {
        HoldRecord(
            requestID: RequestID(bits: UInt128(number)), userID: user, tokenID: nil, amount: NanoUSD(nanos: 50),
            model: "m", endpoint: .chat,
            isStream: true, promptTokens: 3, promptCharge: NanoUSD(nanos: 3), pricingVersion: 0, clientIP: "",
            createdAt: 100)
    }

    private func record(_ number: Int, _ user: Int64, _ charge: Int64) -> RequestRecord {
        RequestRecord(
            requestID: RequestID(bits: UInt128(number)), userID: user, tokenID: nil, channelID: 1, provider: "p",
            model: "m",
            upstreamModel: "m", endpoint: .chat, usage: Usage(uncachedInput: 3, output: 2), usageSource: .upstream,
            charge: NanoUSD(nanos: charge), pricingVersion: 0, outcome: .completed, status: 200, isStream: true,
            attempts: 1,
            latencyMilliseconds: 1, clientIP: "", createdAt: 100)
    }
}
