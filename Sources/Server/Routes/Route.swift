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
        /// A body that is taken like a model call's, and answered here: its tokens are counted (``TokenCount``).
        case count(Endpoint)
    }

    let method: HTTPRequest.Method
    /// Hummingbird's path syntax.
    let path: String
    let access: RouteAccess
    let work: Work
    let body: Body

    /// How much a request may send, and how fast it has to come (``DoorLimits``).
    enum Body: Sendable {
        /// Names and passwords, from anybody.
        case login
        /// What the management API takes.
        case management
        /// `server.max_body_bytes`, from whoever has a key.
        case modelCall
    }

    static let loginBytes = 8 * 1024
    static let managementBytes = 64 * 1024

    init(
        _ method: HTTPRequest.Method, _ path: String, _ access: RouteAccess, body: Body = .management, _ handler: @escaping Handler
    ) {
        self.method = method
        self.path = path
        self.access = access
        self.body = body
        work = .handler(handler)
    }

    /// A model call, which takes an API key.
    init(_ path: String, relay endpoint: Endpoint) { self.init(path, .relay(endpoint)) }

    init(_ path: String, count endpoint: Endpoint) { self.init(path, .count(endpoint)) }

    private init(_ path: String, _ work: Work) {
        method = .post
        self.path = path
        access = .apiKey
        body = .modelCall
        self.work = work
    }
}
