import Gateway
import GatewayState
import Hummingbird
import Metering
import Platform
import RouterCore
import Storage

/// `/dashboard/billing/subscription` and `/usage`, with and without `/v1` before them, as clients of one-api and of OpenAI's older
/// dashboard ask for them (https://github.com/songquanpeng/one-api/blob/main/controller/billing.go). As there, the figures are of all
/// time: clients subtract the one from the other.
struct BillingHandlers: Sendable {
    let store: any TokenStore & Ledger & LeaseStore
    let meter: Meter
    let clock: ServerClock

    /// USD.
    private struct Figures {
        var limit: NanoUSD
        var used: NanoUSD
        /// Unix seconds; nil = never.
        var expiresAt: Int64?
    }

    func subscription(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let figures = try await figures(context)
        let limit = JSONValue.usd(figures.limit)
        return ModelsHandlers.answer([
            "object": "billing_subscription", "has_payment_method": true, "soft_limit_usd": limit, "hard_limit_usd": limit,
            "system_hard_limit_usd": limit, "access_until": .integer(figures.expiresAt ?? 0),
        ])
    }

    func usage(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let used = try await figures(context).used
        // In cents: seven decimals of a cent are a nano-dollar.
        return ModelsHandlers.answer(["object": "list", "total_usage": .number(decimalText(Int128(used.nanos), places: 7))])
    }

    /// Those of the key where it has a budget of its own for ever, else those of its account.
    private func figures(_ context: GatewayContext) async throws -> Figures {
        let principal = try ModelsHandlers.principal(context)
        await meter.waitPosted(principal.payer)
        guard let id = principal.tokenID, let token = try await store.token(id: id),
            let account = try await store.spent(userID: principal.payer)
        else { throw APIError.invalidKey("The API key is not valid.") }
        let now = clock.unixSeconds
        let budget = principal.budgets.filter { $0.scope == .key(token.id) && $0.window == .total }.min { $0.amount < $1.amount }
        guard let budget else {
            return Figures(
                limit: try account.balance.adding(account.charged), used: account.charged, expiresAt: token.expiresAt)
        }
        let counter = budget.counter(at: now)
        let used = try await store.spending([counter])[counter] ?? .zero
        return Figures(limit: budget.amount, used: used, expiresAt: token.expiresAt)
    }
}
