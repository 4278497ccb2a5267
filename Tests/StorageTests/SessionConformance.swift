import RouterCore
import Storage
import Testing

/// Sessions, known addresses and claimed settings, in every store.
@Suite(.timeLimit(.minutes(10)))
struct SessionConformance {
    private func hash(_ number: UInt8) -> [UInt8] { [UInt8](repeating: number, count: 32) }

    private func session(_ number: UInt8, _ user: Int64, usedAt: Int64 = 100, expiresAt: Int64? = 1_000) -> AccessToken {
        AccessToken(
            hash: hash(number), userID: user, createdAt: 100, usedAt: usedAt, expiresAt: expiresAt, clientIP: "2001:db8::\(number)",
            userAgent: "agent \(number)")
    }

    @Test(arguments: StoreFactory.all)
    func `a session ends without use and in time, a token without an end does not`(_ factory: StoreFactory) async throws {
        let store = try await factory.open()
        let user = try await store.createUser(newUser("ada"))
        let token = session(1, user.id)
        try await store.addAccessToken(token, audit: .some)
        try await store.addAccessToken(session(2, user.id, expiresAt: nil), audit: .some)
        #expect(try await store.accessTokens(userID: user.id, now: 150, idleSince: 99).contains(token))
        #expect(try await store.userForAccessToken(hash: hash(1), now: 150, idleSince: 100) == nil)
        try await store.touchAccessToken(hash: hash(1), now: 160)
        #expect(try await store.userForAccessToken(hash: hash(1), now: 200, idleSince: 159)?.user.id == user.id)
        // Never backwards, whoever comes late.
        try await store.touchAccessToken(hash: hash(1), now: 120)
        #expect(try await store.userForAccessToken(hash: hash(1), now: 200, idleSince: 159)?.user.id == user.id)
        #expect(try await store.userForAccessToken(hash: hash(1), now: 1_000, idleSince: 159) == nil)
        #expect(try await store.userForAccessToken(hash: hash(2), now: 1 << 40, idleSince: 1 << 39)?.user.id == user.id)
        #expect(try await store.accessTokens(userID: user.id, now: 1_000, idleSince: 0).map(\.hash) == [hash(2)])
        #expect(try await store.accessTokens(userID: user.id + 1, now: 150, idleSince: 0).isEmpty)
    }

    @Test("audit 14: a password change ends all sessions and management tokens but one, in one transaction", arguments: StoreFactory.all)
    func passwordChange(_ factory: StoreFactory) async throws {
        let store = try await factory.open()
        let user = try await store.createUser(newUser("ada"))
        let other = try await store.createUser(newUser("bob"))
        for number in UInt8(1)...3 { try await store.addAccessToken(session(number, user.id), audit: .some) }
        try await store.addAccessToken(session(4, user.id, expiresAt: nil), audit: .some)
        try await store.addAccessToken(session(5, other.id), audit: .some)
        var change = UserChange()
        change.passwordHash = "new"
        change.endsManagementTokens = true
        change.keptManagementToken = hash(2)
        _ = try await store.changeUser(id: user.id, change)
        #expect(try await store.accessTokens(userID: user.id, now: 150, idleSince: 0).map(\.hash) == [hash(2)])
        #expect(try await store.accessTokens(userID: other.id, now: 150, idleSince: 0).count == 1)
        change.keptManagementToken = nil
        _ = try await store.changeUser(id: user.id, change)
        #expect(try await store.accessTokens(userID: user.id, now: 150, idleSince: 0).isEmpty)
        // A change that fails ends nothing.
        change.username = "ADA"
        await #expect(throws: StoreError.duplicate("username")) { try await store.changeUser(id: other.id, change) }
        #expect(try await store.accessTokens(userID: other.id, now: 150, idleSince: 0).count == 1)
    }

