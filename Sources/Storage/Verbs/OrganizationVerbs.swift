import RouterCore

extension SQLStore {
    public func createOrganization(
        name: String, handle: String, group: String, ownerID: Int64, now: Int64, audit: AuditEntry
    ) async throws -> User {
        try await database.write { session in
            guard try session.user(id: ownerID)?.kind == .user else { throw StoreError.notFound }
            let row = try session.unique("username") {
                try session.first(
                    """
                    INSERT INTO users (username, password_hash, display_name, "group", created_at, kind)
                    VALUES (?1, '', ?2, ?3, ?4, 'organization') RETURNING \(Columns.user)
                    """, [handle, name, group, now])
            }
            guard let account = try row.map({ try Decoding.user($0) }) else { throw StoreError.notFound }
            try session.put(OrganizationMembership(accountID: account.id, userID: ownerID, role: .owner, createdAt: now))
            try session.insertAudit(audit.adding(.init("organization_id", .integer(account.id))))
            return account
        }
    }

    public func organizations(of userID: Int64) async throws -> [OrganizationRow] {
        try await database.read { session in
            try session.rows(
                """
                SELECT \(Columns.prefixed(Columns.user, "u")), m.role AS member_role FROM memberships m JOIN users u ON u.id = m.account_id
                WHERE m.user_id = ?1 ORDER BY lower(u.display_name), u.id
                """, [userID]
            ).map {
                OrganizationRow(account: try Decoding.user($0), role: OrganizationRole(rawValue: try $0.text("member_role")))
            }
        }
    }

    public func organizations(matching text: String?, before: Int64, size: Int) async throws -> CursorPage<User> {
        try await database.read { session in
            var conditions = Conditions()
            conditions.add(term: "kind = 'organization'")
            conditions.add("id <", before)
            conditions.add(["display_name"], contain: text, orID: "id", session.dialect)
            let count = conditions.parameters.count
            let rows = try session.rows(
                "SELECT \(Columns.user) FROM users WHERE \(conditions.sql) ORDER BY id DESC LIMIT ?\(count + 1)",
                conditions.parameters + [size + 1])
            let items = try rows.prefix(size).map { try Decoding.user($0) }
            return CursorPage(items: items, nextBefore: rows.count > size ? items.last?.id : nil)
        }
    }

    public func membership(_ accountID: Int64, userID: Int64) async throws -> OrganizationMembership? {
        try await database.read { try $0.membership(accountID, userID: userID) }
    }

    public func allMemberships() async throws -> [OrganizationMembership] {
        try await database.read { session in
            try session.rows("SELECT * FROM memberships ORDER BY account_id, user_id").map { try Decoding.membership($0) }
        }
    }

    public func members(of accountID: Int64, matching text: String?, after: Int64, size: Int) async throws -> [MemberRow] {
        try await database.read { session in
            var conditions = Conditions()
            conditions.add("m.account_id =", accountID)
            conditions.add("m.user_id >", after)
            conditions.add(["u.username", "u.display_name"], contain: text, session.dialect)
            let rows = try session.rows(
                """
                SELECT m.account_id AS account_id, m.user_id AS user_id, m.role AS role, m.limits AS limits, m.created_at AS created_at,
                    u.username AS username, u.display_name AS display_name, u.status AS status
                FROM memberships m JOIN users u ON u.id = m.user_id WHERE \(conditions.sql)
                ORDER BY m.user_id LIMIT ?\(conditions.parameters.count + 1)
                """, conditions.parameters + [size])
            return try rows.map { row in
                MemberRow(
                    membership: try Decoding.membership(row), username: try row.text("username"),
                    displayName: try row.text("display_name"), status: UserStatus(rawValue: Int(try row.int("status"))) ?? .disabled)
            }
        }
    }

    public func setMember(
        _ membership: OrganizationMembership, before: OrganizationMembership?, most: Int, audit: AuditEntry
    ) async throws {
        try await database.write { session in
            try session.lockOrganization(membership.accountID)
            guard try session.user(id: membership.userID)?.kind == .user else { throw StoreError.notFound }
            let now = try session.membership(membership.accountID, userID: membership.userID)
            guard now?.role == before?.role, now?.limits == before?.limits else {
                throw StoreError.conflict("the member was changed meanwhile; read it again")
            }
            if let now {
                if now.role == .owner, membership.role != .owner { try session.demandAnotherOwner(now) }
                if now.role != membership.role { try session.withdrawInvitations(of: now) }
            } else {
                guard try session.countMembers(membership.accountID) < most else {
                    throw StoreError.conflict("an organisation has at most \(most) members")
                }
            }
            try session.put(membership)
            try session.insertAudit(audit)
        }
    }

