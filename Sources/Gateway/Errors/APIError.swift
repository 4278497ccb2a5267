package import Adaptors
package import HTTPTypes
package import Logging
import Metering
import NIOCore
package import RouterCore

/// An error of the OpenAI-compatible area: `{"error":{"message","type","param","code"}}`, and under `/api/v1` in OpenRouter's shape. There
/// is one factory for each row of the table in docs/ARCHITECTURE.md; nothing else decides status or type.
package struct APIError: Error {
    package var status: HTTPResponse.Status
    package var type: String
    package var code: String?
    package var param: String?
    package var message: String
    package var headers: HTTPFields

    package init(
        status: HTTPResponse.Status, type: String, code: String? = nil, param: String? = nil, message: String, headers: HTTPFields = [:]
    ) {
        self.status = status
        self.type = type
        self.code = code
        self.param = param
        self.message = message
        self.headers = headers
    }

    package static func invalidKey(_ message: String) -> APIError {
        APIError(status: .unauthorized, type: "authentication_error", code: "invalid_api_key", message: message)
    }

    /// The console's own calls come with a session; the page opens it and tries again.
    package static func playgroundClosed() -> APIError {
        APIError(
            status: .unauthorized, type: "authentication_error", code: "playground_closed",
            message: "This session is not open for model calls: POST /api/playground/open opens it.")
    }

    package static func modelNotAllowed(_ model: String) -> APIError {
        APIError(
            status: .forbidden, type: "permission_error", code: "model_not_allowed", param: "model",
            message: "This API key may not use the model '\(model)'.")
    }

    package static func addressNotAllowed(_ address: String) -> APIError {
        APIError(
            status: .forbidden, type: "permission_error", code: "address_not_allowed",
            message: "This API key may not be used from \(address).")
    }

    /// A key that manages keys was used for something else.
    package static func managementKey() -> APIError {
        APIError(
            status: .forbidden, type: "permission_error", code: "management_key",
            message: "This is a management key: it manages API keys at /api/v1/keys and makes no model calls.")
    }

    package static func managementKeyRequired() -> APIError {
        APIError(
            status: .forbidden, type: "permission_error", code: "management_key_required",
            message: "This call takes a management key: a user makes one with POST /api/token {\"name\": …, \"management\": true}.")
    }

    package static func badRequest(_ message: String, param: String?) -> APIError {
        APIError(status: .badRequest, type: "invalid_request_error", param: param, message: message)
    }

    package static func modelNotFound(_ model: String) -> APIError {
        APIError(
            status: .notFound, type: "invalid_request_error", code: "model_not_found", param: "model",
            message: "The model '\(model)' does not exist or you do not have access to it; GET /v1/models lists those that you have.")
    }

    /// Unknown, expired, deleted, or another user's: always the same words.
    package static func responseNotFound(_ id: String, param: String? = nil) -> APIError {
        APIError(
            status: .notFound, type: "invalid_request_error", code: param == nil ? nil : "previous_response_not_found", param: param,
            message: "Response with id '\(id.prefix(ResponseStateFields.maximumID))' not found.")
    }

    package static func conversationNotFound(_ id: String) -> APIError {
        APIError(
            status: .notFound, type: "invalid_request_error",
            message: "Conversation with id '\(id.prefix(ResponseStateFields.maximumID))' not found.")
    }

    /// The channel is gone, or its key.
    package static func responseOutOfReach(_ id: String) -> APIError {
        APIError(
            status: .gone, type: "invalid_request_error", code: "response_out_of_reach",
            message: """
                Response '\(id)' is kept by a vendor under an account that this gateway uses no more; send the whole input instead.
                """)
    }

    /// `x-should-retry` keeps OpenAI's own clients from trying again at once.
    package static func responseStoreFull(_ limits: ResponseStoreLimits) -> APIError {
        var headers = HTTPFields()
        if let name = HTTPField.Name("x-should-retry") { headers[name] = "false" }
        return APIError(
            status: .tooManyRequests, type: "rate_limit_error", code: "response_store_full", param: "store",
            message: """
                There is no room for further stored responses (\(limits.perUser) bytes for each user, \(limits.total) in all): delete some, \
                wait until they expire, or send "store": false.
                """, headers: headers)
    }

    /// The client's own `provider` preferences exclude every channel.
    package static func noChannelAllowed(_ model: String, _ reason: String) -> APIError {
        APIError(
            status: .notFound, type: "invalid_request_error", code: "no_allowed_channel", param: "provider",
            message: "No channel for model '\(model)' fits the request's provider preferences: \(reason).")
    }

    package static func notFound(_ path: String) -> APIError {
        APIError(status: .notFound, type: "invalid_request_error", code: "unknown_url", message: "There is nothing at \(path).")
    }

    package static func methodNotAllowed(_ allowed: [HTTPRequest.Method]) -> APIError {
        let names = allowed.map(\.rawValue).sorted().joined(separator: ", ")
        return APIError(
            status: .methodNotAllowed, type: "invalid_request_error", code: "method_not_allowed",
            message: "This path takes \(names) only.", headers: [.allow: names])
    }

    package static func bodyTooSlow() -> APIError {
        APIError(
            status: .requestTimeout, type: "invalid_request_error", code: "request_timeout",
            message: "The request body came too slowly.", headers: [.connection: "close"])
    }

    /// The memory for request bodies is exhausted.
    package static func noRoom() -> APIError {
        .unavailable("The gateway holds as many large requests as it may; try again in a moment.")
    }

    package static func bodyTooLarge(_ limit: Int) -> APIError {
        APIError(
            status: .contentTooLarge, type: "invalid_request_error", code: "request_too_large",
            message: "The request body is larger than \(limit) bytes.", headers: [.connection: "close"])
    }

    package static func insufficientBalance(needed: NanoUSD, available: NanoUSD) -> APIError {
        APIError(
            status: .init(code: 402, reasonPhrase: "Payment Required"), type: "insufficient_quota",
            code: "insufficient_balance",
            message: "This request may cost up to \(needed), and \(available) are available.")
    }

    /// A budget of the key or of its user is exhausted. A budget with a window is renewed with the next window; a total budget is not.
    package static func overBudget(_ limit: BudgetLimit, needed: NanoUSD, available: NanoUSD, at unixSeconds: Int64) -> APIError {
        let whose = limit.scope.kind
        let name = limit.window == .total ? "total budget" : "budget per \(limit.window.rawValue)"
        let message =
            "The \(name) of this \(whose) is \(limit.amount): this request may cost up to \(needed), and \(available) are left of it."
        guard let rest = limit.window.remaining(at: unixSeconds) else {
            return APIError(
                status: .init(code: 402, reasonPhrase: "Payment Required"), type: "insufficient_quota",
                code: "\(whose)_budget_exceeded", message: message)
        }
        return APIError(
            status: .tooManyRequests, type: "rate_limit_error", code: "\(whose)_budget_exceeded", message: message,
            headers: [.retryAfter: String(rest)])
    }

    /// A limit of the key or of the user is reached; the headers report what remains.
    package static func rateLimited(_ refusal: LimitBook.Refusal) -> APIError {
        let whose = refusal.rule.scope.kind
        let what =
            switch refusal.limit {
            case .requestsPerMinute: "requests per minute (rpm)"
            case .tokensPerMinute: "tokens per minute (tpm)"
            case .concurrency: "requests at the same time (concurrency)"
            }
        let seconds = refusal.wait.wholeSecondsUp
        var headers: HTTPFields = [.retryAfter: String(seconds)]
        refusal.standing.write(to: &headers)
        return APIError(
            status: .tooManyRequests, type: "rate_limit_error", code: "rate_limit_exceeded",
            message:
                "The limit of this \(whose), \(refusal.rule.limits[refusal.limit] ?? 0) \(what), is reached; try again in \(seconds) s.",
            headers: headers)
    }

    /// Deny by default: the limits of the key or user cannot be read, so the request is refused.
    package static func limitsUnreadable(_ whose: String) -> APIError {
        APIError(
            status: .forbidden, type: "permission_error", code: "limits_unreadable",
            message: "The stored limits of this \(whose) cannot be read, so it is not served; an administrator has to set them again.")
    }

    /// - Parameter endpoint: what was asked for, which says in which unit such models are priced.
    package static func priceMissing(_ model: String, _ endpoint: Endpoint) -> APIError {
        APIError(
            status: .badRequest, type: "invalid_request_error", code: "model_price_missing", param: "model",
            message:
                "The model '\(model)' has no price, so it cannot be charged. An admin sets one with: "
                + "apirouter models price \(priceOptions(endpoint)) \(ShellWord.quoted(model)) (or with PUT /api/models/pricing).")
    }

    /// The operator sells nothing below its cost, and the price of the model is below that on every channel. Costs are not told.
    package static func belowCost(_ model: String) -> APIError {
        APIError(
            status: .badRequest, type: "invalid_request_error", code: "model_below_cost", param: "model",
            message:
                "The model '\(model)' is not served at its present price, because that is below what it costs here. An admin raises the "
                + "price, or changes routing.below_cost.")
    }

    private static func priceOptions(_ endpoint: Endpoint) -> String {
        switch endpoint {
        case .images, .imageEdits: "--image USD"
        case .speech: "--character USD_PER_MILLION"
        case .transcriptions, .translations: "--audio-second USD"
        case .rerank: "--search USD"
        case .embeddings, .moderations: "--input USD_PER_MILLION"
        case .chat, .completions, .models, .responses, .compact, .messages, .gemini: "--input USD_PER_MILLION --output USD_PER_MILLION"
        }
    }

    package static func tooManyBackground() -> APIError {
        APIError(
            status: .tooManyRequests, type: "rate_limit_error", code: "too_many_background_responses",
            message: """
                As many background responses as are allowed are being made (responses.max_background_per_user, responses.max_background); \
                try again when one is over.
                """, headers: [.retryAfter: "5"])
    }

    package static func upstream(status: HTTPResponse.Status, message: String, retryAfter: Duration?) -> APIError {
        var error = APIError(status: status, type: "upstream_error", code: "upstream_error", message: message)
        if let retryAfter { error.headers[.retryAfter] = String(retryAfter.wholeSecondsUp) }
        return error
    }

    package static func unavailable(_ message: String) -> APIError {
        APIError(
            status: .serviceUnavailable, type: "api_error", code: "service_unavailable", message: message,
            headers: [.retryAfter: "1"])
    }

    package static func internalError() -> APIError {
        APIError(
            status: .internalServerError, type: "api_error", code: "internal_error",
            message: "Something went wrong inside the gateway; the X-Request-Id names this request in its log.")
    }

    /// The error in the shape of the client's dialect.
    package func answer(_ dialect: Dialect, _ requestID: RequestID?, _ style: DialectError.Style = .openAI) -> ClientAnswer {
        var headers = headers
        headers[.contentType] = "application/json"
        let body = DialectError.body(
            dialect, style: style, status: status.code, message: message, type: type, code: code, param: param,
            requestID: requestID?.description)
        return ClientAnswer(status: status, headers: headers, bytes: body)
    }
}

extension APIError {
    /// Maps any error to what a client of the model area is told. Unexpected errors are logged here, once, with the request id that the
    /// client receives.
    package init(any error: any Error, requestID: RequestID, logger: Logger) {
        if let error = error as? APIError {
            self = error
        } else if case .database(let detail)? = BooksFailure(error) {
            logger.error("the database failed", metadata: ["request_id": "\(requestID)", "error": "\(detail)"])
            self = .unavailable("The gateway's books cannot be written at the moment; try again.")
        } else {
            logger.error("unexpected error", metadata: ["request_id": "\(requestID)", "error": "\(error)"])
            self = .internalError()
        }
    }
}
