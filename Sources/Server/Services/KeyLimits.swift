import NIOCore
import RouterCore

/// Limits of a key or of a user that cannot be used, with what is allowed.
struct LimitProblem: Error, Sendable {
    var message: String
    init(_ message: String) { self.message = message }
}

/// The limits of a key or a user, as one part of their JSON object says:
/// `{"allowed_ips": ["10.0.0.0/8"], "budget": {"total": 100, "month": 20, "day": 2.5}, "rpm": 60, "tpm": 100000, "concurrency": 4}`.
struct KeyLimits: Sendable {
    var addresses: [AddressRange] = []
    var budgets: [BudgetWindow: NanoUSD] = [:]
    var rates = RateLimits()
    /// As it was given, in its order.
    private(set) var members: [JSONValue.Member] = []

    /// Each request with the key is compared with all of them.
    private static let maximumAddresses = 100

    init() {}

    /// - Parameter allowsAddresses: users have none.
    /// - Throws: ``LimitProblem`` for everything that is not known: a limit that nobody understands must not be taken for none.
    init(_ value: JSONValue, allowsAddresses: Bool) throws(LimitProblem) {
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

    /// What a client has sent. - Throws: ``ManagementError``: 400 that says what is allowed.
    static func validated(_ value: JSONValue, allowsAddresses: Bool) throws(ManagementError) -> KeyLimits {
        do throws(LimitProblem) {
            return try KeyLimits(value, allowsAddresses: allowsAddresses)
        } catch {
            throw .badRequest(error.message)
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

    func budgetLimits(_ scope: BudgetScope) -> [BudgetLimit] {
        BudgetWindow.allCases.compactMap { window in
            budgets[window].map { BudgetLimit(scope: scope, window: window, amount: $0) }
        }
    }

    var json: JSONValue { .object(members) }
}

/// The stored limits of a key: those that its owner has set, and those that an administrator has set on top of them, which the owner
/// cannot raise: `{"rpm": 10, "admin": {"rpm": 60, "concurrency": 2}}`. All of both hold.
struct StoredLimits: Sendable {
    var own = KeyLimits()
    /// Nil = no administrator has set any.
    var admin: KeyLimits?

    private static let adminName = "admin"

    init() {}

    /// - Throws: ``LimitProblem``: what is stored was written by hand or is damaged. Whoever it belongs to must not be served then.
    init(stored text: String, allowsAddresses: Bool) throws(LimitProblem) {
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
    /// - Throws: ``ManagementError``: 400 with what is allowed, 403 where the owner asks for more than an administrator allows.
    static func changed(_ stored: String, to value: JSONValue, byOwner: Bool) throws(ManagementError) -> String {
        let new = try KeyLimits.validated(value, allowsAddresses: true)
        let readable = try? StoredLimits(stored: stored, allowsAddresses: true)
        guard byOwner else {
            var limits = readable ?? StoredLimits()
            limits.admin = new.members.isEmpty ? nil : new
            return limits.text
        }
        guard var limits = readable else {
            throw .forbidden("the stored limits of this key cannot be read; an administrator has to set them again")
        }
        limits.own = new
        if let problem = limits.raised { throw .forbidden(problem) }
        return limits.text
    }

    /// As it is stored.
    var text: String {
        JSONValue.object(own.members + (admin.map { [.init(Self.adminName, $0.json)] } ?? [])).text
    }

    var rates: RateLimits { admin.map { own.rates.tightened(by: $0.rates) } ?? own.rates }

    func budgetLimits(_ scope: BudgetScope) -> [BudgetLimit] { own.budgetLimits(scope) + (admin?.budgetLimits(scope) ?? []) }

    /// What the owner has set above what an administrator allows, in words; nil = nothing.
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
    var effective: JSONValue {
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
