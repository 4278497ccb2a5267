/// The key, user, organisation or member of one whose spending a budget bounds.
public enum BudgetScope: Sendable, Hashable, CustomStringConvertible {
    case key(Int64)
    case user(Int64)
    case organization(Int64)
    /// One user's spending from an organisation's wallet.
    case member(organization: Int64, user: Int64)

    /// `key`, `user`, `organization` or `member`.
    public var kind: String {
        switch self {
        case .key: "key"
        case .user: "user"
        case .organization: "organization"
        case .member: "member"
        }
    }

    /// The name in the ledger: `key:12`, `user:5`, `organization:7`, `member:7:5`.
    public var description: String {
        switch self {
        case .key(let id): "key:\(id)"
        case .user(let id): "user:\(id)"
        case .organization(let id): "organization:\(id)"
        case .member(let organization, let user): "member:\(organization):\(user)"
        }
    }
}

/// The period that a budget covers. A window is a number that changes with the calendar (UTC), so nothing has to be reset.
public enum BudgetWindow: String, Sendable, Hashable, CaseIterable {
    case total, month, day

    /// 0, 202611 or 20261125. - Parameter unixSeconds: when the request began.
    public func number(at unixSeconds: Int64) -> Int64 {
        let date = CalendarDate(unixSeconds: unixSeconds)
        return switch self {
        case .total: 0
        case .month: date.year * 100 + date.month
        case .day: date.year * 10_000 + date.month * 100 + date.day
        }
    }

    /// Seconds until the window ends; nil = never.
    public func remaining(at unixSeconds: Int64) -> Int64? {
        let date = CalendarDate(unixSeconds: unixSeconds)
        switch self {
        case .total: return nil
        case .day: return date.startOfDay + 86_400 - unixSeconds
        case .month:
            let next = date.month == 12 ? (date.year + 1, 1) : (date.year, date.month + 1)
            return CalendarDate.days(year: next.0, month: Int64(next.1), day: 1) * 86_400 - unixSeconds
        }
    }
}

/// One counter of spending: a scope in one window.
public struct BudgetCounter: Sendable, Hashable {
    public var scope: BudgetScope
    /// ``BudgetWindow/number(at:)``.
    public var window: Int64

    public init(scope: BudgetScope, window: Int64) {
        self.scope = scope
        self.window = window
    }

    /// All counters that a charge counts towards.
    public static func all(_ charged: some Paid, tokenID: Int64?, at unixSeconds: Int64) -> [BudgetCounter] {
        var scopes = [BudgetScope.user(charged.userID)]
        if let account = charged.accountID { scopes = [.organization(account), .member(organization: account, user: charged.userID)] }
        if let tokenID { scopes.append(.key(tokenID)) }
        return scopes.flatMap { scope in
            BudgetWindow.allCases.map { BudgetCounter(scope: scope, window: $0.number(at: unixSeconds)) }
        }
    }
}

/// A limit to check when a hold is taken.
public struct BudgetLimit: Sendable, Hashable {
    public var scope: BudgetScope
    public var window: BudgetWindow
    public var amount: NanoUSD

    public init(scope: BudgetScope, window: BudgetWindow, amount: NanoUSD) {
        self.scope = scope
        self.window = window
        self.amount = amount
    }

    public func counter(at unixSeconds: Int64) -> BudgetCounter {
        BudgetCounter(scope: scope, window: window.number(at: unixSeconds))
    }
}
