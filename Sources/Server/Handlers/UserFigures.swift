import GatewayState
import Metering
import Platform
import RouterCore
import Storage

/// Users as the management API shows them, with what belongs to their money: what running requests hold, and what was charged.
struct UserFigures: Sendable {
    let store: any LeaseStore
    let meter: Meter
    let clock: ServerClock

    func json(_ user: User) async throws -> JSONValue { try await json([user]).first ?? .null }

    /// The charges of all of them are read at once.
    func json(_ users: [User]) async throws -> [JSONValue] {
        let now = clock.unixSeconds
        func counter(_ user: User, _ window: BudgetWindow) -> BudgetCounter {
            BudgetCounter(scope: .user(user.id), window: window.number(at: now))
        }
        let counters = users.flatMap { user in [BudgetWindow.month, .total].map { counter(user, $0) } }
        let spent = counters.isEmpty ? [:] : try await store.spending(counters)
        return users.map { user in
            .object([
                .init("id", .integer(user.id)), .init("username", .string(user.username)),
                .init("display_name", .string(user.displayName)), .init("email", .string(user.email)),
                .init("role", .integer(user.role.rawValue)), .init("status", .integer(user.status.rawValue)),
                .init("group", .string(user.group)), .init("group_source", .optional(user.groupSource?.rawValue)),
                .init("limits", (try? StoredLimits(stored: user.limits, allowsAddresses: false))?.effective ?? .null),
                .init("balance", .usd(user.balance)), .init("held", .usd(meter.account(user.id)?.held ?? .zero)),
                .init(
                    "spent",
                    .object([
                        .init("month", .usd(spent[counter(user, .month)] ?? .zero)),
                        .init("total", .usd(spent[counter(user, .total)] ?? .zero)),
                    ])), .init("quota", .integer(user.balance.wholeCents)), .init("created_at", .integer(user.createdAt)),
            ])
        }
    }
}
