import Adaptors
import HTTPTypes
import NIOCore
package import RouterCore

/// Translates upstream failures (the table in docs/routing.md) into what a client sees, as a response or inside a stream, in the shape of
/// its dialect.
package enum RelayErrors {
    static func answer(_ failure: UpstreamFailure, to request: ClientRequest) -> ClientAnswer {
        if let error = failure.clientError, let status = failure.status, (400..<500).contains(status) {
            // The client's own request is at fault: the vendor's message is the most helpful.
            var headers = HTTPFields()
            headers[.contentType] = "application/json"
            return ClientAnswer(
                status: HTTPResponse.Status(code: status), headers: headers,
                bytes: DialectError.body(
                    request.endpoint.dialect, style: request.errorStyle, status: status, clientError: error,
                    requestID: request.requestID.description))
        }
        return apiError(failure).answer(request.endpoint.dialect, request.requestID, request.errorStyle)
    }

    /// The failure of a call to a vendor, for a client who has asked for nothing else.
    package static func error(_ failure: UpstreamFailure) -> APIError {
        guard let error = failure.clientError, let status = failure.status, (400..<500).contains(status) else { return apiError(failure) }
        return APIError(
            status: HTTPResponse.Status(code: status), type: error.type, code: error.code, param: error.param,
            message: error.message)
    }

    static func apiError(_ failure: UpstreamFailure) -> APIError {
        switch failure.kind {
        case .rateLimit:
            return .upstream(
                status: .tooManyRequests, message: "the upstream is rate limited; try again later",
                retryAfter: failure.retryAfter ?? .seconds(5))
        case .timeout:
            return .upstream(status: .gatewayTimeout, message: "the upstream did not answer in time", retryAfter: nil)
        case .overloaded:
            return .upstream(
                status: .serviceUnavailable, message: "no upstream is available at the moment; try again later",
                retryAfter: failure.retryAfter ?? .seconds(5))
        case .credentialRefused, .credentialExhausted, .unaffordable:
            // The gateway's key was refused, not the client's: never a 401 or 402.
            return .upstream(
                status: .badGateway, message: "the upstream refused the gateway's own credential", retryAfter: nil)
        case .modelUnavailable:
            return .upstream(
                status: .badGateway, message: "the upstream does not serve this model at the moment", retryAfter: nil)
        case .invalidRequest, .contextLength, .contentFilter:
            return .badRequest("the upstream refused the request", param: nil)
        case .cancelled:
            return .upstream(status: .badGateway, message: "the request was cancelled", retryAfter: nil)
        case .connect, .connectionReset, .server, .malformed, .truncated, .midStream:
            return .upstream(status: .badGateway, message: "the upstream failed", retryAfter: nil)
        }
    }

    /// The end of a stream that broke: an event that every client of the dialect raises as an error, and no end marker after it.
    /// - Parameter hasContent: false when the head was sent early and no answer followed.
    static func event(_ failure: UpstreamFailure, to request: ClientRequest, hasContent: Bool = true) -> ByteBuffer {
        let error = apiError(failure)
        var message: String
        switch failure.kind {
        case .timeout: message = "the upstream went silent in the middle of the answer"
        case .overloaded where failure.source == .gateway: message = "the gateway is shutting down"
        default: message = "the upstream broke off in the middle of the answer"
        }
        if !hasContent { message = error.message }
        return DialectError.event(
            request.endpoint.dialect, style: request.errorStyle, status: error.status.code, message: message, type: "upstream_error",
            code: failure.kind.rawValue)
    }
}
