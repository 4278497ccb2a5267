import Hummingbird
import Metering
import Platform
import RouterCore
import Storage

/// Money: users' balances, ledger rows, and admins' credits.
struct BalanceHandlers: Sendable {
    let store: any Ledger & UserStore & CreditStore
    let access: OrganizationAccess
    let meter: Meter
    let levels: LevelDesk
    let clock: ServerClock

    func balance(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let user = try context.user()
        guard let standing = try await meter.standing(user.id) else { throw ManagementError.notFound("account") }
        // Calls that are about to be posted use gifts first.
        let gifts = max(.zero, min(try await store.giftsLeft(accountID: user.id), standing.balance))
        return Envelope.ok(
            .object([
                .init("user_id", .integer(user.id)), .init("balance", .usd(standing.balance)), .init("gifts", .usd(gifts)),
                .init("held", .usd(standing.held)),
                .init("available", .usd(standing.available)), .init("quota", .integer(standing.balance.wholeCents)),
                .init("currency", "USD"),
            ]))
    }

    func transactions(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let user = try context.user()
        let fields = QueryFields(request, MoneyDescriptions.transactions)
        let page = try fields.page()
        let query = try await query(fields, user)
        if let owner = query.accountID ?? query.userID { await meter.waitPosted(owner) }
        if let before = try fields.integer("before_id") {
            let entries = try await store.entries(query, before: before == 0 ? .max : before, size: page.size)
            return Envelope.cursor(entries.items.map { json($0, showsBalance: query.showsBalance) }, nextBefore: entries.nextBefore)
        }
        guard let owner = query.userID, query.accountID == nil, query.from == nil, query.to == nil else {
            throw ManagementError.invalid(
                "before_id",
                Expected(
                    "given with 'from', 'to', the rows of an organization or of all users: 0 = the newest", codes: ["integer", "min:0"]))
        }
        let entries = try await store.entries(userID: owner, kind: query.kind, page)
        return Envelope.page(entries.items.map { json($0) }, total: entries.total, (page.page, page.size))
    }

    /// The caller's rows; for admins also those of another user, or of everybody.
    func query(_ fields: QueryFields, _ caller: User) async throws -> EntryQuery {
        var query = EntryQuery(userID: caller.id, kind: try fields.choice("type", TransactionKind.self))
        query.from = try fields.integer("from")
        query.to = try fields.integer("to")
        let wanted = try fields.integer("user_id")
        if let organization = try fields.integer("organization_id") {
            query.accountID = organization
            query.userID = try await access.member(wanted: wanted == 0 ? nil : wanted, in: organization, by: caller)
            query.showsBalance = try await access.demand(.see, of: organization, by: caller).may(.seeMoney)
            return query
        }
        if let wanted, wanted != caller.id {
            guard caller.role >= .admin else { throw ManagementError.roleTooLow("other users' rows are for admins", needed: .admin) }
            query.userID = wanted == 0 ? nil : wanted
        }
        return query
    }

    /// `POST /api/balance/admin/add {user_id, amount, description?, reference_id?}`: a credit, or a correction when the amount is negative.
    func add(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let fields = try await RequestFields(request, MoneyDescriptions.add)
        let userID = try fields.requiredInteger("user_id")
        let amount = try fields.amount("amount")
        guard amount != .zero else { throw fields.wrong("amount", Expected("other than zero", codes: ["usd", "not_zero"])) }
        let key = try IdempotencyKey.either(request, fields) ?? context.requestID.description
        let description = try fields.string("description") ?? ""
        let actor = try context.user()
        guard let target = try await store.user(id: userID) else { throw ManagementError.notFound("user") }
        try await access.checkMoneyAuthority(over: target, by: actor)
        let isOrganization = target.kind == .organization
        let posting = LedgerPosting(
            userID: isOrganization ? actor.id : userID, amount: amount, kind: amount.isNegative ? .adjustment : .recharge, referenceID: key,
            description: description, createdAt: clock.unixSeconds, accountID: isOrganization ? userID : nil,
            levels: levels.table)
        let audit = try context.audit(
            "balance.add", at: clock.unixSeconds,
            [.init("user_id", .integer(userID)), .init("amount", .usd(amount)), .init("reference_id", .string(key))])
        let credited = try await storing("user") { try await meter.credit(posting, audit: audit) }
        if credited.isNew, posting.kind == .recharge { await levels.recharged(userID) }
        return answer(credited)
    }

    /// `POST /api/balance/admin/refund {reference_id, amount?, description?}`: refunds a charge, once and at most in full.
    func refund(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let fields = try await RequestFields(request, MoneyDescriptions.refund)
        // In this call, `reference_id` names the charge; an idempotency key can only be given in the header.
        let reference = try fields.requiredString("reference_id")
        let amount = fields["amount"] == nil || fields.isNull("amount") ? nil : try fields.amount("amount")
        if let amount, !amount.isPositive { throw fields.wrong("amount", Expected("more than zero", codes: ["usd", "positive"])) }
        let refund = Refund(
            reference: reference, amount: amount, key: try IdempotencyKey.header(request),
            description: try fields.string("description") ?? "", createdAt: clock.unixSeconds)
        guard let charged = try await store.chargedAccount(reference: reference),
            let target = try await store.user(id: charged.payer)
        else { throw ManagementError.notFound("charge") }
        try await access.checkMoneyAuthority(over: target, by: try context.user())
        let audit = try context.audit("balance.refund", at: clock.unixSeconds)
        return answer(try await storing("charge") { try await meter.refund(refund, audit: audit) })
    }

    /// The ledger row, and whether this call has created it.
    private func answer(_ result: (entry: LedgerEntry, isNew: Bool)) -> Response {
        guard case .object(let members) = json(result.entry) else { return Envelope.ok(json(result.entry)) }
        return Envelope.ok(.object(members + [.init("repeated", .boolean(!result.isNew))]))
    }

    /// - Parameter showsBalance: false for members who see their own rows of an organisation, and not its balance.
    func json(_ entry: LedgerEntry, showsBalance: Bool = true) -> JSONValue {
        .object([
            .init("id", .integer(entry.id)), .init("user_id", .integer(entry.userID)), .init("amount", .usd(entry.amount)),
            .init("balance_after", showsBalance ? .usd(entry.balanceAfter) : .null), .init("type", .string(entry.kind.rawValue)),
            .init("reference_id", .string(entry.referenceID)), .init("description", .string(entry.description)),
            .init("created_at", .integer(entry.createdAt)), .init("account_id", .integer(entry.accountID)),
            .init("source", .optional(entry.source)),
            .init("gift", .usd(entry.gift ?? .zero)),
        ])
    }
}
