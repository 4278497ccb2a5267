/// Whose spending a budget bounds.
public enum BudgetScope: Sendable, Hashable, CustomStringConvertible {
    case key(Int64)
    case user(Int64)

    /// As the ledger names it: `key:12`, `user:5`.
    public var description: String {
        switch self {
        case .key(let id): "key:\(id)"
        case .user(let id): "user:\(id)"
        }
    }
}

/// For how long a budget counts. A window is a number that changes with the calendar (UTC), so nothing has to be reset.
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

    /// All counters to which a charge belongs.
    public static func all(userID: Int64, tokenID: Int64?, at unixSeconds: Int64) -> [BudgetCounter] {
        let scopes = [BudgetScope.user(userID)] + (tokenID.map { [.key($0)] } ?? [])
        return scopes.flatMap { scope in
            BudgetWindow.allCases.map { BudgetCounter(scope: scope, window: $0.number(at: unixSeconds)) }
        }
    }
}

/// A bound to check when a hold is taken.
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

/// A day of the Gregorian calendar in UTC (Hinnant's algorithm, days from civil and back).
public struct CalendarDate: Sendable, Hashable, CustomStringConvertible {
    public var year: Int64
    public var month: Int64
    public var day: Int64
    /// Unix seconds.
    public var startOfDay: Int64

    public init(unixSeconds: Int64) {
        let days = unixSeconds >= 0 ? unixSeconds / 86_400 : (unixSeconds - 86_399) / 86_400
        let shifted = days + 719_468
        let era = (shifted >= 0 ? shifted : shifted - 146_096) / 146_097
        let dayOfEra = shifted - era * 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1_460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let shiftedMonth = (5 * dayOfYear + 2) / 153
        day = dayOfYear - (153 * shiftedMonth + 2) / 5 + 1
        month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9
        year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
        startOfDay = days * 86_400
    }

    /// Days since 1970-01-01.
    public static func days(year: Int64, month: Int64, day: Int64) -> Int64 {
        let shifted = month <= 2 ? year - 1 : year
        let era = (shifted >= 0 ? shifted : shifted - 399) / 400
        let yearOfEra = shifted - era * 400
        let dayOfYear = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1
        return era * 146_097 + yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear - 719_468
    }

    /// From `2026-11-25`; nil for anything else.
    public init?(_ text: some StringProtocol) {
        let parts = text.split(separator: "-", omittingEmptySubsequences: false)
        guard parts.count == 3, parts[0].utf8.count == 4, parts[1].utf8.count == 2, parts[2].utf8.count == 2,
            let year = Int64(parts[0]), let month = Int64(parts[1]), let day = Int64(parts[2]), (1...12).contains(month), day >= 1
        else { return nil }
        let date = CalendarDate(unixSeconds: Self.days(year: year, month: month, day: day) * 86_400)
        // The 31st of June is the 1st of July to the arithmetic.
        guard date.month == month, date.day == day else { return nil }
        self = date
    }

    public var description: String {
        func two(_ number: Int64) -> String { (number < 10 ? "0" : "") + String(number) }
        return "\(year)-\(two(month))-\(two(day))"
    }
}
