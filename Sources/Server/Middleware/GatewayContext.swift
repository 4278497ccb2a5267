import Gateway
import GatewayState
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
