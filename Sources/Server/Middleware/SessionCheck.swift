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
    func user(_ request: Request, _ context: GatewayContext) async throws -> User? { try await session(request, context)?.user }

    /// The same, with the age of the session (seconds) for a caller who rests on the cookie.
    func session(_ request: Request, _ context: GatewayContext) async throws -> (user: User, age: Int64?)? {
        guard let token = presentedAccessToken(request, context) else { return nil }
        let restsOnCookie = Self.restsOnCookie(request)
        if restsOnCookie { try BrowserGuard.check(request, doors.site(request, context)) }
        let found = try await tokenLookups.user(TokenSecrets.hash(token), at: clock.monotonic) {
            try await doors.sessions.find(token: token)
        }
        return found.map { ($0.user, restsOnCookie ? $0.age : nil) }
    }

    func presentedAccessToken(_ request: Request, _ context: GatewayContext) -> String? {
        Self.bearer(request) ?? request.cookies[doors.site(request, context).cookieName(Sessions.cookieName)]?.value
    }

    static func restsOnCookie(_ request: Request) -> Bool { bearer(request) == nil }

    static func bearer(_ request: Request) -> String? { PresentedKey.bearer(request.headers[.authorization]) }
}
