import RouterCore

/// Names failures by what vendors say: first by the rules of the provider file, then by the family's own, then by those that all families
/// share.
///
/// Sources: https://platform.openai.com/docs/guides/error-codes and https://openrouter.ai/docs/api-reference/errors
struct FailureClassifier {
    let spec: ProviderSpec
    let dialect: OpenAIDialect
    /// The key of the call, where it is known, which must not be repeated; texts that look like keys are left out anyway.
    var key: Secret?
    /// The vendor's error object is in OpenAI's shape, or near it, and is shown (``VendorError/object``).
    var showsErrorObject = true
    /// The family's own classification, applied after the rules of the provider file.
    var refine: (@Sendable (Int, VendorError) -> FailureKind?)?

    // MARK: From a status

    func failure(_ head: UpstreamHead, _ error: VendorError, now: Int64) -> UpstreamFailure {
        var failure = UpstreamFailure(
            kind: kind(head.status, error), retryAfter: wait(head, error, now), status: head.status,
            detail: detail(head.status, error))
        failure.clientError = clientError(failure.kind, error)
        return failure
    }

    // MARK: From inside a 200

    /// An error inside a body or a stream. Before any content it is like a status, because another channel can still answer; afterwards the
    /// answer is broken.
    func inBand(_ error: VendorError, hasContent: Bool) -> UpstreamFailure {
        let status = error.status ?? 502
        let detail = "in the answer: " + self.detail(status, error)
        if hasContent { return UpstreamFailure(kind: .midStream, isBillable: true, status: 200, detail: detail) }
        var failure = UpstreamFailure(
            kind: kind(status, error), retryAfter: error.retryAfter, status: status, detail: detail)
        failure.clientError = clientError(failure.kind, error)
        return failure
    }

    // MARK: Kinds

    private func kind(_ status: Int, _ error: VendorError) -> FailureKind {
        for rule in spec.errors where matches(rule, status, error) { return rule.kind }
        if let kind = refine?(status, error) { return kind }
        // These three are about our account whatever else the body says; all others may be about the model.
        if (400..<600).contains(status), ![401, 402, 429].contains(status) {
            if let kind = error.availability { return kind }
            if status < 500, error.names.contains("model_not_found") { return .modelUnavailable }
        }
        switch status {
        case 300..<400: return .malformed
        case 400: return badRequest(error)
        case 401: return .credentialRefused
        // OpenRouter's "requires more credits, or fewer max_tokens": cheaper requests still pass.
        case 402: return error.says("fewer max_tokens") ? .unaffordable : .credentialExhausted
        // OpenAI's "You are not allowed to generate embeddings from this model": the key is well.
        case 403 where error.names == ["invalid_request_error"]: return .modelUnavailable
        case 403: return dialect.forbiddenMayBeModeration && error.isModeration ? .contentFilter : .credentialRefused
        // About a thing that the request names and the vendor does not have; the model is well.
        case 404 where error.param.map { $0 != "model" } ?? false: return .invalidRequest
        case 404: return .modelUnavailable
        case 408: return .timeout
        case 409, 425: return .server
        case 429: return error.names.contains("insufficient_quota") ? .credentialExhausted : .rateLimit
        case 400..<500: return .invalidRequest
        case 503, 529: return .overloaded
        case 504, 524: return .timeout
        default: return .server
        }
    }

    private func badRequest(_ error: VendorError) -> FailureKind {
        if error.names.contains("context_length_exceeded") || error.says("maximum context length") { return .contextLength }
        let filters: Set<String> = ["content_filter", "content_policy_violation", "refusal"]
        return error.names.contains(where: filters.contains) ? .contentFilter : .invalidRequest
    }

    private func matches(_ rule: ErrorRule, _ status: Int, _ error: VendorError) -> Bool {
        if let wanted = rule.status, wanted != status { return false }
        if let code = rule.code, !error.names.contains(code) { return false }
        if let words = rule.bodyContains, !error.says(words) { return false }
        return true
    }

    private func wait(_ head: UpstreamHead, _ error: VendorError, _ now: Int64) -> Duration? {
        let readsReset = dialect.readsRateLimitReset && head.status == 429
        return error.retryAfter ?? RetryAfter.duration(head.headers, now: now, readsReset: readsReset)
    }

    // MARK: Words

    /// For failures that the client's own request brought about.
    private func clientError(_ kind: FailureKind, _ error: VendorError) -> ErrorObject? {
        guard [.invalidRequest, .contextLength, .contentFilter].contains(kind) else { return nil }
        if showsErrorObject, let object = error.object { return Redaction.clean(object, key: key) }
        let message = Redaction.clean(error.message ?? "the upstream refused the request", key: key)
        return ErrorObject(message: String(message.prefix(2_000)), code: error.names.first.map { Redaction.clean($0, key: key) })
    }

    /// For our log: short, and without anything that looks like a key (OpenAI repeats a part of the key in its 401).
    private func detail(_ status: Int, _ error: VendorError) -> String {
        // Cleaned before it is cut, so that no half of a key slips through.
        let words = Redaction.clean(String((error.message ?? error.text).prefix(2_000)), key: key)
        return "\(status) \(words.prefix(300))"
    }
}
