import Gateway
import GatewayState
import HTTPTypes
import Hummingbird
import Metering
import NIOCore
import Platform
import RouterCore
import Storage

/// `/api/v1/keys`: a program manages the API keys of its account with a management key, as OpenRouter's provisioning has it
/// (https://openrouter.ai/docs/features/provisioning-api-keys). Management keys themselves are neither shown nor changed here.
struct RouterKeyHandlers: Sendable {
    let store: any TokenStore & LeaseStore
    let keys: KeyDirectory
    let keyChanges: AsyncGate
    let meter: Meter
    let clock: ServerClock

    /// OpenRouter's page.
    private static let pageSize = 100
    /// There are no workspaces here, and its clients demand one.
    static let workspace = "default"

    // MARK: Calls

    func list(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let userID = try ModelsHandlers.principal(context).userID
        let query = QueryFields(request, RouterKeyDescriptions.list)
        try checkWorkspace(query.text("workspace_id"))
        let showsDisabled = try flag(query, "include_disabled")
        let showsExpired = try flag(query, "include_expired")
        let offset = Int(try query.integer("offset") ?? 0)
        let now = clock.unixSeconds
        // A user has no more keys than these.
        var own = TokenQuery(userID: userID, page: PageRequest(page: 1, size: Int(TokenHandlers.maximumTokens)))
        own.isOwn = true
        let all = try await store.tokens(own).items
        let shown = all.filter { token in
            !token.isManagement && (showsDisabled || token.status == .enabled)
                && (showsExpired || token.expiresAt.map { $0 > now } ?? true)
        }
        let page = Array(shown.dropFirst(offset).prefix(Self.pageSize))
        return ModelsHandlers.answer(["data": .array(try await json(page))])
    }

    func one(_ request: Request, _ context: GatewayContext) async throws -> Response {
        ModelsHandlers.answer(["data": try await json(try await owned(context))])
    }

    func create(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let principal = try ModelsHandlers.principal(context)
        let fields = try await RequestFields(request, RouterKeyDescriptions.create)
        try checkAccount(fields, principal)
        let held = try await store.tokens(TokenQuery(userID: principal.userID, page: PageRequest(page: 1, size: 1))).total
        guard held < TokenHandlers.maximumTokens else {
            throw TokenHandlers.tooManyKeys
        }
        let key = TokenSecrets.newKey()
        let now = clock.unixSeconds
        var token = TokenSecrets.newKeyToken(
            userID: principal.userID, name: try fields.requiredString("name"), key: key, createdAt: now)
        if let text = try fields.string("expires_at") {
            guard let seconds = ISOTime.seconds(text), seconds > now else {
                throw fields.wrong("expires_at", "a time in the future such as 2027-01-31T12:00:00Z")
            }
            token.expiresAt = seconds
        }
        if let budget = try budget(fields, of: token) { token.limits = try Self.limits(of: token, with: budget) }
        let prepared = token
        let audit = audit("token.create", principal, context)
        let created = try await storing("key") { try await store.createToken(prepared, audit: audit) }
        keys.upsert(created)
        return ModelsHandlers.answer(["key": .string(key), "data": try await json(created)], status: .created)
    }

    func change(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let principal = try ModelsHandlers.principal(context)
        let token = try await owned(context)
        let fields = try await RequestFields(request, RouterKeyDescriptions.change)
        try checkWorkspace(try fields.string("workspace_id"))
        _ = try fields.boolean("include_byok_in_limit")
        var change = TokenChange()
        change.name = try fields.string("name")
        if change.name?.isEmpty == true { throw fields.wrong("name", "a non-empty string") }
        change.status = try fields.boolean("disabled").map { $0 ? .disabled : .enabled }
        if let budget = try budget(fields, of: token) {
            change.limits = try Self.limits(of: token, with: budget)
            // Another change of the limits at the same time must not be overwritten.
            change.limitsBefore = token.limits
        }
        let prepared = change
        let named = JSONValue.Member("fields", .array(fields.names.map { .string($0) }))
        let audit = audit("token.change", principal, context, [named])
        let changed = try await keyChanges.run {
            let changed = try await storing("key") { try await store.changeToken(id: token.id, prepared, audit: audit) }
            keys.upsert(changed)
            return changed
        }
        return ModelsHandlers.answer(["data": try await json(changed)])
    }

    func delete(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let token = try await owned(context)
        let audit = audit(
            "token.delete", try ModelsHandlers.principal(context), context, [.init("user_id", .integer(token.userID))])
        try await keyChanges.run {
            try await storing("key") { try await store.deleteToken(id: token.id, audit: audit) }
            keys.remove(tokenID: token.id)
        }
        return ModelsHandlers.answer(["deleted": true])
    }

    // MARK: Parts

    /// The account's key of this hash; another account's, and a management key, are reported like one that does not exist.
    private func owned(_ context: GatewayContext) async throws -> Token {
        let principal = try ModelsHandlers.principal(context)
        guard let hash = context.parameters.get("hash").flatMap(Hex.bytes), let token = try await store.token(keyHash: hash),
            token.userID == principal.userID, token.accountID == nil, !token.isManagement
        else { throw ManagementError.notFound("key") }
        return token
    }

