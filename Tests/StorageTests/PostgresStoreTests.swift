import PostgresTesting
import RouterCore
import Storage
import Testing

/// What only a shared database has to do.
@Suite(.timeLimit(.minutes(10)))
struct PostgresStoreTests {
    private func open(_ url: String, connections: Int = 2) async throws -> PostgresStore {
        try await PostgresStore.open(
            url: Secret(url), migrationsDirectory: try Migrations.locate(dialect: .postgres, environment: [:]), now: 1,
            connections: connections)
    }

    @Test func `several gateways may start at once on an empty database`() async throws {
        let url = try PostgresServer.shared.get().makeDatabase()
        let directory = try Migrations.locate(dialect: .postgres, environment: [:])
        let all = try Migrations(directory: directory, dialect: .postgres).all
        #expect(try await PostgresMigrations.pending(url: Secret(url), migrationsDirectory: directory) == all)
        try await withThrowingTaskGroup(of: Void.self) { group in
            for _ in 0..<6 { group.addTask { try await open(url).close() } }
            try await group.waitForAll()
        }
        #expect(try await PostgresMigrations.pending(url: Secret(url), migrationsDirectory: directory).isEmpty)
        #expect(try PostgresServer.shared.get().query(url, "SELECT count(*) FROM schema_migrations") == "\(all.count)")
    }

    @Test(arguments: ["balance_transactions", "model_pricing_history", "audit_log"], ["UPDATE", "DELETE", "TRUNCATE"])
    func `the database refuses to rewrite the books`(_ table: String, _ verb: String) async throws {
        let server = try PostgresServer.shared.get()
        let url = try server.makeDatabase()
        let store = try await open(url)
        let user = try await store.createUser(newUser("ada"))
        _ = try await store.post(credit(user.id, 5, "r1"))
        _ = try await store.setPrice(PricingRow(modelName: "m", price: .free), now: 1)
        try await store.audit(.some)
        let sql =
            switch verb {
            case "UPDATE": "UPDATE \(table) SET created_at = 0"
            case "DELETE": "DELETE FROM \(table)"
            default: "TRUNCATE \(table) CASCADE"
            }
        let error = #expect(throws: PostgresServer.Failure.self) { try server.query(url, sql) }
        #expect(error?.description.contains("\(table) is append-only") == true, "\(error?.description ?? "")")
        try await store.close()
    }

    /// Hears what a store tells of others, in a task that ends with the store.
    private final class Listener: Sendable {
        private let task: Task<Void, Never>

        init(_ stream: AsyncStream<[StoreChange]>) {
            let (told, telling) = AsyncStream.makeStream(of: [StoreChange].self)
            task = Task { for await batch in stream { telling.yield(batch) } }
            inbox = told
        }

        private let inbox: AsyncStream<[StoreChange]>

        /// Waits for a change, for as long as the test may last.
        func wait(for wanted: StoreChange) async { for await batch in inbox where batch.contains(wanted) { break } }

        func end() async { await task.value }
    }

