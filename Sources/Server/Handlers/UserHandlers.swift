import Config
import GatewayState
import HTTPTypes
import Hummingbird
import NIOCore
import Platform
import RouterCore
import Storage

/// Administration of users.
struct UserHandlers: Sendable {
    let store: any UserStore & TokenStore
    let figures: UserFigures
    let keys: KeyDirectory
    let keyChanges: AsyncGate
    let snapshots: SnapshotHolder
    let responses: ResponseKeeper
    let check: SessionCheck
    let levels: LevelDesk
    let clock: ServerClock

    func list(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let fields = QueryFields(request, UserDescriptions.list)
        var query = UserQuery(page: try fields.page(), month: BudgetWindow.month.number(at: clock.unixSeconds))
        query.text = try fields.search("q")
        query.role = try fields.code("role").flatMap { Role(rawValue: Int($0)) }
        query.status = try fields.code("status").flatMap { UserStatus(rawValue: Int($0)) }
        query.group = fields.text("group")
        query.order = try fields.choice("sort", UserQuery.Order.self) ?? .id
        query.isAscending = try fields.choice("order", SortDirection.self) == .ascending
        let users = try await store.users(query)
        return Envelope.page(try await figures.json(users.items), total: users.total, (query.page.page, query.page.size))
    }

    func one(_ request: Request, _ context: GatewayContext) async throws -> Response {
        guard let user = try await store.user(id: try context.pathID()), user.kind == .user else { throw ManagementError.notFound("user") }
        let keys = try await store.tokens(TokenQuery(userID: user.id, page: PageRequest(page: 1, size: 1))).total
        guard case .object(let members) = try await figures.json(user) else { return Envelope.ok(.null) }
        return Envelope.ok(.object(members + [.init("keys", .integer(keys))]))
    }

    /// Groups of gateway.yaml, with the number of their users.
    func groups(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let counts = try await store.countUsers()
        let groups = snapshots.snapshot.configuration.groups.sorted { $0.key < $1.key }
        return Envelope.ok(
            .array(
                groups.map { name, ratio in
                    .object([
                        .init("name", .string(name)), .init("ratio", .number(ratio.description)),
                        .init("users", .integer(counts[name] ?? 0)),
                    ])
                }))
    }

    private static let noBalance = [
        "balance": "'balance' is no field of a user; money comes through POST /api/balance/admin/add",
        "quota": "'quota' is no field of a user; money comes through POST /api/balance/admin/add",
    ]

    func create(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let actor = try context.user()
        let fields = try await RequestFields(request, UserDescriptions.create, hints: Self.noBalance)
        let role = try role(fields) ?? .user
        try checkGrant(role, by: actor)
        if role > .user { try context.demandFreshLogin() }
        let audit = try context.audit("user.create", at: clock.unixSeconds, [.init("role", .integer(role.rawValue))])
        let user = try await create(fields, role: role, group: try group(fields) ?? "default", audit)
        return Envelope.ok(try await figures.json(user))
    }

    /// - Parameter lane: the lane of the password queue in which the hashing waits.
    func create(
        _ fields: RequestFields, role: Role, group: String, _ audit: AuditEntry,
        lane: PasswordQueue.Lane = .known(owner: nil)
    ) async throws -> User {
        let username = try fields.requiredString("username")
        try checkUsername(username)
        let password = try fields.requiredString("password")
        try Self.checkPassword(password)
        let new = NewUser(
            username: username, passwordHash: try await PasswordTries.hashing { try await PasswordHasher.hash(password, lane: lane) },
            displayName: try fields.string("display_name") ?? username, email: try fields.string("email") ?? "",
            role: role, group: group, createdAt: clock.unixSeconds)
        let user = try await storing("user") { try await store.createUser(new, audit: audit) }
        keys.upsert(user)
        return user
    }

