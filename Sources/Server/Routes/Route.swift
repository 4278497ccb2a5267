import Gateway
import HTTPTypes
import Hummingbird

/// The required authentication of a route. There is no default: a route without it does not compile.
enum RouteAccess: Sendable {
    /// Everyone, without authentication.
    case open
    /// An API key (`sk-…`) for model calls.
    case apiKey
    /// An API key that manages keys.
    case managementKey
    /// An API key of either kind.
    case anyKey
    /// A management token or the session cookie of a user with at least this role.
    case user, admin, root
}

/// One line of the table of routes.
struct Route: Sendable {
    typealias Handler = @Sendable (ManagementAPI, Request, GatewayContext) async throws -> Response

    /// The component that serves the route.
    enum Work: Sendable {
        /// A handler behind Hummingbird.
        case handler(Handler)
        /// A model call, or a count of its tokens: served by the front door.
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
    ///   - group: the handlers that contain `handler`.
    ///   - handler: the one that serves the route.
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
        self.init(call, .apiKey, call.isCount ? ModelDescriptions.count : ModelDescriptions.relay(call.endpoint))
    }

    /// A model call that the front door serves.
    init(_ call: ModelCallRoute, _ access: RouteAccess, _ description: RouteDescription) {
        method = .post
        path = call.path
        self.access = access
        body = .modelCall
        work = .modelCall
        self.description = description
    }
}
