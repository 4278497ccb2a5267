import Adaptors
import Gateway
import HTTPTypes
import Hummingbird
import Logging
import NIOCore
import Platform
import RouterCore
import Storage

/// The outermost middleware: the request id, the access log, metrics, and the format of errors.
struct OuterMiddleware: RouterMiddleware {
    typealias Context = GatewayContext

    let requestIDs: RequestIDSource
    let clock: ServerClock
    let doors: Doors
    let accessLog: AccessLog
    let crossOrigin: CrossOrigin?
    let logger: Logger
    /// Path templates with their methods, for 405.
    let routes: [Route]

    func handle(
        _ request: Request, context: GatewayContext, next: @concurrent (Request, GatewayContext) async throws -> Response
    ) async throws -> Response {
        var context = context
        context.requestID = requestIDs.next()
        context.receivedAt = clock.monotonic
        context.origin = doors.proxies.origin(peer: context.origin.address) { name in
            HTTPField.Name(name).map { request.headers[values: $0] } ?? []
        }
        var response: Response
        do {
            response = try await next(request, context)
        } catch {
            response = errorResponse(error, request, context)
        }
        response.headers[AccessLog.requestIDHeader] = context.requestID.description
        if let crossOrigin, CrossOrigin.covers(request.uri.path) {
            crossOrigin.expose(to: request.headers[.origin], &response.headers)
        }
        accessLog.write(
            method: request.method.rawValue, route: context.coreContext.endpointPath.value ?? "-", status: response.status.code,
            receivedAt: context.receivedAt, requestID: context.requestID, clientIP: context.clientIP)
        if !RequestArea.isOfModels(request.uri.path) { SecurityHeaders.add(to: &response.headers, publicURL: doors.publicURL) }
        return response
    }

    // MARK: Errors

    private func errorResponse(_ error: any Error, _ request: Request, _ context: GatewayContext) -> Response {
        let path = request.uri.path
        func shaped(_ error: APIError) -> Response {
            error.response(request.area.dialect, context.requestID, DialectError.Style(path: path))
        }
        if let error = error as? ManagementError {
            return RequestArea.isOfModels(path) ? shaped(APIError(error)) : error.response()
        }
        if let error = error as? HTTPError, error.status == .notFound { return notFound(request, shaped) }
        let known = APIError(behind: error, requestID: context.requestID, logger: logger)
        if RequestArea.isOfModels(path) || error is APIError { return shaped(known) }
        switch error {
        case is HTTPError: return ManagementError(known.status, known.message).response()
        case StoreError.database: return ManagementError(.serviceUnavailable, "the database does not answer").response()
        default: return ManagementError(.internalServerError, "something went wrong inside the gateway").response()
        }
    }

    /// The error for an unknown path, or for a known path with an unsupported method.
    private func notFound(_ request: Request, _ shaped: (APIError) -> Response) -> Response {
        let path = request.uri.path
        let methods = Set(routes.filter { Self.matches($0.path, path) }.map(\.method))
        if !methods.isEmpty {
            let error = APIError.methodNotAllowed(Array(methods))
            return RequestArea.isOfModels(path)
                ? shaped(error)
                : ManagementError(.methodNotAllowed, error.message, headers: error.headers).response()
        }
        return RequestArea.isOfModels(path)
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
