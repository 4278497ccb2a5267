import Config
import Gateway
import HTTPTypes
import Hummingbird
import Platform
import Storage

/// Trust and access at the edge of the gateway: created once at start-up, because `server` is read only then.
public final class Doors: Sendable {
    let proxies: TrustedProxies
    /// `server.public_url`.
    let publicURL: GatewayConfiguration.PublicURL?
    let sessions: Sessions
    let devices: KnownDevices
    let throttle = LoginThrottle()

    init(_ configuration: GatewayConfiguration, sealer: Sealer, store: any UserStore, clock: ServerClock) {
        proxies = TrustedProxies(configuration.server.trustedProxies)
        publicURL = configuration.server.publicURL
        sessions = Sessions(configuration.server.sessions, store: store, clock: clock)
        devices = KnownDevices(sealer: sealer, clock: clock)
    }

    /// The site that a request's browser addresses: `server.public_url`, or what the request itself says.
    func site(_ request: Request, _ context: GatewayContext) -> Site {
        publicURL.map { Site($0) } ?? Site(origin: context.origin, host: request.head.authority)
    }

    func source(_ context: GatewayContext) -> LoginSource { LoginSource(context.clientIP, proxies: proxies) }
}

/// The origin of the gateway's pages, as browsers see it.
struct Site: Sendable, Hashable {
    /// Whether the browser uses https, regardless of proxies before this gateway.
    var isSecure: Bool
    var authority: String
    /// False when the authority is the request's own `Host`.
    var isConfigured: Bool

    init(isSecure: Bool, authority: String, isConfigured: Bool) {
        self.isSecure = isSecure
        self.authority = authority
        self.isConfigured = isConfigured
    }

    init(_ url: GatewayConfiguration.PublicURL) { self.init(isSecure: url.isHTTPS, authority: url.authority, isConfigured: true) }

    /// - Parameter host: the request's own `Host`.
    init(origin: ClientOrigin, host: String?) {
        self.init(isSecure: origin.scheme == "https", authority: origin.host ?? host?.lowercased() ?? "", isConfigured: false)
    }

    /// - Parameter origin: the value of the header `Origin`.
    func accepts(origin: String) -> Bool {
        guard let given = GatewayConfiguration.PublicURL(origin) else { return false }
        if isConfigured { return given.isHTTPS == isSecure && given.authority == authority }
        // The scheme is not certain here, so `Host` may include the scheme's default port.
        return given.authority == authority || given.authority + (given.isHTTPS ? ":443" : ":80") == authority
    }

    /// A cookie that scripts cannot read and other sites cannot send. On https, its name guarantees that only this host can have set it.
    /// - Parameter seconds: lifetime; 0 = the browser deletes it.
    func cookie(_ name: String, _ value: String, seconds: Int64) -> String {
        "\(cookieName(name))=\(value); Path=/; Max-Age=\(seconds); HttpOnly; SameSite=Strict" + (isSecure ? "; Secure" : "")
    }

    func cookieName(_ name: String) -> String { isSecure ? "__Host-" + name : name }
}
