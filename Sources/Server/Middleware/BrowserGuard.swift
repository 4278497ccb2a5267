import HTTPTypes
import Hummingbird

/// A browser sends the gateway's cookies with requests from any site, and lets any page post a form. A change requested by a browser must
/// therefore come from the gateway's own pages, or from no page at all, and must be JSON, which forms cannot send.
enum BrowserGuard {
    /// Checks a request that is authenticated by a cookie, or that begins a session. Requests that only read are accepted.
    /// - Throws: ``ManagementError`` 403 for another site's request, 415 for a body that is not JSON.
    static func check(_ request: Request, _ site: Site) throws {
        guard ![.get, .head, .options].contains(request.method) else { return }
        try checkChange(site) { name in HTTPField.Name(name).map { request.headers[values: $0] } ?? [] }
    }

    /// The same for a request that is no read.
    /// - Parameter header: returns the values of a header, by its lower-case name.
    static func checkChange(_ site: Site, header: (String) -> [String]) throws(ManagementError) {
        // `none` = initiated by the user (a bookmark, the address bar). Browsers do not let scripts set this header.
        guard header("sec-fetch-site").allSatisfy({ $0 == "same-origin" || $0 == "none" }) else {
            throw .forbidden("this request comes from another site", code: .otherSite)
        }
        for origin in header("origin") where !site.accepts(origin: origin) {
            let hint = site.isConfigured ? "server.public_url is the only one" : "behind a proxy, set server.public_url"
            throw .forbidden("this request comes from another site (Origin: \(origin.prefix(100)); \(hint))", code: .otherSite)
        }
        let given = header("content-type").first
        let type = given?.split(separator: ";").first?.filter { $0 != " " && $0 != "\t" }.lowercased()
        guard type != "application/json" else { return }
        throw ManagementError(
            .unsupportedMediaType,
            "this call takes JSON: send 'Content-Type: application/json' (found \(given.map { "'\($0.prefix(100))'" } ?? "none"))")
    }
}
