import RouterCore
import Storage
import Testing

/// Lists of users and keys that are searched, filtered and sorted.
@Suite(.timeLimit(.minutes(10))) struct ListConformance {
    @Test(arguments: StoreFactory.all)
    func `users are found by text, role, status and group, in the order asked for`(_ factory: StoreFactory) async throws {
        let store = try await factory.open()
        func make(_ name: String, _ display: String, _ email: String, role: Role = .user, group: String = "default") async throws -> Int64 {
            var user = newUser(name)
            (user.displayName, user.email, user.role, user.group) = (display, email, role, group)
            return try await store.createUser(user).id
        }
        let ada = try await make("ada", "Ada Lovelace", "ada@example.org", role: .admin)
        let bob = try await make("Bob", "Robert", "bob@100%.example", group: "vip")
        let cid = try await make("cid_1", "张三", "c!d@example.org")
        let dan = try await make("danx1", "", "")
        _ = try await store.post(credit(ada, 500, "a"))
        _ = try await store.post(credit(bob, 2_000, "b"))
        _ = try await store.post(credit(cid, 1_000, "c"))
        let month = BudgetWindow.month.number(at: 300)
        _ = try await store.post([record(1, user: bob, charge: 7), record(2, user: ada, charge: 900), record(3, user: cid, charge: 30)])
        var disable = UserChange()
        disable.status = .disabled
        _ = try await store.changeUser(id: dan, disable)

        func found(_ change: (inout UserQuery) -> Void) async throws -> [Int64] {
            var query = UserQuery(month: month)
            change(&query)
            let page = try await store.users(query)
            #expect(page.total == Int64(page.items.count))
            return page.items.map(\.id)
        }
        #expect(try await found { _ in } == [dan, cid, bob, ada])
        #expect(try await found { $0.isAscending = true } == [ada, bob, cid, dan])
        // Without case, in each of the texts, and with nothing that has a meaning in a pattern.
        for (text, expected) in [
            ("LOVE", [ada]), ("bOB", [bob]), ("example.org", [cid, ada]), ("三", [cid]), ("%", [bob]), ("_", [cid]), ("!", [cid]),
            ("100%.", [bob]), ("'; DROP TABLE users; --", []), ("\\", []),
        ] {
            #expect(try await found { $0.text = text } == expected, "\(text)")
        }
        #expect(try await found { $0.text = "\(bob)" }.contains(bob))
        #expect(try await found { $0.role = .admin } == [ada])
        #expect(try await found { $0.status = .disabled } == [dan])
        #expect(try await found { $0.group = "vip" } == [bob])
        #expect(try await found { ($0.text, $0.role) = ("example.org", .user) } == [cid])
        #expect(try await found { ($0.order, $0.isAscending) = (.username, true) } == [ada, bob, cid, dan])
        #expect(try await found { $0.order = .balance } == [bob, cid, dan, ada])
        #expect(try await found { $0.order = .created } == [dan, cid, bob, ada])
        #expect(try await found { $0.order = .spent } == [ada, cid, bob, dan])
        #expect(try await found { ($0.order, $0.month) = (.spent, month + 1) } == [dan, cid, bob, ada])
        #expect(try await found { ($0.order, $0.text) = (.spent, "example.org") } == [ada, cid])
        var second = UserQuery(page: PageRequest(page: 2, size: 3), month: month)
        second.order = .balance
        let rest = try await store.users(second)
        #expect(rest.items.map(\.id) == [ada] && rest.total == 4)
        #expect(try await store.countUsers() == ["default": 3, "vip": 1])
    }

    @Test(arguments: StoreFactory.all)
    func `keys are found and sorted too, and a new secret keeps the rest of a key`(_ factory: StoreFactory) async throws {
        let store = try await factory.open()
        let user = try await store.createUser(newUser("ada")).id
        let other = try await store.createUser(newUser("bob")).id
        func make(_ name: String, owner: Int64? = nil) async throws -> Token {
            try await store.createToken(
                Token(
                    userID: owner ?? user, keyHash: Array(name.utf8), keyPrefix: "sk-\(name.prefix(3))", name: name, limits: #"{"rpm":5}"#,
                    createdAt: 100))
        }
        let laptop = try await make("Laptop")
        let server = try await make("server 50%")
        let phone = try await make("phone")
        _ = try await make("laptop too", owner: other)
        func charge(_ id: Int, _ token: Int64, _ nanos: Int64) -> RequestRecord {
            var row = record(id, user: user, charge: nanos)
            row.tokenID = token
            return row
        }
        _ = try await store.post([charge(1, server.id, 5), charge(2, phone.id, 50), charge(3, server.id, 10)])
        try await store.touchTokens([laptop.id: 900, phone.id: 800])
        var off = TokenChange()
        off.status = .disabled
        _ = try await store.changeToken(id: phone.id, off)

        func found(_ change: (inout TokenQuery) -> Void) async throws -> [Int64] {
            var query = TokenQuery(userID: user)
            change(&query)
            return try await store.tokens(query).items.map(\.id)
        }
        #expect(try await found { _ in } == [phone.id, server.id, laptop.id])
        #expect(try await found { $0.text = "LAP" } == [laptop.id])
        #expect(try await found { $0.text = "%" } == [server.id])
        #expect(try await found { $0.text = "sk-pho" } == [phone.id])
        #expect(try await found { $0.status = .disabled } == [phone.id])
        #expect(try await found { ($0.order, $0.isAscending) = (.name, true) } == [laptop.id, phone.id, server.id])
        #expect(try await found { $0.order = .spent } == [phone.id, server.id, laptop.id])
        #expect(try await found { ($0.order, $0.isAscending) = (.accessed, true) } == [server.id, phone.id, laptop.id])
        #expect(try await found { $0.userID = nil }.count == 4)

        var rotate = TokenChange()
        rotate.secret = ([1, 2, 3], "sk-new")
        let rotated = try await store.changeToken(id: laptop.id, rotate)
        var expected = laptop
        (expected.keyHash, expected.keyPrefix, expected.accessedAt) = ([1, 2, 3], "sk-new", 900)
        #expect(rotated == expected)
        #expect(try await store.token(keyHash: laptop.keyHash) == nil)
        #expect(try await store.token(keyHash: [1, 2, 3])?.id == laptop.id)
        await #expect(throws: StoreError.duplicate("key_hash")) { try await store.changeToken(id: server.id, rotate) }
    }

    @Test(arguments: StoreFactory.all)
    func `a replaced secret goes on beside its key, once, and ends with it`(_ factory: StoreFactory) async throws {
        let store = try await factory.open()
        let user = try await store.createUser(newUser("ada")).id
        func make(_ name: String) async throws -> Token {
            try await store.createToken(
                Token(userID: user, keyHash: Array(name.utf8), keyPrefix: "sk-\(name)", name: name, createdAt: 100))
        }
        let (laptop, server) = (try await make("laptop"), try await make("server"))
        func rotate(_ id: Int64, _ hash: [UInt8], until: Int64?) async throws -> Token {
            var change = TokenChange()
            change.secret = (hash, "sk-new")
            change.formerUntil = until
            return try await store.changeToken(id: id, change)
        }
        let first = FormerSecret(keyHash: laptop.keyHash, until: 700)
        #expect(try await rotate(laptop.id, [1], until: 700).former == first)
        #expect(try await store.token(id: laptop.id)?.former == first)
        #expect(try await store.token(keyHash: [1])?.former == first)
        // It is no key of its own.
        #expect(try await store.token(keyHash: laptop.keyHash) == nil)
        #expect(try await store.allTokens().map(\.former) == [first, nil])
        #expect(try await store.tokens(TokenQuery(userID: user)).items.map(\.former) == [nil, first])
        var rename = TokenChange()
        rename.name = "desk"
        #expect(try await store.changeToken(id: laptop.id, rename).former == first, "other changes leave it")
        #expect(try await rotate(laptop.id, [2], until: 900).former == FormerSecret(keyHash: [1], until: 900), "one at a time")
        #expect(try await rotate(laptop.id, [3], until: nil).former == nil)

        _ = try await rotate(laptop.id, [4], until: 900)
        _ = try await rotate(server.id, [5], until: 900)
        try await store.deleteToken(id: laptop.id)
        #expect(try await store.setting("token.former.\(laptop.id)") == nil)
        #expect(try await store.setting("token.former.\(server.id)") != nil)
        try await store.setSetting(UserSetting.lowBalance.key(user), "5")
        try await store.deleteUser(id: user)
        #expect(try await store.setting("token.former.\(server.id)") == nil)
        #expect(try await store.setting(UserSetting.lowBalance.key(user)) == nil)
    }
}