    func change(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let actor = try context.user()
        let id = try context.pathID()
        let fields = try await RequestFields(request, UserDescriptions.change, hints: Self.noBalance)
        guard let target = try await store.user(id: id), target.kind == .user else { throw ManagementError.notFound("user") }
        try Self.checkAuthority(over: target, by: actor)
        var change = UserChange()
        change.username = try fields.string("username")
        if let username = change.username { try checkUsername(username) }
        change.displayName = try fields.string("display_name")
        change.email = try fields.string("email")
        change.group = try group(fields)
        if let group = change.group, group != target.group, actor.id == target.id, actor.role != .root {
            // A group determines prices.
            throw ManagementError.forbidden("nobody changes their own group; root may", code: .ownAccount)
        }
        change.groupFollowsLevels = try followsLevels(fields, target, by: actor)
        change.limits = try limits(fields, of: target, by: actor)
        change.role = try role(fields)
        if let role = change.role, role != target.role {
            try context.demandFreshLogin()
            guard actor.id != target.id else { throw ManagementError.forbidden("nobody changes their own role", code: .ownAccount) }
            try checkGrant(role, by: actor)
        }
        if let status = try fields.integer("status") {
            guard let value = UserStatus(rawValue: Int(status)) else { throw fields.wrong("status", "1 (enabled) or 2 (disabled)") }
            guard actor.id != target.id || value == .enabled else {
                throw ManagementError.forbidden("nobody disables themselves", code: .ownAccount)
            }
            change.status = value
        }
        if let password = try fields.string("password") {
            // A session left open in a browser is not enough to take over an account.
            guard actor.id != id || !SessionCheck.restsOnCookie(request) else {
                throw ManagementError.forbidden(
                    "with the session cookie, change your own password by PUT /api/user/self with 'old_password'", code: .ownAccount)
            }
            try context.demandFreshLogin()
            try Self.checkPassword(password)
            change.passwordHash = try await PasswordTries.hashing { try await PasswordHasher.hash(password) }
        }
        change.endsManagementTokens = change.passwordHash != nil || change.status == .disabled
        // A user who changes their own password keeps the present session; all other sessions of the changed user end.
        if actor.id == id {
            change.keptManagementToken = check.presentedAccessToken(request, context).map(TokenSecrets.hash)
        }
        let prepared = change
        var detail = [JSONValue.Member("fields", .array(fields.names.map { .string($0) }))]
        if let role = change.role { detail.append(.init("role", .integer(role.rawValue))) }
        if let status = change.status { detail.append(.init("status", .integer(status.rawValue))) }
        let audit = try context.audit("user.change", at: clock.unixSeconds, detail)
        var user = try await keyChanges.run {
            let user = try await storing("user") { try await store.changeUser(id: id, prepared, audit: audit) }
            keys.upsert(user)
            return user
        }
        if prepared.groupFollowsLevels { user = try await levels.promote(id, now: clock.unixSeconds) ?? user }
        return Envelope.ok(try await figures.json(user))
    }

    func delete(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let actor = try context.user()
        let id = try context.pathID()
        guard let target = try await store.user(id: id), target.kind == .user else { throw ManagementError.notFound("user") }
        guard actor.id != id else { throw ManagementError.forbidden("nobody deletes themselves", code: .ownAccount) }
        try Self.checkAuthority(over: target, by: actor)
        try context.demandFreshLogin()
        let audit = try context.audit("user.delete", at: clock.unixSeconds)
        try await keyChanges.run {
            try await storing("user") { try await store.deleteUser(id: id, audit: audit) }
            keys.remove(userID: id)
        }
        // They expire in any case.
        try? await responses.deleteAll(userID: id)
        return Envelope.ok(.null)
    }

    // MARK: Rules

    /// Root may change everything; an admin may change users of a lower role and their own account.
    static func checkAuthority(over target: User, by actor: User) throws {
        guard actor.role == .root || actor.id == target.id || target.role < actor.role else {
            throw ManagementError.roleTooLow(
                "only a higher role may change this user", needed: target.role < .admin ? .admin : .root)
        }
    }

