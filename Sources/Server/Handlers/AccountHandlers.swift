import GatewayState
import Hummingbird
import Metering
import Platform
import RouterCore
import Storage

/// Wallets: a user's own, and organisations'.
struct AccountHandlers: Sendable {
    let store: any UserStore & LeaseStore & LongHoldStore
    let access: OrganizationAccess
    let meter: Meter
    let clock: ServerClock

    func account(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let user = try context.user()
        let fields = QueryFields(request, OrganizationDescriptions.account)
        var account = user
        if let id = try fields.integer("organization_id") { account = try await access.demand(.seeMoney, of: id, by: user).account }
        let isOrganization = account.kind == .organization
        await meter.waitPosted(account.id)
        guard let standing = try await meter.standing(account.id) else { throw ManagementError.notFound("account") }
        let setAside = try await store.openLongHolds(userID: account.id)
        let scope: BudgetScope = isOrganization ? .organization(account.id) : .user(account.id)
        let now = clock.unixSeconds
        let counters = BudgetWindow.allCases.map { BudgetCounter(scope: scope, window: $0.number(at: now)) }
        let spent = try await store.spending(counters)
        let charges = zip(BudgetWindow.allCases, counters).map { JSONValue.Member($0.rawValue, .usd(spent[$1] ?? .zero)) }
        return Envelope.ok(
            .object([
                .init("id", .integer(account.id)), .init("kind", .string(account.kind.rawValue)),
                .init("name", .string(isOrganization ? account.displayName : account.username)),
                .init("balance", .usd(standing.balance)), .init("held", .usd(try standing.held.adding(setAside.amount))),
                .init("available", .usd(standing.available)), .init("group", .string(account.group)),
                .init("limits", (try? StoredLimits(stored: account.limits, allowsAddresses: false))?.effective ?? .null),
                .init("spent", .object(charges)), .init("currency", "USD"),
            ]))
    }
}
