import HTTPTypes
import Hummingbird
import NIOCore

/// Who may call a route. There is no default: a route without it does not compile.
enum RouteAccess: Sendable {
    /// Everybody.
    case open
    /// An API key (`sk-…`).
    case apiKey
    /// A management token or the session cookie, of at least this role.
    case user, admin, root
}

/// One line of the table of routes.
struct Route: Sendable {
    typealias Handler = @Sendable (Request, GatewayContext, GatewayServices) async throws -> Response

    let method: HTTPRequest.Method
    /// Hummingbird's path syntax.
    let path: String
    let access: RouteAccess
    let handler: Handler

    init(_ method: HTTPRequest.Method, _ path: String, _ access: RouteAccess, _ handler: @escaping Handler) {
        self.method = method
        self.path = path
        self.access = access
        self.handler = handler
    }
}