    @Test("audit 14: a login whose password was looked at before a change begins no session", arguments: StoreFactory.all)
    func loginDuringChange(_ factory: StoreFactory) async throws {
        let store = try await factory.open()
        let user = try await store.createUser(newUser("ada"))
        let verified = try #require(try await store.userForLogin(username: "ada")?.passwordHash)
        #expect(try await store.addAccessToken(session(1, user.id), verified: verified, audit: .some))
        var change = UserChange()
        change.passwordHash = "new"
        change.expectedPasswordHash = verified
        change.endsManagementTokens = true
        _ = try await store.changeUser(id: user.id, change)
        #expect(try await !store.addAccessToken(session(2, user.id), verified: verified, audit: .some))
        // The second of two changes with the old password is told so, and changes nothing.
        change.displayName = "second"
        await #expect(throws: StoreError.conflict("the password has been changed meanwhile")) {
            try await store.changeUser(id: user.id, change)
        }
        #expect(try await store.user(id: user.id)?.displayName != "second")
        var disabling = UserChange()
        disabling.status = .disabled
        _ = try await store.changeUser(id: user.id, disabling)
        #expect(try await !store.addAccessToken(session(3, user.id), verified: "new", audit: .some))
        #expect(try await !store.addAccessToken(session(4, user.id + 1), verified: nil, audit: .some))
        #expect(try await store.accessTokens(userID: user.id, now: 150, idleSince: 0).isEmpty)

        // However the two meet: either the change comes later and ends the session, or the login finds another password.
        for round in UInt8(0)..<20 {
            let name = "u\(round)"
            let user = try await store.createUser(newUser(name))
            let verified = try #require(try await store.userForLogin(username: name)?.passwordHash)
            var change = UserChange()
            change.passwordHash = "new"
            change.endsManagementTokens = true
            let prepared = change
            let token = session(100 + round, user.id)
            async let login = store.addAccessToken(token, verified: verified, audit: .some)
            async let changed = store.changeUser(id: user.id, prepared)
            _ = try await (login, changed)
            #expect(try await store.accessTokens(userID: user.id, now: 150, idleSince: 0).isEmpty)
        }
    }

    @Test(arguments: StoreFactory.all)
    func `all other sessions end, tokens without an end stay`(_ factory: StoreFactory) async throws {
        let store = try await factory.open()
        let user = try await store.createUser(newUser("ada"))
        for number in UInt8(1)...3 { try await store.addAccessToken(session(number, user.id, usedAt: 100 + Int64(number)), audit: .some) }
        try await store.addAccessToken(session(4, user.id, expiresAt: nil), audit: .some)
        try await store.removeSessions(userID: user.id, except: hash(3))
        #expect(try await store.accessTokens(userID: user.id, now: 150, idleSince: 0).map(\.hash) == [hash(3), hash(4)])
    }

    @Test(arguments: StoreFactory.all)
    func `an address is known to the user who logged in there, for as long as asked`(_ factory: StoreFactory) async throws {
        let store = try await factory.open()
        let user = try await store.createUser(newUser("ada"))
        let other = try await store.createUser(newUser("bob"))
        try await store.noteLogin(userID: user.id, address: "192.0.2.1", now: 100)
        #expect(try await store.knowsLogin(userID: user.id, address: "192.0.2.1", since: 100))
        #expect(try await !store.knowsLogin(userID: user.id, address: "192.0.2.1", since: 101))
        #expect(try await !store.knowsLogin(userID: user.id, address: "192.0.2.2", since: 0))
        #expect(try await !store.knowsLogin(userID: other.id, address: "192.0.2.1", since: 0))
        #expect(try await !store.knowsLogin(userID: 0, address: "192.0.2.1", since: 0))
        try await store.noteLogin(userID: user.id, address: "192.0.2.1", now: 200)
        #expect(try await store.knowsLogin(userID: user.id, address: "192.0.2.1", since: 200))
        // The last hundred.
        for number in 0..<100 { try await store.noteLogin(userID: user.id, address: "10.0.0.\(number)", now: 300 + Int64(number)) }
        #expect(try await !store.knowsLogin(userID: user.id, address: "192.0.2.1", since: 0))
        #expect(try await store.knowsLogin(userID: user.id, address: "10.0.0.0", since: 0))
        // The row goes with its user.
        try await store.deleteUser(id: user.id)
        #expect(try await !store.knowsLogin(userID: user.id, address: "10.0.0.0", since: 0))
    }

    @Test(arguments: StoreFactory.all)
    func `what is claimed first stays`(_ factory: StoreFactory) async throws {
        let store = try await factory.open()
        let claims = try await withThrowingTaskGroup(of: String.self) { group in
            for number in 0..<8 { group.addTask { try await store.claimSetting("k", "value \(number)") } }
            return try await group.reduce(into: Set<String>()) { $0.insert($1) }
        }
        let stored = try await store.setting("k")
        #expect(claims.count == 1 && claims.first == stored)
    }
}
