import Config
import Foundation
import Logging
import Platform
import RouterCore
import Storage
import Synchronization
import Testing

@testable import Gateway
@testable import GatewayState
@testable import Metering
@testable import Server
@testable import Vendors

/// Limits of key and user, and the time that a vendor has, while it works behind an answer.
@Suite(.timeLimit(.minutes(10))) struct LongPassTests {
    private static let sql = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().appendingPathComponent("sql/sqlite").path

    private func with(
        _ clock: ServerClock = .system, _ body: (Meter, SQLiteStore, _ userID: Int64) async throws -> Void
    ) async throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("long-passes-\(UUID().uuidString)").path
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let store = try await SQLiteStore.open(path: folder + "/ledger.db", migrationsDirectory: Self.sql, now: 1)
        let journal = try await FileJournal.open(directory: folder)
        let user = try await store.createUser(NewUser(username: "ada", passwordHash: "", createdAt: 1)).id
        _ = try await store.post(
            LedgerPosting(userID: user, amount: NanoUSD(nanos: 1_000), kind: .recharge, referenceID: "r", description: "", createdAt: 1))
        let meter = Meter(journal: journal, store: store, postSignal: PostSignal(), clock: clock)
        let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        let poster = Poster(journal: journal, meter: meter, signal: PostSignal(), logger: logger)
        try await Recovery(meter: meter, poster: poster, logger: logger).start()
        try await body(meter, store, user)
        try await journal.close()
        try await store.close()
    }

    private func hold(_ number: Int, _ userID: Int64, at time: Int64 = 100) -> LongHold {
        LongHold(
            requestID: RequestID(bits: UInt128(number)), kind: .response, userID: userID, tokenID: 7, channelID: 1, keyMark: "k",
            provider: "p", model: "m", upstreamModel: "m", endpoint: .responses, amount: NanoUSD(nanos: 10), ratio: .one,
            pricingVersion: 0, clientIP: "", nextAt: time, deadline: time + 90_000, createdAt: time)
    }

    @Test func `a hold is looked at from its making on, not from the head of a request that came long before`() async throws {
        let now = Mutex<Int64>(ServerClock.system.unixSeconds)
        let clock = ServerClock(wall: { (now.withLock { $0 }, 0) }, monotonic: { ServerClock.system.monotonic })
        try await with(clock) { meter, store, user in
            let head = clock.unixSeconds
            // The body takes ten minutes to come.
            now.withLock { $0 += 600 }
            let made = try await meter.holdLong(hold(1, user, at: head), firstLook: .seconds(65))
            #expect(made.nextAt == head + 665 && made.createdAt == head)
            #expect(try await store.longHold(made.requestID)?.nextAt == head + 665)
            #expect(try await store.dueLongHolds(.response, now: head + 664, claim: 5, limit: 8).isEmpty)
            #expect(try await store.dueLongHolds(.response, now: head + 665, claim: 5, limit: 8).map(\.requestID) == [made.requestID])
        }
    }

    @Test func `a call at a vendor counts until its hold has ended, whichever gateway ends it`() async throws {
        try await with { meter, store, user in
            let limits = RequestLimits(clock: .system, gateway: "one")
            let rules = [LimitRule(scope: .user(user), limits: RateLimits(concurrency: 1))]
            func admitted() -> LimitPass? { try? limits.admit(rules, tokens: 1, expected: 0) }
            for isOurs in [true, false] {
                let number = isOurs ? 1 : 2
                let hold = try await meter.holdLong(hold(number, user))
                do {
                    let pass = try #require(admitted(), "nothing is under way")
                    meter.passes.keep(pass, of: hold.requestID, tokens: 3)
                }
                try await meter.endPassesOfEnded(.response)
                #expect(admitted() == nil, "the hold is open")
                let record = hold.voidRecord(errorCode: "x", now: 200)
                if isOurs {
                    #expect(try await meter.endLong(record))
                } else {
                    #expect(try await store.endLongHold(record, now: 200))
                    #expect(admitted() == nil, "this gateway does not know yet")
                    try await meter.endPassesOfEnded(.response)
                }
                #expect(meter.passes.held.isEmpty)
            }
            #expect(admitted() != nil)
        }
    }

    @Test func `what the ledger has open is compared with the limit of its key and of its user`() {
        let key = LimitRule(scope: .key(7), limits: RateLimits(concurrency: 2))
        let user = LimitRule(scope: .user(1), limits: RateLimits(concurrency: 3))
        let free = LimitRule(scope: .user(1), limits: RateLimits(requestsPerMinute: 1))
        #expect(BackgroundPlaces.full([key, user], LongHoldCount(ofKey: 1, ofAccount: 2, all: 50)) == nil)
        #expect(BackgroundPlaces.full([key, user], LongHoldCount(ofKey: 2, ofAccount: 2, all: 2)) == key)
        #expect(BackgroundPlaces.full([key, user], LongHoldCount(ofKey: 0, ofUser: 3, ofAccount: 3, all: 3)) == user)
        #expect(BackgroundPlaces.full([free], LongHoldCount(ofKey: 9, ofUser: 9, ofAccount: 9, all: 9)) == nil)
        let member = LimitRule(scope: .member(organization: 5, user: 1), limits: RateLimits(concurrency: 2))
        let all = LimitRule(scope: .organization(5), limits: RateLimits(concurrency: 3))
        #expect(BackgroundPlaces.full([member, all], LongHoldCount(ofUser: 9, ofMember: 1, ofAccount: 2, all: 9)) == nil)
        #expect(BackgroundPlaces.full([member, all], LongHoldCount(ofMember: 2, ofAccount: 2, all: 9)) == member)
        #expect(BackgroundPlaces.full([member, all], LongHoldCount(ofMember: 1, ofAccount: 3, all: 9)) == all)
    }

    @Test func `whose price nobody knows any more costs what was held, and not nothing`() async throws {
        try await TestGateway.with { gateway, _ in
            var channel = try #require(gateway.gateway.parts.snapshots.snapshot.configuration.routes.channels.first)
            channel.provider.defaultPrice = nil
            var hold = hold(1, 1)
            #expect(hold.fallbackPrice(of: channel) == nil)
            hold.amount = .zero
            #expect(hold.fallbackPrice(of: channel) == .free, "nothing was held for it")
            channel.provider.defaultPrice = .free
            hold.amount = NanoUSD(nanos: 10)
            #expect(hold.fallbackPrice(of: channel) == .free, "its provider says so")
        }
    }
}
