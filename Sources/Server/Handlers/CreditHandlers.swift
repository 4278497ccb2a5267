import Hummingbird
import Metering
import Platform
import RouterCore
import Storage

/// Gifts, and levels.
struct CreditHandlers: Sendable {
    let store: any CreditStore & RedemptionStore & LevelStore & UserStore
    let access: OrganizationAccess
    let meter: Meter
    let levels: LevelDesk
    let clock: ServerClock

    /// `GET /api/credit`: the caller's gifts; for admins also those of another account, or of all.
    func list(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let user = try context.user()
        let fields = QueryFields(request, CreditDescriptions.list)
        var query = CreditQuery(accountID: user.id, state: try fields.choice("state", Credit.State.self))
        if let organization = try fields.integer("organization_id") {
            query.accountID = try await access.demand(.seeMoney, of: organization, by: user).account.id
        } else if let wanted = try fields.integer("account_id"), wanted != user.id {
            guard user.role >= .admin else { throw ManagementError.roleTooLow("other accounts' gifts are for admins", needed: .admin) }
            query.accountID = wanted == 0 ? nil : wanted
        }
        let (before, size) = (try fields.integer("before_id") ?? 0, Int(try fields.integer("page_size") ?? 20))
        if let owner = query.accountID { await meter.waitPosted(owner) }
        let page = try await store.credits(query, before: before == 0 ? .max : before, size: size)
        return Envelope.cursor(page.items.map(Self.json), nextBefore: page.nextBefore)
    }

    /// `POST /api/credit {account_id, amount, expires_at?, description?, reference_id?}`
    func grant(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let fields = try await RequestFields(request, CreditDescriptions.grant)
        let accountID = try fields.requiredInteger("account_id")
        let amount = try fields.amount("amount")
        guard amount.isPositive, amount <= RedemptionDesk.largestAmount else {
            throw fields.wrong("amount", "more than zero, up to 1000000")
        }
        let now = clock.unixSeconds
        let end = try fields.integer("expires_at")
        if let end, end <= now { throw fields.wrong("expires_at", "Unix seconds in the future") }
        let key = try IdempotencyKey.either(request, fields) ?? context.requestID.description
        let description = try fields.string("description") ?? ""
        guard let target = try await store.user(id: accountID) else { throw ManagementError.notFound("account") }
        try await access.checkMoneyAuthority(over: target, by: try context.user())
        let grant = CreditGrant(
            accountID: accountID, amount: amount, reference: key, expiresAt: end, description: description, createdAt: now)
        let audit = try context.audit(
            "credit.grant", at: now,
            [.init("user_id", .integer(accountID)), .init("amount", .usd(amount)), .init("reference_id", .string(key))])
        let granted = try await storing("account") { try await meter.grant(grant, audit: audit, in: store) }
        guard case .object(let members) = Self.json(granted.credit) else { return Envelope.ok(.null) }
        return Envelope.ok(.object(members + [.init("repeated", .boolean(!granted.isNew))]))
    }

    /// `GET /api/level`: the table, and where the caller's account stands.
    func level(_ request: Request, _ context: GatewayContext) async throws -> Response {
        var user = try context.user()
        if let organization = try QueryFields(request, CreditDescriptions.level).integer("organization_id") {
            user = try await access.demand(.seeMoney, of: organization, by: user).account
        }
        let recharged = try await store.recharged(accountID: user.id)
        let table = levels.table
        func json(_ level: AccountLevel) -> JSONValue {
            .object([
                .init("name", .string(level.name)), .init("at_least", .usd(level.atLeast)), .init("group", .string(level.group)),
            ])
        }
        return Envelope.ok(
            .object([
                .init("levels", .array(table.map(json))), .init("recharged", .usd(recharged)),
                .init("reached", .optional(table.reached(with: recharged)?.name)),
                .init("next", .optional(table.next(after: recharged)?.name)), .init("group", .string(user.group)),
                .init("group_source", .optional(user.groupSource?.rawValue)),
            ]))
    }

    static func json(_ credit: Credit) -> JSONValue {
        .object([
            .init("id", .integer(credit.id)), .init("account_id", .integer(credit.accountID)), .init("amount", .usd(credit.amount)),
            .init("left", .usd(credit.left)), .init("spent", .usd(credit.spent)), .init("expired", .usd(credit.expired)),
            .init("source", .string(credit.source.rawValue)), .init("reference_id", .string(credit.reference)),
            .init("expires_at", .integer(credit.expiresAt)), .init("state", .string(credit.state.rawValue)),
            .init("created_at", .integer(credit.createdAt)), .init("ended_at", .integer(credit.endedAt)),
        ])
    }
}
