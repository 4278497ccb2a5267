import Foundation
import GRDB
import PostgresTesting
import RouterCore
import Storage
import Testing

/// A store with a way to its database past the store.
struct OpenedStore: Sendable {
    var store: any Store
    var run: @Sendable (String) async throws -> Void
    var isSQLite: Bool

    static func make(_ kind: Kind) async throws -> OpenedStore {
        switch kind {
        case .sqlite:
            let path = FileManager.default.temporaryDirectory.path + "/records-" + UUID().uuidString
            try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
            return OpenedStore(
                store: try await openStore(path: path),
                run: { sql in try await DatabaseQueue(path: path + "/ledger.db").write { try $0.execute(sql: sql) } },
                isSQLite: true)
        case .postgres:
            let server = try PostgresServer.shared.get()
            let url = try server.makeDatabase()
            let store = try await PostgresStore.open(
                url: Secret(url), migrationsDirectory: try Migrations.locate(dialect: .postgres, environment: [:]),
                now: 1, connections: 4)
            return OpenedStore(store: store, run: { _ = try server.query(url, $0) }, isSQLite: false)
        }
    }

    enum Kind: CaseIterable { case sqlite, postgres }

    /// From here on no row of `audit_log` can be written.
    func refuseAudit() async throws {
        try await run(
            isSQLite
                ? "CREATE TRIGGER full BEFORE INSERT ON audit_log BEGIN SELECT RAISE(ABORT, 'no room'); END"
                : "ALTER TABLE audit_log ADD CONSTRAINT full_table CHECK (FALSE) NOT VALID")
    }
}

/// Money that is moved once, changes that are on record, tokens that end.
@Suite(.timeLimit(.minutes(10)))
struct RecordsConformance {
    private func entry(_ action: String) -> AuditEntry {
        AuditEntry(actorID: 7, action: action, clientIP: "::1", at: 5)
    }

    private func conflict(_ body: () async throws -> Void) async -> String? {
        do { try await body() } catch StoreError.conflict(let message) { return message } catch {
            return "not a conflict: \(error)"
        }
        return nil
    }

    // MARK: Money

