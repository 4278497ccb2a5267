import Adaptors
import Gateway
import HTTPTypes
package import Hummingbird
import Logging
import NIOCore
import RouterCore

extension APIError: HTTPResponseError {
    package func response(from request: Request, context: some RequestContext) throws -> Response { response(.chat, nil) }

    func response(_ dialect: Dialect, _ requestID: RouterCore.RequestID?, _ style: DialectError.Style = .openAI) -> Response {
        let answer = answer(dialect, requestID, style)
        guard case .bytes(let body) = answer.body else { return Response(status: status) }
        return Response(status: status, headers: answer.headers, body: ResponseBody(byteBuffer: body))
    }

    /// The same, for errors of the server behind the front door.
    init(behind error: any Error, requestID: RouterCore.RequestID, logger: Logger) {
        if let error = error as? HTTPError {
            self.init(status: error.status, type: "invalid_request_error", message: error.body ?? error.status.reasonPhrase)
        } else {
            self.init(any: error, requestID: requestID, logger: logger)
        }
    }
}
