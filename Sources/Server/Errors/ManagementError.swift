import Gateway
import GatewayState
import HTTPTypes
import Hummingbird
import NIOCore
import RouterCore
import Storage

/// An error of the management area: `{"success":false,"message":…,"data":null,"code":…}` with a fitting status, and `details` where
/// there are some.
struct ManagementError: Error, HTTPResponseError {
    var status: HTTPResponse.Status
    var message: String
    var code: ManagementCode
    /// Facts with which a program explains the error in words of its own.
    var details: JSONValue?
    var headers: HTTPFields = [:]

    /// - Parameter code: nil = the one that the status has.
    init(
        _ status: HTTPResponse.Status, _ message: String, code: ManagementCode? = nil, details: JSONValue? = nil, headers: HTTPFields = [:]
    ) {
        self.status = status
        self.message = message
        self.code = code ?? ManagementCode(status)
        self.details = details
        self.headers = headers
    }

    static func badRequest(_ message: String, code: ManagementCode? = nil) -> ManagementError {
        ManagementError(.badRequest, message, code: code)
    }
    static func notFound(_ what: String) -> ManagementError { ManagementError(.notFound, "\(what) not found") }
    static func forbidden(_ message: String, code: ManagementCode? = nil) -> ManagementError {
        ManagementError(.forbidden, message, code: code)
    }

    /// A field of a body, or a parameter, that is wrong.
    /// - Parameters:
    ///   - expected: the codes go into `details`, the words into the message.
    ///   - message: nil = it is put together from the other two.
    static func invalid(_ field: String, _ expected: Expected, message: String? = nil) -> ManagementError {
        ManagementError(
            .badRequest, message ?? "'\(field)' must be \(expected.words)", code: .invalidField,
            details: .object([.init("field", .string(field)), .init("expected", .array(expected.codes.map { .string($0) }))]))
    }

    static func roleTooLow(_ message: String, needed role: Role) -> ManagementError {
        ManagementError(.forbidden, message, code: .roleTooLow, details: .object([.init("role", .integer(role.rawValue))]))
    }

    func response(from request: Request, context: some RequestContext) throws -> Response { response() }

    private var body: JSONValue {
        var members: [JSONValue.Member] = [
            .init("success", false), .init("message", .string(message)), .init("data", .null), .init("code", .string(code.rawValue)),
        ]
        if let details { members.append(.init("details", details)) }
        return .object(members)
    }

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
            throw error.isForbidden
                ? .forbidden(error.message, code: .limitsNotAllowed)
                : .invalid("limits", Expected("limits as they are described", codes: ["object"]), message: error.message)
        }
    }
}
