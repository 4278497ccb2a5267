import Config
package import RouterCore

/// The owner of an API key and what the key may do; or a user who calls from a session, without a key.
package struct KeyPrincipal: Sendable, Paid {
    package var userID: Int64
    /// The organisation whose wallet pays; nil = the user's own.
    package var accountID: Int64?
    /// Nil for a session, which calls without a key.
    package var tokenID: Int64?
    package var group: String
    /// Empty = all. An entry may end in `*`.
    package var models: [String]
    package var addresses: [AddressRange]
    /// Set by an administrator on top of those; both must allow a client.
    package var adminAddresses: [AddressRange] = []
    /// Budgets of the key and of its user; all of them hold.
    package var budgets: [BudgetLimit] = []
    /// Requests, tokens and concurrency, of the key and of its user; empty = none.
    package var rules: [LimitRule] = []
    /// The key's own choice.
    package var conversion: ConversionMode?
    /// It manages its user's keys, and makes no model calls.
    package var isManagement = false

    package func allows(model: String) -> Bool {
        models.isEmpty
            || models.contains { $0 == model || ($0.hasSuffix("*") && model.hasPrefix($0.dropLast())) }
    }

    package func allows(address: String) -> Bool {
        if addresses.isEmpty, adminAddresses.isEmpty { return true }
        guard let address = IPAddress(address) else { return false }
        return [addresses, adminAddresses].allSatisfy { $0.isEmpty || $0.contains { $0.contains(address) } }
    }
}

extension GatewaySnapshot {
    /// Models that an enabled channel of the key's group serves and that the key may use.
    package func models(usableBy principal: KeyPrincipal) -> [String] {
        configuration.routes.models.filter { model in
            principal.allows(model: model) && configuration.routes.serves(model, group: principal.group)
        }
    }
}
