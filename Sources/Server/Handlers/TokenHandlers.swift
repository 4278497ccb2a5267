import GatewayState
import Hummingbird
import Metering
import NIOCore
import Platform
import RouterCore
import Storage

/// API keys of users. A key is shown once, when it is created; only its hash is stored.
struct TokenHandlers: Sendable {
    let store: any TokenStore & UserStore & LeaseStore
    let access: OrganizationAccess
    let meter: Meter
    let keys: KeyDirectory
    let keyChanges: AsyncGate
    let clock: ServerClock

    static let maximumTokens: Int64 = 1_000
    static let tooManyKeys = ManagementError(.conflict, "a user has at most \(maximumTokens) keys", code: .tooManyKeys)

    func list(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let user = try context.user()
        let fields = QueryFields(request, TokenDescriptions.list)
        var query = TokenQuery(userID: user.id, page: try fields.page())
        if let organization = try fields.integer("organization_id") {
            query = try await organizationQuery(fields, organization, user)
        } else if let other = try fields.integer("user_id"), other != user.id {
            guard user.role >= .admin else { throw ManagementError.roleTooLow("only an admin sees the keys of others", needed: .admin) }
            query.userID = other
        } else {
            // Those that an organisation pays for are shown with it.
            query.isOwn = true
        }
        query.text = try fields.search("q")
        query.status = try fields.code("status").flatMap { TokenStatus(rawValue: Int($0)) }
        query.order = try fields.choice("sort", TokenQuery.Order.self) ?? .created
        query.isAscending = try fields.choice("order", SortDirection.self) == .ascending
        await meter.waitPosted(query.accountID ?? query.userID ?? user.id)
        let tokens = try await store.tokens(query)
        return Envelope.page(try await json(tokens.items), total: tokens.total, (query.page.page, query.page.size))
    }

    /// Keys that an organisation pays for: all of them for those who manage keys there, else the caller's own.
    private func organizationQuery(_ fields: QueryFields, _ organization: Int64, _ user: User) async throws -> TokenQuery {
        let entry = try await access.demand(.see, of: organization, by: user)
        let wanted = try fields.integer("user_id")
        var query = TokenQuery(userID: entry.may(.manageKeys) ? wanted : user.id, page: try fields.page())
        query.accountID = organization
        return query
    }

    /// The owner of a new key, and the account that pays for it.
    private func owner(_ fields: RequestFields, _ user: User) async throws -> (userID: Int64, accountID: Int64?) {
        let isShared = try fields.boolean("shared") ?? false
        guard let organization = try fields.integer("organization_id") else {
            if isShared { throw fields.wrong("shared", "given with 'organization_id'") }
            return (user.id, nil)
        }
        _ = try await access.demand(isShared ? .manageKeys : .call, of: organization, by: user)
        if try await access.store.membership(organization, userID: user.id) == nil, user.role != .root || !isShared {
            // The secret of a key lets its holder spend: an administrator of the gateway could spend what they have put there.
            if isShared { throw ManagementError.forbidden("only its own managers, and root, make keys of an organization") }
            throw fields.wrong("shared", "true for administrators who are no members: the key is the organization's own")
        }
        return (isShared ? organization : user.id, organization)
    }

    func create(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let user = try context.user()
        let fields = try await RequestFields(request, TokenDescriptions.create)
        let owner = try await owner(fields, user)
        let held = try await store.tokens(TokenQuery(userID: owner.userID, page: PageRequest(page: 1, size: 1))).total
        guard held < Self.maximumTokens else { throw Self.tooManyKeys }
        let key = TokenSecrets.newKey()
        let now = clock.unixSeconds
        var token = TokenSecrets.newKeyToken(
            userID: owner.userID, name: try fields.requiredString("name"), key: key, createdAt: now)
        token.accountID = owner.accountID
        if let expiry = try fields.integer("expires_at") {
            guard expiry > now else {
                throw fields.wrong("expires_at", Expected("Unix seconds in the future", codes: ["unix_seconds", "future"]))
            }
            token.expiresAt = expiry
        }
        token.models = try models(fields) ?? []
        token.limits = try limits(fields, of: token, by: user) ?? "{}"
        token.conversion = try fields.choice("conversion", ConversionMode.self)
        token.isManagement = try fields.boolean("management") ?? false
        if token.isManagement {
            guard token.accountID == nil else { throw fields.wrong("management", "left out for a key of an organization") }
            try checkManagement(token, fields)
            // It makes further keys, so it could outlive the session.
            try context.demandFreshLogin()
        }
        let prepared = token
        let audit = try context.audit(
            "token.create", at: clock.unixSeconds, token.accountID.map { [.init("organization_id", .integer($0))] } ?? [])
        let created = try await keyChanges.run {
            let created = try await storing("token") { try await store.createToken(prepared, audit: audit) }
            keys.upsert(created)
            return created
        }
        return Envelope.ok(try await json(created, showing: key))
    }

