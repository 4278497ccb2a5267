import HTTPTypes
import Hummingbird

/// A browser sends our cookies to us whoever asks it to, and lets any page post a form to us. A change that a browser brings must therefore
/// come from our own pages, or from no page at all, and be JSON, which no form can send.
enum BrowserGuard {
    private static let fetchSite = HTTPField.Name("Sec-Fetch-Site")

    /// Checks a request that rests on a cookie, or begins a session. Reading changes nothing and passes.
    /// - Throws: ``ManagementError`` 403 for another site's request, 415 for a body that is not JSON.
    static func check(_ request: Request, _ site: Site) throws {
        guard ![.get, .head, .options].contains(request.method) else { return }
        if let fetchSite {
            // `none` = the user's own doing (a bookmark, the address bar). Browsers let no script write this header.
            guard request.headers[values: fetchSite].allSatisfy({ $0 == "same-origin" || $0 == "none" }) else {
                throw ManagementError.forbidden("this request comes from another site")
            }
        }
        for origin in request.headers[values: .origin] where !site.accepts(origin: origin) {
            let hint = site.isConfigured ? "server.public_url is the only one" : "behind a proxy, set server.public_url"
            throw ManagementError.forbidden("this request comes from another site (Origin: \(origin.prefix(100)); \(hint))")
        }
        try demandJSON(request)
    }

    /// - Throws: ``ManagementError`` 415.
    static func demandJSON(_ request: Request) throws {
        let given = request.headers[.contentType]
        let type = given?.split(separator: ";").first?.filter { $0 != " " && $0 != "\t" }.lowercased()
        guard type != "application/json" else { return }
        throw ManagementError(
            .unsupportedMediaType,
            "this call takes JSON: send 'Content-Type: application/json' (found \(given.map { "'\($0.prefix(100))'" } ?? "none"))")
    }
}
