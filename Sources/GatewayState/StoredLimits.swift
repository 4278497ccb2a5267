import NIOCore
package import RouterCore

/// The stored limits of a key: those that its owner has set, and those that an administrator has set on top of them, which the owner
/// cannot raise: `{"rpm": 10, "admin": {"rpm": 60, "concurrency": 2}}`. All of both hold.
package struct StoredLimits: Sendable {
    package var own = KeyLimits()
    /// Nil = no administrator has set any.
    package var admin: KeyLimits?

    private static let adminName = "admin"

    package init() {}

    /// - Throws: ``LimitProblem``: what is stored was written by hand or is damaged. Whoever it belongs to must not be served then.
    package init(stored text: String, allowsAddresses: Bool) throws(LimitProblem) {
        if text == "{}" { return }
        guard let value = try? JSONValue(parsing: ByteBuffer(string: text)), case .object(let members) = value else {
            throw LimitProblem("'limits' must be a JSON object")
        }
        let given = members.filter { $0.name == Self.adminName }
        guard given.count <= 1 else { throw LimitProblem("'limits.admin' is given twice") }
        own = try KeyLimits(.object(members.filter { $0.name != Self.adminName }), allowsAddresses: allowsAddresses)
        if let value = given.first?.value { admin = try KeyLimits(value, allowsAddresses: allowsAddresses) }
    }

    /// The limits to store after a change. The owner's part and the administrators' part are changed apart; an empty object
    /// takes a part away.
    /// - Throws: ``LimitProblem`` with what is allowed; ``LimitProblem/isForbidden`` is set where the owner asks for more than an
    ///   administrator allows.
    package static func changed(
        _ stored: String, to value: JSONValue, byOwner: Bool, allowsAddresses: Bool = true
    ) throws(LimitProblem) -> String {
        let new = try KeyLimits(value, allowsAddresses: allowsAddresses)
        let readable = try? StoredLimits(stored: stored, allowsAddresses: allowsAddresses)
        guard byOwner else {
            var limits = readable ?? StoredLimits()
            limits.admin = new.members.isEmpty ? nil : new
            return limits.text
        }
        guard var limits = readable else {
            throw LimitProblem("the stored limits of this key cannot be read; an administrator has to set them again", isForbidden: true)
        }
        limits.own = new
        if let problem = limits.raised { throw LimitProblem(problem, isForbidden: true) }
        return limits.text
    }

    /// As it is stored.
    package var text: String {
        JSONValue.object(own.members + (admin.map { [.init(Self.adminName, $0.json)] } ?? [])).text
    }

    package var rates: RateLimits { admin.map { own.rates.tightened(by: $0.rates) } ?? own.rates }

    package func budgetLimits(_ scope: BudgetScope) -> [BudgetLimit] { own.budgetLimits(scope) + (admin?.budgetLimits(scope) ?? []) }

    /// Says which limit the owner has set above the administrator's; nil = none.
    private var raised: String? {
        guard let admin else { return nil }
        func words(_ name: String, _ most: String) -> String {
            "an administrator has set '\(name)' of this key to \(most); it can be lowered, not raised"
        }
        for limit in ChannelLimit.allCases {
            guard let asked = own.rates[limit], let most = admin.rates[limit], asked > most else { continue }
            return words(limit.rawValue, String(most))
        }
        for window in BudgetWindow.allCases {
            guard let asked = own.budgets[window], let most = admin.budgets[window], asked > most else { continue }
            return words("budget.\(window.rawValue)", most.usdText)
        }
        return nil
    }

    /// The limits in force, for display: the tighter of both, one by one. Of two lists of addresses the owner's is shown; both must allow a
    /// client.
    package var effective: JSONValue {
        guard let admin else { return own.json }
        var members: [JSONValue.Member] = []
        if let list = own.json["allowed_ips"] ?? admin.json["allowed_ips"] { members.append(.init("allowed_ips", list)) }
        let budgets = own.budgets.merging(admin.budgets) { min($0, $1) }
        if !budgets.isEmpty {
            let windows = BudgetWindow.allCases.compactMap { window in budgets[window].map { JSONValue.Member(window.rawValue, .usd($0)) } }
            members.append(.init("budget", .object(windows)))
        }
        let rates = rates
        for limit in ChannelLimit.allCases {
            if let value = rates[limit] { members.append(.init(limit.rawValue, .integer(value))) }
        }
        return .object(members)
    }
}
