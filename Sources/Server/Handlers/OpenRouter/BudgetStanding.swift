import Foundation
import RouterCore

/// A budget with what was spent of it.
struct BudgetStanding: Sendable, Hashable {
    var limit: BudgetLimit
    var spent: NanoUSD

    /// - Parameters:
    ///   - spent: sums by counter; missing ones are zero.
    ///   - now: Unix seconds.
    init(_ limit: BudgetLimit, at now: Int64, _ spent: [BudgetCounter: NanoUSD]) {
        self.limit = limit
        self.spent = spent[limit.counter(at: now)] ?? .zero
    }

    /// Zero or less: nothing is left. Neither amount is negative, so the difference is always in range.
    var remaining: NanoUSD { NanoUSD(nanos: limit.amount.nanos - spent.nanos) }

    /// The one that will be exhausted first; of equals, the first.
    static func tightest(_ standings: [BudgetStanding]) -> BudgetStanding? { standings.min { $0.remaining < $1.remaining } }

    /// OpenRouter's `limit_reset` of a window; nil = it never begins anew.
    static func reset(of window: BudgetWindow) -> String? {
        switch window {
        case .total: nil
        case .month: "monthly"
        case .day: "daily"
        }
    }

    /// `limit`, `limit_remaining`, `limit_reset` of a key: those of its tightest budget, null where it has none.
    static func members(ofKey standings: [BudgetStanding]) -> [JSONValue.Member] {
        let tightest = tightest(standings)
        return [
            .init("limit", tightest.map { .usd($0.limit.amount) } ?? .null),
            .init("limit_remaining", tightest.map { .usd($0.remaining) } ?? .null),
            .init("limit_reset", .optional(tightest.flatMap { reset(of: $0.limit.window) })),
        ]
    }

    /// https://openrouter.ai/docs/client-sdks/python/components/keybudget
    func json(at now: Int64) -> JSONValue {
        let scope = if case .key = limit.scope { "key_limit" } else { "member" }
        return [
            "scope": .string(scope), "limit_usd": .usd(limit.amount), "spend_usd": .usd(spent), "remaining_usd": .usd(remaining),
            "reset_interval": .optional(Self.reset(of: limit.window)),
            "resets_at": .optional(limit.window.remaining(at: now).map { ISOTime.text(now + $0) }), "include_byok": false,
            "budget_id": .null, "guardrail_id": .null,
        ]
    }
}

/// Times as OpenRouter writes them: ISO 8601 in UTC.
enum ISOTime {
    static func text(_ unixSeconds: Int64) -> String {
        Date(timeIntervalSince1970: TimeInterval(unixSeconds)).formatted(.iso8601)
    }

    static func json(_ unixSeconds: Int64?) -> JSONValue { .optional(unixSeconds.map(text)) }

    /// Whole seconds of `2027-01-01T00:00:00Z`, with or without a fraction, also with another zone; nil for anything else.
    static func seconds(_ text: String) -> Int64? {
        let styles = [Date.ISO8601FormatStyle(), Date.ISO8601FormatStyle(includingFractionalSeconds: true)]
        for style in styles {
            if let date = try? style.parse(text), abs(date.timeIntervalSince1970) < 1e12 { return Int64(date.timeIntervalSince1970) }
        }
        return nil
    }
}