    /// The longest time for which a replaced secret goes on, in seconds.
    static let maximumGrace: Int64 = 7 * 86_400

    /// A new secret for the same key. The old one ends at once, or after a time in which programs can be given the new one.
    func rotate(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let grace = try await RequestFields(request, TokenDescriptions.rotate).boundedInteger("grace_seconds") ?? 0
        let token = try await owned(context)
        // A key of an organisation itself is anybody's who manages its keys.
        let user = try context.user()
        let isOfOrganization = token.userID == token.accountID
        var mayHaveSecret = isOfOrganization && user.role == .root
        if isOfOrganization, !mayHaveSecret { mayHaveSecret = try await access.store.membership(token.userID, userID: user.id) != nil }
        guard token.userID == user.id || mayHaveSecret else {
            // Its secret would let an administrator call in the owner's name.
            throw ManagementError.forbidden("only its owner gives a key a new secret")
        }
        if token.isManagement { try context.demandFreshLogin() }
        let key = TokenSecrets.newKey()
        var change = TokenChange()
        if grace > 0 { change.formerUntil = clock.unixSeconds + grace }
        let made = TokenSecrets.newKeyToken(userID: token.userID, name: token.name, key: key, createdAt: token.createdAt)
        change.secret = (made.keyHash, made.keyPrefix)
        let prepared = change
        let audit = try context.audit("token.rotate", at: clock.unixSeconds, [.init("grace_seconds", .integer(grace))])
        let changed = try await keyChanges.run {
            let changed = try await storing("token") { try await store.changeToken(id: token.id, prepared, audit: audit) }
            keys.upsert(changed)
            return changed
        }
        return Envelope.ok(try await json(changed, showing: key))
    }

    /// A management key calls no models: limits of what it may spend would say something that is not so.
    private func checkManagement(_ token: Token, _ fields: RequestFields) throws {
        guard token.models.isEmpty else {
            throw fields.wrong("models", Expected("left out for a management key, which makes no model calls", codes: ["absent"]))
        }
        let limits = try ManagementError.checkingLimits { () throws(LimitProblem) in
            try StoredLimits(stored: token.limits, allowsAddresses: true)
        }
        guard limits.own.budgets.isEmpty, limits.own.rates.isEmpty else {
            throw fields.wrong(
                "limits", Expected("'allowed_ips' only for a management key, which makes no model calls", codes: ["allowed_ips"]))
        }
    }

    func change(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let token = try await owned(context)
        let fields = try await RequestFields(request, TokenDescriptions.change)
        try await checkOrganization(of: token, fields, by: try context.user())
        var change = TokenChange()
        change.name = try fields.string("name")
        if let status = try fields.integer("status") {
            guard let value = TokenStatus(rawValue: Int(status)) else { throw fields.wrong("status", "1 (enabled) or 2 (disabled)") }
            change.status = value
        }
        if fields.isNull("expires_at") {
            change.expiresAt = .some(nil)
        } else if let expiry = try fields.integer("expires_at") {
            change.expiresAt = .some(expiry)
        }
        change.models = try models(fields)
        if fields.isNull("conversion") {
            change.conversion = .some(nil)
        } else if let mode = try fields.choice("conversion", ConversionMode.self) {
            change.conversion = mode
        }
        change.limits = try limits(fields, of: token, by: try context.user())
        // The owner's limits and the administrators' limits are stored in one text: a concurrent change of one must not overwrite the
        // other.
        if change.limits != nil { change.limitsBefore = token.limits }
        let prepared = change
        let audit = try context.audit("token.change", at: clock.unixSeconds, [.init("fields", .array(fields.names.map { .string($0) }))])
        let changed = try await keyChanges.run {
            let changed = try await storing("token", conflict: .changedMeanwhile) {
                try await store.changeToken(id: token.id, prepared, audit: audit)
            }
            keys.upsert(changed)
            return changed
        }
        return Envelope.ok(try await json([changed])[0])
    }

    /// A member cannot undo what the organisation's managers have switched off or narrowed, and a former member can only delete keys.
    private func checkOrganization(of token: Token, _ fields: RequestFields, by user: User) async throws {
        guard let organization = token.accountID, token.userID == user.id else { return }
        let entry = try await access.demand(.call, of: organization, by: user)
        guard !entry.may(.manageKeys) else { return }
        let status = try fields.integer("status")
        let isEnabling = token.status == .disabled && status == Int64(TokenStatus.enabled.rawValue)
        guard !isEnabling, fields["models"] == nil, fields["expires_at"] == nil else { throw OrganizationAccess.refused(.manageKeys) }
    }

