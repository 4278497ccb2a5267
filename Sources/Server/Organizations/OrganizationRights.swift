import HTTPTypes
import RouterCore
import Storage

/// A right that members of an organisation may have there.
enum OrganizationRight: String, Sendable, CaseIterable {
    /// Its name, one's own role, and what one has used oneself.
    case see
    /// Make keys of one's own that it pays for, and call models with them.
    case call
    /// The balance, the ledger, and what everybody has used.
    case seeMoney
    /// Bring money by codes.
    case redeem
    /// Invite and remove members below one's own role, and set their limits.
    case manageMembers
    /// The organisation's own keys, and those of all members.
    case manageKeys
    /// Its name and its own limits.
    case change
    /// Owners and administrators, and its end.
    case own
}

extension OrganizationRole {
    /// The table of roles and rights: the only place that says who may do what.
    var rights: Set<OrganizationRight> {
        switch self {
        case .owner: Set(OrganizationRight.allCases)
        case .admin: [.see, .call, .seeMoney, .redeem, .manageMembers, .manageKeys, .change]
        case .billing: [.see, .seeMoney, .redeem]
        case .member: [.see, .call]
        }
    }

    /// The roles that somebody with this one may give, take and remove.
    var manages: Set<OrganizationRole> {
        switch self {
        case .owner: Set(OrganizationRole.allCases)
        case .admin: [.billing, .member]
        case .billing, .member: []
        }
    }
}

/// The only place that decides who may do what to an organisation.
struct OrganizationAccess: Sendable {
    let store: any OrganizationStore & UserStore

    /// An organisation as a caller may use it.
    struct Entry: Sendable {
        var account: User
        /// nil = the caller is an administrator of the gateway and no member.
        var role: OrganizationRole?

        var rights: Set<OrganizationRight> { role?.rights ?? Set(OrganizationRight.allCases) }
        var manages: Set<OrganizationRole> { role?.manages ?? Set(OrganizationRole.allCases) }
        func may(_ right: OrganizationRight) -> Bool { rights.contains(right) }
    }

    /// - Throws: ``ManagementError`` 404 for whoever is neither a member nor an administrator of the gateway; 403 `organization_role` where
    ///   the role does not have the right, 403 `organization_disabled` for members of one that is disabled, who may only see it.
    func demand(_ right: OrganizationRight, of id: Int64, by user: User) async throws -> Entry {
        guard let account = try await store.user(id: id), account.kind == .organization else { throw Self.notFound }
        let membership = try await store.membership(id, userID: user.id)
        guard membership != nil || user.role >= .admin else { throw Self.notFound }
        // An administrator of the gateway who is a member has the rights of both.
        let entry = Entry(account: account, role: user.role >= .admin ? nil : membership?.role)
        guard entry.may(right) else { throw Self.refused(right) }
        guard account.status == .enabled || user.role >= .admin || right == .see else {
            throw ManagementError.forbidden("the organization is disabled", code: .organizationDisabled)
        }
        return entry
    }

    /// An organisation's money is its members' own: of theirs, too, only root moves any.
    func checkMoneyAuthority(over target: User, by actor: User) async throws {
        try UserHandlers.checkMoneyAuthority(over: target, by: actor)
        guard target.kind == .organization, actor.role != .root else { return }
        guard try await store.membership(target.id, userID: actor.id) == nil else {
            throw ManagementError.forbidden("nobody moves money of their own organization; root may", code: .ownAccount)
        }
    }

    static let notFound = ManagementError.notFound("organization")

    static func refused(_ right: OrganizationRight) -> ManagementError {
        let able = OrganizationRole.allCases.filter { $0.rights.contains(right) }.map(\.rawValue)
        return ManagementError(
            .forbidden, "in this organization only these roles may do that: \(able.joined(separator: ", "))", code: .organizationRole,
            details: .object([.init("roles", .array(able.map { .string($0) }))]))
    }

    /// The part of an organisation's rows that a caller sees: all of them with ``OrganizationRight/seeMoney``, else the caller's own.
    /// - Parameter wanted: the member that is asked for; nil = everybody.
    /// - Returns: the member whose rows are to be shown; nil = everybody's.
    func member(wanted: Int64?, in id: Int64, by user: User) async throws -> Int64? {
        let entry = try await demand(.see, of: id, by: user)
        if entry.may(.seeMoney) { return wanted }
        guard wanted == nil || wanted == user.id else { throw Self.refused(.seeMoney) }
        return user.id
    }
}
