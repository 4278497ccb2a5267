import Adaptors
import Gateway
import HTTPTypes
import RouterCore
import Vendors

/// Errors of files and batches.
extension APIError {
    /// The same text whether the object never was, is another user's, or has been deleted.
    static func noSuchObject(_ what: String, _ id: String) -> APIError {
        APIError(
            status: .notFound, type: "invalid_request_error", code: "not_found", param: "id",
            message: "There is no \(what) '\(id.prefix(128))' of this account.")
    }

    static func batchPriceMissing(_ model: String) -> APIError {
        APIError(
            status: .badRequest, type: "invalid_request_error", code: "batch_price_missing", param: "model",
            message: """
                The model '\(model)' has no prices of the service tier 'batch', so a batch cannot be charged; an administrator adds \
                service_tiers: { batch: { input: "…", output: "…" } } to its price in the provider's file (docs/batches.md).
                """)
    }

    static func batchNotPossible(_ message: String, param: String? = nil, code: String? = nil) -> APIError {
        APIError(status: .badRequest, type: "invalid_request_error", code: code, param: param, message: message)
    }

    /// Why an input file is refused.
    init(_ problem: BatchInput.Problem) {
        switch problem {
        case .rejection(let rejection): self = .badRequest(rejection.message, param: rejection.param)
        case .modelNotAllowed(let model): self = .modelNotAllowed(model)
        case .modelNotFound(let model): self = .modelNotFound(model)
        case .priceMissing(let model, let endpoint): self = .priceMissing(model, endpoint)
        case .batchPriceMissing(let model): self = .batchPriceMissing(model)
        case .noBatches(let model, let url):
            self = .batchNotPossible(
                "No channel of the model '\(model)' has batches of \(url): its vendor has none, or its provider file does not say so.",
                param: "model", code: "batches_unsupported")
        case .unavailable(let model):
            self = .upstream(
                status: .serviceUnavailable, message: "no channel for model '\(model)' that has batches is available at the moment",
                retryAfter: nil)
        }
    }

    /// The client's error for a vendor's refusal or failure.
    init(_ failure: UpstreamFailure) {
        if let error = failure.clientError, let status = failure.status, (400..<500).contains(status) {
            self.init(
                status: HTTPResponse.Status(code: status), type: error.type, code: error.code, param: error.param, message: error.message)
            return
        }
        switch failure.kind {
        case .rateLimit:
            self = .upstream(
                status: .tooManyRequests, message: "the upstream is rate limited; try again later",
                retryAfter: failure.retryAfter ?? .seconds(5))
        case .timeout: self = .upstream(status: .gatewayTimeout, message: "the upstream did not answer in time", retryAfter: nil)
        case .credentialRefused, .credentialExhausted:
            self = .upstream(status: .badGateway, message: "the upstream refused the gateway's own credential", retryAfter: nil)
        case .invalidRequest: self = .badRequest("the upstream refused the request", param: nil)
        default: self = .upstream(status: .badGateway, message: "the upstream failed", retryAfter: nil)
        }
    }
}
