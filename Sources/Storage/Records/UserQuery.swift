/// The users that a list shows, and in which order.
public struct UserQuery: Sendable {
    public enum Order: String, Sendable, CaseIterable {
        case id, username, balance, created
        /// By what was charged in ``UserQuery/month``.
        case spent
    }
    /// Part of the name, the name for people or the e-mail address, without case, or the whole id; nil = all.
    public var text: String?
    public var role: Role?
    public var status: UserStatus?
    public var group: String?
    public var kind = AccountKind.user
    public var order = Order.id
    public var isAscending = false
    /// A window of budgets (``BudgetWindow/number(at:)``).
    public var month: Int64
    public var page: PageRequest

    public init(page: PageRequest = PageRequest(), month: Int64 = 0) {
        self.page = page
        self.month = month
    }
}

/// The keys that a list shows, and in which order.
public struct TokenQuery: Sendable {
    public enum Order: String, Sendable, CaseIterable {
        case created, name
        /// By what was ever charged to the key.
        case spent
        case accessed
    }
    /// nil = those of all users.
    public var userID: Int64?
    /// Those that this organisation pays for.
    public var accountID: Int64?
    /// Only keys that their own user pays for.
    public var isOwn = false
    /// Part of the name, without case, or the beginning of the key.
    public var text: String?
    public var status: TokenStatus?
    public var order = Order.created
    public var isAscending = false
    public var page: PageRequest

    public init(userID: Int64?, page: PageRequest = PageRequest()) {
        self.userID = userID
        self.page = page
    }
}
