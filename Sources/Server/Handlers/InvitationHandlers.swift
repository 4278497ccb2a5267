import GatewayState
import Hummingbird
import Platform
import RouterCore
import Storage

/// Links by which people join an organisation.
struct InvitationHandlers: Sendable {
    let store: any OrganizationStore & UserStore
    let access: OrganizationAccess
    let keys: KeyDirectory
    let keyChanges: AsyncGate
    let clock: ServerClock

    static let maximumOpen = 100
    /// Seconds that a link is good for, where nothing is said, and at most.
    static let lifetime: Int64 = 7 * 86_400
    static let longestLifetime: Int64 = 90 * 86_400

    private typealias Texts = OrganizationDescriptions

    func list(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let id = try context.pathID()
        _ = try await access.demand(.manageMembers, of: id, by: try context.user())
        return Envelope.ok(.array(try await store.invitations(of: id, now: clock.unixSeconds).map(json)))
    }

    /// The secret is shown this once; whoever has the link may join.
    func create(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let user = try context.user()
        let id = try context.pathID()
        let fields = try await RequestFields(request, Texts.invite)
        let entry = try await access.demand(.manageMembers, of: id, by: user)
        let role = try fields.choice("role", OrganizationRole.self) ?? .member
        guard entry.manages.contains(role) else { throw OrganizationAccess.refused(.own) }
        if entry.role == nil, user.role != .root,
            try await access.store.membership(id, userID: user.id)?.role.manages.contains(role) != true
        {
            // They could use the link themselves, and spend what they have put there.
            throw ManagementError.forbidden("only the organization's own managers, and root, invite; administrators add users by name")
        }
        if role == .owner || role == .admin { try context.demandFreshLogin() }
        let now = clock.unixSeconds
        let end = try fields.integer("expires_at") ?? now + Self.lifetime
        guard end > now, end <= now + Self.longestLifetime else {
            throw fields.wrong("expires_at", "Unix seconds in the future, at most \(Self.longestLifetime / 86_400) days from now")
        }
        let code = "inv-" + TokenSecrets.random(32)
        let audit = try context.audit(
            "organization.invite", at: now, [.init("organization_id", .integer(id)), .init("role", .string(role.rawValue))])
        let invitation = Invitation(
            accountID: id, role: role, note: try fields.string("note") ?? "", createdBy: user.id, expiresAt: end, createdAt: now)
        let made = try await storing("organization", conflict: .tooMany) {
            try await store.createInvitation(invitation, hash: TokenSecrets.hash(code), most: Self.maximumOpen, audit: audit)
        }
        guard case .object(let members) = json(made) else { return Envelope.ok(.null) }
        return Envelope.ok(.object(members + [.init("code", .string(code)), .init("path", .string("/console/join#\(code)"))]))
    }

    func delete(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let id = try context.pathID()
        _ = try await access.demand(.manageMembers, of: id, by: try context.user())
        let invitation = try context.pathID("invitation_id")
        let audit = try context.audit(
            "organization.withdraw", at: clock.unixSeconds,
            [.init("organization_id", .integer(id)), .init("invitation_id", .integer(invitation))])
        try await storing("invitation") { try await store.deleteInvitation(invitation, of: id, audit: audit) }
        return Envelope.ok(.null)
    }

    /// Shows the organisation and the role of a link, without using it.
    func look(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let fields = try await RequestFields(request, Texts.look)
        let hash = TokenSecrets.hash(try fields.requiredString("code"))
        let (invitation, account) = try await Self.checked { try await store.invitation(hash: hash, now: clock.unixSeconds) }
        return Envelope.ok(
            .object([
                .init("organization_id", .integer(account.id)), .init("name", .string(account.displayName)),
                .init("role", .string(invitation.role.rawValue)), .init("expires_at", .integer(invitation.expiresAt)),
            ]))
    }

    func join(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let user = try context.user()
        let fields = try await RequestFields(request, Texts.join)
        let hash = TokenSecrets.hash(try fields.requiredString("code"))
        let audit = try context.audit("organization.join", at: clock.unixSeconds)
        let membership = try await keyChanges.run {
            let membership = try await Self.checked {
                try await store.join(
                    hash: hash, userID: user.id, most: OrganizationHandlers.maximumMembers, now: clock.unixSeconds, audit: audit)
            }
            keys.setMembership(membership.accountID, userID: user.id, membership)
            return membership
        }
        return Envelope.ok(
            .object([
                .init("organization_id", .integer(membership.accountID)), .init("role", .string(membership.role.rawValue)),
            ]))
    }

    private static func checked<Value>(_ body: () async throws -> Value) async throws -> Value {
        do {
            return try await body()
        } catch let problem as InvitationProblem {
            switch problem {
            case .unknown: throw ManagementError(.notFound, "there is no such invitation", code: .invitationUnknown)
            case .used: throw ManagementError(.conflict, "the invitation has been used", code: .invitationUsed)
            case .expired: throw ManagementError(.conflict, "the invitation has expired", code: .invitationExpired)
            case .closed: throw ManagementError.forbidden("the organization is disabled", code: .organizationDisabled)
            case .alreadyMember: throw ManagementError(.conflict, "you belong to this organization already", code: .alreadyMember)
            case .full:
                throw ManagementError(
                    .conflict, "an organization has at most \(OrganizationHandlers.maximumMembers) members", code: .tooMany)
            }
        }
    }

    private func json(_ invitation: Invitation) -> JSONValue {
        .object([
            .init("id", .integer(invitation.id)), .init("role", .string(invitation.role.rawValue)), .init("note", .string(invitation.note)),
            .init("created_by", .integer(invitation.createdBy)), .init("expires_at", .integer(invitation.expiresAt)),
            .init("created_at", .integer(invitation.createdAt)),
        ])
    }
}