    @Test func `gateways hear of each other's changes, whoever makes them`() async throws {
        let server = try PostgresServer.shared.get()
        let url = try server.makeDatabase()
        let store = try await open(url)
        let other = try await open(url)
        let listener = Listener(try #require(other.changes()))
        await listener.wait(for: StoreChange(topic: .everything, subject: ""))
        let user = try await store.createUser(newUser("ada"))
        await listener.wait(for: StoreChange(topic: .users, subject: "\(user.id)"))
        let token = try await store.createToken(
            Token(userID: user.id, keyHash: [UInt8](repeating: 1, count: 32), keyPrefix: "sk-", name: "k", createdAt: 1))
        await listener.wait(for: StoreChange(topic: .tokens, subject: "\(token.id)"))
        _ = try await store.setPrice(PricingRow(modelName: "m/x", price: .free), now: 1)
        await listener.wait(for: StoreChange(topic: .prices, subject: "m/x"))
        try await store.setSetting("channel.1.switch", "disabled")
        await listener.wait(for: StoreChange(topic: .settings, subject: "channel.1.switch"))
        // By hand, as an operator would in an emergency.
        try server.query(url, "UPDATE tokens SET status = 2 WHERE id = \(token.id)")
        await listener.wait(for: StoreChange(topic: .tokens, subject: "\(token.id)"))
        _ = try await store.post(credit(user.id, 100, "r1"))
        let one = try await store.joined("one")
        let two = try await store.joined("two")
        _ = try await store.acquireLease(userID: user.id, needed: NanoUSD(nanos: 100), holder: one, now: 1)
        _ = try await store.acquireLease(userID: user.id, needed: NanoUSD(nanos: 50), holder: two, now: 1)
        await listener.wait(for: StoreChange(topic: .recall, subject: "\(user.id) \(two.incarnation)"))
        try await store.returnLease(userID: user.id, amount: NanoUSD(nanos: 60), holder: one, now: 1)
        await listener.wait(for: StoreChange(topic: .freed, subject: "\(user.id) \(one.incarnation)"))
        try await store.addAccessToken(userID: user.id, hash: [1, 2, 3], expiresAt: nil, createdAt: 1)
        await listener.wait(for: StoreChange(topic: .accessTokens, subject: "new"))
        // Sessions that end here are no longer open for model calls elsewhere.
        try await store.removeAccessToken(hash: [1, 2, 255])
        await listener.wait(for: StoreChange(topic: .endedTokens, subject: "hash 0102ff"))
        try await store.removeSessions(userID: user.id, except: nil)
        await listener.wait(for: StoreChange(topic: .endedTokens, subject: "user \(user.id)"))
        try await other.close()
        // A closed store's stream ends.
        await listener.end()
        try await store.close()
    }

    @Test func `a key that refuses what a conversion would lose does so at every gateway`() async throws {
        let url = try PostgresServer.shared.get().makeDatabase()
        let store = try await open(url)
        let user = try await store.createUser(newUser("ada"))
        let token = try await store.createToken(
            Token(userID: user.id, keyHash: [UInt8](repeating: 1, count: 32), keyPrefix: "sk-", name: "k", createdAt: 1))
        // Connected after the key was made: only its change is still to come.
        let other = try await open(url)
        let listener = Listener(try #require(other.changes()))
        await listener.wait(for: StoreChange(topic: .everything, subject: ""))
        var strict = TokenChange()
        strict.conversion = ConversionMode.strict
        _ = try await store.changeToken(id: token.id, strict)
        await listener.wait(for: StoreChange(topic: .tokens, subject: "\(token.id)"))
        try await other.close()
        await listener.end()
        try await store.close()
    }

    @Test func `a notification that nobody heard is found by looking`() async throws {
        let server = try PostgresServer.shared.get()
        let url = try server.makeDatabase()
        let store = try await open(url)
        let listener = Listener(try #require(store.changes()))
        await listener.wait(for: StoreChange(topic: .everything, subject: ""))
        // A row without its NOTIFY is what a lost notification leaves.
        try server.query(url, "INSERT INTO changes (topic, subject) VALUES ('tokens', '77')")
        await listener.wait(for: StoreChange(topic: .tokens, subject: "77"))
        try await store.close()
    }

    @Test("audit 4: an identity has one holder, whose lock outlives a lost connection but not the process")
    func oneHolder() async throws {
        let server = try PostgresServer.shared.get()
        let url = try server.makeDatabase()
        let one = try await open(url)
        let two = try await open(url)
        let first = try await one.joined("g")
        let copy = gateway("g", life: 2)
        guard case .taken(let by?) = try await two.claim(copy, now: 1) else {
            return #expect(Bool(false), "a living identity was given away")
        }
        #expect(by.incarnation == first.incarnation)
        try server.query(url, "SELECT pg_terminate_backend(backend_pid, 10000) FROM gateway_sessions")
        #expect(try await one.beat(first, now: 1).count == 1)
        guard case .taken = try await two.claim(copy, now: 1) else { return #expect(Bool(false), "the lock was not taken again") }
        // Its own connection of before, which the server still believes in: only the pid of another session tells that it is not ours.
        let ghost = try await open(url)
        #expect(try await ghost.beat(first, now: 1).count == 1, "a life takes its lock back from its own lost session")
        try await ghost.close()
        try await one.close()
        #expect(try await two.claim(copy, now: 1) == .granted(earlier: 1))
        try await two.close()
    }

    @Test("audit 4: a lock that a server has forgotten proves nothing")
    func forgottenLock() async throws {
        let server = try PostgresServer()
        try server.start()
        defer { server.remove() }
        let url = try server.makeDatabase()
        let store = try await open(url)
        let user = try await store.createUser(newUser("ada"))
        _ = try await store.post(credit(user.id, 1_000, "r1"))
        let old = try await store.joined("g")
        _ = try await store.acquireLease(userID: user.id, needed: NanoUSD(nanos: 400), holder: old, now: 1)
        try await store.close()
        server.stop()
        try server.start()
        let next = try await open(url)
        let new = gateway("g", life: 2)
        #expect(try await next.claim(new, now: 1) == .granted(earlier: 1))
        #expect(try await next.takeOver([old.incarnation], by: new) == [])
        let lease = try await next.acquireLease(userID: user.id, needed: NanoUSD(nanos: 1_000), holder: new, now: 1)
        #expect(lease == LeaseState(balance: NanoUSD(nanos: 1_000), lease: NanoUSD(nanos: 600), leasedElsewhere: NanoUSD(nanos: 400)))
        try await next.close()
    }

    @Test func `a pool outlives a restart of the server, and says no at once while it is away`() async throws {
        let server = try PostgresServer()
        try server.start()
        defer { server.remove() }
        let store = try await open(try server.makeDatabase(), connections: 4)
        let user = try await store.createUser(newUser("ada"))
        server.stop()
        await #expect(throws: StoreError.self) { try await store.post(credit(user.id, 5, "r1")) }
        try server.start()
        let clock = ContinuousClock()
        let limit = clock.now + .seconds(20)
        while clock.now < limit {
            if (try? await store.ping()) != nil { break }
            try await Task.sleep(for: .milliseconds(20))
        }
        #expect(try await store.post(credit(user.id, 5, "r1")).isNew)
        try await store.close()
    }

    @Test func `an error names the server and never the password`() async throws {
        let server = try PostgresServer.shared.get()
        let wrong = "postgres://nobody:very-secret@127.0.0.1:\(server.port)/nothing"
        let error = await #expect(throws: StoreError.self) { try await open(wrong) }
        let text = String(describing: error)
        #expect(!text.contains("very-secret") && text.contains("nobody"), "\(text)")
        let refused = await #expect(throws: StoreError.self) { try await open("postgres://u:very-secret@127.0.0.1:1/x") }
        #expect(!String(describing: refused).contains("very-secret"))
        // URLs that cannot be read, as passwords with special characters make them.
        for text in [
            "u:very%zzsecret@h:5/x", "u:verysecret@[::1/x", "u:very/secret@h:5/x", "u:x@verysecret@h:5/x", "u:verysecret@h:port/x",
        ] {
            let unread = await #expect(throws: StoreError.self) { try await open("postgres://" + text) }
            let said = String(describing: unread)
            #expect(!said.contains("very") && !said.contains("secret@") && said.contains("percent-encode"), "\(text): \(said)")
        }
        let secure = "postgres://postgres@127.0.0.1:\(server.port)/postgres?sslmode=require"
        let tls = await #expect(throws: StoreError.self) { try await open(secure) }
        #expect(String(describing: tls).contains("SSL"), "sslmode is obeyed: \(String(describing: tls))")
    }

    @Test func `connections are encrypted and the server is known by its certificate, as sslmode says`() async throws {
        let server = try PostgresServer(usesTLS: true)
        try server.start()
        defer { server.remove() }
        _ = try server.makeDatabase()
        let certificate = try #require(server.certificate)
        func url(_ host: String, _ options: String) -> String { "postgres://postgres@\(host):\(server.port)/test_1?\(options)" }
        let store = try await open(url("localhost", "sslmode=verify-full&sslrootcert=\(certificate)"))
        try await store.ping()
        let encrypted = try server.query(url("127.0.0.1", "sslmode=require"), "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()")
        #expect(encrypted == "t")
        try await store.close()
        // The certificate is not for this name.
        let wrongName = await #expect(throws: StoreError.self) {
            try await open(url("127.0.0.1", "sslmode=verify-full&sslrootcert=\(certificate)"))
        }
        #expect(String(describing: wrongName).contains("certificate"), "\(String(describing: wrongName))")
        let stranger = await #expect(throws: StoreError.self) {
            try await open(url("localhost", "sslmode=verify-full&sslrootcert=/etc/hostname"))
        }
        #expect(stranger != nil)
    }

    @Test func `values of every kind come back as they were`() async throws {
        let store = try await open(try PostgresServer.shared.get().makeDatabase())
        let odd = "a'b\"c\\d\n\t€ 漢字 \u{1F600} '; DROP TABLE users; --"
        let user = try await store.createUser(newUser("odd"))
        let posting = LedgerPosting(
            userID: user.id, amount: NanoUSD(nanos: .max), kind: .recharge, referenceID: odd, description: odd, createdAt: .max)
        let entry = try await store.post(posting).entry
        #expect(entry.referenceID == odd && entry.description == odd && entry.amount == .max && entry.createdAt == .max)
        var odder = record(1, user: user.id, charge: 1)
        odder.model = odd
        odder.errorCode = odd
        odder.generationID = nil
        odder.channelID = nil
        _ = try await store.post([odder])
        #expect(try await store.logs(LogQuery()).items.map(\.record) == [odder])
        try await store.close()
    }
}
