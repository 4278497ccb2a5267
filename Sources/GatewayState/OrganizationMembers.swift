import RouterCore
import Storage

/// The members of all organisations with their limits there, in memory.
struct OrganizationMembers {
    private struct Place: Hashable {
        var accountID: Int64
        var userID: Int64
    }
    private struct Member {
        var role: OrganizationRole
        var limits: Result<StoredLimits, LimitProblem>

        init(_ membership: OrganizationMembership) {
            role = membership.role
            limits = KeyDirectory.limits(membership.limits, allowsAddresses: false)
        }
    }
    private var members: [Place: Member] = [:]

    /// The bounds of a member's calls, beside the limits of the key and of the organisation.
    struct Part {
        var budgets: [BudgetLimit] = []
        var rules: [LimitRule] = []
    }

    init(_ memberships: [OrganizationMembership] = []) {
        for row in memberships { members[Place(accountID: row.accountID, userID: row.userID)] = Member(row) }
    }

    mutating func set(_ accountID: Int64, userID: Int64, _ membership: OrganizationMembership?) {
        members[Place(accountID: accountID, userID: userID)] = membership.map(Member.init)
    }

    /// Forgets a user, or an organisation.
    mutating func remove(_ id: Int64) { members = members.filter { $0.key.accountID != id && $0.key.userID != id } }

    func part(of userID: Int64, in accountID: Int64) -> Result<Part, KeyRefusal> {
        guard let member = members[Place(accountID: accountID, userID: userID)], member.role.mayCall else { return .failure(.notAMember) }
        let scope = BudgetScope.member(organization: accountID, user: userID)
        switch member.limits {
        case .failure(let problem): return .failure(.limitsUnreadable(scope, problem))
        case .success(let limits):
            return .success(Part(budgets: limits.budgetLimits(scope), rules: [LimitRule(scope: scope, limits: limits.rates)]))
        }
    }
}

extension OrganizationRole {
    /// Whether the organisation pays for model calls of such a member.
    package var mayCall: Bool { self != .billing }
}