    func delete(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let token = try await owned(context)
        let audit = try context.audit("token.delete", at: clock.unixSeconds, [.init("user_id", .integer(token.userID))])
        try await keyChanges.run {
            try await storing("token") { try await store.deleteToken(id: token.id, audit: audit) }
            keys.remove(tokenID: token.id)
        }
        return Envelope.ok(.null)
    }

    /// Returns a key of the caller; another user's key is reported like one that does not exist.
    private func owned(_ context: GatewayContext) async throws -> Token {
        let user = try context.user()
        guard let token = try await store.token(id: try context.pathID()) else { throw ManagementError.notFound("token") }
        if let organization = token.accountID, token.userID != user.id {
            do {
                _ = try await access.demand(.manageKeys, of: organization, by: user)
            } catch let error as ManagementError where error.code != .organizationDisabled {
                throw ManagementError.notFound("token")
            }
            return token
        }
        guard token.userID == user.id || user.role >= .admin else { throw ManagementError.notFound("token") }
        if token.userID != user.id, let owner = try await store.user(id: token.userID) {
            try UserHandlers.checkAuthority(over: owner, by: user)
        }
        return token
    }

    private func models(_ fields: RequestFields) throws -> [String]? {
        guard let names = try fields.strings("models") else { return nil }
        for name in names {
            if let problem = ModelName.problem(name) {
                throw ManagementError.invalid(
                    "models", Expected("names of models", codes: ["model_name"]), message: "a name in 'models' \(problem)")
            }
        }
        return names
    }

    /// Limits that an administrator sets on another user's key are stored separately, so that the owner cannot raise them.
    private func limits(_ fields: RequestFields, of token: Token, by actor: User) throws -> String? {
        guard let value = fields["limits"], !value.isNull else { return nil }
        return try ManagementError.checkingLimits { () throws(LimitProblem) in
            // Those who manage an organisation's keys own the organisation's own, and set limits on top of members'.
            try StoredLimits.changed(
                token.limits, to: value, byOwner: actor.id == token.userID || token.userID == token.accountID)
        }
    }

    // MARK: Answers

    /// A key with its secret, which is shown this once.
    private func json(_ token: Token, showing key: String) async throws -> JSONValue {
        guard case .object(var members)? = try await json([token]).first else { return .null }
        members.insert(.init("key", .string(key)), at: 2)
        return .object(members)
    }

    /// The charges of all of them are read at once.
    private func json(_ tokens: [Token]) async throws -> [JSONValue] {
        let now = clock.unixSeconds
        // Nil for limits that cannot be read; such a key is not served.
        let limits = tokens.map { try? StoredLimits(stored: $0.limits, allowsAddresses: true) }
        let budgets = zip(tokens, limits).map { token, limits in limits?.budgetLimits(.key(token.id)) ?? [] }
        let counters = zip(tokens, budgets).flatMap { token, budgets in
            BudgetWindow.allCases.map { BudgetCounter(scope: .key(token.id), window: $0.number(at: now)) }
                + budgets.map { $0.counter(at: now) }
        }
        let spent = counters.isEmpty ? [:] : try await store.spending(Array(Set(counters)))
        return tokens.indices.map { index in
            json(tokens[index], limits[index], budgets[index].map { BudgetStanding($0, at: now, spent) }, spent, now)
        }
    }

    private func json(
        _ token: Token, _ limits: StoredLimits?, _ budgets: [BudgetStanding], _ spent: [BudgetCounter: NanoUSD], _ now: Int64
    ) -> JSONValue {
        func charged(_ window: BudgetWindow) -> JSONValue {
            .usd(spent[BudgetCounter(scope: .key(token.id), window: window.number(at: now))] ?? .zero)
        }
        return .object([
            .init("id", .integer(token.id)), .init("name", .string(token.name)), .init("user_id", .integer(token.userID)),
            .init("account_id", .integer(token.accountID)), .init("key_prefix", .string(token.keyPrefix)),
            .init("management", .boolean(token.isManagement)),
            .init("status", .integer(token.status.rawValue)),
            .init("expires_at", .integer(token.expiresAt)), .init("models", .array(token.models.map { .string($0) })),
            .init("limits", limits?.effective ?? .null), .init("admin_limits", limits?.admin?.json ?? .null),
            .init("conversion", .optional(token.conversion?.rawValue)),
            .init(
                "spent",
                .object([.init("day", charged(.day)), .init("month", charged(.month)), .init("total", charged(.total))])),
            .init("left", BudgetStanding.tightest(budgets).map { .usd(max(.zero, $0.remaining)) } ?? .null),
            .init("former_until", .integer(token.former.flatMap { $0.until > now ? $0.until : nil })),
            .init("created_at", .integer(token.createdAt)), .init("accessed_at", .integer(token.accessedAt)),
        ])
    }
}
