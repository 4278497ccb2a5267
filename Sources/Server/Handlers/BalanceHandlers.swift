import Hummingbird
import RouterCore
import Storage

/// Money: what a user has, the ledger rows, and an admin's credits.
enum BalanceHandlers {
    static func balance(_ request: Request, _ context: GatewayContext, _ services: GatewayServices) async throws -> Response {
        let user = try context.user()
        guard let standing = try await services.meter.standing(user.id) else { throw ManagementError.notFound("account") }
        return Envelope.ok(
            .object([
                .init("user_id", .integer(user.id)), .init("balance", .usd(standing.balance)), .init("held", .usd(standing.held)),
                .init("available", .usd(standing.available)), .init("quota", .integer(standing.balance.wholeCents)),
                .init("currency", "USD"),
            ]))
    }

    static func transactions(_ request: Request, _ context: GatewayContext, _ services: GatewayServices) async throws -> Response {
        let user = try context.user()
        let query = QueryFields(request)
        let page = try query.page()
        var kind: TransactionKind?
        if let text = query.text("type"), !text.isEmpty {
            kind = TransactionKind(rawValue: text)
            if kind == nil {
                let known = TransactionKind.allCases.map(\.rawValue).joined(separator: ", ")
                throw ManagementError.badRequest("'type' must be one of \(known)")
            }
        }
        await services.meter.waitPosted(user.id)
        let entries = try await services.store.entries(userID: user.id, kind: kind, page)
        return Envelope.page(entries.items.map(json), total: entries.total, (page.page, page.size))
    }

    static func add(_ request: Request, _ context: GatewayContext, _ services: GatewayServices) async throws -> Response {
        let actor = try context.user()
        let fields = try await RequestFields(request, allowed: ["user_id", "amount", "description", "reference_id"])
        let userID = try fields.requiredInteger("user_id")
        let amount = try fields.amount("amount")
        guard amount != .zero else { throw fields.wrong("amount", "other than zero") }
        let reference = try fields.string("reference_id", maximum: 100) ?? context.requestID.description
        guard !reference.isEmpty else { throw fields.wrong("reference_id", "a non-empty string") }
        // The gateway's own corrections are found by such names.
        guard !reference.hasSuffix(":reconciled") else { throw fields.wrong("reference_id", "a name that does not end with ':reconciled'") }
        let posting = LedgerPosting(
            userID: userID, amount: amount, kind: amount.isNegative ? .adjustment : .recharge, referenceID: reference,
            description: try fields.string("description", maximum: 500) ?? "", createdAt: services.clock.unixSeconds)
        // Before the money: what cannot be put on record does not happen, and a credit that was booked is not answered with an error.
        try await services.store.audit(
            actorID: actor.id, action: "balance.add",
            detail: JSONValue.object([
                .init("user_id", .integer(userID)), .init("amount", .usd(amount)), .init("reference_id", .string(reference)),
            ]).text, clientIP: context.clientIP, at: services.clock.unixSeconds)
        let result = try await storing("user") { try await services.meter.credit(posting) }
        return Envelope.ok(json(result.entry))
    }

    /// `POST /api/balance/admin/refund {reference_id, amount?, description}`: gives a charge back, once and at most the charge.
    static func refund(_ request: Request, _ context: GatewayContext, _ services: GatewayServices) async throws -> Response {
        let actor = try context.user()
        let fields = try await RequestFields(request, allowed: ["reference_id", "amount", "description"])
        let reference = try fields.requiredString("reference_id", maximum: 100)
        let amount = fields["amount"] == nil || fields.isNull("amount") ? nil : try fields.amount("amount")
        if let amount, !amount.isPositive { throw fields.wrong("amount", "more than zero") }
        let description = try fields.string("description", maximum: 500) ?? ""
        let result = try await storing("charge") {
            try await services.meter.refund(reference: reference, amount: amount, description: description)
        }
        if result.isNew {
            try await services.store.audit(
                actorID: actor.id, action: "balance.refund",
                detail: JSONValue.object([
                    .init("user_id", .integer(result.entry.userID)), .init("amount", .usd(result.entry.amount)),
                    .init("reference_id", .string(reference)),
                ]).text, clientIP: context.clientIP, at: services.clock.unixSeconds)
        }
        return Envelope.ok(json(result.entry))
    }

    static func json(_ entry: LedgerEntry) -> JSONValue {
        .object([
            .init("id", .integer(entry.id)), .init("user_id", .integer(entry.userID)), .init("amount", .usd(entry.amount)),
            .init("balance_after", .usd(entry.balanceAfter)), .init("type", .string(entry.kind.rawValue)),
            .init("reference_id", .string(entry.referenceID)), .init("description", .string(entry.description)),
            .init("created_at", .integer(entry.createdAt)),
        ])
    }
}
