import Config
import GatewayState
import Hummingbird
import Metering
import NIOCore
import Platform
import RouterCore
import Storage

/// Organisations and their members.
struct OrganizationHandlers: Sendable {
    let store: any OrganizationStore & UserStore & LeaseStore & LongHoldStore
    let access: OrganizationAccess
    let meter: Meter
    let keys: KeyDirectory
    let keyChanges: AsyncGate
    let snapshots: SnapshotHolder
    let clock: ServerClock

    static let maximumMembers = 1_000
    /// Organisations that one user may own.
    static let maximumOwned = 20

    private typealias Texts = OrganizationDescriptions

    private enum AllOfThem: String, CaseIterable { case all = "true" }

    // MARK: Organisations

    /// The caller's; for administrators with `all=true` everybody's.
    func list(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let user = try context.user()
        let fields = QueryFields(request, Texts.list)
        let isAll = try fields.choice("all", AllOfThem.self) != nil
        let (before, size) = (try fields.integer("before_id") ?? 0, Int(try fields.integer("page_size") ?? 20))
        let text = try fields.search("q")
        guard isAll else {
            let rows = try await store.organizations(of: user.id).filter { row in
                text.map { row.account.displayName.lowercased().contains($0.lowercased()) } ?? true
            }
            return Envelope.cursor(try await json(rows), nextBefore: nil)
        }
        guard user.role >= .admin else { throw ManagementError.roleTooLow("all organizations are for admins", needed: .admin) }
        let page = try await store.organizations(matching: text, before: before == 0 ? .max : before, size: size)
        return Envelope.cursor(
            try await json(page.items.map { OrganizationRow(account: $0, role: nil) }), nextBefore: page.nextBefore)
    }

    func create(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let user = try context.user()
        let fields = try await RequestFields(request, Texts.create)
        let name = try Self.name(fields)
        let owned = try await store.organizations(of: user.id).filter { $0.role == .owner }.count
        guard owned < Self.maximumOwned else {
            throw ManagementError(.conflict, "a user owns at most \(Self.maximumOwned) organizations", code: .tooMany)
        }
        let audit = try context.audit("organization.create", at: clock.unixSeconds)
        let handle = "org:" + TokenSecrets.random(20)
        let account = try await keyChanges.run {
            let account = try await storing("user") {
                try await store.createOrganization(
                    name: name, handle: handle, group: "default", ownerID: user.id, now: clock.unixSeconds, audit: audit)
            }
            keys.upsert(account)
            keys.setMembership(
                account.id, userID: user.id,
                OrganizationMembership(accountID: account.id, userID: user.id, role: .owner, createdAt: account.createdAt))
            return account
        }
        return Envelope.ok(try await json([OrganizationRow(account: account, role: .owner)])[0])
    }

    func one(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let user = try context.user()
        let id = try context.pathID()
        _ = try await access.demand(.see, of: id, by: user)
        return try await answer(id, user)
    }

    func change(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let user = try context.user()
        let id = try context.pathID()
        let fields = try await RequestFields(request, Texts.change)
        let entry = try await access.demand(.change, of: id, by: user)
        var change = UserChange()
        if fields["name"] != nil { change.displayName = try Self.name(fields) }
        change.limits = try await limits(fields, of: entry.account, by: user)
        if change.limits != nil { change.limitsBefore = entry.account.limits }
        if let group = try fields.string("group") {
            try await demandAdmin(user, over: id)
            let known = snapshots.snapshot.configuration.groups.keys.sorted()
            guard known.contains(group) else {
                throw fields.wrong("group", "one of the groups of gateway.yaml: \(known.joined(separator: ", "))")
            }
            change.group = group
        }
        if let status = try fields.integer("status") {
            try await demandAdmin(user, over: id)
            guard let value = UserStatus(rawValue: Int(status)) else { throw fields.wrong("status", "1 (enabled) or 2 (disabled)") }
            change.status = value
        }
        let prepared = change
        let audit = try context.audit(
            "organization.change", at: clock.unixSeconds, [.init("fields", .array(fields.names.map { .string($0) }))])
        try await keyChanges.run {
            keys.upsert(
                try await storing("organization", conflict: .changedMeanwhile) {
                    try await store.changeUser(id: id, prepared, audit: audit)
                })
        }
        return try await answer(id, user)
    }

    /// A group determines prices, and a status whether it pays at all: both are for administrators of the gateway, where the organisation
    /// is not their own.
    private func demandAdmin(_ user: User, over id: Int64) async throws {
        guard user.role >= .admin else {
            throw ManagementError.roleTooLow("admins of the gateway set the group and the status of an organization", needed: .admin)
        }
        if user.role == .root { return }
        guard try await store.membership(id, userID: user.id) == nil else {
            throw ManagementError.forbidden("nobody changes the group or the status of their own organization; root may", code: .ownAccount)
        }
    }

