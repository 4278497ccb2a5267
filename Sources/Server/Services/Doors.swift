import Config

/// Whom the gateway believes and lets in: made once at the start, because `server` is read then.
public final class Doors: Sendable {
    let proxies: TrustedProxies

    init(_ configuration: GatewayConfiguration) {
        proxies = TrustedProxies(configuration.server.trustedProxies)
    }
}
