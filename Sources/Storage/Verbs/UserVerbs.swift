import RouterCore

extension SQLStore {
    public func createUser(_ user: NewUser, audit: AuditEntry) async throws -> User {
        try await database.write { try $0.createUser(user, audit: audit) }
    }

    public func user(id: Int64) async throws -> User? { try await database.read { try $0.user(id: id) } }

    public func userForLogin(username: String) async throws -> (user: User, passwordHash: String)? {
        try await database.read { try $0.userForLogin(username: username) }
    }

    public func users(_ query: UserQuery) async throws -> Page<User> { try await database.read { try $0.users(query) } }

    public func countUsers() async throws -> [String: Int64] { try await database.read { try $0.countUsers() } }

    public func allUsers() async throws -> [User] { try await database.read { try $0.allUsers() } }

    public func changeUser(id: Int64, _ change: UserChange, audit: AuditEntry) async throws -> User {
        try await database.write { try $0.changeUser(id: id, change, audit: audit) }
    }

    public func deleteUser(id: Int64, audit: AuditEntry) async throws {
        try await database.write { try $0.deleteUser(id: id, audit: audit) }
    }
}

extension SQLSession {
    func createUser(_ user: NewUser, audit: AuditEntry) throws -> User {
        let row = try unique("username") {
            try first(
                """
                INSERT INTO users (username, password_hash, display_name, email, role, "group", created_at, group_source)
                VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) RETURNING \(Columns.user)
                """,
                [
                    user.username, user.passwordHash, user.displayName, user.email, user.role.rawValue, user.group, user.createdAt,
                    user.group == "default" ? nil : User.GroupSource.admin.rawValue,
                ])
        }
        guard let row else { throw StoreError.notFound }
        let created = try Decoding.user(row)
        try insertAudit(audit.adding(.init("user_id", .integer(created.id))))
        return created
    }

    func user(id: Int64) throws -> User? {
        try first("SELECT \(Columns.user) FROM users WHERE id = ?1", [id]).map { try Decoding.user($0) }
    }

    func userForLogin(username: String) throws -> (user: User, passwordHash: String)? {
        try first(
            "SELECT \(Columns.user), password_hash FROM users WHERE \(dialect.sameName("username", "?1")) AND kind = 'user'", [username]
        )
        .map { (try Decoding.user($0), try $0.text("password_hash")) }
    }

    func users(_ query: UserQuery) throws -> Page<User> {
        var conditions = Conditions()
        conditions.add(term: "kind = '\(query.kind.rawValue)'")
        var sorting: Sorting?
        let direction = query.isAscending ? "ASC" : "DESC"
        let key: String
        switch query.order {
        case .id: key = "id"
        case .username: key = "lower(username)"
        case .balance:
            // An index would be written with every charge.
            sorting = Sorting()
            key = "balance_nanos"
        case .created: key = "created_at"
        case .spent:
            let kind = query.kind.rawValue
            // Word by word as in the index, which has a row for each user and month alone.
            let indexed = " AND b.\"window\" > 99999 AND b.\"window\" < 10000000 AND b.subject LIKE 'user:%'"
            let more = dialect == .postgres && kind == "user" ? indexed : ""
            sorting = Sorting(
                join: { " LEFT JOIN budget_usage b ON b.subject = '\(kind):' || users.id AND b.\"window\" = \($0)\(more)" },
                value: query.month)
            key = "coalesce(b.spent_nanos, 0)"
        }
        conditions.add(["username", "display_name", "email"], contain: query.text, orID: "id", dialect)
        conditions.add("role =", query.role?.rawValue)
        conditions.add("status =", query.status?.rawValue)
        conditions.add("\"group\" =", query.group)
        let order = query.order == .id ? "id \(direction)" : "\(key) \(direction), id \(direction)"
        return try page(Columns.user, of: "users", where: conditions, order: order, query.page, sorting: sorting) { try Decoding.user($0) }
    }

    func countUsers() throws -> [String: Int64] {
        let found = try rows(
            "SELECT \"group\" AS name, count(*) AS users FROM users WHERE kind = 'user' GROUP BY \"group\" ORDER BY 1 LIMIT 10000")
        return Dictionary(try found.map { (try $0.text("name"), try $0.int("users")) }) { first, _ in first }
    }

