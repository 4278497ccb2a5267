/// Organisations, their members and invitations. An organisation is an account (``User`` of the kind `organization`), so it is read,
/// changed and deleted as one (``UserStore``), and its money moves as anybody's (``Ledger``).
public protocol OrganizationStore: Sendable {
    /// Makes an organisation with its first owner.
    /// - Throws: ``StoreError/notFound`` for an unknown owner.
    func createOrganization(name: String, handle: String, group: String, ownerID: Int64, now: Int64, audit: AuditEntry) async throws -> User
    /// The organisations of a user, by name.
    func organizations(of userID: Int64) async throws -> [OrganizationRow]
    /// All organisations, newest first. - Parameter text: part of the name, or the id.
    func organizations(matching text: String?, before: Int64, size: Int) async throws -> CursorPage<User>
    func membership(_ accountID: Int64, userID: Int64) async throws -> OrganizationMembership?
    func allMemberships() async throws -> [OrganizationMembership]
    /// Members by user id.
    /// - Parameters:
    ///   - text: part of the user name or the name for people.
    ///   - after: only larger user ids.
    func members(of accountID: Int64, matching text: String?, after: Int64, size: Int) async throws -> [MemberRow]
    /// Makes a user a member, or changes what a member is.
    /// - Parameters:
    ///   - before: what the member was when this was decided; nil = none.
    ///   - most: members that there may be.
    /// - Throws: ``StoreError/notFound`` for an unknown organisation or user, ``StoreError/conflict(_:)`` where no owner would remain, or
    ///   where there is no room, or where the member is not what it was.
    func setMember(_ membership: OrganizationMembership, before: OrganizationMembership?, most: Int, audit: AuditEntry) async throws
    /// Ends a membership and disables the member's keys there, in one transaction. What runs is paid by the organisation all the same.
    /// - Returns: the keys that were disabled.
    /// - Throws: ``StoreError/notFound``, ``StoreError/conflict(_:)`` where no owner would remain.
    func removeMember(_ accountID: Int64, userID: Int64, audit: AuditEntry) async throws -> [Token]
    /// - Parameters:
    ///   - hash: of the link's secret (SHA-256).
    ///   - most: open links that there may be.
    /// - Throws: ``StoreError/conflict(_:)`` where there is no room.
    func createInvitation(_ invitation: Invitation, hash: [UInt8], most: Int, audit: AuditEntry) async throws -> Invitation
    /// The open ones, newest first.
    func invitations(of accountID: Int64, now: Int64) async throws -> [Invitation]
    /// The organisation's name and the role, for whoever has the link. - Throws: ``InvitationProblem``.
    func invitation(hash: [UInt8], now: Int64) async throws -> (invitation: Invitation, account: User)
    func deleteInvitation(_ id: Int64, of accountID: Int64, audit: AuditEntry) async throws
    /// Joins by a link, once, however many gateways are asked at the same time.
    /// - Throws: ``InvitationProblem``.
    func join(hash: [UInt8], userID: Int64, most: Int, now: Int64, audit: AuditEntry) async throws -> OrganizationMembership
    /// Organisations of which a user is the only owner.
    func onlyOwned(by userID: Int64) async throws -> [User]
}