    private func audit(
        _ action: String, _ principal: KeyPrincipal, _ context: GatewayContext, _ detail: [JSONValue.Member] = []
    ) -> AuditEntry {
        AuditEntry(
            actorID: principal.userID, action: action, detail: [.init("management_key", .integer(principal.tokenID))] + detail,
            clientIP: context.clientIP, at: clock.unixSeconds)
    }

    private func flag(_ query: QueryFields, _ name: String) throws -> Bool {
        switch query.text(name)?.lowercased() {
        case nil, "", "false": return false
        case "true"?: return true
        default: throw ManagementError.badRequest("'\(name)' must be true or false")
        }
    }

    private func checkWorkspace(_ id: String?) throws {
        guard let id, !id.isEmpty, id != Self.workspace else { return }
        throw ManagementError.badRequest("'workspace_id' must be '\(Self.workspace)': there are no others here")
    }

    /// Fields that name somebody else than the key's own account.
    private func checkAccount(_ fields: RequestFields, _ principal: KeyPrincipal) throws {
        try checkWorkspace(try fields.string("workspace_id"))
        _ = try fields.boolean("include_byok_in_limit")
        if let creator = try fields.string("creator_user_id"), creator != String(principal.userID) {
            throw fields.wrong("creator_user_id", "'\(principal.userID)', the user whose management key this is, or be left out")
        }
    }

    // MARK: Limits

    /// A change of the budget: another one, or none.
    private enum BudgetChange {
        case none
        case budget(BudgetWindow, NanoUSD)
    }

    /// - Returns: nil where the request says nothing of it.
    private func budget(_ fields: RequestFields, of token: Token) throws -> BudgetChange? {
        let stored = (try? StoredLimits(stored: token.limits, allowsAddresses: true))?.own.budgets ?? [:]
        let present = stored.count == 1 ? stored.first : nil
        var window = present?.key ?? .total
        let namesWindow = fields["limit_reset"] != nil
        if namesWindow {
            switch try fields.string("limit_reset") {
            case nil: window = .total
            case "daily"?: window = .day
            case "monthly"?: window = .month
            default: throw fields.wrong("limit_reset", "'daily', 'monthly' or null; this gateway has no weekly budgets")
            }
        }
        if fields.isNull("limit") { return BudgetChange.none }
        if fields["limit"] != nil {
            let amount = try fields.amount("limit")
            guard !amount.isNegative else { throw fields.wrong("limit", "an amount in USD from 0") }
            return .budget(window, amount)
        }
        guard namesWindow else { return nil }
        if let present { return .budget(window, present.value) }
        guard window == .total, stored.isEmpty else { throw fields.wrong("limit_reset", "given together with 'limit'") }
        return nil
    }

    /// The limits to store: the budget is replaced, the owner's other limits stay, and an administrator's cannot be exceeded.
    private static func limits(of token: Token, with change: BudgetChange) throws -> String {
        let stored = (try? StoredLimits(stored: token.limits, allowsAddresses: true))?.own.json
        var members: [JSONValue.Member] = if case .object(let members)? = stored { members } else { [] }
        members.removeAll { $0.name == "budget" }
        if case .budget(let window, let amount) = change {
            members.append(.init("budget", .object([.init(window.rawValue, .usd(amount))])))
        }
        let limits = JSONValue.object(members)
        return try ManagementError.checkingLimits { () throws(LimitProblem) in
            try StoredLimits.changed(token.limits, to: limits, byOwner: true)
        }
    }

    // MARK: Answers

    private func json(_ token: Token) async throws -> JSONValue { try await json([token]).first ?? .null }

    /// Keys with what was spent with each, which is read at once for all of them.
    private func json(_ tokens: [Token]) async throws -> [JSONValue] {
        if let userID = tokens.first?.userID { await meter.waitPosted(userID) }
        let now = clock.unixSeconds
        let budgets = tokens.map { token in
            (try? StoredLimits(stored: token.limits, allowsAddresses: true))?.budgetLimits(.key(token.id)) ?? []
        }
        let counters = zip(tokens, budgets).flatMap { token, budgets in
            SpendingWindows.counters(.key(token.id), at: now) + budgets.map { $0.counter(at: now) }
        }
        let spent = counters.isEmpty ? [:] : try await store.spending(Array(Set(counters)))
        return zip(tokens, budgets).map { token, budgets in
            let members: [JSONValue.Member] = [
                .init("hash", .string(Hex.text(token.keyHash))), .init("name", .string(token.name)),
                .init("label", .string(RouterAccountHandlers.label(token))), .init("disabled", .boolean(token.status == .disabled)),
                .init("created_at", .string(ISOTime.text(token.createdAt))), .init("updated_at", .null),
                .init("last_used_at", ISOTime.json(token.accessedAt)), .init("expires_at", ISOTime.json(token.expiresAt)),
                .init("creator_user_id", .string(String(token.userID))), .init("external_user", .null),
                .init("workspace_id", .string(Self.workspace)), .init("include_byok_in_limit", false),
            ]
            let standings = budgets.map { BudgetStanding($0, at: now, spent) }
            return .object(
                members + BudgetStanding.members(ofKey: standings) + SpendingWindows(.key(token.id), at: now, spent).members)
        }
    }
}
