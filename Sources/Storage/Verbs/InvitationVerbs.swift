import RouterCore

extension SQLStore {
    public func createInvitation(
        _ invitation: Invitation, hash: [UInt8], most: Int, audit: AuditEntry
    ) async throws -> Invitation {
        try await database.write { session in
            try session.lockOrganization(invitation.accountID)
            let open = try session.first(
                "SELECT count(*) AS n FROM invitations WHERE account_id = ?1 AND used_at IS NULL AND expires_at > ?2",
                [invitation.accountID, invitation.createdAt])?.int("n")
            guard open ?? 0 < most else { throw StoreError.conflict("an organisation has at most \(most) open invitations") }
            let row = try session.first(
                """
                INSERT INTO invitations (account_id, hash, role, note, created_by, expires_at, created_at)
                VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) RETURNING \(Columns.invitation)
                """,
                [
                    invitation.accountID, hash, invitation.role.rawValue, invitation.note, invitation.createdBy, invitation.expiresAt,
                    invitation.createdAt,
                ])
            guard let made = try row.map({ try Decoding.invitation($0) }) else { throw StoreError.notFound }
            try session.insertAudit(audit.adding(.init("invitation_id", .integer(made.id))))
            return made
        }
    }

    public func invitations(of accountID: Int64, now: Int64) async throws -> [Invitation] {
        try await database.read { session in
            try session.rows(
                """
                SELECT \(Columns.invitation) FROM invitations WHERE account_id = ?1 AND used_at IS NULL AND expires_at > ?2
                ORDER BY id DESC LIMIT 1000
                """, [accountID, now]
            ).map { try Decoding.invitation($0) }
        }
    }

    public func invitation(hash: [UInt8], now: Int64) async throws -> (invitation: Invitation, account: User) {
        try await database.read { try $0.usableInvitation(hash: hash, now: now, isLocked: false) }
    }

    public func deleteInvitation(_ id: Int64, of accountID: Int64, audit: AuditEntry) async throws {
        try await database.write { session in
            let deleted = try session.execute(
                "DELETE FROM invitations WHERE id = ?1 AND account_id = ?2 AND used_at IS NULL", [id, accountID])
            guard deleted == 1 else { throw StoreError.notFound }
            try session.insertAudit(audit)
        }
    }

    public func join(hash: [UInt8], userID: Int64, most: Int, now: Int64, audit: AuditEntry) async throws -> OrganizationMembership {
        try await database.write { session in
            // The organisation's lock comes first: of two who use the link at once, the second finds it used.
            let (known, account) = try session.usableInvitation(hash: hash, now: now, isLocked: false)
            try session.lockOrganization(account.id)
            let (invitation, _) = try session.usableInvitation(hash: hash, now: now, isLocked: true)
            if try session.membership(account.id, userID: userID) != nil { throw InvitationProblem.alreadyMember }
            guard try session.countMembers(account.id) < most else { throw InvitationProblem.full }
            let used = try session.execute(
                "UPDATE invitations SET used_by = ?1, used_at = ?2 WHERE id = ?3 AND used_at IS NULL", [userID, now, known.id])
            guard used == 1 else { throw InvitationProblem.used }
            let membership = OrganizationMembership(accountID: account.id, userID: userID, role: invitation.role, createdAt: now)
            try session.put(membership)
            try session.insertAudit(
                audit.adding(.init("organization_id", .integer(account.id)), .init("invitation_id", .integer(known.id))))
            return membership
        }
    }
}

extension SQLSession {
    fileprivate func usableInvitation(hash: [UInt8], now: Int64, isLocked: Bool) throws -> (Invitation, User) {
        let lock = isLocked ? dialect.forUpdate : ""
        guard
            let invitation = try first("SELECT \(Columns.invitation) FROM invitations WHERE hash = ?1 \(lock)", [hash])
                .map({ try Decoding.invitation($0) }),
            let account = try user(id: invitation.accountID)
        else { throw InvitationProblem.unknown }
        if invitation.usedAt != nil { throw InvitationProblem.used }
        if invitation.expiresAt <= now { throw InvitationProblem.expired }
        if account.status != .enabled { throw InvitationProblem.closed }
        return (invitation, account)
    }
}

extension Columns {
    static let invitation = "id, account_id, role, note, created_by, expires_at, used_by, used_at, created_at"

    /// The columns of a table that is read under another name.
    static func prefixed(_ columns: String, _ table: String) -> String {
        columns.split(separator: ",").map { column in
            let name = column.filter { !$0.isWhitespace }
            return "\(table).\(name) AS \(name)"
        }.joined(separator: ", ")
    }
}

extension Decoding {
    static func invitation(_ row: some ColumnReader) throws -> Invitation {
        guard let role = OrganizationRole(rawValue: try row.text("role")) else {
            throw StoreError.database("a row of invitations has an unknown role")
        }
        return Invitation(
            id: try row.int("id"), accountID: try row.int("account_id"), role: role, note: try row.text("note"),
            createdBy: try row.int("created_by"), expiresAt: try row.int("expires_at"), usedBy: try row.intOrNil("used_by"),
            usedAt: try row.intOrNil("used_at"), createdAt: try row.int("created_at"))
    }
}