    @Test("audit 7: a key moves money once, and a conflict says what differs", arguments: StoreFactory.all)
    func keys(_ factory: StoreFactory) async throws {
        let store = try await factory.open()
        let ada = try await store.createUser(newUser("ada")).id
        let bob = try await store.createUser(newUser("bob")).id
        _ = try await store.post([
            record(1, user: ada, charge: 100), record(2, user: ada, charge: 100), record(3, user: bob, charge: 100),
        ])
        let charge = { (bits: UInt128) in RequestID(bits: bits).description }
        let first = try await store.post(credit(ada, 700, "k1"), audit: entry("add"))
        let again = try await store.post(credit(ada, 700, "k1"), audit: entry("add"))
        #expect(first.isNew && !again.isNew && again.entry == first.entry)
        #expect(await conflict { _ = try await store.post(credit(ada, 701, "k1")) }?.contains("the amount") == true)
        #expect(await conflict { _ = try await store.post(credit(bob, 700, "k1")) }?.contains("the user") == true)
        // With another sign it is another type of row, and was booked beside the first before.
        #expect(
            await conflict { _ = try await store.post(credit(ada, -700, "k1", .adjustment)) }?.contains("the amount")
                == true)
        func refund(
            _ bits: UInt128, _ key: String?, _ nanos: Int64? = nil
        ) async throws -> (
            entry: LedgerEntry, isNew: Bool
        ) {
            let amount = nanos.map { NanoUSD(nanos: $0) }
            return try await store.refund(
                Refund(reference: charge(bits), amount: amount, key: key, createdAt: 9), audit: entry("refund"))
        }
        #expect(await conflict { _ = try await refund(1, "k1") }?.contains("the operation (add, now refund)") == true)
        let refunded = try await refund(1, "k2", 60)
        let repeated = try await refund(1, "k2", 60)
        #expect(refunded.isNew && !repeated.isNew && repeated.entry == refunded.entry)
        #expect(try await !refund(1, "k2").isNew, "without an amount it is the same operation")
        #expect(await conflict { _ = try await refund(1, "k2", 61) }?.contains("the amount") == true)
        #expect(await conflict { _ = try await refund(2, "k2", 60) }?.contains("the charge") == true)
        #expect(await conflict { _ = try await refund(3, "k2", 60) }?.contains("the user") == true)
        #expect(
            await conflict { _ = try await store.post(credit(ada, 60, "k2")) }?.contains(
                "the operation (refund, now add)") == true)
        // The charge is its own key beside the caller's.
        #expect(try await !refund(1, nil, 60).isNew)
        #expect(try await !refund(1, "k3", 60).isNew)
        #expect(await conflict { _ = try await refund(2, "k3") } != nil)
        #expect(try await store.user(id: ada)?.balance.nanos == 700 - 200 + 60)
        #expect(try await store.user(id: bob)?.balance.nanos == -100)
        let rows = try await store.auditRows(PageRequest(page: 1, size: 100)).items.filter { $0.actorID == 7 }
        #expect(rows.map(\.action) == ["refund", "add"], "a repetition is no change")
        #expect(
            rows.first?.detail.contains("\"user_id\":\(ada)") == true && rows.first?.detail.contains(charge(1)) == true)
        #expect(try await store.verify().differences == [])
        #expect(try await store.chargedAccount(reference: charge(3)) == ChargedAccount(userID: bob))
        #expect(try await store.chargedAccount(reference: "k1") == nil)
    }

    @Test(arguments: StoreFactory.all) func `audit rows are read downwards from an id, with names`(_ factory: StoreFactory) async throws {
        let store = try await factory.open()
        let ada = try await store.createUser(newUser("ada")).id
        let last = try await store.auditRows(AuditQuery(), limit: 1).first?.id ?? 0
        for (number, action) in ["config.change", "config.reload", "configure", "user.create"].enumerated() {
            let actor: Int64? = number == 3 ? nil : number == 2 ? 999 : ada
            try await store.audit(AuditEntry(actorID: actor, action: action, at: 1_000 + Int64(number)))
        }
        func read(_ query: AuditQuery, limit: Int = 10) async throws -> [String] {
            try await store.auditRows(query, limit: limit).filter { $0.id > last }.map { "\($0.action) \($0.actorName ?? "-")" }
        }
        let all = ["user.create -", "configure -", "config.reload ada", "config.change ada"]
        #expect(try await read(AuditQuery()) == all)
        #expect(try await read(AuditQuery(), limit: 2) == Array(all.prefix(2)))
        let second = try await store.auditRows(AuditQuery(), limit: 2).last?.id
        #expect(try await read(AuditQuery(beforeID: second)) == Array(all.suffix(2)))
        #expect(try await read(AuditQuery(action: "config")) == Array(all.suffix(2)))
        #expect(try await read(AuditQuery(action: "configure")) == ["configure -"])
        #expect(try await read(AuditQuery(actorID: ada)).filter { $0.hasPrefix("config") } == Array(all.suffix(2)))
        #expect(try await read(AuditQuery(range: 1_001..<1_003)) == ["configure -", "config.reload ada"])
        #expect(try await store.poisonRecords(limit: 5) == [])
    }

    @Test("audit 7: of many equal calls at once one moves money and all get its row", arguments: StoreFactory.all)
    func concurrent(_ factory: StoreFactory) async throws {
        let store = try await factory.open()
        let users = [try await store.createUser(newUser("ada")).id, try await store.createUser(newUser("bob")).id]
        _ = try await store.post(users.enumerated().map { record($0.offset + 1, user: $0.element, charge: 50) })
        for round in 0..<5 {
            let rows = try await withThrowingTaskGroup(of: (entry: LedgerEntry, isNew: Bool).self) { group in
                for _ in 0..<8 { group.addTask { try await store.post(credit(users[0], 5, "same-\(round)")) } }
                return try await group.reduce(into: []) { $0.append($1) }
            }
            #expect(Set(rows.map(\.entry)).count == 1 && rows.count { $0.isNew } == 1)
            // Under one key for two users: one of them has it, the others hear why not.
            let taken = await withTaskGroup(of: Int64?.self) { group in
                for number in 0..<8 {
                    group.addTask {
                        let message = await conflict {
                            _ = try await store.post(credit(users[number % 2], 5, "split-\(round)"))
                        }
                        if let message { #expect(message.contains("the user"), "\(message)") }
                        return message == nil ? users[number % 2] : nil
                    }
                }
                return await group.reduce(into: [Int64]()) { if let user = $1 { $0.append(user) } }
            }
            #expect(taken.count == 4 && Set(taken).count == 1, "\(taken)")
        }
        let refunds = await withTaskGroup(of: Bool.self) { group in
            for number in 0..<8 {
                group.addTask {
                    let refund = Refund(
                        reference: RequestID(bits: UInt128(number % 2 + 1)).description, amount: nil, key: "r",
                        createdAt: 9)
                    return await conflict { _ = try await store.refund(refund, audit: .some) } == nil
                }
            }
            return await group.reduce(into: 0) { $0 += $1 ? 1 : 0 }
        }
        #expect(refunds == 4)
        let sum = try await store.allUsers().map(\.balance.nanos).reduce(0, +)
        #expect(sum == 5 * 5 + 5 * 5 - 100 + 50)
        #expect(try await store.verify().differences == [])
    }

    // MARK: Records

    /// What can be seen of a store but its records.
    private struct Picture: Equatable {
        var users: [User], tokens: [Token], prices: [PricingRow], setting: String?, entries: [LedgerEntry],
            sessions: [Int64?]
        var passwords: [String?]
    }

    private func picture(_ store: any Store, _ hashes: [[UInt8]]) async throws -> Picture {
        var sessions: [Int64?] = []
        for hash in hashes { sessions.append(try await store.userForAccessToken(hash: hash, now: 1)?.id) }
        let users = try await store.allUsers()
        var passwords: [String?] = []
        for user in users { passwords.append(try await store.userForLogin(username: user.username)?.passwordHash) }
        return Picture(
            users: users, tokens: try await store.allTokens(), prices: try await store.allPrices(),
            setting: try await store.setting("s"),
            entries: try await store.entries(in: 0 ..< .max, after: 0, limit: 100), sessions: sessions,
            passwords: passwords)
    }

    private func changes(
        _ store: any Store, user: Int64, token: Int64
    ) -> [(
        name: String, body: () async throws -> Void
    )] {
        var change = UserChange()
        change.passwordHash = "other"
        change.endsManagementTokens = true
        var tokenChange = TokenChange()
        tokenChange.status = .disabled
        let (userChange, keyChange) = (change, tokenChange)
        let bytes = { (byte: UInt8) in [UInt8](repeating: byte, count: 32) }
        let key = Token(userID: user, keyHash: bytes(8), keyPrefix: "sk-", name: "initial", createdAt: 1)
        let other = Token(userID: user, keyHash: bytes(7), keyPrefix: "sk-", name: "initial", createdAt: 1)
        let charge = RequestID(bits: 1).description
        return [
            ("user.create", { _ = try await store.createUser(newUser("new"), audit: self.entry("user.create")) }),
            ("user.change", { _ = try await store.changeUser(id: user, userChange, audit: self.entry("user.change")) }),
            ("token.create", { _ = try await store.createToken(key, audit: self.entry("token.create")) }),
            (
                "token.change",
                { _ = try await store.changeToken(id: token, keyChange, audit: self.entry("token.change")) }
            ),
            ("token.delete", { try await store.deleteToken(id: token, audit: self.entry("token.delete")) }),
            (
                "pricing.change",
                {
                    _ = try await store.setPrice(
                        PricingRow(modelName: "m", price: .free), now: 3, audit: self.entry("pricing.change"))
                }
            ),
            (
                "reload",
                {
                    _ = try await store.seedPrices(
                        [PricingRow(modelName: "n", price: .free)], now: 3, audit: self.entry("reload"))
                }
            ),
            ("setting", { try await store.setSetting("s", "2", audit: self.entry("setting")) }),
            ("balance.add", { _ = try await store.post(credit(user, 5, "k"), audit: self.entry("balance.add")) }),
            (
                "balance.refund",
                {
                    _ = try await store.refund(
                        Refund(reference: charge, amount: nil, createdAt: 3), audit: self.entry("balance.refund"))
                }
            ),
            (
                "user.login",
                {
                    try await store.addAccessToken(
                        userID: user, hash: bytes(3), expiresAt: 99, createdAt: 1, audit: self.entry("user.login"))
                }
            ),
            (
                "bootstrap",
                { _ = try await store.setBootstrapToken(userID: user, hash: bytes(4), audit: self.entry("bootstrap")) }
            ),
            (
                "bootstrap.key",
                { _ = try await store.setBootstrapKey(userID: user, other, audit: self.entry("bootstrap.key")) }
            ),
            (
                "tokens.end",
                { try await store.endManagementTokens(userID: user, except: nil, audit: self.entry("tokens.end")) }
            ),
            ("user.delete", { try await store.deleteUser(id: user, audit: self.entry("user.delete")) }),
        ]
    }

    @Test("audit 7: what cannot be put on record does not happen, whatever it is", arguments: OpenedStore.Kind.allCases)
    func records(_ kind: OpenedStore.Kind) async throws {
        let bytes = { (byte: UInt8) in [UInt8](repeating: byte, count: 32) }
        // Once with room for records, once without.
        for isFull in [false, true] {
            let opened = try await OpenedStore.make(kind)
            let store = opened.store
            let user = try await store.createUser(newUser("ada")).id
            let token = try await store.createToken(
                Token(userID: user, keyHash: bytes(1), keyPrefix: "sk-", name: "k", createdAt: 1)
            ).id
            try await store.addAccessToken(userID: user, hash: bytes(2), expiresAt: 99, createdAt: 1)
            _ = try await store.post([record(1, user: user, charge: 10)])
            if isFull { try await opened.refuseAudit() }
            for (name, body) in changes(store, user: user, token: token) {
                let before = try await picture(store, [bytes(2), bytes(3), bytes(4)])
                if isFull {
                    await #expect(throws: StoreError.self, "\(name)") { try await body() }
                    #expect(try await picture(store, [bytes(2), bytes(3), bytes(4)]) == before, "\(name)")
                } else {
                    try await body()
                    let row = try await store.auditRows(PageRequest(page: 1, size: 1)).items.first
                    #expect(
                        row?.action == name && row?.actorID == 7 && row?.clientIP == "::1" && row?.createdAt == 5,
                        "\(name)")
                    #expect(
                        try await picture(store, [bytes(2), bytes(3), bytes(4)]) != before || name == "tokens.end",
                        "\(name)")
                }
            }
            try await store.close()
        }
    }

    // MARK: Tokens that end

    @Test(
        "audit 14: a change of the password ends sessions and management tokens, and keeps keys",
        arguments: StoreFactory.all)
    func ends(_ factory: StoreFactory) async throws {
        let store = try await factory.open()
        let bytes = { (byte: UInt8) in [UInt8](repeating: byte, count: 32) }
        let user = try await store.createUser(newUser("ada")).id
        let other = try await store.createUser(newUser("bob")).id
        _ = try await store.createToken(
            Token(userID: user, keyHash: bytes(9), keyPrefix: "sk-", name: "k", createdAt: 1))
        for byte in 1...2 as ClosedRange<UInt8> {
            try await store.addAccessToken(userID: user, hash: bytes(byte), expiresAt: 99, createdAt: 1)
        }
        try await store.addAccessToken(userID: other, hash: bytes(3), expiresAt: 99, createdAt: 1)
        #expect(try await store.setBootstrapToken(userID: user, hash: bytes(4), audit: .some) == .replaced)
        var change = UserChange()
        change.passwordHash = "new"
        change.endsManagementTokens = true
        change.keptManagementToken = bytes(2)
        _ = try await store.changeUser(id: user, change)
        var alive: [UInt8] = []
        for byte in 1...4 as ClosedRange<UInt8>
        where try await store.userForAccessToken(hash: bytes(byte), now: 1) != nil { alive.append(byte) }
        #expect(alive == [2, 3])
        #expect(try await store.allTokens().count == 1)
        // The next start does not bring it back; another value does.
        #expect(try await store.setBootstrapToken(userID: user, hash: bytes(4), audit: .some) == .ended)
        #expect(try await store.userForAccessToken(hash: bytes(4), now: 1) == nil)
        #expect(try await store.setBootstrapToken(userID: user, hash: bytes(5), audit: .some) == .replaced)
        #expect(try await store.userForAccessToken(hash: bytes(5), now: 1)?.id == user)
    }

    @Test(
        "audit 14: a replaced bootstrap token ends the old one, and so does a removed one", arguments: StoreFactory.all)
    func bootstrap(_ factory: StoreFactory) async throws {
        let store = try await factory.open()
        let bytes = { (byte: UInt8) in [UInt8](repeating: byte, count: 32) }
        let root = try await store.createUser(newUser("root")).id
        func set(_ byte: UInt8?) async throws -> BootstrapOutcome {
            try await store.setBootstrapToken(userID: root, hash: byte.map(bytes), audit: entry("bootstrap"))
        }
        func alive() async throws -> [UInt8] {
            var list: [UInt8] = []
            for byte in 1...4 as ClosedRange<UInt8>
            where try await store.userForAccessToken(hash: bytes(byte), now: 1 << 40) != nil {
                list.append(byte)
            }
            return list
        }
        #expect(try await set(nil) == .unchanged)
        #expect(try await set(1) == .replaced)
        #expect(try await set(1) == .unchanged)
        #expect(try await set(2) == .replaced)
        #expect(try await alive() == [2])
        // What a program before this rule has left.
        try await store.addAccessToken(userID: root, hash: bytes(3), expiresAt: nil, createdAt: 1)
        #expect(try await set(2) == .replaced)
        #expect(try await alive() == [2])
        #expect(try await set(nil) == .removed)
        #expect(try await alive() == [])
        #expect(try await set(nil) == .unchanged)
        #expect(try await set(2) == .replaced, "set anew, it is a new one")
        let rows = try await store.auditRows(PageRequest()).items.filter { $0.action == "bootstrap" }
        #expect(rows.count == 5 && rows.allSatisfy { $0.detail.contains("\"user_id\":\(root)") })
        await #expect(throws: StoreError.notFound) {
            try await store.setBootstrapToken(userID: 99, hash: nil, audit: .some)
        }
    }

    @Test("audit 14: the API key of the environment follows the same rule", arguments: StoreFactory.all)
    func bootstrapKey(_ factory: StoreFactory) async throws {
        let store = try await factory.open()
        let root = try await store.createUser(newUser("root")).id
        func key(_ byte: UInt8, _ name: String = "initial") -> Token {
            Token(
                userID: root, keyHash: [UInt8](repeating: byte, count: 32), keyPrefix: "sk-", name: name, createdAt: 1)
        }
        func set(_ token: Token?) async throws -> BootstrapOutcome {
            try await store.setBootstrapKey(userID: root, token, audit: entry("key"))
        }
        func alive() async throws -> [UInt8] { try await store.allTokens().compactMap(\.keyHash.first).sorted() }
        _ = try await store.createToken(key(9, "my own"))
        #expect(try await set(nil) == .unchanged)
        // Two of a program before this rule; the older one was to end when it was replaced.
        _ = try await store.createToken(key(1))
        _ = try await store.createToken(key(2))
        #expect(try await set(key(2)) == .replaced)
        #expect(try await alive() == [2, 9])
        #expect(try await set(key(2)) == .unchanged)
        #expect(try await set(key(3)) == .replaced)
        #expect(try await alive() == [3, 9])
        let id = try #require(try await store.allTokens().first { $0.name == "initial" }?.id)
        try await store.deleteToken(id: id)
        #expect(try await set(key(3)) == .ended)
        #expect(try await alive() == [9])
        #expect(try await set(key(4)) == .replaced)
        #expect(try await set(nil) == .removed)
        #expect(try await set(nil) == .unchanged)
        #expect(try await alive() == [9])
    }
}
