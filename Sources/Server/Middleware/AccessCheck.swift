import Gateway
import HTTPTypes
import Hummingbird
import RouterCore
import Storage

/// The only place that decides who may call which route.
struct AccessCheck: Sendable {
    let keys: KeyCheck
    let sessions: SessionCheck

    /// Sets the context's principal.
    /// - Throws: ``APIError`` 401 or 403 for key routes, ``ManagementError`` 401 or 403 for management routes.
    func admit(_ request: Request, _ context: inout GatewayContext, _ access: RouteAccess) async throws {
        switch access {
        case .open: context.principal = .anonymous
        case .apiKey: context.principal = try key(request, context, for: .modelCalls)
        case .managementKey: context.principal = try key(request, context, for: .management)
        case .anyKey: context.principal = try key(request, context, for: .either)
        case .user: try await user(request, &context, atLeast: .user)
        case .admin: try await user(request, &context, atLeast: .admin)
        case .root: try await user(request, &context, atLeast: .root)
        }
    }

    private func key(_ request: Request, _ context: GatewayContext, for use: KeyCheck.Use) throws -> Principal {
        .key(try keys.principal(presented: Self.presentedKey(request), clientIP: context.clientIP, for: use))
    }

    private static func presentedKey(_ request: Request) -> String? {
        PresentedKey.find(speaksGoogle: request.speaksGoogle, queryKey: request.uri.queryParameters["key"].map(String.init)) { name in
            HTTPField.Name(name).flatMap { request.headers[$0] }
        }
    }

    private func user(_ request: Request, _ context: inout GatewayContext, atLeast role: Role) async throws {
        guard let (user, age) = try await sessions.session(request, context) else {
            if SessionCheck.bearer(request)?.hasPrefix("sk-") == true {
                throw ManagementError(
                    .unauthorized, "this call takes the access token of POST /api/user/login, not an API key")
            }
            throw ManagementError(.unauthorized, "not logged in: send 'Authorization: Bearer <access token>'")
        }
        guard user.status == .enabled else { throw ManagementError(.unauthorized, "this user is disabled", code: .userDisabled) }
        guard user.role >= role else { throw ManagementError.roleTooLow("this call needs the role \(role)", needed: role) }
        context.principal = .user(user)
        context.sessionAge = age
    }
}
