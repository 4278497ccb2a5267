import HTTPTypes
import Hummingbird
import NIOCore
import RouterCore

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

    /// Who does the work.
    enum Work: Sendable {
        /// Behind Hummingbird.
        case handler(Handler)
        /// A model call: from the ``FrontDoor`` straight to the relay.
        case relay(Endpoint)
    }

    let method: HTTPRequest.Method
    /// Hummingbird's path syntax.
    let path: String
    let access: RouteAccess
    let work: Work

    init(_ method: HTTPRequest.Method, _ path: String, _ access: RouteAccess, _ handler: @escaping Handler) {
        self.method = method
        self.path = path
        self.access = access
        work = .handler(handler)
    }

    /// A model call, which takes an API key.
    init(_ path: String, relay endpoint: Endpoint) {
        method = .post
        self.path = path
        access = .apiKey
        work = .relay(endpoint)
    }
}
