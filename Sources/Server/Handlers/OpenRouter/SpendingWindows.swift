import RouterCore

/// The charges of a key or a user in the windows that OpenRouter's clients ask for (UTC; weeks begin on Monday): the sums that budgets
/// count by, which a later correction or refund does not change.
struct SpendingWindows: Sendable, Hashable {
    var total = NanoUSD.zero
    var month = NanoUSD.zero
    var week = NanoUSD.zero
    var day = NanoUSD.zero

    /// The counters that the sums are made of. - Parameter now: Unix seconds.
    static func counters(_ scope: BudgetScope, at now: Int64) -> [BudgetCounter] {
        [BudgetWindow.total, .month].map { BudgetCounter(scope: scope, window: $0.number(at: now)) } + days(scope, at: now)
    }

    /// Each day of the week so far, today last.
    private static func days(_ scope: BudgetScope, at now: Int64) -> [BudgetCounter] {
        let day: Int64 = 86_400
        let today = CalendarDate(unixSeconds: now).startOfDay
        // The first of January 1970 was a Thursday.
        let sinceMonday = (today / day + 3) % 7
        return (0...sinceMonday).reversed().map { days in
            BudgetCounter(scope: scope, window: BudgetWindow.day.number(at: today - days * day))
        }
    }

    /// - Parameter spent: the sums of ``counters(_:at:)``; missing ones are zero.
    init(_ scope: BudgetScope, at now: Int64, _ spent: [BudgetCounter: NanoUSD]) {
        func sum(_ counter: BudgetCounter) -> NanoUSD { spent[counter] ?? .zero }
        total = sum(BudgetCounter(scope: scope, window: BudgetWindow.total.number(at: now)))
        month = sum(BudgetCounter(scope: scope, window: BudgetWindow.month.number(at: now)))
        day = sum(BudgetCounter(scope: scope, window: BudgetWindow.day.number(at: now)))
        week = Self.days(scope, at: now).reduce(.zero) { (try? $0.adding(sum($1))) ?? .max }
    }

    /// `usage` and the like, with nothing spent by keys of other vendors' accounts, which do not exist here.
    var members: [JSONValue.Member] {
        [
            .init("usage", .usd(total)), .init("usage_daily", .usd(day)), .init("usage_weekly", .usd(week)),
            .init("usage_monthly", .usd(month)),
        ] + ["byok_usage", "byok_usage_daily", "byok_usage_weekly", "byok_usage_monthly"].map { .init($0, .usd(NanoUSD.zero)) }
    }
}
