import Gateway
import GatewayState
import HTTPTypes
import Hummingbird

extension Doors {
    /// The session that a call of the console's playground comes with, by the rules of the management API: a management token in
    /// `Authorization`, or the cookie and no other site. Whether the session is open is known in the key directory.
    /// - Parameters:
    ///   - peer: the other end of the connection.
    ///   - header: returns the values of a header, by its lower-case name.
    func playgroundSession(_ peer: String, _ header: (String) -> [String]) -> Result<KeyHash, APIError> {
        if let token = PresentedKey.bearer(header("authorization").first) { return .success(KeyHash(of: token)) }
        let origin = proxies.origin(peer: peer, header)
        let site = publicURL.map { Site($0) } ?? Site(origin: origin, host: header("host").first)
        guard let token = Cookies(from: header("cookie"))[site.cookieName(Sessions.cookieName)]?.value else {
            return .failure(
                APIError(status: .unauthorized, type: "authentication_error", code: "not_logged_in", message: "You are not logged in."))
        }
        do throws(ManagementError) {
            try BrowserGuard.checkChange(site, header: header)
        } catch {
            var refusal = APIError(error)
            refusal.code = error.code.rawValue
            return .failure(refusal)
        }
        return .success(KeyHash(of: token))
    }
}
