package import RouterCore

/// The limits of a key or a user, as one part of their JSON object says:
/// `{"allowed_ips": ["10.0.0.0/8"], "budget": {"total": 100, "month": 20, "day": 2.5}, "rpm": 60, "tpm": 100000, "concurrency": 4}`.
package struct KeyLimits: Sendable {
    package var addresses: [AddressRange] = []
    package var budgets: [BudgetWindow: NanoUSD] = [:]
    package var rates = RateLimits()
    /// As it was given, in its order.
    package private(set) var members: [JSONValue.Member] = []

    /// Each request with the key is compared with all of them.
    private static let maximumAddresses = 100

    package init() {}

    /// - Parameter allowsAddresses: users have none.
    /// - Throws: ``LimitProblem`` for everything that is not known: a limit that nobody understands must not be taken for none.
    package init(_ value: JSONValue, allowsAddresses: Bool) throws(LimitProblem) {
        guard case .object(let members) = value else { throw LimitProblem("'limits' must be an object") }
        self.members = members
        for (position, member) in members.enumerated() {
            guard !members[..<position].contains(where: { $0.name == member.name }) else {
                throw LimitProblem("'limits.\(member.name)' is given twice")
            }
            if let rate = ChannelLimit(rawValue: member.name) {
                rates[rate] = try Self.rate(member)
            } else if member.name == "budget" {
                budgets = try Self.budgets(member.value)
            } else if member.name == "allowed_ips", allowsAddresses {
                addresses = try Self.addresses(member.value)
            } else {
                let allowed = (allowsAddresses ? "allowed_ips, " : "") + "budget, rpm, tpm, concurrency"
                throw LimitProblem("unknown limit '\(member.name)'; allowed: \(allowed)")
            }
        }
    }

    private static func rate(_ member: JSONValue.Member) throws(LimitProblem) -> Int64? {
        if member.value.isNull { return nil }
        guard let value = member.value.numberText.flatMap({ Int64($0) }), RateLimits.range.contains(value) else {
            let range = RateLimits.range
            throw LimitProblem(
                "'limits.\(member.name)' must be a whole number from \(range.lowerBound) to \(range.upperBound), or null for none")
        }
        return value
    }

    private static func addresses(_ value: JSONValue) throws(LimitProblem) -> [AddressRange] {
        let ranges = value.arrayValue?.map { $0.stringValue.flatMap(AddressRange.init) } ?? [nil]
        guard ranges.count <= maximumAddresses, !ranges.contains(nil) else {
            throw LimitProblem(
                "'limits.allowed_ips' must be an array of at most \(maximumAddresses) addresses or blocks such as 10.0.0.0/8")
        }
        return ranges.compactMap { $0 }
    }

    private static func budgets(_ value: JSONValue) throws(LimitProblem) -> [BudgetWindow: NanoUSD] {
        guard case .object(let members) = value else {
            throw LimitProblem("'limits.budget' must be an object such as {\"total\": 100, \"month\": 20, \"day\": 2.5}")
        }
        var budgets: [BudgetWindow: NanoUSD] = [:]
        for member in members {
            guard let window = BudgetWindow(rawValue: member.name), budgets[window] == nil else {
                throw LimitProblem("unknown budget '\(member.name)'; allowed: total, month, day, each once")
            }
            guard let text = member.value.numberText, let amount = try? NanoUSD(usd: text), !amount.isNegative else {
                throw LimitProblem("'limits.budget.\(member.name)' must be USD as a number from 0, with at most nine decimals")
            }
            budgets[window] = amount
        }
        return budgets
    }

    package func budgetLimits(_ scope: BudgetScope) -> [BudgetLimit] {
        BudgetWindow.allCases.compactMap { window in
            budgets[window].map { BudgetLimit(scope: scope, window: window, amount: $0) }
        }
    }

    package var json: JSONValue { .object(members) }
}
