import Gateway
import GatewayState
import Hummingbird
import Logging
import NIOCore
import RouterCore
import Storage

/// The state of a request while it is processed.
struct GatewayContext: RequestContext {
    var coreContext: CoreRequestContextStorage
    let channel: any NIOCore.Channel
    /// Set by the outermost middleware.
    var requestID = RouterCore.RequestID(bits: 0)
    var receivedAt = MonotonicInstant(nanoseconds: 0)
    /// Set by the access check.
    var principal = Principal.anonymous
    /// Set by the access check for a caller who rests on the session cookie: how long ago the session began, in seconds.
    var sessionAge: Int64?
    /// The peer; the outermost middleware replaces it with the client that trusted proxies report.
    var origin: ClientOrigin

    init(source: ApplicationRequestContextSource) {
        coreContext = CoreRequestContextStorage(source: source)
        channel = source.channel
        origin = ClientOrigin(address: source.channel.remoteAddress?.ipAddress ?? "")
    }

    /// The client's address: that of the peer, or as trusted proxies report it (`server.trusted_proxies`).
    var clientIP: String { origin.address }
}

/// The authenticated caller.
enum Principal: Sendable {
    case anonymous
    case key(KeyPrincipal)
    case user(User)
}
