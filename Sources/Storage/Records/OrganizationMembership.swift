/// The role of a member in an organisation.
public enum OrganizationRole: String, Sendable, Hashable, CaseIterable {
    /// Everything, and the only one who makes further owners. An organisation has at least one.
    case owner
    /// Members, keys and limits.
    case admin
    /// Money: what there is, where it went, and more of it. Makes no model calls.
    case billing
    /// Model calls with keys of their own.
    case member
}

/// A row of `memberships`.
public struct OrganizationMembership: Sendable, Hashable {
    public var accountID: Int64
    public var userID: Int64
    public var role: OrganizationRole
    /// JSON object text of budgets and rates that hold for this member here, validated by the Server; `{}` = none.
    public var limits: String
    /// Unix seconds.
    public var createdAt: Int64

    public init(accountID: Int64, userID: Int64, role: OrganizationRole, limits: String = "{}", createdAt: Int64) {
        self.accountID = accountID
        self.userID = userID
        self.role = role
        self.limits = limits
        self.createdAt = createdAt
    }
}

/// A member with the names that people know the user by.
public struct MemberRow: Sendable, Hashable {
    public var membership: OrganizationMembership
    public var username: String
    public var displayName: String
    public var status: UserStatus
}

/// An organisation with what one user is there.
public struct OrganizationRow: Sendable, Hashable {
    public var account: User
    /// nil = the user is no member.
    public var role: OrganizationRole?

    public init(account: User, role: OrganizationRole?) {
        self.account = account
        self.role = role
    }
}

/// A link by which somebody joins an organisation: a row of `invitations`, without its secret.
public struct Invitation: Sendable, Hashable {
    public var id: Int64
    public var accountID: Int64
    public var role: OrganizationRole
    public var note: String
    public var createdBy: Int64
    /// Unix seconds, as the others.
    public var expiresAt: Int64
    public var usedBy: Int64?
    public var usedAt: Int64?
    public var createdAt: Int64

    public init(
        id: Int64 = 0, accountID: Int64, role: OrganizationRole, note: String = "", createdBy: Int64, expiresAt: Int64,
        usedBy: Int64? = nil, usedAt: Int64? = nil, createdAt: Int64
    ) {
        self.id = id
        self.accountID = accountID
        self.role = role
        self.note = note
        self.createdBy = createdBy
        self.expiresAt = expiresAt
        self.usedBy = usedBy
        self.usedAt = usedAt
        self.createdAt = createdAt
    }
}

/// Why somebody cannot join by a link.
public enum InvitationProblem: Error, Sendable, Hashable {
    /// There is no such link, or it has been withdrawn.
    case unknown
    case used, expired
    /// The organisation is disabled.
    case closed
    /// The user belongs to the organisation already; the link stays unused.
    case alreadyMember
    /// The organisation has as many members as it may have.
    case full
}
