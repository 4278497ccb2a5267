import HTTPTypes
import NIOCore
import RouterCore

/// Names failures: first by the rules of the provider file, then by the family's.
///
/// Sources: https://platform.openai.com/docs/guides/error-codes and https://openrouter.ai/docs/api-reference/errors
struct OpenAIErrors {
    let spec: ProviderSpec
    let dialect: OpenAIDialect

    /// The parts of an error object that decide.
    private struct Facts {
        var text: String
        var error: JSONValue?
        var message: String?
        /// `code`, `type` and OpenRouter's `metadata.error_type`, as text.
        var codes: [String] = []
        /// `code` when it is an HTTP status (OpenRouter).
        var status: Int?

        init(_ text: String, _ error: JSONValue?) {
            self.text = text
            self.error = error
            message = error?["message"]?.stringValue ?? error?.stringValue
            let code = error?["code"]
            if let value = code?.integerValue ?? code?.stringValue.flatMap({ Int64($0) }), (400..<600).contains(value) {
                status = Int(value)
            }
            codes = [
                code?.stringValue ?? code?.numberText, error?["type"]?.stringValue, error?["error_type"]?.stringValue,
                error?["metadata"]?["error_type"]?.stringValue,
            ].compactMap { $0 }
        }

        func says(_ words: String...) -> Bool {
            let lower = text.lowercased()
            return words.contains { lower.contains($0) }
        }
    }

    // MARK: From a status

    func failure(head: UpstreamHead, body: ByteBuffer, now: Int64) -> UpstreamFailure {
        let text = String(buffer: body)
        let value = try? JSONValue(parsing: body)
        let error = value?["error"] ?? (value?["message"] == nil && value?["detail"] == nil ? nil : value)
        let facts = Facts(text, error)
        var failure = UpstreamFailure(
            kind: kind(head.status, facts), retryAfter: wait(head, facts, now), status: head.status,
            detail: detail(head.status, facts))
        let isShown = [FailureKind.invalidRequest, .contextLength, .contentFilter].contains(failure.kind)
        if isShown { failure.clientError = clientError(facts) }
        if facts.error?["availability"]?["retryable"] == .boolean(false), failure.kind == .overloaded {
            failure.kind = .modelUnavailable
        }
        return failure
    }

    // MARK: From inside a 200

    /// An error object (JSON text) inside a body or a stream. Before any content it is like a status, because another
    /// channel can still answer; afterwards the answer is broken.
    func inBand(_ json: String?, hasContent: Bool) -> UpstreamFailure {
        let value = json.flatMap { try? JSONValue(parsing: ByteBuffer(string: $0)) }
        let facts = Facts(json ?? "", value)
        let status = facts.status ?? 502
        let detail = "in the answer: " + self.detail(status, facts)
        if hasContent { return UpstreamFailure(kind: .midStream, isBillable: true, status: 200, detail: detail) }
        var failure = UpstreamFailure(kind: kind(status, facts), status: status, detail: detail)
        if [FailureKind.invalidRequest, .contextLength, .contentFilter].contains(failure.kind) {
            failure.clientError = clientError(facts)
        }
        return failure
    }

    // MARK: Kinds

    private func kind(_ status: Int, _ facts: Facts) -> FailureKind {
        for rule in spec.errors where matches(rule, status, facts) { return rule.kind }
        switch status {
        case 300..<400: return .malformed
        case 400: return badRequest(facts)
        case 401: return .credentialRefused
        case 402: return .credentialExhausted
        case 403:
            let isModeration = dialect.forbiddenMayBeModeration
                && (facts.error?["metadata"]?["flagged_input"] != nil || facts.error?["metadata"]?["reasons"] != nil
                    || facts.says("moderation", "flagged"))
            return isModeration ? .contentFilter : .credentialRefused
        case 404: return .modelUnavailable
        case 408: return .timeout
        case 409, 425: return .server
        case 429: return facts.codes.contains("insufficient_quota") ? .credentialExhausted : .rateLimit
        case 400..<500: return facts.codes.contains("model_not_found") ? .modelUnavailable : .invalidRequest
        case 503, 529: return .overloaded
        case 504, 524: return .timeout
        default: return .server
        }
    }

    private func badRequest(_ facts: Facts) -> FailureKind {
        if facts.codes.contains("context_length_exceeded") || facts.says("maximum context length") { return .contextLength }
        if facts.codes.contains(where: { $0 == "content_filter" || $0 == "content_policy_violation" || $0 == "refusal" }) {
            return .contentFilter
        }
        if facts.codes.contains("model_not_found") { return .modelUnavailable }
        return .invalidRequest
    }

    private func matches(_ rule: ErrorRule, _ status: Int, _ facts: Facts) -> Bool {
        if let wanted = rule.status, wanted != status { return false }
        if let code = rule.code, !facts.codes.contains(code) { return false }
        if let words = rule.bodyContains, !facts.text.lowercased().contains(words.lowercased()) { return false }
        return true
    }

    // MARK: Waits, words

    private func wait(_ head: UpstreamHead, _ facts: Facts, _ now: Int64) -> Duration? {
        if let seconds = facts.error?["availability"]?["retry_after"]?.integerValue, seconds >= 0 {
            return .seconds(min(seconds, 86_400))
        }
        return RetryAfter.duration(head.headers, now: now)
    }

    /// The vendor's error in OpenAI's shape, as JSON text.
    private func clientError(_ facts: Facts) -> String {
        if let error = facts.error, error["message"]?.stringValue != nil { return error.text }
        let message = facts.message ?? facts.error?["detail"]?.stringValue ?? "the upstream refused the request"
        return JSONValue.object([
            .init("message", .string(String(message.prefix(2_000)))), .init("type", "invalid_request_error"),
            .init("param", .null), .init("code", .null),
        ]).text
    }

    /// For our log: short, and without anything that looks like a key (OpenAI repeats a part of the key in its 401).
    private func detail(_ status: Int, _ facts: Facts) -> String {
        let words = (facts.message ?? facts.text).prefix(300)
        let clean = words.split(separator: " ", omittingEmptySubsequences: false)
            .map { $0.contains("sk-") ? "<redacted>" : String($0) }.joined(separator: " ")
        return "\(status) \(clean)"
    }
}
