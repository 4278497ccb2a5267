import Hummingbird
import Logging
import NIOCore
import RouterCore
import Storage

/// What is known of a request while it is worked on.
struct GatewayContext: RequestContext {
    var coreContext: CoreRequestContextStorage
    let channel: any NIOCore.Channel
    /// Set by the outermost middleware.
    var requestID = RouterCore.RequestID(bits: 0)
    var receivedAt = MonotonicInstant(nanoseconds: 0)
    /// Set by the access check.
    var principal = Principal.anonymous
    /// The peer; the outermost middleware replaces it by what trusted proxies say of their client.
    var origin: ClientOrigin

    init(source: ApplicationRequestContextSource) {
        coreContext = CoreRequestContextStorage(source: source)
        channel = source.channel
        origin = ClientOrigin(address: source.channel.remoteAddress?.ipAddress ?? "")
    }

    /// The client's address: the peer's, or what trusted proxies say (`server.trusted_proxies`).
    var clientIP: String { origin.address }
}

/// Who asks.
enum Principal: Sendable {
    case anonymous
    case key(KeyPrincipal)
    case user(User)
}

/// The owner of an API key and what the key may do.
struct KeyPrincipal: Sendable {
    var userID: Int64
    var tokenID: Int64
    var group: String
    /// Empty = all. An entry may end in `*`.
    var models: [String]
    var addresses: [AddressRange]
    /// Set by an administrator on top of those; both must allow a client.
    var adminAddresses: [AddressRange] = []
    /// Budgets of the key and of its user; all of them hold.
    var budgets: [BudgetLimit] = []
    /// Requests, tokens and concurrency, of the key and of its user; empty = none.
    var rules: [LimitRule] = []

    func allows(model: String) -> Bool {
        models.isEmpty
            || models.contains { $0 == model || ($0.hasSuffix("*") && model.hasPrefix($0.dropLast())) }
    }

    func allows(address: String) -> Bool {
        if addresses.isEmpty, adminAddresses.isEmpty { return true }
        guard let address = IPAddress(address) else { return false }
        return [addresses, adminAddresses].allSatisfy { $0.isEmpty || $0.contains { $0.contains(address) } }
    }
}