    /// Its own limits are set by its administrators, the gateway's part by the gateway's.
    private func limits(_ fields: RequestFields, of account: User, by user: User) async throws -> String? {
        guard let value = fields["limits"], !value.isNull else { return nil }
        let isMember = try await store.membership(account.id, userID: user.id) != nil
        return try ManagementError.checkingLimits { () throws(LimitProblem) in
            // A part of both is stored in one text; the change is made only if that text is still the one.
            try StoredLimits.changed(account.limits, to: value, byOwner: isMember && user.role != .root, allowsAddresses: false)
        }
    }

    /// Only without money: what is left would belong to nobody.
    func delete(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let user = try context.user()
        let id = try context.pathID()
        _ = try await access.demand(.own, of: id, by: user)
        try context.demandFreshLogin()
        await meter.waitPosted(id)
        guard let standing = try await meter.standing(id) else { throw OrganizationAccess.notFound }
        let open = try await store.openLongHolds(userID: id)
        // Money that is leased to this gateway would keep the organisation from being deleted.
        try await meter.recall(id)
        guard standing.balance == .zero, standing.held == .zero, open.count == 0 else {
            throw ManagementError(
                .conflict, "the organization still has \(standing.balance) or calls that run; an administrator can move the money",
                code: .balanceLeft, details: .object([.init("balance", .usd(standing.balance)), .init("held", .usd(standing.held))]))
        }
        let audit = try context.audit("organization.delete", at: clock.unixSeconds)
        try await keyChanges.run {
            try await storing("organization", conflict: .balanceLeft) { try await store.deleteUser(id: id, audit: audit) }
            keys.remove(userID: id)
        }
        return Envelope.ok(.null)
    }

    // MARK: Members

    func members(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let id = try context.pathID()
        let fields = QueryFields(request, Texts.members)
        let entry = try await access.demand(.see, of: id, by: try context.user())
        guard entry.may(.seeMoney) || entry.may(.manageMembers) else { throw OrganizationAccess.refused(.manageMembers) }
        let size = Int(try fields.integer("page_size") ?? 50)
        let rows = try await store.members(
            of: id, matching: try fields.search("q"), after: try fields.integer("after_id") ?? 0, size: size + 1)
        let shown = Array(rows.prefix(size))
        return Envelope.ok(
            .object([
                .init("items", .array(try await json(shown))),
                .init("next_after_id", .integer(rows.count > size ? shown.last?.membership.userID : nil)),
            ]))
    }

    func setMember(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let user = try context.user()
        let (id, member) = (try context.pathID(), try context.pathID("user_id"))
        let fields = try await RequestFields(request, Texts.setMember)
        let entry = try await access.demand(.manageMembers, of: id, by: user)
        let before = try await store.membership(id, userID: member)
        // Only administrators of the gateway add people without asking them.
        guard before != nil || user.role >= .admin else { throw ManagementError.notFound("member") }
        // Administrators put money on organisations; as members they could spend it themselves.
        guard member != user.id || user.role == .root || before.map({ $0.role.manages.contains($0.role) }) == true else {
            throw ManagementError.forbidden("nobody gives themselves a place in an organization; root may", code: .ownAccount)
        }
        var changed = before ?? OrganizationMembership(accountID: id, userID: member, role: .member, createdAt: clock.unixSeconds)
        if let role = try fields.choice("role", OrganizationRole.self), role != before?.role {
            guard entry.manages.contains(role), before.map({ entry.manages.contains($0.role) }) ?? true else {
                throw OrganizationAccess.refused(.own)
            }
            if role == .owner || role == .admin { try context.demandFreshLogin() }
            changed.role = role
        }
        if let value = fields["limits"], !value.isNull {
            guard before.map({ entry.manages.contains($0.role) }) ?? true else { throw OrganizationAccess.refused(.own) }
            guard member != user.id || user.role == .root else {
                throw ManagementError.forbidden("nobody changes their own limits", code: .ownAccount)
            }
            changed.limits = try ManagementError.checkingLimits { () throws(LimitProblem) in
                try KeyLimits(value, allowsAddresses: false).json.text
            }
        }
        let prepared = changed
        let audit = try context.audit(
            "organization.member", at: clock.unixSeconds,
            [
                .init("organization_id", .integer(id)), .init("user_id", .integer(member)), .init("role", .string(prepared.role.rawValue)),
                .init("fields", .array(fields.names.map { .string($0) })),
            ])
        try await keyChanges.run {
            try await storing("user", conflict: .organizationConflict) {
                try await store.setMember(prepared, before: before, most: Self.maximumMembers, audit: audit)
            }
            keys.setMembership(id, userID: member, prepared)
        }
        guard let row = try await row(member, in: id) else { throw ManagementError.notFound("member") }
        return Envelope.ok(try await json([row])[0])
    }