    public func removeMember(_ accountID: Int64, userID: Int64, audit: AuditEntry) async throws -> [Token] {
        try await database.write { session in
            try session.lockOrganization(accountID)
            guard let member = try session.membership(accountID, userID: userID) else { throw StoreError.notFound }
            if member.role == .owner { try session.demandAnotherOwner(member) }
            try session.execute("DELETE FROM memberships WHERE account_id = ?1 AND user_id = ?2", [accountID, userID])
            try session.withdrawInvitations(of: member)
            let keys = try session.rows(
                "UPDATE tokens SET status = 2 WHERE account_id = ?1 AND user_id = ?2 RETURNING \(Columns.token)", [accountID, userID]
            ).map { try session.withFormer(Decoding.token($0)) }
            try session.insertAudit(audit.adding(.init("disabled_keys", .integer(Int64(keys.count)))))
            return keys
        }
    }

    public func onlyOwned(by userID: Int64) async throws -> [User] { try await database.read { try $0.onlyOwned(by: userID) } }
}

extension SQLSession {
    func membership(_ accountID: Int64, userID: Int64) throws -> OrganizationMembership? {
        try first("SELECT * FROM memberships WHERE account_id = ?1 AND user_id = ?2", [accountID, userID]).map {
            try Decoding.membership($0)
        }
    }

    func onlyOwned(by userID: Int64) throws -> [User] {
        try rows(
            """
            SELECT \(Columns.prefixed(Columns.user, "u")) FROM memberships m JOIN users u ON u.id = m.account_id
            WHERE m.user_id = ?1 AND m.role = 'owner' AND u.status = 1 AND NOT EXISTS (SELECT 1 FROM memberships o
                WHERE o.account_id = m.account_id AND o.role = 'owner' AND o.user_id <> ?1) ORDER BY u.id
            """, [userID]
        ).map { try Decoding.user($0) }
    }

    func put(_ membership: OrganizationMembership) throws {
        try execute(
            """
            INSERT INTO memberships (account_id, user_id, role, limits, created_at) VALUES (?1, ?2, ?3, ?4, ?5)
            ON CONFLICT (account_id, user_id) DO UPDATE SET role = excluded.role, limits = excluded.limits
            """, [membership.accountID, membership.userID, membership.role.rawValue, membership.limits, membership.createdAt])
    }

    /// Memberships of one organisation change one after the other, so that no two owners leave at once.
    func lockOrganization(_ id: Int64) throws {
        guard try finds("SELECT 1 AS found FROM users WHERE id = ?1 AND kind = 'organization' \(dialect.forUpdate)", [id]) else {
            throw StoreError.notFound
        }
    }

    /// Links that a member has made do not outlive the rights by which they were made.
    func withdrawInvitations(of member: OrganizationMembership) throws {
        try execute(
            "DELETE FROM invitations WHERE account_id = ?1 AND created_by = ?2 AND used_at IS NULL", [member.accountID, member.userID])
    }

    /// Inside a transaction that has locked the organisation.
    func demandEmpty(_ organization: User) throws {
        let isUsed = try [
            "SELECT 1 AS found FROM long_holds WHERE account_id = ?1 AND state = 'open' LIMIT 1",
            "SELECT 1 AS found FROM balance_leases WHERE user_id = ?1 AND amount_nanos > 0 LIMIT 1",
        ].contains { try finds($0, [organization.id]) }
        guard organization.balance == .zero, !isUsed else {
            throw StoreError.conflict("the organization has \(organization.balance), or calls that run")
        }
    }

    func countMembers(_ accountID: Int64) throws -> Int64 {
        try first("SELECT count(*) AS n FROM memberships WHERE account_id = ?1", [accountID])?.int("n") ?? 0
    }

    func demandAnotherOwner(_ member: OrganizationMembership) throws {
        let isThere = try finds(
            "SELECT 1 AS found FROM memberships WHERE account_id = ?1 AND role = 'owner' AND user_id <> ?2",
            [member.accountID, member.userID])
        if !isThere { throw StoreError.conflict("an organisation has at least one owner; make another member one first") }
    }
}

extension Decoding {
    static func membership(_ row: some ColumnReader) throws -> OrganizationMembership {
        guard let role = OrganizationRole(rawValue: try row.text("role")) else {
            throw StoreError.database("a row of memberships has an unknown role")
        }
        return OrganizationMembership(
            accountID: try row.int("account_id"), userID: try row.int("user_id"), role: role, limits: try row.text("limits"),
            createdAt: try row.int("created_at"))
    }
}
