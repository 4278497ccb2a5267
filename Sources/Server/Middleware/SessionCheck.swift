import Gateway
import GatewayState
import HTTPTypes
import Hummingbird
import Platform
import RouterCore
import Storage

/// Identifies the logged-in user, by a management token or by the session cookie.
struct SessionCheck: Sendable {
    let doors: Doors
    let tokenLookups: TokenLookups
    let clock: ServerClock

    /// The user behind a management token or the session cookie.
    func user(_ request: Request, _ context: GatewayContext) async throws -> User? {
        guard let token = presentedAccessToken(request, context) else { return nil }
        if Self.restsOnCookie(request) { try BrowserGuard.check(request, doors.site(request, context)) }
        return try await tokenLookups.user(TokenSecrets.hash(token), at: clock.monotonic) {
            try await doors.sessions.user(token: token)
        }
    }

    func presentedAccessToken(_ request: Request, _ context: GatewayContext) -> String? {
        Self.bearer(request) ?? request.cookies[doors.site(request, context).cookieName(Sessions.cookieName)]?.value
    }

    static func restsOnCookie(_ request: Request) -> Bool { bearer(request) == nil }

    static func bearer(_ request: Request) -> String? { PresentedKey.bearer(request.headers[.authorization]) }
}