    /// Members leave by removing themselves.
    func removeMember(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let user = try context.user()
        let (id, member) = (try context.pathID(), try context.pathID("user_id"))
        let isLeaving = member == user.id
        let entry = try await access.demand(isLeaving ? .see : .manageMembers, of: id, by: user)
        guard let before = try await store.membership(id, userID: member) else { throw ManagementError.notFound("member") }
        guard isLeaving || entry.manages.contains(before.role) else { throw OrganizationAccess.refused(.own) }
        let audit = try context.audit(
            isLeaving ? "organization.leave" : "organization.remove", at: clock.unixSeconds,
            [.init("organization_id", .integer(id)), .init("user_id", .integer(member))])
        let disabled = try await keyChanges.run {
            let disabled = try await storing("member", conflict: .organizationConflict) {
                try await store.removeMember(id, userID: member, audit: audit)
            }
            keys.setMembership(id, userID: member, nil)
            for token in disabled { keys.upsert(token) }
            return disabled.count
        }
        return Envelope.ok(.object([.init("disabled_keys", .integer(disabled))]))
    }

    // MARK: Answers

    private static func name(_ fields: RequestFields) throws -> String {
        let name = try fields.requiredString("name").trimmingSpaces
        guard !name.isEmpty else { throw fields.wrong("name", "a non-empty string") }
        return name
    }

    private func answer(_ id: Int64, _ user: User) async throws -> Response {
        guard let account = try await store.user(id: id) else { throw OrganizationAccess.notFound }
        let role = try await store.membership(id, userID: user.id)?.role
        return Envelope.ok(try await json([OrganizationRow(account: account, role: role)])[0])
    }

    private func json(_ rows: [OrganizationRow]) async throws -> [JSONValue] {
        let now = clock.unixSeconds
        func counter(_ id: Int64, _ window: BudgetWindow) -> BudgetCounter {
            BudgetCounter(scope: .organization(id), window: window.number(at: now))
        }
        let counters = rows.flatMap { row in [BudgetWindow.month, .total].map { counter(row.account.id, $0) } }
        let spent = counters.isEmpty ? [:] : try await store.spending(counters)
        return rows.map { row in
            let account = row.account
            // Null for members who may not see the money.
            let seesMoney = row.role?.rights.contains(.seeMoney) ?? true
            func amount(_ value: NanoUSD) -> JSONValue { seesMoney ? .usd(value) : .null }
            let limits = try? StoredLimits(stored: account.limits, allowsAddresses: false)
            return .object([
                .init("id", .integer(account.id)), .init("name", .string(account.displayName)),
                .init("role", .optional(row.role?.rawValue)),
                .init("rights", .array((row.role?.rights ?? Set(OrganizationRight.allCases)).map(\.rawValue).sorted().map { .string($0) })),
                .init("status", .integer(account.status.rawValue)), .init("group", .string(account.group)),
                .init("limits", limits?.effective ?? .null), .init("admin_limits", limits?.admin?.json ?? .null),
                .init("balance", amount(account.balance)), .init("held", amount(meter.account(account.id)?.held ?? .zero)),
                .init(
                    "spent",
                    .object([
                        .init("month", amount(spent[counter(account.id, .month)] ?? .zero)),
                        .init("total", amount(spent[counter(account.id, .total)] ?? .zero)),
                    ])), .init("created_at", .integer(account.createdAt)),
            ])
        }
    }

    private func row(_ userID: Int64, in id: Int64) async throws -> MemberRow? {
        try await store.members(of: id, matching: nil, after: userID - 1, size: 1).first { $0.membership.userID == userID }
    }

    private func json(_ rows: [MemberRow]) async throws -> [JSONValue] {
        let now = clock.unixSeconds
        func counter(_ member: OrganizationMembership, _ window: BudgetWindow) -> BudgetCounter {
            BudgetCounter(
                scope: .member(organization: member.accountID, user: member.userID), window: window.number(at: now))
        }
        let counters = rows.flatMap { row in BudgetWindow.allCases.map { counter(row.membership, $0) } }
        let spent = counters.isEmpty ? [:] : try await store.spending(counters)
        return rows.map { row in
            let member = row.membership
            func charged(_ window: BudgetWindow) -> JSONValue { .usd(spent[counter(member, window)] ?? .zero) }
            return .object([
                .init("user_id", .integer(member.userID)), .init("username", .string(row.username)),
                .init("display_name", .string(row.displayName)), .init("role", .string(member.role.rawValue)),
                .init("status", .integer(row.status.rawValue)),
                .init("limits", (try? StoredLimits(stored: member.limits, allowsAddresses: false))?.effective ?? .null),
                .init(
                    "spent",
                    .object([.init("day", charged(.day)), .init("month", charged(.month)), .init("total", charged(.total))])),
                .init("created_at", .integer(member.createdAt)),
            ])
        }
    }
}

extension String {
    /// Without spaces at its ends.
    var trimmingSpaces: String {
        var text = self[...]
        while text.first?.isWhitespace == true { text.removeFirst() }
        while text.last?.isWhitespace == true { text.removeLast() }
        return String(text)
    }
}