    /// Money may only be moved to users of a lower role: root may change every balance, its own included; an admin may change those of
    /// ordinary users. Otherwise two admins could credit each other.
    static func checkMoneyAuthority(over target: User, by actor: User) throws {
        guard actor.role != .root else { return }
        guard actor.id != target.id else {
            throw ManagementError.forbidden("nobody moves money of their own account; root may", code: .ownAccount)
        }
        guard target.role < actor.role else {
            throw ManagementError.roleTooLow(
                "only root moves money of an account whose role is not below the caller's", needed: .root)
        }
    }

    private func checkGrant(_ role: Role, by actor: User) throws {
        guard role < actor.role || actor.role == .root && role != .root else {
            throw ManagementError.roleTooLow("nobody grants a role that is not below their own", needed: .root)
        }
    }

    /// A budget limits a user's spending, so users do not set their own; root may.
    private func limits(_ fields: RequestFields, of target: User, by actor: User) throws -> String? {
        guard let value = fields["limits"], !value.isNull else { return nil }
        guard actor.id != target.id || actor.role == .root else {
            throw ManagementError.forbidden("nobody changes their own limits", code: .ownAccount)
        }
        return try ManagementError.checkingLimits { () throws(LimitProblem) in
            try KeyLimits(value, allowsAddresses: false).json.text
        }
    }

    /// Whether a group that was chosen by hand is to follow the account's levels again. A group determines prices, so nobody but root does
    /// this for themselves.
    private func followsLevels(_ fields: RequestFields, _ target: User, by actor: User) throws -> Bool {
        guard try fields.boolean("group_follows_levels") == true else { return false }
        guard actor.id != target.id || actor.role == .root else {
            throw ManagementError.forbidden("nobody changes their own group; root may", code: .ownAccount)
        }
        guard fields["group"] == nil || fields.isNull("group") else {
            throw fields.wrong("group_follows_levels", "left out where 'group' is given")
        }
        return true
    }

    private func role(_ fields: RequestFields) throws -> Role? {
        guard let number = try fields.integer("role") else { return nil }
        guard let role = Role(rawValue: Int(number)) else { throw fields.wrong("role", "1 (user), 10 (admin) or 100 (root)") }
        return role
    }

    private func group(_ fields: RequestFields) throws -> String? {
        guard let group = try fields.string("group") else { return nil }
        let known = snapshots.snapshot.configuration.groups.keys.sorted()
        guard known.contains(group) else {
            throw fields.wrong("group", Expected("one of the groups of gateway.yaml: \(known.joined(separator: ", "))", codes: known))
        }
        return group
    }

    private func checkUsername(_ name: String) throws {
        let isFine =
            (3...64).contains(name.utf8.count)
            && name.utf8.allSatisfy {
                ($0 >= 0x30 && $0 <= 0x39) || ($0 | 0x20 >= 0x61 && $0 | 0x20 <= 0x7A) || [0x2D, 0x2E, 0x5F, 0x40].contains($0)
            }
        guard isFine else {
            throw ManagementError.invalid(
                "username",
                Expected("3 to 64 characters out of letters, digits, '-', '_', '.', '@'", codes: ["3..64", "A-Z a-z 0-9 - _ . @"]),
                message: "'username' must have 3 to 64 characters out of letters, digits, '-', '_', '.', '@'")
        }
    }

    static func checkPassword(_ password: String) throws {
        let lengths = PasswordHasher.lengths
        guard lengths.contains(password.utf8.count) else {
            let expected = "\(lengths.lowerBound) to \(lengths.upperBound) bytes"
            throw ManagementError.invalid(
                "password", Expected(expected, codes: ["string", "min_bytes:\(lengths.lowerBound)", "max_bytes:\(lengths.upperBound)"]),
                message: "'password' must have \(expected)")
        }
    }
}