    func allUsers() throws -> [User] {
        try rows("SELECT \(Columns.user) FROM users ORDER BY id").map { try Decoding.user($0) }
    }

    func changeUser(id: Int64, _ change: UserChange, audit: AuditEntry) throws -> User {
        if let expected = change.expectedPasswordHash {
            let isStored = try first("SELECT password_hash = ?2 AS fits FROM users WHERE id = ?1 \(dialect.forUpdate)", [id, expected])?
                .flag("fits")
            guard isStored == true else { throw StoreError.conflict(UserChange.otherPassword) }
        }
        if let before = change.limitsBefore {
            let row = try first("SELECT limits FROM users WHERE id = ?1 \(dialect.forUpdate)", [id])
            if let row, try row.text("limits") != before {
                throw StoreError.conflict("the limits were changed meanwhile; read them again")
            }
        }
        if let group = change.group {
            try execute(
                "UPDATE users SET group_source = ?1 WHERE id = ?2 AND \"group\" <> ?3", [User.GroupSource.admin.rawValue, id, group])
        }
        var assignments = Assignments()
        if change.groupFollowsLevels { assignments.setNull("group_source") }
        assignments.set("username", change.username)
        assignments.set("password_hash", change.passwordHash)
        assignments.set("display_name", change.displayName)
        assignments.set("email", change.email)
        assignments.set("role", change.role?.rawValue)
        assignments.set("status", change.status?.rawValue)
        assignments.set("\"group\"", change.group)
        assignments.set("limits", change.limits)
        try unique("username") { try assignments.update("users", id: id, self) }
        guard let user = try user(id: id) else { throw StoreError.notFound }
        if change.endsManagementTokens { try endTokens(userID: id, except: change.keptManagementToken) }
        try insertAudit(audit.adding(.init("user_id", .integer(id))))
        return user
    }

    func deleteUser(id: Int64, audit: AuditEntry) throws {
        // An organisation's money and calls are looked at behind the lock that recharges and holds wait for. A user's organisations are
        // locked, so that their last two owners cannot go at once.
        guard try lockUser(id), let user = try user(id: id) else { throw StoreError.notFound }
        if user.kind == .organization { try demandEmpty(user) }
        let owned = try rows("SELECT account_id FROM memberships WHERE user_id = ?1 AND role = 'owner' ORDER BY account_id", [id])
        for row in owned { try lockOrganization(try row.int("account_id")) }
        if let organization = try onlyOwned(by: id).first {
            throw StoreError.conflict(
                "the user is the only owner of the organisation \(organization.id) (\(organization.displayName)); make another member one first"
            )
        }
        try insertAudit(audit.adding(.init("user_id", .integer(id))))
        try removeSetting(UserSetting.lowBalance.key(id))
        for row in try rows("SELECT id FROM tokens WHERE user_id = ?1 OR account_id = ?1", [id]) {
            try removeSetting(FormerSecret.setting(try row.int("id")))
        }
        let isInBooks = try ["user_id", "account_id"].contains { column in
            try finds("SELECT 1 AS found FROM balance_transactions WHERE \(column) = ?1 LIMIT 1", [id])
        }
        guard isInBooks else {
            try execute("DELETE FROM balance_leases WHERE user_id = ?1", [id])
            try execute("DELETE FROM users WHERE id = ?1", [id])
            return
        }
        // Books are kept: the name becomes free, the account can do nothing.
        try execute(
            "UPDATE users SET status = 2, username = ?1, password_hash = '', email = '' WHERE id = ?2",
            ["deleted-\(id)-\(user.username)", id])
        try execute("DELETE FROM tokens WHERE user_id = ?1 OR account_id = ?1", [id])
        try execute("DELETE FROM memberships WHERE user_id = ?1 OR account_id = ?1", [id])
        try execute("DELETE FROM invitations WHERE account_id = ?1 OR created_by = ?1 AND used_at IS NULL", [id])
        try execute("DELETE FROM access_tokens WHERE user_id = ?1", [id])
        try execute("DELETE FROM login_addresses WHERE user_id = ?1", [id])
    }
}
