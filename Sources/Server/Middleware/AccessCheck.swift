import HTTPTypes
import Hummingbird
import Logging
import Platform
import RouterCore
import Storage

/// The one place where it is decided who may call what.
struct AccessCheck: Sendable {
    let services: GatewayServices

    /// - Throws: ``APIError`` 401 or 403 for key routes, ``ManagementError`` 401 or 403 for management routes.
    func principal(_ request: Request, _ context: GatewayContext, _ access: RouteAccess) async throws -> Principal {
        switch access {
        case .open: return .anonymous
        case .apiKey:
            let other = Self.googleKey(request) ?? Self.xAPIKey.flatMap { request.headers[$0] }
            return .key(try key(bearer: request.headers[.authorization], other: other, clientIP: context.clientIP))
        case .user: return .user(try await user(request, context, atLeast: .user))
        case .admin: return .user(try await user(request, context, atLeast: .admin))
        case .root: return .user(try await user(request, context, atLeast: .root))
        }
    }

    /// The owner of an API key.
    /// - Parameters:
    ///   - bearer: the Authorization header.
    ///   - other: the key where other dialects put it.
    func key(bearer: String?, other: String?, clientIP: String) throws -> KeyPrincipal {
        let presented = Self.bearer(bearer) ?? other
        switch services.keys.lookup(presentedKey: presented, now: services.clock.unixSeconds) {
        case .failure(.limitsUnreadable(let scope, let problem)):
            services.logger.error(
                "stored limits cannot be read; the key is not served",
                metadata: ["limits_of": "\(scope)", "problem": "\(problem.message)"])
            throw APIError.limitsUnreadable(scope.kind)
        case .failure(let refusal): throw APIError.invalidKey(refusal.message)
        case .success(let principal):
            guard principal.allows(address: clientIP) else { throw APIError.addressNotAllowed(clientIP) }
            return principal
        }
    }

    private func user(_ request: Request, _ context: GatewayContext, atLeast role: Role) async throws -> User {
        guard let user = try await Self.user(request, context, services) else {
            if Self.bearer(request)?.hasPrefix("sk-") == true {
                throw ManagementError(
                    .unauthorized, "this call takes the access token of POST /api/user/login, not an API key")
            }
            throw ManagementError(.unauthorized, "not logged in: send 'Authorization: Bearer <access token>'")
        }
        guard user.status == .enabled else { throw ManagementError(.unauthorized, "this user is disabled") }
        guard user.role >= role else { throw ManagementError.forbidden("this call needs the role \(role)") }
        return user
    }

    /// The user behind a management token or the session cookie.
    static func user(_ request: Request, _ context: GatewayContext, _ services: GatewayServices) async throws -> User? {
        guard let token = presentedAccessToken(request, context, services) else { return nil }
        if restsOnCookie(request) { try BrowserGuard.check(request, services.doors.site(request, context)) }
        return try await services.tokenLookups.user(TokenSecrets.hash(token), at: services.clock.monotonic) {
            try await services.doors.sessions.user(token: token)
        }
    }

    static func presentedAccessToken(_ request: Request, _ context: GatewayContext, _ services: GatewayServices) -> String? {
        bearer(request) ?? request.cookies[services.doors.site(request, context).cookieName(Sessions.cookieName)]?.value
    }

    static func restsOnCookie(_ request: Request) -> Bool { bearer(request) == nil }

    private static let xAPIKey = HTTPField.Name("x-api-key")

    /// Google's clients send the key in a header of their own or in the query, which nothing here writes into a log.
    private static func googleKey(_ request: Request) -> String? {
        guard request.speaksGoogle else { return nil }
        return Request.googleKeyName.flatMap { request.headers[$0] } ?? request.uri.queryParameters["key"].map(String.init)
    }

    private static func bearer(_ request: Request) -> String? { bearer(request.headers[.authorization]) }

    private static func bearer(_ header: String?) -> String? {
        guard let header, !header.isEmpty else { return nil }
        let bytes = header.utf8
        guard let space = bytes.firstIndex(of: 0x20),
            bytes[..<space].elementsEqual("bearer".utf8, by: { $0 | 0x20 == $1 })
        else { return header }
        return String(header[space...].drop { $0 == " " })
    }
}
