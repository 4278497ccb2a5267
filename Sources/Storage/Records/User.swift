public import RouterCore

/// Rights of a user, as numbers that the seed's clients know.
public enum Role: Int, Sendable, Hashable, Comparable, CaseIterable {
    case user = 1
    case admin = 10
    case root = 100
    public static func < (left: Role, right: Role) -> Bool { left.rawValue < right.rawValue }
}

public enum UserStatus: Int, Sendable, Hashable, CaseIterable {
    case enabled = 1
    case disabled = 2
}

/// The two kinds of accounts, which share one space of ids.
public enum AccountKind: String, Sendable, Hashable, CaseIterable {
    /// A person's or a program's, with a login.
    case user
    /// A wallet that users share; it has no password, and nobody logs in as one.
    case organization
}

/// A row of `users` without its secrets.
public struct User: Sendable, Hashable {
    public var id: Int64
    public var username: String
    public var displayName: String
    public var email: String
    public var role: Role
    public var status: UserStatus
    public var group: String
    /// JSON object text of the user's own budgets, validated by the Server; `{}` = none.
    public var limits: String
    /// The sum of the user's ledger rows.
    public var balance: NanoUSD
    /// Unix seconds.
    public var createdAt: Int64
    public var kind: AccountKind
    /// Why the account has its group; nil = nothing has given it one.
    public var groupSource: GroupSource?

    public enum GroupSource: String, Sendable, Hashable, CaseIterable {
        /// Somebody has chosen it, so it follows no level.
        case admin
        /// The level that the account has reached by what it has recharged.
        case level
    }

    public init(
        id: Int64, username: String, displayName: String, email: String, role: Role, status: UserStatus,
        group: String, limits: String = "{}", balance: NanoUSD, createdAt: Int64, kind: AccountKind = .user,
        groupSource: GroupSource? = nil
    ) {
        self.id = id
        self.username = username
        self.displayName = displayName
        self.email = email
        self.role = role
        self.status = status
        self.group = group
        self.limits = limits
        self.balance = balance
        self.createdAt = createdAt
        self.kind = kind
        self.groupSource = groupSource
    }
}
