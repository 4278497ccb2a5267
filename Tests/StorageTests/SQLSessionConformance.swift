import RouterCore
import Testing

@testable import Storage

/// Sessions of both databases: values, failures, savepoints.
@Suite(.timeLimit(.minutes(10)))
struct SQLSessionConformance {
    private func database(_ factory: StoreFactory) async throws -> (store: any SQLStore, database: SQLDatabase) {
        let store = try #require(try await factory.open() as? any SQLStore)
        return (store, store.database)
    }

    @Test(arguments: StoreFactory.all)
    func `values of every kind go in and come out, wherever their parameters stand`(_ factory: StoreFactory) async throws {
        let (store, database) = try await database(factory)
        let odd = "a'b\"c\\d\n\t€ 漢字 \u{1F600} ?1 $1 '; DROP TABLE users; --"
        try await database.write { session in
            let row = try #require(
                try session.first(
                    """
                    SELECT CAST(?3 AS TEXT) AS text, CAST(?1 AS BIGINT) AS least, CAST(?2 AS BIGINT) AS most, CAST(?1 AS BIGINT) AS again,
                        CAST(?4 AS TEXT) AS empty, CAST(?5 AS TEXT) AS absent, '?1' AS quoted, 1 = 1 AS yes, 1 = 2 AS no
                    """, [Int64.min, Int64.max, odd, "", String?.none]))
            #expect(try row.int("least") == .min && row.int("again") == .min && row.int("most") == .max)
            #expect(try row.text("text") == odd && row.text("empty") == "" && row.textOrNil("absent") == nil)
            #expect(try row.text("quoted") == "?1" && row.flag("yes") && !row.flag("no"))
            #expect(throws: StoreError.self) { try row.text("least") }
            #expect(throws: StoreError.self) { try row.int("text") }
            #expect(throws: StoreError.self) { try row.bytes("text") }
            #expect(throws: StoreError.self) { try row.text("absent") }
            #expect(throws: StoreError.self) { try row.text("no such column") }
        }
        let user = try await store.createUser(newUser("ada")).id
        for bytes in [Array(UInt8.min...UInt8.max), []] {
            try await store.addAccessToken(userID: user, hash: bytes, expiresAt: nil, createdAt: 1)
            #expect(try await store.userForAccessToken(hash: bytes, now: 1)?.id == user)
        }
        #expect(try await Set(store.accessTokens(userID: user, now: 1, idleSince: -1).map(\.hash.count)) == [256, 0])
    }

    @Test(arguments: StoreFactory.all)
    func `a statement with too few or too many values is refused`(_ factory: StoreFactory) async throws {
        let (_, database) = try await database(factory)
        for values in [[], ["a", "b"]] {
            let error = await #expect(throws: StoreError.self) {
                try await database.read { try $0.rows("SELECT value FROM settings WHERE key = ?1", values) }
            }
            guard case .database = error else { return #expect(Bool(false), "\(String(describing: error))") }
        }
    }

    private static let refusals: [(SQLFailure.Kind, String, [SQLValue])] = [
        (.unique, "INSERT INTO users (username, password_hash, created_at) VALUES ('ADA', '', 1)", []),
        (.unique, "INSERT INTO settings (key, value) VALUES ('there', '')", []),
        (
            .foreignKey,
            "INSERT INTO tokens (user_id, key_hash, key_prefix, name, created_at) VALUES (999, ?1, 'sk-', 'k', 1)",
            [.bytes([1])]
        ),
        (.check, "UPDATE users SET role = 7", []), (.notNull, "UPDATE users SET email = NULL", []),
        (.trigger, "UPDATE audit_log SET action = 'another'", []), (.value, "UPDATE users SET created_at = ?1", [.text("long ago")]),
        (.other, "SELECT nothing FROM nowhere", []),
    ]

    @Test(arguments: StoreFactory.all)
    func `a failure is told by its kind`(_ factory: StoreFactory) async throws {
        let (store, database) = try await database(factory)
        let user = try await store.createUser(newUser("ada")).id
        _ = try await store.post(credit(user, 5, "r1"))
        try await store.setSetting("there", "1")
        for (kind, sql, values) in Self.refusals {
            try await database.write { session in
                var failure: SQLFailure?
                do {
                    try session.savepoint { try session.execute(sql, values) }
                } catch let error as SQLFailure { failure = error }
                #expect(failure?.kind == kind, "\(sql): \(String(describing: failure))")
                #expect(failure?.isFaultOfData == (kind != .other), "\(sql)")
                #expect(failure?.message.isEmpty == false)
                // The transaction goes on.
                #expect(try session.user(id: user)?.username == "ada")
            }
        }
        // A key that is too long for PostgreSQL's index, which does not press random digits together; bytes that are too many for SQLite.
        var random = SplitMix64(state: 1)
        let digits = (0..<2_000).map { _ in String(random.next(), radix: 16) }.joined()
        let failure = await #expect(throws: SQLFailure.self) {
            try await database.write { session in
                switch session.dialect {
                case .postgres: return session.failure("INSERT INTO settings (key, value) VALUES (?1, '')", [digits])
                case .sqlite: return session.failure("SELECT zeroblob(2000000000) AS bytes", [])
                }
            }.get()
        }
        #expect(failure?.kind == .tooBig && failure?.isFaultOfData == true, "\(String(describing: failure))")
    }

    /// Codes that no statement of a test brings about at will.
    @Test(arguments: [
        ("40001", SQLFailure.Kind.serialization), ("40P01", .serialization), ("55P03", .busy), ("57014", .interrupted), ("22003", .value),
        ("22001", .tooBig), ("23001", .foreignKey), ("23P01", .check), ("P0001", .trigger), ("53100", .other), ("", .other),
    ])
    func `codes of PostgreSQL have their kinds`(_ state: String, _ kind: SQLFailure.Kind) {
        #expect(SQLFailure(postgres: state, message: "m").kind == kind)
        #expect(SQLFailure(postgres: state, message: "m", isConnectionLost: true).kind == .connectionLost)
    }

    @Test(arguments: StoreFactory.all)
    func `a savepoint undoes its own work and nothing else`(_ factory: StoreFactory) async throws {
        struct Refused: Error {}
        let (store, database) = try await database(factory)
        try await database.write { session in
            try session.set("before", "1")
            for (key, fails) in [("first", false), ("second", true), ("third", false), ("fourth", true), ("fifth", true)] {
                do {
                    try session.savepoint {
                        try session.set(key, "1")
                        if fails { throw Refused() }
                    }
                    #expect(!fails)
                } catch is Refused { #expect(fails) }
            }
            try session.set("after", "1")
        }
        var kept: [String] = []
        for key in ["before", "first", "second", "third", "fourth", "fifth", "after"] where try await store.setting(key) != nil {
            kept.append(key)
        }
        #expect(kept == ["before", "first", "third", "after"])
        await #expect(throws: Refused.self) {
            try await database.write { session in
                try session.savepoint { try session.set("inside", "1") }
                throw Refused()
            }
        }
        #expect(try await store.setting("inside") == nil)
    }

    @Test(arguments: StoreFactory.all)
    func `a caller who has gone does not leave half a change`(_ factory: StoreFactory) async throws {
        let (store, _) = try await database(factory)
        let isShared = store.isShared
        let outcome = await Task {
            withUnsafeCurrentTask { $0?.cancel() }
            return await Result { () async throws in try await store.setSetting("late", "1", audit: .some) }
        }.value
        // PostgreSQL's transactions are not stopped once they wait for a connection; SQLite's are, and leave nothing.
        let isWritten = try await store.setting("late") != nil
        #expect(isWritten == isShared)
        #expect(try await store.auditRows(PageRequest()).total == (isShared ? 1 : 0))
        switch outcome {
        case .success: #expect(isShared)
        case .failure(let error): #expect(!isShared && error is CancellationError, "\(error)")
        }
    }

    @Test func `PostgreSQL prepares a statement once for each connection`() async throws {
        let store = try #require(try await StoreFactory.postgres.open() as? PostgresStore)
        let count = try await store.pool.run(inTransaction: true) { session in
            for id in 1...5 { _ = try session.user(id: Int64(id)) }
            return try session.first(
                """
                SELECT count(*) AS n FROM pg_prepared_statements
                WHERE statement LIKE '%FROM users WHERE id = $1%' AND statement NOT LIKE '%pg_prepared_statements%'
                """)?.int("n")
        }
        #expect(count == 1)
        try await store.close()
    }

    @Test(arguments: [
        ("a = ?1 AND b = ?12", "a = $1 AND b = $12"), ("'?1' || ?2", "'?1' || $2"), ("\"?1\" = ?1", "\"?1\" = $1"),
        ("'it''s ?1' = ?1", "'it''s ?1' = $1"), ("a ? b, $1, ?0", "a ? b, $1, ?0"), ("", ""), ("?", "?"),
    ])
    func `parameters get PostgreSQL's sign, quoted texts stay`(_ sql: String, _ numbered: String) {
        #expect(PGConnection.numbered(sql) == numbered)
    }

    @Test func `SQLite's floating-point numbers are not read`() async throws {
        let (_, database) = try await database(.sqlite)
        await #expect(throws: StoreError.self) { try await database.read { try $0.rows("SELECT 1.5 AS number") } }
    }
}

extension SQLSession {
    /// The failure of a statement, as what the body of a transaction gives back.
    fileprivate func failure(_ sql: String, _ parameters: [any SQLParameter]) -> Result<Void, SQLFailure> {
        do throws(SQLFailure) {
            _ = try rows(sql, parameters)
            return .success(())
        } catch {
            return .failure(error)
        }
    }
}

extension Result where Failure == any Error {
    fileprivate init(_ body: () async throws -> Success) async {
        do { self = .success(try await body()) } catch { self = .failure(error) }
    }
}
