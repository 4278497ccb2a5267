import Config
import HTTPTypes
import Hummingbird

/// What tells a browser how little it may do with an answer. On everything that is not the model area, whose clients are programs.
struct SecurityHeaders: Sendable {
    private static let all: [(HTTPField.Name?, String)] = [
        (.contentSecurityPolicy, "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"),
        (.xContentTypeOptions, "nosniff"),
        (HTTPField.Name("X-Frame-Options"), "DENY"),
        (HTTPField.Name("Referrer-Policy"), "no-referrer"),
    ]
    /// A year, as browsers ask for.
    private static let onlyHTTPS = "max-age=31536000"

    /// - Parameter publicURL: on https, browsers are told to stay there.
    static func add(to headers: inout HTTPFields, publicURL: GatewayConfiguration.PublicURL?) {
        for case (let name?, let value) in all where headers[name] == nil { headers[name] = value }
        if publicURL?.isHTTPS == true { headers[.strictTransportSecurity] = onlyHTTPS }
    }
}
