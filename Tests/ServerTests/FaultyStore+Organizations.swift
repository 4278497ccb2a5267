import Storage

extension FaultyStore {
    func createOrganization(
        name: String, handle: String, group: String, ownerID: Int64, now: Int64, audit: AuditEntry
    ) async throws -> User {
        try await faults.guarding {
            try await store.createOrganization(name: name, handle: handle, group: group, ownerID: ownerID, now: now, audit: audit)
        }
    }
    func organizations(of userID: Int64) async throws -> [OrganizationRow] {
        try await faults.guarding { try await store.organizations(of: userID) }
    }
    func organizations(matching text: String?, before: Int64, size: Int) async throws -> CursorPage<User> {
        try await faults.guarding { try await store.organizations(matching: text, before: before, size: size) }
    }
    func membership(_ accountID: Int64, userID: Int64) async throws -> OrganizationMembership? {
        try await faults.guarding { try await store.membership(accountID, userID: userID) }
    }
    func allMemberships() async throws -> [OrganizationMembership] { try await faults.guarding { try await store.allMemberships() } }
    func members(of accountID: Int64, matching text: String?, after: Int64, size: Int) async throws -> [MemberRow] {
        try await faults.guarding { try await store.members(of: accountID, matching: text, after: after, size: size) }
    }
    func setMember(
        _ membership: OrganizationMembership, before: OrganizationMembership?, most: Int, audit: AuditEntry
    ) async throws {
        try await faults.guarding { try await store.setMember(membership, before: before, most: most, audit: audit) }
    }
    func removeMember(_ accountID: Int64, userID: Int64, audit: AuditEntry) async throws -> [Token] {
        try await faults.guarding { try await store.removeMember(accountID, userID: userID, audit: audit) }
    }
    func createInvitation(_ invitation: Invitation, hash: [UInt8], most: Int, audit: AuditEntry) async throws -> Invitation {
        try await faults.guarding { try await store.createInvitation(invitation, hash: hash, most: most, audit: audit) }
    }
    func invitations(of accountID: Int64, now: Int64) async throws -> [Invitation] {
        try await faults.guarding { try await store.invitations(of: accountID, now: now) }
    }
    func invitation(hash: [UInt8], now: Int64) async throws -> (invitation: Invitation, account: User) {
        try await faults.guarding { try await store.invitation(hash: hash, now: now) }
    }
    func deleteInvitation(_ id: Int64, of accountID: Int64, audit: AuditEntry) async throws {
        try await faults.guarding { try await store.deleteInvitation(id, of: accountID, audit: audit) }
    }
    func join(hash: [UInt8], userID: Int64, most: Int, now: Int64, audit: AuditEntry) async throws -> OrganizationMembership {
        try await faults.guarding { try await store.join(hash: hash, userID: userID, most: most, now: now, audit: audit) }
    }
    func onlyOwned(by userID: Int64) async throws -> [User] { try await faults.guarding { try await store.onlyOwned(by: userID) } }
}
