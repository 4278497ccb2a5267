import HTTPTypes
import Hummingbird
import Logging
import NIOCore
import RouterCore
import Storage

/// Outermost: the request id, the access log, metrics, and the shape of errors.
struct OuterMiddleware: RouterMiddleware {
    typealias Context = GatewayContext

    private let services: GatewayServices
    /// Path templates with their methods, for 405.
    private let routes: [Route]

    private static let requestIDHeader = HTTPField.Name("X-Request-Id")

    init(services: GatewayServices, routes: [Route]) {
        self.services = services
        self.routes = routes
    }

    func handle(
        _ request: Request, context: GatewayContext, next: @concurrent (Request, GatewayContext) async throws -> Response
    ) async throws -> Response {
        var context = context
        context.requestID = services.requestIDs.next()
        context.receivedAt = services.clock.monotonic
        var response: Response
        do {
            response = try await next(request, context)
        } catch {
            response = errorResponse(error, request, context)
        }
        if let name = Self.requestIDHeader { response.headers[name] = context.requestID.description }
        let route = context.coreContext.endpointPath.value ?? "-"
        services.metrics.request(route: route, status: response.status.code)
        let elapsed = context.receivedAt.duration(to: services.clock.monotonic)
        services.logger.info(
            "request",
            metadata: [
                "method": "\(request.method.rawValue)", "route": "\(route)", "status": "\(response.status.code)",
                "ms": "\(elapsed / .milliseconds(1))", "request_id": "\(context.requestID)", "ip": "\(context.clientIP)",
            ])
        return response
    }

    // MARK: Errors

    private func isModelArea(_ path: String) -> Bool { path.hasPrefix("/v1") || path.hasPrefix("/api/v1") }

    /// The dialect that a request speaks, for the shape of its errors.
    private func dialect(_ request: Request) -> Endpoint {
        if request.speaksGoogle { return .gemini }
        let parts = request.uri.path.split(separator: "/")
        if parts.last == "messages" || parts.last == "count_tokens" { return .messages }
        return parts.last == "responses" ? .responses : .chat
    }

    private func errorResponse(_ error: any Error, _ request: Request, _ context: GatewayContext) -> Response {
        let path = request.uri.path
        func shaped(_ error: APIError) -> Response { error.response(dialect(request), context.requestID) }
        switch error {
        case let error as APIError: return shaped(error)
        case let error as ManagementError: return error.response()
        case let error as HTTPError where error.status == .notFound: return notFound(request, shaped)
        case let error as HTTPError:
            let message = error.body ?? error.status.reasonPhrase
            return isModelArea(path)
                ? shaped(APIError(status: error.status, type: "invalid_request_error", message: message))
                : ManagementError(error.status, message).response()
        case StoreError.database(let detail):
            services.logger.error(
                "the database failed", metadata: ["request_id": "\(context.requestID)", "error": "\(detail)"])
            return isModelArea(path)
                ? shaped(.unavailable("The gateway's books cannot be written at the moment; try again."))
                : ManagementError(.serviceUnavailable, "the database does not answer").response()
        default:
            // Logged once, here, with the id that the client got.
            services.logger.error(
                "unexpected error", metadata: ["request_id": "\(context.requestID)", "error": "\(error)"])
            return isModelArea(path)
                ? shaped(.internalError())
                : ManagementError(.internalServerError, "something went wrong inside the gateway").response()
        }
    }

    /// No such path, or a path that takes other methods.
    private func notFound(_ request: Request, _ shaped: (APIError) -> Response) -> Response {
        let path = request.uri.path
        let methods = Set(routes.filter { Self.matches($0.path, path) }.map(\.method))
        if !methods.isEmpty {
            let error = APIError.methodNotAllowed(Array(methods))
            return isModelArea(path)
                ? shaped(error)
                : ManagementError(.methodNotAllowed, error.message, headers: error.headers).response()
        }
        return isModelArea(path)
            ? shaped(.notFound(path)) : ManagementError.notFound("path").response()
    }

    static func matches(_ template: String, _ path: String) -> Bool {
        let wanted = template.split(separator: "/")
        let given = path.split(separator: "/")
        for (index, part) in wanted.enumerated() {
            if part == "**" { return given.count > index }
            guard index < given.count, part.hasPrefix("{") || part == given[index] else { return false }
        }
        return wanted.count == given.count
    }
}
