import Config
import HTTPTypes
import Hummingbird

/// Restricts what a browser may do with an answer. Added to all answers except those of the model area, whose clients are programs.
struct SecurityHeaders: Sendable {
    private static let all: [(HTTPField.Name?, String)] = [
        (.contentSecurityPolicy, "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"),
        (.xContentTypeOptions, "nosniff"),
        (HTTPField.Name("X-Frame-Options"), "DENY"),
        (HTTPField.Name("Referrer-Policy"), "no-referrer"),
    ]
    /// One year, the duration that browsers recommend.
    private static let onlyHTTPS = "max-age=31536000"

    /// - Parameter publicURL: if it is an https URL, browsers are told to use only https.
    static func add(to headers: inout HTTPFields, publicURL: GatewayConfiguration.PublicURL?) {
        for case (let name?, let value) in all where headers[name] == nil { headers[name] = value }
        if publicURL?.isHTTPS == true { headers[.strictTransportSecurity] = onlyHTTPS }
    }
}
