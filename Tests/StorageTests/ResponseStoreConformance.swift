import GRDB
import PostgresTesting
import RouterCore
import Storage
import Testing

/// Stored responses, in every database.
@Suite(.timeLimit(.minutes(10)))
struct ResponseStoreConformance {
    enum Kind: CaseIterable, Sendable { case sqlite, postgres }

    private static let roomy = ResponseStoreLimits(total: 1 << 30, perUser: 1 << 30)

    /// Runs a test with an empty store, and with a way to open it once more.
    private func with(
        _ kind: Kind, _ body: (any ResponseStore, () async throws -> any ResponseStore) async throws -> Void
    ) async throws {
        switch kind {
        case .sqlite:
            let folder = try TemporaryFolder()
            func open() async throws -> any ResponseStore { try await SQLiteResponses.open(path: folder.path + "/responses.sqlite") }
            try await body(try await open(), open)
        case .postgres:
            let url = try PostgresServer.shared.get().makeDatabase()
            let directory = try Migrations.locate(dialect: .postgres, environment: [:])
            let ledger = try await PostgresStore.open(url: Secret(url), migrationsDirectory: directory, now: 1, connections: 2)
            let other = try await PostgresStore.open(url: Secret(url), migrationsDirectory: directory, now: 1, connections: 2)
            try await body(SQLResponseStore(sharing: ledger)) { SQLResponseStore(sharing: other) }
            try await ledger.close()
            try await other.close()
        }
    }

    private func response(_ id: String, user: Int64 = 1, size: Int = 10, expires: Int64 = 100) -> StoredResponse {
        StoredResponse(
            key: .init(userID: user, id: id), model: "m", upstreamModel: "u", channelID: 7, keyFingerprint: "abc", contextTokens: 12,
            items: Array("[]".utf8), body: [UInt8](repeating: 0, count: size), createdAt: 1, expiresAt: expires)
    }

    @Test(arguments: Kind.allCases) func `what is kept is found by its user until it expires, also by another process`(
        _ kind: Kind
    ) async throws {
        try await with(kind) { store, again in
            let one = response("resp_1")
            var held = response("resp_2", user: 2)
            held.holder = .vendor
            var running = response("resp_3")
            running.maker = .gateway(ResponseMaker(gateway: "6f9c-1", process: "p", deadline: 77))
            var behind = response("resp_4")
            behind.holder = .vendor
            behind.maker = .vendor(RequestID(bits: 9))
            #expect(try await store.keep([running, behind], limits: Self.roomy).isEmpty)
            var conversation = response("conv_1")
            conversation.kind = .conversation
            #expect(try await store.keep([one, held, conversation], limits: Self.roomy).isEmpty)
            for store in [store, try await again()] {
                #expect(try await store.response(one.key, now: 99) == one)
                #expect(try await store.response(held.key, now: 99) == held)
                #expect(try await store.response(running.key, now: 99) == running)
                #expect(try await store.response(behind.key, now: 99) == behind)
                #expect(try await store.response(conversation.key, now: 99) == conversation)
                #expect(try await store.response(one.key, now: 100) == nil)
                #expect(try await store.response(.init(userID: 2, id: "resp_1"), now: 1) == nil)
                #expect(try await store.response(.init(userID: 1, id: "resp_9"), now: 1) == nil)
            }
        }
    }

    @Test(arguments: Kind.allCases) func `users who are told the same id by different vendors do not meet`(_ kind: Kind) async throws {
        try await with(kind) { store, _ in
            let mine = response("resp_1", size: 5)
            let theirs = response("resp_1", user: 2, size: 6)
            _ = try await store.keep([mine], limits: Self.roomy)
            _ = try await store.keep([theirs], limits: Self.roomy)
            #expect(try await store.delete(theirs.key))
            #expect(try await !store.delete(theirs.key))
            #expect(try await store.response(mine.key, now: 1) == mine)
        }
    }

    @Test(arguments: Kind.allCases) func `a newer state replaces the older one`(_ kind: Kind) async throws {
        try await with(kind) { store, _ in
            let newer = response("conv_1", size: 500)
            _ = try await store.keep([response("conv_1", size: 20)], limits: Self.roomy)
            _ = try await store.keep([newer], limits: Self.roomy)
            #expect(try await store.response(newer.key, now: 1) == newer)
            #expect(try await store.responseBytes(of: nil) == [0: newer.bytes, 1: newer.bytes])
        }
    }

    @Test(arguments: Kind.allCases) func `bounds hold for each user and for all together`(_ kind: Kind) async throws {
        try await with(kind) { store, again in
            let size = response("x").bytes
            let limits = ResponseStoreLimits(total: 4 * size, perUser: 2 * size)
            let asked = (1...3).map { response("resp_\($0)") } + (4...6).map { response("resp_\($0)", user: 2) } + [response("a", user: 3)]
            // The third and sixth are beyond their users' bounds, the last beyond that of all.
            #expect(try await store.keep(asked, limits: limits) == [2, 5, 6])
            #expect(try await store.responseBytes(of: nil) == [0: 4 * size, 1: 2 * size, 2: 2 * size])
            // Another process has the same bounds, and what goes makes room.
            let other = try await again()
            #expect(try await other.keep([response("b", user: 3)], limits: limits) == [0])
            #expect(try await store.delete(response("resp_1").key))
            #expect(try await other.keep([response("b", user: 3)], limits: limits).isEmpty)
        }
    }

    @Test(arguments: Kind.allCases) func `what has expired is deleted and gives back its room`(_ kind: Kind) async throws {
        try await with(kind) { store, _ in
            let later = response("resp_9", expires: 200)
            _ = try await store.keep((1...5).map { response("resp_\($0)") } + [later], limits: Self.roomy)
            #expect(try await store.responseBytes(of: [1, 7]) == [0: 6 * later.bytes, 1: 6 * later.bytes, 7: 0])
            #expect(try await store.deleteExpired(now: 99, limit: 10) == 0)
            #expect(try await store.deleteExpired(now: 100, limit: 3) == 3)
            #expect(try await store.deleteExpired(now: 100, limit: 3) == 2)
            #expect(try await store.responseBytes(of: nil) == [0: later.bytes, 1: later.bytes])
            #expect(try await store.response(later.key, now: 100) == later)
        }
    }

    @Test(arguments: Kind.allCases) func `all of a user goes at once, and nothing of others`(_ kind: Kind) async throws {
        try await with(kind) { store, _ in
            let other = response("resp_9", user: 2)
            _ = try await store.keep((1...5).map { response("resp_\($0)") } + [other], limits: Self.roomy)
            try await store.deleteResponses(userID: 1)
            #expect(try await store.responseBytes(of: nil) == [0: other.bytes, 2: other.bytes])
            #expect(try await store.response(response("resp_1").key, now: 1) == nil)
        }
    }

    @Test func `a file of a newer program is left alone`() async throws {
        let folder = try TemporaryFolder()
        let path = folder.path + "/responses.sqlite"
        try await SQLiteResponses.open(path: path).close()
        try await rawDatabase(path).write { db in try db.execute(sql: "PRAGMA user_version = 99") }
        await #expect(throws: StoreError.self) { try await SQLiteResponses.open(path: path) }
    }
}
