import Config
import Gateway
import GatewayState
import Hummingbird
import Metering
import Platform
import RouterCore
import Storage

/// The key itself, its account's credits and its requests, as OpenRouter's clients ask for them.
struct RouterAccountHandlers: Sendable {
    let store: any TokenStore & Ledger & LogStore & LeaseStore
    let snapshots: SnapshotHolder
    let meter: Meter
    let clock: ServerClock

    /// `GET /api/v1/key`
    func key(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let principal = try ModelsHandlers.principal(context)
        await meter.waitPosted(principal.payer)
        guard let id = principal.tokenID, let token = try await store.token(id: id),
            let account = try await store.spent(userID: principal.payer)
        else {
            throw APIError.invalidKey(KeyRefusal.unknown.message)
        }
        let now = clock.unixSeconds
        let scope = BudgetScope.key(token.id)
        let counters = SpendingWindows.counters(scope, at: now) + principal.budgets.map { $0.counter(at: now) }
        let spent = try await store.spending(counters)
        let budgets = principal.budgets.map { BudgetStanding($0, at: now, spent) }
        let members: [JSONValue.Member] = [
            .init("label", .string(Self.label(token))), .init("is_management_key", .boolean(token.isManagement)),
            .init("is_provisioning_key", .boolean(token.isManagement)),
            // Nobody has ever put money on a balance whose sum with what was spent is not positive.
            .init("is_free_tier", .boolean(try account.balance.adding(account.charged) <= .zero)),
            .init("include_byok_in_limit", false), .init("creator_user_id", .string(String(principal.userID))),
            .init("organization_id", .optional(principal.accountID.map { String($0) })), .init("workspace_id", .null),
            .init("expires_at", ISOTime.json(token.expiresAt)),
            .init("allowed_data_regions", []), .init("budgets", .array(budgets.map { $0.json(at: now) })),
            .init("effective_budget", BudgetStanding.tightest(budgets)?.json(at: now) ?? .null),
            .init("free_model_daily_requests", ["limit": .integer(0), "used": .integer(0), "remaining": .integer(0)]),
            .init("rate_limit", Self.rateLimit(principal)),
        ]
        let own = budgets.filter { $0.limit.scope == scope }
        return ModelsHandlers.answer([
            "data": .object(members + BudgetStanding.members(ofKey: own) + SpendingWindows(scope, at: now, spent).members)
        ])
    }

    /// The part of a key that may be shown.
    static func label(_ token: Token) -> String { token.keyPrefix + "…" }

    private static func rateLimit(_ principal: KeyPrincipal) -> JSONValue {
        let rules = principal.rules.filter { if case .key = $0.scope { true } else { false } }
        let requests = rules.compactMap { $0.limits[.requestsPerMinute] }.min()
        return ["interval": "1m", "requests": .integer(requests ?? -1), "note": "Requests per minute of this key; -1 = no limit."]
    }

    /// `GET /api/v1/credits`: what came to the account besides charges, and the charges; their difference is the balance.
    func credits(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let payer = try ModelsHandlers.principal(context).payer
        await meter.waitPosted(payer)
        guard let account = try await store.spent(userID: payer) else { throw APIError.invalidKey(KeyRefusal.unknown.message) }
        let credits = try account.balance.adding(account.charged)
        return ModelsHandlers.answer(["data": ["total_credits": .usd(credits), "total_usage": .usd(account.charged)]])
    }

    /// `GET /api/v1/generation?id=`: the id of an answer, or the `X-Request-Id` of its request. Only of the key's own account.
    func generation(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let principal = try ModelsHandlers.principal(context)
        let query = QueryFields(request, RouterAccountDescriptions.generation)
        guard let id = query.text("id"), !id.isEmpty, id.utf8.count <= Self.longestID, !id.utf8.contains(0) else {
            throw APIError.badRequest("'id' must be the id of an answer, or the X-Request-Id of its request", param: "id")
        }
        await meter.waitPosted(principal.payer)
        guard let record = try await record(id, principal) else {
            throw APIError(
                status: .notFound, type: "invalid_request_error", code: "generation_not_found", param: "id",
                message: "There is no generation with this id in your account, or it is not recorded yet.")
        }
        let channels = snapshots.snapshot.configuration.routes.channels
        return ModelsHandlers.answer(["data": GenerationAnswer(id: id, record: record, channels: channels).json])
    }

    /// Ids of vendors are at most 128 bytes long; the rest is room for prefixes.
    private static let longestID = 160

    /// A request of the key's user that the key's account has paid for.
    private func record(_ id: String, _ principal: KeyPrincipal) async throws -> RequestRecord? {
        for name in GenerationAnswer.names(of: id) {
            if let row = try await store.log(answerID: name, userID: principal.userID), row.record.accountID == principal.accountID {
                return row.record
            }
            guard let requestID = RouterCore.RequestID(name) else { continue }
            var query = LogQuery(userID: principal.userID, page: PageRequest(page: 1, size: 1))
            query.requestID = requestID
            if let row = try await store.logs(query).items.first, row.record.accountID == principal.accountID { return row.record }
        }
        return nil
    }
}
