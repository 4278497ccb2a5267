import Gateway
import HTTPTypes
import Hummingbird

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
    typealias Handler = @Sendable (ManagementAPI, Request, GatewayContext) async throws -> Response

    /// Who does the work.
    enum Work: Sendable {
        /// Behind Hummingbird.
        case handler(Handler)
        /// A model call, or a count of its tokens: the front door keeps it.
        case modelCall
    }

    let method: HTTPRequest.Method
    /// Hummingbird's path syntax.
    let path: String
    let access: RouteAccess
    let work: Work
    let body: BodyClass
    let description: RouteDescription

    init(
        _ method: HTTPRequest.Method, _ path: String, _ access: RouteAccess, body: BodyClass = .management, _ description: RouteDescription,
        _ handler: @escaping Handler
    ) {
        self.method = method
        self.path = path
        self.access = access
        self.body = body
        self.description = description
        work = .handler(handler)
    }

    /// - Parameters:
    ///   - group: the handlers that do the work.
    ///   - handler: one of them.
    init<Group: Sendable>(
        _ method: HTTPRequest.Method, _ path: String, _ access: RouteAccess, body: BodyClass = .management,
        _ description: RouteDescription, _ group: any KeyPath<ManagementAPI, Group> & Sendable,
        _ handler: @escaping @Sendable (Group) -> @Sendable (Request, GatewayContext) async throws -> Response
    ) {
        self.init(method, path, access, body: body, description) { api, request, context in
            try await handler(api[keyPath: group])(request, context)
        }
    }

    init(_ call: ModelCallRoute) {
        method = .post
        path = call.path
        access = .apiKey
        body = .modelCall
        work = .modelCall
        description = call.isCount ? ModelDescriptions.count : ModelDescriptions.relay(call.endpoint)
    }
}
