import Gateway
import GatewayState
import HTTPTypes
import Hummingbird
import NIOCore
import RouterCore

/// An error of the management area: `{"success":false,"message":…,"data":null}` with a fitting status.
struct ManagementError: Error, HTTPResponseError {
    var status: HTTPResponse.Status
    var message: String
    var headers: HTTPFields = [:]

    init(_ status: HTTPResponse.Status, _ message: String, headers: HTTPFields = [:]) {
        self.status = status
        self.message = message
        self.headers = headers
    }

    static func badRequest(_ message: String) -> ManagementError { ManagementError(.badRequest, message) }
    static func notFound(_ what: String) -> ManagementError { ManagementError(.notFound, "\(what) not found") }
    static func forbidden(_ message: String) -> ManagementError { ManagementError(.forbidden, message) }

    func response(from request: Request, context: some RequestContext) throws -> Response { response() }

    private var body: JSONValue { ["success": false, "message": .string(message), "data": .null] }

    func response() -> Response { Envelope.response(status: status, headers: headers, body) }

    /// The same error as an answer of the front door.
    func answer() -> ClientAnswer {
        let (headers, bytes) = Envelope.parts(headers, body)
        return ClientAnswer(status: status, headers: headers, bytes: bytes)
    }
}

extension APIError {
    /// The same error for clients of the model area, whose calls share parts with the management API.
    init(_ error: ManagementError) {
        let kind =
            switch error.status.code {
            case 401: "authentication_error"
            case 403: "permission_error"
            case 500...: "api_error"
            default: "invalid_request_error"
            }
        self.init(status: error.status, type: kind, message: error.message, headers: error.headers)
    }
}

extension ManagementError {
    /// Reads limits from a request, or throws the error that names their problem.
    static func checkingLimits<Value>(_ limits: () throws(LimitProblem) -> Value) throws(ManagementError) -> Value {
        do throws(LimitProblem) {
            return try limits()
        } catch {
            throw error.isForbidden ? .forbidden(error.message) : .badRequest(error.message)
        }
    }
}
