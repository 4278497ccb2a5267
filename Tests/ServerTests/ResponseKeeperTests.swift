import Config
import GatewayState
import Logging
import NIOCore
import Platform
import RouterCore
import Storage
import Synchronization
import Testing

/// The memory in front of the store: what is kept is found at once, whatever the disk does.
@Suite(.timeLimit(.minutes(5))) struct ResponseKeeperTests {
    /// A store in memory that can be made to fail.
    private final class TestStore: ResponseStore {
        struct State {
            var rows: [StoredResponse.Key: StoredResponse] = [:]
            var isFailing = false
        }
        let state = Mutex(State())

        private func run<Value: Sendable>(_ body: (inout State) -> Value) throws -> Value {
            try state.withLock { state in
                if state.isFailing { throw StoreError.database("the disk is on fire") }
                return body(&state)
            }
        }

        func keep(_ responses: [StoredResponse], limits: ResponseStoreLimits) async throws -> Set<Int> {
            try run { state in
                for response in responses { state.rows[response.key] = response }
                return []
            }
        }
        func response(_ key: StoredResponse.Key, now: Int64) async throws -> StoredResponse? { try run { $0.rows[key] } }
        func delete(_ key: StoredResponse.Key) async throws -> Bool { try run { $0.rows.removeValue(forKey: key) != nil } }
        func deleteResponses(userID: Int64) async throws { try run { state in state.rows = state.rows.filter { $0.key.userID != userID } } }
        func deleteExpired(now: Int64, limit: Int) async throws -> Int { 0 }
        func responseBytes(of users: Set<Int64>?) async throws -> [Int64: Int64] {
            try run { state in
                var bytes: [Int64: Int64] = [:]
                for row in state.rows.values { for id in [0, row.key.userID] { bytes[id, default: 0] += row.bytes } }
                return users.map { users in bytes.filter { $0.key == 0 || users.contains($0.key) } } ?? bytes
            }
        }
        func close() async throws {}
    }

    private let store = TestStore()
    private let settings = GatewayConfiguration.Responses()

    private func keeper() -> ResponseKeeper { ResponseKeeper(store: store, clock: .system, logger: Logger(label: "test")) }

    private func response(_ id: String, user: Int64 = 1, size: Int = 10, expiresIn: Int64 = 60) -> StoredResponse {
        let now = ServerClock.system.unixSeconds
        return StoredResponse(
            key: .init(userID: user, id: id), body: [UInt8](repeating: 1, count: size), createdAt: now, expiresAt: now + expiresIn)
    }

    @Test func `what waits to be written is found by its user alone`() async throws {
        let keeper = keeper()
        let kept = response("resp_1")
        #expect(keeper.keep(kept, settings))
        #expect(store.state.withLock { $0.rows.isEmpty })
        #expect(try await keeper.find("resp_1", userID: 1) == kept)
        #expect(try await keeper.find("resp_1", userID: 2) == nil)
        #expect(await keeper.write(settings.limits))
        #expect(keeper.waiting == 0 && store.state.withLock { $0.rows.count } == 1)
        #expect(try await keeper.find("resp_1", userID: 1) == kept)
    }

    @Test func `a failing disk loses nothing that still fits into memory`() async throws {
        let keeper = keeper()
        store.state.withLock { $0.isFailing = true }
        #expect(keeper.keep(response("resp_1"), settings))
        #expect(await !keeper.write(settings.limits))
        #expect(keeper.takeProblem()?.contains("the disk is on fire") == true && keeper.takeProblem() == nil)
        #expect(try await keeper.find("resp_1", userID: 1) != nil)
        store.state.withLock { $0.isFailing = false }
        #expect(await keeper.write(settings.limits))
        #expect(keeper.counts.kept == 1 && keeper.counts.lost == 0)
    }

    @Test func `memory for a failing disk is bounded, and what is lost is counted`() async throws {
        let keeper = keeper()
        var settings = settings
        settings.maxBytesPerUser = 1 << 40
        settings.maxBytes = 1 << 40
        store.state.withLock { $0.isFailing = true }
        let taken = (0..<40).count { keeper.keep(response("resp_\($0)", size: 4 << 20), settings) }
        #expect((1...16).contains(taken) && keeper.counts.lost == Int64(40 - taken))
    }

    @Test func `a deletion is not undone by the writing of what it deletes`() async throws {
        let keeper = keeper()
        for number in 0..<200 {
            let id = "resp_\(number)"
            keeper.keep(response(id), settings)
            async let written = keeper.write(settings.limits)
            #expect(try await keeper.delete(id, userID: 1))
            _ = await written
            #expect(await keeper.write(settings.limits))
            #expect(try await keeper.find(id, userID: 1) == nil, "\(id)")
        }
        #expect(try await !keeper.delete("resp_0", userID: 1))
        #expect(keeper.bytes == 0)
    }

    @Test func `the bounds of a user and of all hold before anything is written`() async throws {
        let keeper = keeper()
        var settings = settings
        let size = response("x").bytes
        (settings.maxBytesPerUser, settings.maxBytes) = (2 * size, 3 * size)
        #expect(keeper.keep(response("a"), settings) && keeper.keep(response("b"), settings))
        #expect(!keeper.hasRoom(1, bytes: 1, settings) && keeper.hasRoom(2, bytes: size, settings))
        #expect(!keeper.keep(response("c"), settings))
        // A newer state of the same takes the place of the older one.
        #expect(keeper.keep(response("b"), settings))
        #expect(keeper.keep(response("d", user: 2), settings) && !keeper.keep(response("e", user: 2), settings))
        #expect(keeper.counts.refused == 2)
        // A row counts once, however often it was replaced, and a deleted one makes room at once.
        #expect(await keeper.write(settings.limits))
        #expect(keeper.bytes == 3 * size)
        #expect(!keeper.keep(response("b", size: 5), settings))
        #expect(keeper.keep(response("b", size: 5), replacing: response("b"), settings))
        #expect(await keeper.write(settings.limits))
        #expect(keeper.bytes == 3 * size - 5)
        #expect(try await keeper.delete("a", userID: 1))
        #expect(keeper.hasRoom(1, bytes: size, settings))
        try await keeper.deleteAll(userID: 1)
        #expect(keeper.bytes == size && keeper.hasRoom(1, bytes: 2 * size, settings))
    }

    @Test func `what has expired is not found, also before it is written`() async throws {
        let keeper = keeper()
        keeper.keep(response("resp_1", expiresIn: 0), settings)
        #expect(try await keeper.find("resp_1", userID: 1) == nil)
    }

    @Test func `an id that no URL could have is not looked up`() async throws {
        store.state.withLock { $0.isFailing = true }
        for id in ["", "../x", "a b", String(repeating: "a", count: 257)] {
            #expect(try await keeper().find(id, userID: 1) == nil)
        }
    }

    // MARK: Background responses

    private func running(_ keeper: ResponseKeeper, _ maker: ResponseMaker) -> StoredResponse {
        var response = response("resp_1", expiresIn: 1_000)
        response.maker = .gateway(maker)
        response.body = Array(#"{"id":"resp_1","status":"in_progress","error":null}"#.utf8)
        return response
    }

    private func status(_ response: StoredResponse?) throws -> String? {
        try response.flatMap { try JSONValue(parsing: ByteBuffer(bytes: $0.body))["status"]?.stringValue }
    }

    private func own(_ gateway: String) -> ResponseKeeper {
        ResponseKeeper(store: store, gateway: gateway, clock: .system, logger: Logger(label: "test"))
    }

    @Test func `a background response whose gateway has died has failed, at its gateway at once and at others when its time is over`()
        async throws
    {
        let now = ServerClock.system.unixSeconds
        let (dead, again, other) = (own("one"), own("one"), own("two"))
        let response = running(dead, dead.maker(deadline: now + 500))
        #expect(dead.running.begin(response.key, perUser: 1, all: 1) != nil)
        #expect(await dead.keepNow(response, settings) == .kept)
        #expect(try status(try await dead.find("resp_1", userID: 1)) == "in_progress")
        #expect(try status(try await other.find("resp_1", userID: 1)) == "in_progress")
        let found = try #require(try await again.find("resp_1", userID: 1))
        #expect(try status(found) == "failed" && found.maker == nil)
        // It ended without a note.
        dead.running.end(response.key)
        #expect(try status(try await dead.find("resp_1", userID: 1)) == "failed")
        #expect(await dead.keepNow(running(dead, dead.maker(deadline: now - 1)), settings) == .kept)
        #expect(try status(try await other.find("resp_1", userID: 1)) == "failed")
    }

    @Test func `what another gateway has cancelled or deleted is stopped, and its end changes nothing`() async throws {
        let maker = own("one")
        let stopped = Mutex(0)
        for isDeleted in [true, false] {
            var response = running(maker, maker.maker(deadline: .max))
            #expect(maker.running.begin(response.key, perUser: 1, all: 1) != nil)
            #expect(await maker.keepNow(response, settings) == .kept)
            // Before its beginning is known to be written nothing is concluded from what is not there.
            try await maker.stopUnwanted()
            maker.running.onStop(response.key) { stopped.withLock { $0 += 1 } }
            try await maker.stopUnwanted()
            #expect(stopped.withLock { $0 } == (isDeleted ? 0 : 1))
            response.maker = nil
            let changed = response
            store.state.withLock { $0.rows[changed.key] = isDeleted ? nil : changed }
            try await maker.stopUnwanted()
            #expect(stopped.withLock { $0 } == (isDeleted ? 1 : 2))
            maker.running.end(response.key) { Issue.record("nobody wants to know") }
            #expect(!maker.running.has(response.key))
        }
    }

    @Test func `the number of background responses is bounded, of a user and in all`() throws {
        let running = RunningResponses()
        func begin(_ id: String, _ user: Int64) -> Bool { running.begin(.init(userID: user, id: id), perUser: 2, all: 3) != nil }
        #expect(begin("a", 1) && begin("b", 1) && !begin("c", 1))
        #expect(begin("c", 2) && !begin("d", 2) && running.count == 3)
        running.end(.init(userID: 1, id: "a"))
        #expect(running.count(userID: 1) == 1 && begin("d", 2) && !begin("e", 3))
        // Stopped before it has said how.
        let key = StoredResponse.Key(userID: 2, id: "c")
        #expect(running.stop(key) && !running.stop(.init(userID: 3, id: "c")))
        let isStopped = Mutex(false)
        running.onStop(key) { isStopped.withLock { $0 = true } }
        #expect(isStopped.withLock { $0 })
    }
}
